"""What a reader of a turn, language model or plain twin, says: the values both produce."""

from dataclasses import dataclass
from typing import Literal

from duetto.tools.predicate import Predicate

Intent = Literal[
    "recommend", "refine", "feedback", "undo",  # a ranking answers these
    "why_not",  # a ranking, for the place of one item
    "about", "why", "compare", "facts", "profile",  # looked up
    "start_over", "small_talk", "out_of_scope",  # answered at once
]  # fmt: skip
RANKED: tuple[Intent, ...] = ("recommend", "refine", "feedback", "undo", "why_not")
LOOKED_UP: tuple[Intent, ...] = ("about", "why", "compare", "facts", "profile")
REQUEST = "request"
LIKE = "like "


@dataclass(frozen=True)
class Preference:
    """One taste of a person: a phrase, its weight in (0, 1], and the history rows that show it.

    `features` are those of `duetto.tools.features` it is made of, when the plain twin found it: then whether an item
    fits is a fact and not a likeness. `moved` is how much more it weighs than was read, because the
    person said so.
    """

    text: str
    weight: float
    evidence: tuple[int, ...]
    features: tuple[int, ...] = ()
    moved: float = 0.0


@dataclass(frozen=True)
class SearchQuery:
    """A search text and what it serves: REQUEST, an example the person gave ("like TITLE"), or a preference's text."""

    text: str
    serves: str

    @property
    def asked(self) -> bool:
        """Whether it serves what the person said, rather than what is known of them."""
        return self.serves == REQUEST or self.serves.startswith(LIKE)


@dataclass(frozen=True)
class Constraint:
    """A hard wish a column can check, in force from the turn it was said until it is cleared."""

    said: str
    predicate: Predicate


@dataclass(frozen=True)
class Leaning:
    """A soft wish along a column: it weighs, and rules nothing out."""

    said: str
    column: str
    order: Literal["highest", "lowest"]


@dataclass(frozen=True)
class Option:
    """One answer to a question: an item's row, or a filter."""

    label: str
    row: int | None = None
    predicate: Predicate | None = None


@dataclass(frozen=True)
class Question:
    """Asked in place of a guess: which item is meant by a turn of this intent, or which of a column's values is wanted.

    `role` says what the item is to the turn: what it is `about`, `alike` what is wanted, or feedback (`liked`, ...).
    """

    text: str
    options: tuple[Option, ...]
    intent: Intent = "recommend"
    role: str = ""


@dataclass(frozen=True)
class Fact:
    """What is asked of the whole catalogue: how many items a filter keeps, or which stand first along a column."""

    said: str
    where: Predicate | None = None
    column: str | None = None
    order: Literal["highest", "lowest"] = "highest"


@dataclass(frozen=True)
class Understanding:
    """A turn as understood.

    `wish` is what to search for, `alike` are items named as examples ("like Alien"), `avoid` texts to keep away from,
    `leanings` soft orders; `same_topic` says that they go on with what was wished before. Items `besides` which others are
    wanted are left out of this turn. `set` and `clear` are the delta
    of constraints: `clear` names columns whose constraints end, or a constraint by its words ("*": all); `standing` ones
    hold in later conversations too. `unchecked` are hard wishes that no column can check. `named` are items that were named
    without a word of what the person thinks of them: a sign of taste all the same. `items` are what the turn is about;
    `notes` are said to the person. `queries` are search queries that came with it. `dropped` counts references that resolved
    to no item. What the plain reader is `certain` of, no model is asked about.
    """

    intent: Intent = "recommend"
    wish: str = ""
    preferences: tuple[Preference, ...] = ()
    liked: tuple[int, ...] = ()
    disliked: tuple[int, ...] = ()
    seen: tuple[int, ...] = ()
    uninterested: tuple[int, ...] = ()
    named: tuple[int, ...] = ()
    alike: tuple[int, ...] = ()
    besides: tuple[int, ...] = ()
    set: tuple[Constraint, ...] = ()
    clear: tuple[str, ...] = ()
    standing: bool = False
    avoid: tuple[str, ...] = ()
    leanings: tuple[Leaning, ...] = ()
    unchecked: tuple[str, ...] = ()
    same_topic: bool = False
    items: tuple[int, ...] = ()
    fact: Fact | None = None
    question: Question | None = None
    notes: tuple[str, ...] = ()
    queries: tuple[SearchQuery, ...] = ()
    language: str = "English"
    dropped: int = 0
    certain: bool = False

    @property
    def opinions(self) -> bool:
        """Whether something was said of items that changes what is recommended."""
        return bool(self.liked or self.disliked or self.seen or self.uninterested)

    @property
    def wishes(self) -> bool:
        """Whether something new is wanted."""
        return bool(self.wish or self.alike or self.avoid or self.leanings or self.set or self.clear)


@dataclass(frozen=True)
class Step:
    """One of LANE's steps for one preference: why the person has it, and how well the item fits it."""

    preference: str
    why: str
    fitness: float
    likelihood: Literal["low", "medium", "high"]


@dataclass(frozen=True)
class Reason:
    """Why an item was picked: one or two sentences, the steps behind them, and the history rows they cite."""

    text: str
    steps: tuple[Step, ...] = ()
    cited: tuple[int, ...] = ()
    by: Literal["plain", "model"] = "plain"
