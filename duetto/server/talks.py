"""Conversations as they are kept: whose they are, how they went, and where one may go on from."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AnyMessage, HumanMessage
from langgraph.store.base import BaseStore
from langgraph.types import StateSnapshot

from duetto.graph.state import ItemId
from duetto.server.doors import NotThere, Visitor
from duetto.server.turn import NOTHING_YET, last_answered, talk
from duetto.tools.profiles import THREADS, threads_of
from duetto.wiring import Graph

ALIKE = ("alike",)  # how many conversations began alike, by a hash of that
TRIED = 8  # of them, the newest, are looked through
_BEGINNING = threading.Lock()
TITLE = 80  # characters of the first message that a conversation is listed by


@dataclass(frozen=True)
class Told:
    """A turn that was answered, and the checkpoint it left."""

    message: str | None
    answer: dict[str, Any]
    at: str
    checkpoint: str


@dataclass(frozen=True)
class _Heard:
    """`seen` messages are what a conversation had heard at a checkpoint, which is its `last` or not."""

    thread: str
    checkpoint: str
    seen: int
    last: bool


@dataclass(frozen=True)
class Talks:
    graph: Graph
    store: BaseStore

    def check(self, visitor: Visitor, thread: str, new: bool = False) -> None:
        """Raises NotThere for a conversation that the visitor has no part in; a `new` one may be theirs."""
        if visitor.person is None:
            allowed = new or self._is_there(thread)
        else:
            note = self.store.get(THREADS, f"{visitor.person}/{thread}")
            noted = note is not None and (note.value["user"], note.value["thread"]) == (visitor.person, thread)
            allowed = noted or (new and not self._is_there(thread))
        if not allowed:
            raise NotThere("there is no such conversation")

    def of(self, user: ItemId) -> list[dict[str, Any]]:
        """A person's conversations, the last one first: thread, title, turns, at."""
        found = []
        for note in threads_of(self.store, user):
            state = last_answered(self.graph, note["thread"])
            if state is not None:
                first = next(iter(said(state.values["messages"])), "")
                told = {"thread": note["thread"], "title": first[:TITLE], "turns": state.values["turn"], "at": state.created_at}
                found.append(told)
        return sorted(found, key=lambda one: str(one["at"]), reverse=True)

    def told(self, thread: str, most: int = 200) -> list[Told]:
        """The turns that led to how it stands, oldest first; of a long conversation the newest."""
        line = self._line(thread, most)
        return [
            Told(_message(state.values), state.values["answer"], str(state.created_at), _id(state))
            for state in reversed(list(line))
        ]

    def going_on_from(self, thread: str, before: list[str]) -> tuple[str | None, int]:
        """Where a conversation of this name is to go on, of whose human messages a caller tells those before the last: the
        checkpoint, and how many of them it has seen.

        It is the one that has seen most of them from the first on, and nothing else; else the last one, if they are its newest
        (a caller need not tell all); else what was said there is not what the caller tells, and it begins anew.
        """
        heard = self._heard(thread, before)
        if heard is not None:
            return heard.checkpoint, heard.seen
        last = last_answered(self.graph, thread)
        if last is None or not before or said(last.values["messages"])[-len(before) :] == before:
            return None, len(before) if last is not None else 0
        return NOTHING_YET, 0

    def _heard(self, thread: str, before: list[str]) -> "_Heard | None":
        """Where it has heard most of this from the first on, and nothing else."""
        best: _Heard | None = None
        newest = True
        for state in self.graph.get_state_history(talk(thread)):
            if state.next:
                continue
            heard = said(state.values["messages"])
            if heard and heard == before[: len(heard)] and (best is None or len(heard) > best.seen):
                best = _Heard(thread, _id(state), len(heard), newest)
                if len(heard) == len(before):
                    break
            newest = False
        return best

    def begun(self, name: str) -> str:
        """A new conversation of those that began alike: `name-1`, `name-2`, ..."""
        with _BEGINNING:
            known = self.store.get(ALIKE, name)
            number = 1 if known is None else known.value["number"] + 1
            self.store.put(ALIKE, name, {"number": number}, index=False)
        return f"{name}-{number}"

    def found(self, name: str, before: list[str]) -> tuple[str, str | None, int]:
        """The one of them that has seen most of what was said before: thread, checkpoint, how many messages; or a new one.

        Of several that have, one that has not gone on since: conversations that begin alike stay apart.
        """
        known = self.store.get(ALIKE, name)
        newest = 0 if known is None else known.value["number"]
        best: _Heard | None = None
        for number in range(newest, max(0, newest - TRIED), -1):
            heard = self._heard(f"{name}-{number}", before)
            if heard is not None and (best is None or (heard.seen, heard.last) > (best.seen, best.last)):
                best = heard
            if best is not None and best.seen == len(before) and best.last:
                break
        return (self.begun(name), None, 0) if best is None else (best.thread, best.checkpoint, best.seen)

    def _is_there(self, thread: str) -> bool:
        return bool(self.graph.get_state(talk(thread)).created_at)

    def _line(self, thread: str, most: int) -> Iterator[StateSnapshot]:
        """Answered states, newest first, along the parents: what was answered again is left out."""
        wanted: str | None = None
        for state in self.graph.get_state_history(talk(thread)):
            if wanted is not None and _id(state) != wanted:
                continue
            if not state.next:
                yield state
                most -= 1
            elif wanted is None:
                continue  # given up
            parent = state.parent_config
            if parent is None or not most:
                return
            wanted = parent["configurable"]["checkpoint_id"]


def said(messages: list[AnyMessage]) -> list[str]:
    """What people said."""
    return [str(message.text) for message in messages if isinstance(message, HumanMessage)]


def _message(values: dict[str, Any]) -> str | None:
    """The last turn's, if there was one."""
    last = values["messages"][-2:-1]
    return str(last[0].text) if last and isinstance(last[0], HumanMessage) else None


def _id(state: StateSnapshot) -> str:
    return str(state.config["configurable"]["checkpoint_id"])
