"""Who is told of long steps: a terminal's bars, or nobody."""

from collections.abc import Callable
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Told of each long step: its name, how much there is to do, and each piece done."""

    def stage(self, name: str, total: int) -> Advance: ...


class Silence:
    """Progress that nobody watches."""

    def stage(self, name: str, total: int) -> Advance:
        return lambda done: None
