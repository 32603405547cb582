"""Conversations with assertions on the state of each turn, never on wording: `evals/cases/*.yaml`, and people's own.

A file holds one case: its `name`, the `user` who speaks (or nobody), and `turns`, each with what is said (`say`; none for a
silent visit) and what is expected. Items are named by id or title, filters are predicates as JSON.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Checkpointer
from langsmith import tracing_context
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from duetto.errors import BadInput
from duetto.evals.reasons import Checks, Told
from duetto.graph.build import Node
from duetto.graph.state import Context, State
from duetto.tools.agent_tools import Toolbox
from duetto.tools.catalogue import Catalogue
from duetto.tools.features import Features
from duetto.tools.predicate import from_json
from duetto.tools.progress import Advance

OURS = Path(__file__).parent / "cases"
Id = str | int
SHOWN = ("rank", "item_id", "title", "attributes", "reason")
MakeGraph = Callable[[Node, Checkpointer], Any]


class Expected(BaseModel):
    """What a turn's state must be; what is not named may be anything."""

    model_config = ConfigDict(extra="forbid")

    intent: str | None = None
    constraints: list[dict[str, Any]] | None = Field(None, description="the hard constraints in force, and no other")
    every: dict[str, Any] | None = Field(None, description="a filter that each recommended item satisfies")
    contains: list[Id] = Field(default_factory=list, description="recommended items")
    excludes: list[Id] = Field(default_factory=list, description="items that must not be recommended")
    liked: list[Id] | None = None
    disliked: list[Id] | None = None
    least: int | None = Field(None, ge=0, description="items recommended at least")
    most: int | None = Field(None, ge=0, description="items recommended at most")
    calls: int | None = Field(None, ge=0, description="calls to the chat model at most")
    grounded: bool = Field(False, description="every reason is grounded and contradicts nothing")
    refused: bool = Field(False, description="the turn is bad input")


class Step(BaseModel):
    model_config = ConfigDict(extra="forbid")

    say: str | None = None
    expect: Expected


class Case(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    user: Id | None = None
    k: int | None = Field(None, ge=1)
    turns: list[Step] = Field(min_length=1)


@dataclass(frozen=True)
class Outcome:
    """A case that was run: `wrong` are the failed assertions of its first failed turn, `state` is that turn's."""

    case: str
    turns: int
    wrong: list[str]
    state: dict[str, Any]


def read(paths: Sequence[Path]) -> list[Case]:
    """Cases from files, or from all files of folders. Raises BadInput naming the file and the field."""
    import yaml

    files: list[Path] = []
    for path in paths:
        found = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        if not found:
            raise BadInput(f"cannot run cases: there is no .yaml file in the folder {path}")
        files += found
    cases = []
    for file in files:
        try:
            cases.append(Case.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))))
        except OSError as error:
            raise BadInput(f"cannot read the case {file}: {error.strerror or error}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot read the case {file}: it is no YAML ({str(error).splitlines()[0]})") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise BadInput(f"cannot run the case {file}: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from error
    return cases


@dataclass(frozen=True)
class Runner:
    """Runs cases over one index; `make` gives a graph that ends at a node of ours."""

    box: Toolbox
    features: Features
    make: MakeGraph

    def run(self, cases: list[Case], advance: Advance | None = None) -> list[Outcome]:
        kept: list[State] = []

        def keep(state: State) -> dict[str, Any]:
            kept.append(state)
            return {}

        for case in cases:
            self._check(case)
        graph, outcomes = self.make(keep, InMemorySaver()), []
        for case in cases:
            outcomes.append(self._run(case, graph, kept))
            if advance is not None:
                advance(1)
        return outcomes

    def _check(self, case: Case) -> None:
        """Raises BadInput for items and filters that the catalogue does not know, before anything is played."""
        for number, step in enumerate(case.turns, start=1):
            expected = step.expect
            try:
                self._rows([*expected.contains, *expected.excludes, *(expected.liked or ()), *(expected.disliked or ())])
                for where in [*(expected.constraints or ()), *([expected.every] if expected.every is not None else [])]:
                    self.box.catalogue.mask(from_json(where))
            except BadInput as error:
                raise BadInput(f"cannot run the case {case.name!r}, turn {number}: {error}") from error

    def _run(self, case: Case, graph: Any, kept: list[State]) -> Outcome:
        config = {"configurable": {"thread_id": str(uuid4())}}
        for number, step in enumerate(case.turns, start=1):
            kept.clear()
            try:
                with tracing_context(enabled=False):
                    graph.invoke({"user": case.user, "message": step.say}, config, context=Context(k=case.k))
            except BadInput as error:
                wrong = [] if step.expect.refused else [f"turn {number} was refused: {error}"]
                if wrong:
                    return Outcome(case.name, number, wrong, {})
                continue
            state = kept[-1]
            if wrong := self._wrong(step.expect, state):
                return Outcome(case.name, number, [f"turn {number}: {what}" for what in wrong], shown(state))
        return Outcome(case.name, len(case.turns), [], {})

    def _wrong(self, expected: Expected, state: State) -> list[str]:
        catalogue, picks = self.box.catalogue, state.ranking.picks
        rows = [pick.row for pick in picks]
        calls = state.answer["usage"]["calls"]
        told: list[tuple[bool, str]] = [
            (expected.refused, "it was to be refused, and was answered"),
            (expected.intent not in (None, state.answer["intent"]), f"the intent is {state.answer['intent']}"),
            (expected.least is not None and len(rows) < expected.least, f"only {len(rows)} items are recommended"),
            (expected.most is not None and len(rows) > expected.most, f"{len(rows)} items are recommended"),
            (expected.calls is not None and calls > expected.calls, f"{calls} calls to the chat model"),
        ]
        wrong = [what for failed, what in told if failed]
        if expected.constraints is not None:
            found = [constraint["where"] for constraint in state.constraints]
            if not _alike(found, expected.constraints):
                wrong.append(f"the constraints are {found}")
        if expected.every is not None and rows:
            mask = catalogue.mask(from_json(expected.every))
            wrong += [f"{catalogue.titles[row]} is recommended against the filter" for row in rows if not mask[row]]
        wrong += [f"{catalogue.titles[row]} is not recommended" for row in self._rows(expected.contains) if row not in rows]
        wrong += [f"{catalogue.titles[row]} is recommended" for row in self._rows(expected.excludes) if row in rows]
        for name, wanted, kept in (("liked", expected.liked, state.liked), ("disliked", expected.disliked, state.disliked)):
            if wanted is not None and sorted(self._rows(wanted)) != sorted(catalogue.rows(kept)):
                wrong.append(f"{name} are {[catalogue.titles[row] for row in catalogue.rows(kept)]}")
        return wrong + (self._ungrounded(state) if expected.grounded else [])

    def _ungrounded(self, state: State) -> list[str]:
        checks = Checks(self.box, self.features)
        reasons = zip(state.ranking.picks, state.explained.reasons, strict=True)
        told = [Told(0, state, pick, reason) for pick, reason in reasons if reason is not None]
        return [f"“{one.reason.text}” {what}" for one in told for what in (*checks.grounding(one), *checks.contradictions(one))]

    def _rows(self, named: list[Id]) -> list[int]:
        return [_row(self.box.catalogue, item) for item in named]


def _alike(found: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> bool:
    """The same filters, in any order."""
    left = [from_json(where) for where in expected]
    for where in found:
        predicate = from_json(where)
        if predicate not in left:
            return False
        left.remove(predicate)
    return not left


def _row(catalogue: Catalogue, item: Id) -> int:
    """By id, else by title. Raises BadInput."""
    if (row := catalogue.row(item)) is not None:
        return row
    found = np.flatnonzero(np.array(catalogue.titles) == str(item))
    if len(found) != 1:
        raise BadInput(f"{'no item is' if not len(found) else 'several items are'} called {item!r}")
    return int(found[0])


def shown(state: State) -> dict[str, Any]:
    """A turn's state, briefly, as JSON."""
    answer = state.answer
    return {
        "user": answer["user"],
        "message": state.understood.message,
        "intent": answer["intent"],
        "request": state.understood.meaning.wish,
        "constraints": answer["constraints"],
        "liked": state.liked,
        "disliked": state.disliked,
        "preferences": [p["preference"] for p in answer["preferences"]],
        "queries": [q["query"] for q in answer["queries"]],
        "recommended": [
            {k: r[k] for k in ("rank", "item_id", "title", "attributes", "reason")} for r in answer["recommendations"]
        ],
        "degraded": answer["degraded"],
        "usage": answer["usage"],
    }
