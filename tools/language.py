"""What a reader of a turn, language model or plain twin, says: the values both produce."""

from dataclasses import dataclass
from typing import Literal

from duetto.tools.predicate import Predicate

Intent = Literal["recommend", "small_talk"]
REQUEST = "request"
LIKE = "like "


@dataclass(frozen=True)
class Preference:
    """One taste of a person: a phrase, its weight in (0, 1], and the history rows that show it.

    `features` are those of `duetto.tools.features` it is made of, when the plain twin found it: then whether an item
    fits is a fact and not a likeness.
    """

    text: str
    weight: float
    evidence: tuple[int, ...]
    features: tuple[int, ...] = ()


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
class Understanding:
    """A turn as understood. `wish` is what to search for; `set` and `clear` are the delta of constraints.

    `alike` are items named as examples ("like Alien"). `clear`
    names columns whose constraints end ("*": all). `dropped` counts references that resolved to no item.
    """

    intent: Intent = "recommend"
    wish: str = ""
    preferences: tuple[Preference, ...] = ()
    liked: tuple[int, ...] = ()
    disliked: tuple[int, ...] = ()
    alike: tuple[int, ...] = ()
    set: tuple[Constraint, ...] = ()
    clear: tuple[str, ...] = ()
    dropped: int = 0


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
