"""Writes the turn down, whole: what `duetto replay` plays again. Writes nothing to the state.

One line a turn in the conversation's file. The schema is `Recorded`, as JSON Schema in docs/recording.schema.json.
"""

import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol
from uuid import uuid4

import numpy as np
from langgraph.runtime import Runtime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from duetto import prompts
from duetto.graph.answer import NODES, Answer, ConstraintShown, SoftShown, outcomes, wordless
from duetto.graph.state import (
    NO_TASTES,
    NO_TOPIC,
    Context,
    ItemId,
    ItemShown,
    QuestionKept,
    State,
    TasteSet,
    TastesKept,
    TopicKept,
    Wanted,
)
from duetto.tools.agent_tools import Toolbox
from duetto.tools.chat.budget import Call
from duetto.tools.journal import Pseudonyms
from duetto.version import VERSION

log = logging.getLogger("duetto")
CANDIDATES = 50  # of each voice that are written down


class RecordedCall(BaseModel):
    """One request at the model port. `text` is null where the request failed or the recording is redacted."""

    node: str
    prompt: str
    about: str
    hash: str = Field(description="of all that was sent; empty where redacted, for short messages could be guessed by it")
    model: str
    messages: list[tuple[str, str]]
    text: str | None
    failed: str
    again: bool
    wait: float
    cut: bool
    refused: bool
    calls: int
    input_tokens: int
    output_tokens: int
    ms: float


class Setup(BaseModel):
    """What the turn ran with; no secrets. `limits` are all caps and knobs."""

    duetto: str
    index: str
    embedder: str
    model: str | None
    method: str | None
    prompts: dict[str, str]
    limits: dict[str, Any]


class Before(BaseModel):
    """What the turn found of the turns before it."""

    turn: int
    person: ItemId | None = None
    constraints: list[ConstraintShown]
    topic: TopicKept = NO_TOPIC
    liked: list[ItemId]
    disliked: list[ItemId]
    seen: list[ItemId] = []
    uninterested: list[ItemId] = []
    named: list[ItemId] = []
    past: list[Wanted] = []
    tastes: TastesKept = NO_TASTES
    corrected: list[TasteSet] = Field([], description="left out where it is empty", exclude_if=lambda own: not own)
    shown: list[list[ItemShown]] = []
    focus: list[ItemId] = []
    question: QuestionKept | None = None


class Recorded(BaseModel):
    """One turn. `scores` are the ranking's, unrounded; `candidates` are each voice's best, best first."""

    model_config = ConfigDict(alias_generator=lambda name: "schema" if name == "schema_" else name, populate_by_name=True)

    schema_: Literal[1] = 1
    at: str
    redacted: bool
    setup: Setup
    message: str | None
    told: str | None = Field(None, description="what somebody in our place said before it")
    k: int
    reasons: Literal["none", "plain", "model"]
    before: Before
    request: str
    liked: list[ItemId]
    disliked: list[ItemId]
    candidates: dict[Literal["language", "crowd"], list[ItemId]]
    scores: list[float]
    answer: Answer
    calls: list[RecordedCall]


class Keeper(Protocol):
    """Takes a turn of a conversation."""

    def append(self, name: str, line: BaseModel) -> None: ...


@dataclass(frozen=True)
class Record:
    """`pseudonyms`, where given, stand for people, and everything that was said is left out."""

    box: Toolbox
    setup: Setup
    journal: Keeper
    pseudonyms: Pseudonyms | None = None

    def __call__(self, state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        try:
            recorded = self.recorded(state)
            self.journal.append(_name(recorded), recorded)
        except Exception as error:  # the person has their answer
            log.warning("this turn could not be recorded (%s)", type(error).__name__, exc_info=True)
        return {}

    def recorded(self, state: State) -> Recorded:
        ids, understood = self.box.catalogue.ids, state.understood
        redacted = self.pseudonyms is not None
        calls = [
            _call(node, call.stripped() if redacted else call)
            for node, outcome in zip(NODES, outcomes(state), strict=True)
            for call in outcome.calls
        ]
        recorded = Recorded(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            redacted=redacted,
            setup=self.setup,
            message=understood.message or None,
            told=understood.told,
            k=understood.k,
            reasons=understood.reasons,
            before=Before.model_validate(understood.before),
            request=understood.meaning.wish,
            liked=[ids[row] for row in understood.meaning.liked],
            disliked=[ids[row] for row in understood.meaning.disliked],
            candidates={"language": self._language(state), "crowd": self._crowd(state)},
            scores=[pick.score for pick in state.ranking.picks],
            answer=Answer.model_validate(state.answer),
            calls=calls,
        )
        return recorded if self.pseudonyms is None else _redacted(recorded, self.pseudonyms)

    def _language(self, state: State) -> list[ItemId]:
        heard = state.found.heard
        if heard is None or not len(heard.rows):
            return []
        try:
            parts = self.box.voice.score(heard, heard.rows)
        except Exception:  # a store that has failed in this turn already
            return []
        return self._best(heard.rows, np.mean(list(parts.values()), axis=0))

    def _crowd(self, state: State) -> list[ItemId]:
        chosen = state.gathered.chosen
        if chosen is None or not len(chosen.rows):
            return []
        return self._best(chosen.rows, chosen.z[:, chosen.rows].mean(axis=0))

    def _best(self, rows: NDArray[np.int64], scores: NDArray[Any]) -> list[ItemId]:
        return [self.box.catalogue.ids[row] for row in rows[np.argsort(-scores, kind="stable")[:CANDIDATES]]]


def setup_of(box: Toolbox, index: str, embedder: str, model: str | None, method: str | None) -> Setup:
    names = ("extract_preferences", "write_queries", "explain_item", "answer_about", "translate_reply")
    versions = {name: prompts.version(name) for name in names}
    return Setup(
        duetto=VERSION, index=index, embedder=embedder, model=model, method=method, prompts=versions, limits=asdict(box.limits)
    )


def _call(node: str, call: Call) -> RecordedCall:
    told = asdict(call)
    usage = told.pop("usage")
    return RecordedCall(node=node, **told, **usage)


def _name(recorded: Recorded) -> str:
    """A turn outside a conversation has a file of its own."""
    return recorded.answer.thread or f"turn-{uuid4()}"


def _redacted(recorded: Recorded, pseudonyms: Pseudonyms) -> Recorded:
    """Who spoke is a pseudonym; what was said, and what was written from it, is gone. Items and figures stay."""
    answer = recorded.answer
    quiet = answer.model_copy(
        update={
            "user": pseudonyms.of(answer.user),
            "thread": pseudonyms.of(answer.thread),
            "constraints": [_quiet(c) for c in answer.constraints],
            "preferences": [p.model_copy(update={"preference": ""}) for p in answer.preferences],
            "queries": [],
            "soft": SoftShown(leanings=[], avoid=[], unchecked=[]),
            "question": None,
            "facts": {},
            "changes": None,
            "relaxations": [],
            "recommendations": [
                r.model_copy(
                    update={
                        "found_by": r.found_by.model_copy(update={"queries": []}),
                        "preferences": [],
                        "reason": None,
                        "steps": [],
                    }
                )
                for r in answer.recommendations
            ],
            "reply": "",
            "degraded": [wordless(note) for note in answer.degraded],
        }
    )
    before = recorded.before.model_copy(
        update={
            "person": pseudonyms.of(recorded.before.person),
            "constraints": [_quiet(c) for c in recorded.before.constraints],
            "topic": NO_TOPIC,
            "past": [],
            "tastes": NO_TASTES,
            "corrected": [],
            "shown": [[{**item, "reason": None, "steps": []} for item in items] for items in recorded.before.shown],
            "question": None,
        }
    )
    return recorded.model_copy(update={"answer": quiet, "message": None, "told": None, "request": "", "before": before})


def _quiet(constraint: ConstraintShown) -> ConstraintShown:
    """Which columns are filtered, and by which numbers."""

    def numbers(where: Any) -> Any:
        if isinstance(where, dict):
            return {name: value if name in ("column", "operator") else numbers(value) for name, value in where.items()}
        if isinstance(where, list | tuple):
            return [numbers(value) for value in where]
        return "" if isinstance(where, str) else where

    return ConstraintShown(said="", where=numbers(constraint.where))
