"""The state of a turn. Every field has one writer, named beside it.

What persists between turns is plain values. What is scratch is an UntrackedValue: it is never checkpointed, so it
neither costs disk nor leaks into the next turn.
"""

import time
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from langchain_core.messages import AnyMessage
from langgraph.channels import UntrackedValue
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from duetto.tools.agent_tools import Chosen
from duetto.tools.chat.budget import Budget, Call, Usage
from duetto.tools.histories import NOBODY, History
from duetto.tools.language import Preference, Question, Reason, SearchQuery, Understanding
from duetto.tools.language_voice import Heard
from duetto.tools.pick import Pick

ItemId = str | int


@dataclass(frozen=True)
class Outcome:
    """What a node says of itself. `prompt` is (name, version) of the prompt it used, if it used one; `calls` are its
    requests to the chat model, as they went."""

    ms: float = 0.0
    usage: Usage = Usage()
    degraded: tuple[str, ...] = ()
    prompt: tuple[str, str] | None = None
    calls: tuple[Call, ...] = ()

    @classmethod
    def of(cls, budget: Budget, prompt: tuple[str, str], *degraded: str) -> "Outcome":
        """Of a node that asked the chat model."""
        return cls(usage=budget.usage, degraded=degraded, prompt=prompt, calls=budget.calls)


def since(started: float) -> float:
    """Milliseconds from a time.perf_counter() value to now."""
    return round((time.perf_counter() - started) * 1000, 2)


@dataclass(frozen=True)
class Understood:
    """The turn as read: who speaks, what they said, what they have, and what that means."""

    user: ItemId | None
    message: str
    history: History
    meaning: Understanding
    where: dict[str, Any] | None
    k: int
    reasons: Literal["none", "plain", "model"]
    deadline: float  # time.monotonic() by which the turn's model calls must have ended
    outcome: Outcome
    before: "Carried"
    hidden: tuple[ItemId, ...] = ()  # neither liked nor disliked, and not to be recommended again
    queries: tuple[SearchQuery, ...] | None = None  # None: the chat model is still to be asked for them
    told: str | None = None  # what somebody in our place said before this message
    barred: tuple[str, ...] = ()  # why the item of a "why not" cannot be recommended at all

    @property
    def preferences(self) -> tuple[Preference, ...]:
        return self.meaning.preferences


@dataclass(frozen=True)
class Written:
    queries: tuple[SearchQuery, ...] = ()
    outcome: Outcome = Outcome()


@dataclass(frozen=True)
class Found:
    heard: Heard | None = None
    outcome: Outcome = Outcome()


@dataclass(frozen=True)
class Gathered:
    chosen: Chosen | None = None
    outcome: Outcome = Outcome()


@dataclass(frozen=True)
class Ranking:
    """`unfit` says why another look is worth it; then nothing was sent. `place` is (its place, of how many) of the one item
    that was asked for, and `asked_for` that item."""

    picks: tuple[Pick, ...] = ()
    outcome: Outcome = Outcome()
    unfit: str = ""
    question: Question | None = None
    place: tuple[int, int] | None = None
    asked_for: Pick | None = None


@dataclass(frozen=True)
class Explained:
    """One reason a pick, in order; none where reasons were not wanted."""

    reasons: tuple[Reason | None, ...] = ()
    outcome: Outcome = Outcome()


@dataclass(frozen=True)
class Looked:
    """What was looked up: `lines` to say, the rows they are about, and facts as JSON."""

    lines: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome = Outcome()


class ConstraintInForce(TypedDict):
    """A hard constraint as it is kept between turns: the words, and the predicate as JSON."""

    said: str
    where: dict[str, Any]


class LeaningKept(TypedDict):
    said: str
    column: str
    order: Literal["highest", "lowest"]


class TopicKept(TypedDict):
    """`duetto.tools.conversation.Topic` by ids."""

    wish: str
    alike: list[ItemId]
    avoid: list[str]
    leanings: list[LeaningKept]
    unchecked: list[str]


class OptionKept(TypedDict):
    label: str
    item_id: ItemId | None
    where: dict[str, Any] | None


class QuestionKept(TypedDict):
    text: str
    intent: str
    role: str
    options: list[OptionKept]


class TastesKept(TypedDict):
    """Preferences a language model found, and the hash of the history they are of."""

    history: str
    preferences: list[dict[str, Any]]


class TasteSet(TypedDict):
    """The weight that a person gave a taste of theirs."""

    preference: str
    weight: float


class ItemShown(TypedDict):
    item_id: ItemId
    reason: str | None
    weights: dict[str, float]
    steps: list[dict[str, Any]]


class Wanted(TypedDict):
    """What a turn may change, and undo."""

    constraints: list[ConstraintInForce]
    topic: TopicKept
    liked: list[ItemId]
    disliked: list[ItemId]
    seen: list[ItemId]
    uninterested: list[ItemId]
    named: list[ItemId]


class Carried(Wanted):
    """What a turn finds of the turns before it; `past` is what may be undone, oldest first. `corrected` is what the person
    keeps of their tastes, over what is read in `tastes`."""

    turn: int
    person: ItemId | None
    past: list[Wanted]
    tastes: TastesKept
    corrected: list[TasteSet]
    shown: list[list[ItemShown]]
    focus: list[ItemId]
    question: QuestionKept | None


NO_TOPIC: TopicKept = {"wish": "", "alike": [], "avoid": [], "leanings": [], "unchecked": []}
NO_TASTES: TastesKept = {"history": "", "preferences": []}
NOTHING: Carried = {
    "turn": 0, "person": None, "constraints": [], "topic": NO_TOPIC, "liked": [], "disliked": [], "seen": [],
    "uninterested": [], "named": [], "past": [], "tastes": NO_TASTES, "corrected": [], "shown": [],
    "focus": [], "question": None,
}  # fmt: skip


@dataclass(frozen=True)
class State:
    # input of the turn
    user: Annotated[str | int | None, UntrackedValue(object)] = None
    message: Annotated[str | None, UntrackedValue(object)] = None

    # persists; written by extract_preferences
    turn: int = 0
    person: str | int | None = None
    constraints: list[ConstraintInForce] = field(default_factory=list)
    topic: TopicKept = field(default_factory=lambda: NO_TOPIC)
    liked: list[str | int] = field(default_factory=list)
    disliked: list[str | int] = field(default_factory=list)
    seen: list[str | int] = field(default_factory=list)
    uninterested: list[str | int] = field(default_factory=list)
    named: list[str | int] = field(default_factory=list)
    past: list[Wanted] = field(default_factory=list)
    tastes: TastesKept = field(default_factory=lambda: NO_TASTES)
    corrected: list[TasteSet] = field(default_factory=list)

    # persists; written by answer (and given as input by chat components)
    messages: Annotated[list[AnyMessage], add_messages] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)

    # persists; written by answer
    shown: list[list[ItemShown]] = field(default_factory=list)
    focus: list[str | int] = field(default_factory=list)
    question: QuestionKept | None = None

    # scratch; each written by the node named
    understood: Annotated[Understood, UntrackedValue(Understood)] = Understood(  # extract_preferences
        None, "", NOBODY, Understanding(), None, 1, "none", 0.0, Outcome(), NOTHING
    )
    looked: Annotated[Looked, UntrackedValue(Looked)] = Looked()  # look_up
    written: Annotated[Written, UntrackedValue(Written)] = Written()  # write_queries
    repaired: Annotated[Written, UntrackedValue(Written)] = Written()  # repair
    found: Annotated[Found, UntrackedValue(Found)] = Found()  # retrieve
    gathered: Annotated[Gathered, UntrackedValue(Gathered)] = Gathered()  # collaborate
    ranking: Annotated[Ranking, UntrackedValue(Ranking)] = Ranking()  # rerank
    explained: Annotated[Explained, UntrackedValue(Explained)] = Explained()  # explain
    spoken: Annotated[Outcome, UntrackedValue(Outcome)] = Outcome()  # answer

    @property
    def queries(self) -> tuple[SearchQuery, ...]:
        """Those of the second look, where there was one; else those the model wrote, or what the reading brought."""
        return self.repaired.queries or self.written.queries or self.understood.queries or ()


class TurnInput(TypedDict, total=False):
    """A turn: who speaks and what they said, as `message` or as the last human one of `messages`."""

    user: str | int | None
    message: str | None
    messages: list[AnyMessage]


class TurnOutput(TypedDict):
    """`answer` is a `duetto.graph.answer.Answer` as plain JSON values."""

    answer: dict[str, Any]
    messages: list[AnyMessage]


@dataclass(frozen=True)
class Context:
    """How a caller wants turns run. `reasons`: none, plain or model; None takes the best there is."""

    user: str | int | None = None
    k: int | None = None
    reasons: str | None = None
