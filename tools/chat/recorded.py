"""A chat model that says again what was recorded: no key, no network."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_core.messages import BaseMessage

from duetto.errors import BudgetSpent
from duetto.limits import Limits
from duetto.tools.chat.budget import Budget, Call, Usage
from duetto.tools.chat.language_model import LanguageModel, Method
from duetto.tools.chat.model_answer import Said
from duetto.tools.chat.model_call import Failure, estimate
from duetto.tools.chat.scripted import ScriptedChat

Match = Literal["same", "other", "none"]


class Tape:
    """The recorded calls of the turn that is played; each is said once."""

    def __init__(self) -> None:
        self._lock, self._left = threading.Lock(), list[Call]()
        self._heard: list[tuple[str, str, Match]] = []

    def load(self, calls: Sequence[Call]) -> None:
        with self._lock:
            self._left, self._heard = list(calls), []

    @property
    def heard(self) -> list[tuple[str, str, Match]]:
        """(prompt, about, match) of each request so far; `other` means the recorded prompt read otherwise."""
        with self._lock:
            return sorted(self._heard)

    def take(self, asked: Call) -> Call | None:
        """The call that was sent exactly this, else the next of the same prompt about the same."""
        with self._lock:
            alike = [call for call in self._left if (call.prompt, call.about) == (asked.prompt, asked.about)]
            same = [call for call in alike if call.hash == asked.hash]
            found = next(iter(same or alike), None)
            match: Match = "same" if same else "other" if alike else "none"
            self._heard.append((asked.prompt, asked.about, match))
            if found is not None:
                self._left.remove(found)
            return found


@dataclass(frozen=True)
class RecordedModel(LanguageModel):
    """Costs what the recorded calls cost, so that the caps hold as they did."""

    tape: Tape = field(default_factory=Tape)

    def send(
        self, asked: Call, messages: list[BaseMessage], shape: dict[str, Any], budget: Budget
    ) -> tuple[Said | Failure, Usage]:
        budget.patience(self.limits.call_seconds)
        call = self.tape.take(asked)
        if call is not None and call.refused:
            raise BudgetSpent(call.failed)
        if call is None:
            return Failure("was not recorded answering this"), Usage()
        if call.usage.calls:
            need = estimate(messages, shape) + self.limits.output_tokens
            budget.take(need)
            budget.settle(need, Usage(0, call.usage.input_tokens, call.usage.output_tokens))
        if call.text is None:
            return Failure(call.failed, call.again, call.wait), call.usage
        return Said(call.text, call.usage, call.cut), call.usage

    def pause(self, seconds: float) -> None:
        """Nobody is spared by waiting."""


def recorded_model(name: str, method: Method, limits: Limits) -> RecordedModel:
    return RecordedModel(ScriptedChat(script=[]), name, method, limits)
