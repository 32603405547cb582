"""Plays cases: each in a file of its own, with the threads and profiles that people's own conversations have."""

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from langgraph.store.base import BaseStore
from langgraph.types import Checkpointer
from langsmith import tracing_context

from duetto.errors import BadInput
from duetto.evals.case_checks import Checker, Turn
from duetto.evals.case_files import Case, Step
from duetto.graph.build import Node
from duetto.graph.state import Context, State
from duetto.tools.agent_tools import Toolbox
from duetto.tools.features import Features
from duetto.tools.progress import Advance
from duetto.tools.threads import EitherSqliteSaver, EitherSqliteStore


class MakeGraph(Protocol):
    """Gives a graph that ends at a node of ours."""

    def __call__(self, record: Node, checkpointer: Checkpointer, *, store: BaseStore) -> Any: ...


@dataclass(frozen=True)
class Outcome:
    """A case that was run: `wrong` are the failed assertions of its first failed turn, `state` is that turn's."""

    case: str
    turns: int
    wrong: list[str]
    state: dict[str, Any]


@dataclass(frozen=True)
class Runner:
    """Runs cases over one index."""

    box: Toolbox
    features: Features
    make: MakeGraph

    def run(self, cases: list[Case], advance: Advance | None = None) -> list[Outcome]:
        """Raises BadInput for a case that names what the index lacks, before anything is played."""
        checker = Checker(self.box, self.features)
        for case in cases:
            for number, step in enumerate(case.turns, start=1):
                try:
                    checker.require(step.expect)
                except BadInput as error:
                    raise BadInput(f"cannot run the case {case.name!r}, turn {number}: {error}") from error
        outcomes = []
        for case in cases:
            with (
                TemporaryDirectory(prefix="duetto-case-") as folder,
                Process(self.make, Path(folder) / "threads.sqlite") as process,
            ):
                outcomes.append(_played(case, process, checker))
            if advance is not None:
                advance(1)
        return outcomes


class Process:
    """Stands for one that serves people: a graph over a file of threads and profiles."""

    def __init__(self, make: MakeGraph, file: Path) -> None:
        self._make, self._file, self._open = make, file, ExitStack()
        self._kept: list[State] = []
        self._start()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _start(self) -> None:
        def keep(state: State) -> dict[str, Any]:
            self._kept.append(state)
            return {}

        threads = self._open.enter_context(closing(EitherSqliteSaver.open(self._file)))
        self.store = self._open.enter_context(closing(EitherSqliteStore.open(self._file)))
        self._graph = self._make(keep, threads, store=self.store)

    def restart(self) -> None:
        self._open.close()
        self._start()

    def turn(self, case: Case, step: Step) -> State:
        """Raises BadInput where the turn is refused."""
        self._kept.clear()
        user = step.user if step.user is not None else case.user
        config = {"configurable": {"thread_id": step.thread or "first", "__pregel_durability": "exit"}}
        with tracing_context(enabled=False):
            self._graph.invoke({"user": user, "message": step.say}, config, context=Context(k=case.k))
        return self._kept[-1]


def _played(case: Case, process: Process, checker: Checker) -> Outcome:
    lists: dict[int, list[int]] = {}
    last: dict[str | None, list[int]] = {}
    for number, step in enumerate(case.turns, start=1):
        if step.restart:
            process.restart()
        try:
            state = process.turn(case, step)
        except BadInput as error:
            if step.expect.refused:
                continue
            return Outcome(case.name, number, [f"turn {number} was refused: {error}"], {})
        try:
            wrong = checker.wrong(Turn(step.expect, state, process.store, lists, last.get(step.thread, [])))
        except BadInput as error:  # a place in a list that is not that long
            wrong = [str(error)]
        if wrong:
            return Outcome(case.name, number, [f"turn {number}: {what}" for what in wrong], shown(state))
        if state.ranking.picks and state.ranking.place is None:
            lists[number] = last[step.thread] = [pick.row for pick in state.ranking.picks]
    return Outcome(case.name, len(case.turns), [], {})


def shown(state: State) -> dict[str, Any]:
    """A turn's state, briefly, as JSON."""
    answer = state.answer
    return {
        "user": answer["user"],
        "message": state.understood.message,
        "intent": answer["intent"],
        "request": state.understood.meaning.wish,
        "constraints": answer["constraints"],
        "soft": answer["soft"],
        "liked": state.liked,
        "disliked": state.disliked,
        "seen": state.seen,
        "uninterested": state.uninterested,
        "items": [item["title"] for item in answer["items"]],
        "question": answer["question"],
        "facts": answer["facts"],
        "preferences": [p["preference"] for p in answer["preferences"]],
        "queries": [q["query"] for q in answer["queries"]],
        "recommended": [
            {k: r[k] for k in ("rank", "item_id", "title", "attributes", "reason")} for r in answer["recommendations"]
        ],
        "degraded": answer["degraded"],
        "usage": answer["usage"],
    }
