"""What a turn answers, as a schema that docs/turn.schema.json publishes, and what its nodes told of themselves."""

import re
from typing import Any, Literal

from pydantic import BaseModel

from duetto.graph.state import ItemId, Outcome, State


class Cited(BaseModel):
    item_id: ItemId
    title: str


class ConstraintShown(BaseModel):
    said: str
    where: dict[str, Any]


class PreferenceShown(BaseModel):
    preference: str
    weight: float
    evidence: list[Cited]


class QueryShown(BaseModel):
    query: str
    serves: str


class QueryHit(BaseModel):
    query: str
    cosine: float


class HistoryHit(BaseModel):
    item_id: ItemId
    title: str
    share: float


class FoundBy(BaseModel):
    """Which queries found the item, and which history items speak for it in the crowd's view."""

    queries: list[QueryHit]
    history: list[HistoryHit]


class StepShown(BaseModel):
    preference: str
    why: str
    fitness: float
    likelihood: Literal["low", "medium", "high"]


class PreferenceWeight(BaseModel):
    preference: str
    attention: float
    fitness: float


class Recommendation(BaseModel):
    """`parts[voice][part]` sum to `score`; `weights` are each voice's share of the summed absolute parts."""

    rank: int
    item_id: ItemId
    title: str
    attributes: dict[str, Any]
    score: float
    parts: dict[str, dict[str, float]]
    weights: dict[str, float]
    found_by: FoundBy
    preferences: list[PreferenceWeight]
    reason: str | None
    reason_by: Literal["plain", "model"] | None
    cites: list[Cited]
    steps: list[StepShown]


class SoftShown(BaseModel):
    """What weighs without ruling out: orders along a column, texts kept away from, and limits that no column can check."""

    leanings: list[str]
    avoid: list[str]
    unchecked: list[str]


class QuestionShown(BaseModel):
    text: str
    options: list[str]


class ItemTold(BaseModel):
    """An item that the turn is about."""

    item_id: ItemId
    title: str
    attributes: dict[str, Any]


class ChangesShown(BaseModel):
    """How the list differs from the one before, and what was said in between."""

    because: list[str]
    entered: list[Cited]
    left: list[Cited]


class RelaxationShown(BaseModel):
    """What to give up where the limits left nothing: their words, what would hold instead, and how many items then fit."""

    gives_up: list[str]
    now: str | None
    count: int


class UsageShown(BaseModel):
    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None


class Answer(BaseModel):
    """One turn's answer, the object `duetto ask --json` prints. `cost` is null without a price table."""

    schema_: Literal[1] = 1
    thread: str | None
    turn: int
    run_id: str | None
    user: ItemId | None
    known: bool
    index: str
    intent: str
    language: str = "English"
    constraints: list[ConstraintShown]
    soft: SoftShown = SoftShown(leanings=[], avoid=[], unchecked=[])
    question: QuestionShown | None = None
    items: list[ItemTold] = []
    facts: dict[str, Any] = {}
    changes: ChangesShown | None = None
    relaxations: list[RelaxationShown] = []
    preferences: list[PreferenceShown]
    queries: list[QueryShown]
    recommendations: list[Recommendation]
    reply: str
    degraded: list[str]
    prompts: dict[str, str]
    usage: UsageShown
    timings_ms: dict[str, float]

    model_config = {"alias_generator": lambda name: "schema" if name == "schema_" else name, "populate_by_name": True}


def wordless(note: str) -> str:
    """A note of what degraded, without anything it quotes."""
    return re.split("[“\"':(]", note)[0].strip()


NODES = (
    "extract_preferences", "write_queries", "retrieve", "collaborate", "rerank", "repair", "explain", "look_up", "answer",
)  # fmt: skip


def outcomes(state: State) -> tuple[Outcome, ...]:
    return (
        state.understood.outcome, state.written.outcome, state.found.outcome,
        state.gathered.outcome, state.ranking.outcome, state.repaired.outcome, state.explained.outcome,
        state.looked.outcome, state.spoken,
    )  # fmt: skip
