"""Conversations that were recorded, for tests of what is written down and of what is played again."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import SecretStr

from duetto import prompts
from duetto.graph.answer import Answer
from duetto.graph.record import Recorded
from duetto.graph.state import Context, TurnInput
from duetto.limits import Limits
from duetto.settings import Settings
from duetto.tools.chat.language_model import LanguageModel, Method, open_chat
from duetto.tools.chat.scripted import ScriptedChat
from duetto.tools.journal import lines
from duetto.wiring import open_graph
from tests.graph.test_language_nodes import good, obedient
from tests.loopback import Loopback, Script

KEY = SecretStr("sk-Very5ecret")
_LIMITS = Limits()
TURNS: tuple[TurnInput, ...] = (
    {"user": "p001", "message": "a warm comedy, nothing from the 1950s"},
    {"user": "p001", "message": "I hated Alien. I loved The Thing. Under 120 minutes"},
    {"user": "p001"},
    {"user": "p001", "message": "hello!"},
)


@dataclass(frozen=True)
class Session:
    """Who speaks for the model: nobody, a script in this process (None), or a server with this script."""

    model: bool = True
    script: Script | None = None
    method: Method = "json_schema"
    limits: Limits = _LIMITS
    turns: Sequence[TurnInput] = TURNS

    def record(self, folder: Path, settings: Settings, thread: str = "t") -> Path:
        """Plays the session and returns its file."""
        limited = replace(settings, limits=self.limits)
        if not self.model:
            return played(folder, limited, self.turns, thread)
        if self.script is None:
            return played(folder, limited, self.turns, thread, model=speaking(self.method, self.limits))
        with Loopback(self.script) as server:
            return played(folder, limited, self.turns, thread, model=open_at(server, self.method, self.limits))


PLAIN = Session(model=False)
SCRIPTED = Session()
SPOKEN = Session(script=obedient)


def speaking(method: Method = "json_schema", limits: Limits = _LIMITS) -> LanguageModel:
    """An obedient model without a server."""
    return LanguageModel(ScriptedChat(script=_obedient), "scripted", method, limits)


def open_at(server: Loopback, method: Method = "json_schema", limits: Limits = _LIMITS) -> LanguageModel:
    return open_chat("some-model", base_url=server.base_url, api_key=KEY, method=method, limits=limits)


def _obedient(messages: list[BaseMessage], schema: str) -> dict[str, Any]:
    return good(schema, json.loads(messages[1].text))


def played(
    folder: Path, settings: Settings, turns: Sequence[TurnInput] = TURNS, thread: str | None = "t", *, redact: bool = False,
    model: LanguageModel | None = None, context: Context | None = None, index: str | Path = "sample",
) -> Path:  # fmt: skip
    """Records these turns and returns the newest file of the folder."""
    saver = None if thread is None else InMemorySaver()
    graph = open_graph(index, saver, model=model, settings=settings, record=folder, redact=redact)
    for turn in turns:
        graph.invoke(turn, {"configurable": {"thread_id": thread} if thread else {}}, context=context)
    return max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def recorded(path: Path) -> list[Recorded]:
    """The whole turns of a file."""
    return [Recorded.model_validate(line) for _, line in lines(path) if line is not None]


def answers(path: Path) -> list[Answer]:
    return [turn.answer for turn in recorded(path)]


@contextmanager
def reworded(folder: Path, name: str) -> Iterator[None]:
    """While one word of a prompt's file is another; `folder` is to hold the files."""
    there = folder / "prompts"
    shutil.copytree(Path(str(prompts.__file__)).parent, there)
    text = (there / f"{name}.md").read_text(encoding="utf-8")
    (there / f"{name}.md").write_text(text.replace("You ", "Thou ", 1), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompts, "resources", SimpleNamespace(files=lambda package: there))
        prompts._template.cache_clear()
        yield
    prompts._template.cache_clear()
