"""How one turn is played over the graph: where it goes on from, and what is told of it as it happens."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from duetto.errors import BadInput, DuettoError
from duetto.graph.state import Context, ItemId, TurnInput
from duetto.wiring import Graph, Opened

EventName = Literal["node", "ranking", "reason", "answer"]
NOTHING_YET = "00000000-0000-0000-0000-000000000000"  # the checkpoint of no turn: who goes on from it begins anew


class Stopped(DuettoError):
    """Whoever wanted the turn has gone."""


def _anybody() -> None:
    """Whom a conversation belongs to was asked before."""


@dataclass(frozen=True)
class Asked:
    """A turn as somebody wants it. It goes on from the `checkpoint`, else from the conversation's last answer.

    `unseen` messages came before it, and are read first by the plain reader. `check` raises NotThere for a conversation that
    is somebody else's; it is asked when those before the turn have ended, for one of them may have begun the conversation.
    """

    thread: str
    user: ItemId | None = None
    message: str | None = None
    k: int | None = None
    reasons: str | None = None
    checkpoint: str | None = None
    unseen: tuple[str, ...] = ()
    check: Callable[[], None] = _anybody


@dataclass(frozen=True)
class Event:
    name: EventName
    data: dict[str, Any]


def happening(opened: Opened, asked: Asked, run_id: str, stopped: Callable[[], bool]) -> Generator[Event]:
    """Plays a turn. Raises Stopped at the next step when it is to end."""

    def go_on() -> None:
        if stopped():
            raise Stopped("the turn was given up")

    config = going_on(opened.graph, asked)
    for message in asked.unseen:
        go_on()
        turn: TurnInput = {"user": asked.user, "message": message}
        opened.plain.invoke(turn, {"run_name": "turn", **config}, context=Context(reasons="none"))
        config = talk(asked.thread)
    go_on()
    with closing(events(opened, asked, {"run_name": "turn", "run_id": UUID(run_id), **config})) as told:
        for event in told:
            yield event
            if event.name != "answer":
                go_on()


def talk(thread: str, checkpoint: str | None = None) -> RunnableConfig:
    """Where a conversation is kept, as it is now or as it was."""
    at = {} if checkpoint is None else {"checkpoint_id": checkpoint}
    return {"configurable": {"thread_id": thread, **at}}


def last_answered(graph: Graph, thread: str) -> StateSnapshot | None:
    """How its last answer left a conversation; what came of turns that were given up half-way is left out."""
    for most in (1, None):
        for state in graph.get_state_history(talk(thread), limit=most):  # get_state would count what is pending as done
            if not state.next:
                return state
    return None


def going_on(graph: Graph, asked: Asked) -> RunnableConfig:
    """From the checkpoint that is asked for, else the last answer."""
    if asked.checkpoint is not None:
        return talk(asked.thread, asked.checkpoint)
    last = last_answered(graph, asked.thread)
    return talk(asked.thread, NOTHING_YET if last is None else last.config["configurable"]["checkpoint_id"])


def events(opened: Opened, asked: Asked, config: RunnableConfig) -> Generator[Event]:
    """Of a turn, as they happen; `answer` is the last one, and comes when the turn is kept.

    Raises BadInput for what cannot be asked.
    """
    turn: TurnInput = {"user": asked.user, "message": asked.message}
    context = Context(k=asked.k, reasons=asked.reasons)
    answer: dict[str, Any] | None = None
    began = time.perf_counter()
    for mode, part in opened.graph.stream(turn, config, context=context, stream_mode=["updates", "custom"]):
        if mode == "custom":
            assert isinstance(part, dict)
            yield Event(part["event"], {key: value for key, value in part.items() if key != "event"})
            continue
        for node, update in part.items():  # type: ignore[union-attr]
            answer = update["answer"] if node == "answer" else answer
            yield Event("node", {"node": node, "ms_since_start": round((time.perf_counter() - began) * 1000, 1)})
    if answer is None:
        raise BadInput("the turn gave no answer")
    yield Event("answer", answer)
