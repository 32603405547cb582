"""What a turn knows of the turns before it, in rows of the catalogue."""

from dataclasses import dataclass

from duetto.tools.language import Constraint, Leaning, Question


@dataclass(frozen=True)
class Topic:
    """What is wanted until something else is: the soft part of a request, which goes on from turn to turn."""

    wish: str = ""
    alike: tuple[int, ...] = ()
    avoid: tuple[str, ...] = ()
    leanings: tuple[Leaning, ...] = ()
    unchecked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conversation:
    """`lists` are the rows shown, oldest list first; `focus` what the last turn was about; `question` what it asked."""

    lists: tuple[tuple[int, ...], ...] = ()
    focus: tuple[int, ...] = ()
    question: Question | None = None
    topic: Topic = Topic()
    constraints: tuple[Constraint, ...] = ()

    @property
    def last(self) -> tuple[int, ...]:
        return self.lists[-1] if self.lists else ()

    def shown(self) -> tuple[int, ...]:
        """Every row shown, once, newest list first."""
        return tuple(dict.fromkeys(row for rows in reversed(self.lists) for row in rows))


NEW = Conversation()
