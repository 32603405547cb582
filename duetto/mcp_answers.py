"""What the tools of the MCP server answer; these are the output schemas they publish."""

from typing import Any

from pydantic import BaseModel

from duetto.graph.answer import Cited, ConstraintShown, FoundBy, QuestionShown, Recommendation
from duetto.tools.profiles import Id, Kind


class Item(BaseModel):
    """`weights` are each voice's share in its score, `evidence` the items its reason cites, `found_by` what found it."""

    item_id: Id
    title: str
    reason: str | None
    weights: dict[str, float]
    evidence: list[Cited]
    found_by: FoundBy


class Turn(BaseModel):
    """One turn. `items` are recommended, `about` is what else the reply is about; go on with `thread`."""

    thread: str
    turn: int
    user: Id | None
    reply: str
    items: list[Item]
    about: list[Cited]
    constraints: list[ConstraintShown]
    question: QuestionShown | None
    degraded: list[str]


class Why(BaseModel):
    """`recommendation` is all that was known of it in `turn`, when it was recommended last; null where it was not."""

    thread: str
    item_id: Id
    title: str
    turn: int | None
    recommendation: Recommendation | None
    reply: str


class Hit(BaseModel):
    item_id: Id
    title: str
    cosine: float
    attributes: dict[str, Any]


class Hits(BaseModel):
    """Best first. `understood` is false where no word of the query occurs in the catalogue."""

    items: list[Hit]
    understood: bool


class Facts(BaseModel):
    """`count` items satisfy the filter, `of` the whole catalogue; `extremes` are first in the wanted order."""

    count: int
    of: int
    lowest: Any = None
    highest: Any = None
    extremes: list[dict[str, Any]] = []


class Known(BaseModel):
    """What is now kept of a person's opinions, by kind."""

    user: Id
    opinions: dict[Kind, list[Cited]]
