"""What a turn may spend on a chat model, and what it did spend."""

import threading
import time
from dataclasses import dataclass, replace

from duetto.errors import BudgetSpent
from duetto.limits import Limits


@dataclass(frozen=True)
class Usage:
    """Requests made, and the tokens they cost."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class Call:
    """One request at the model port. `about` is what of several alike it was for; `hash` is of all that was sent.

    `text` is what the model said, None for a request that failed: then `failed` is what it did, after "the chat model"; or,
    `refused` by the budget, why it was never sent.
    """

    prompt: str
    about: str
    hash: str
    messages: tuple[tuple[str, str], ...]
    model: str
    text: str | None
    failed: str = ""
    again: bool = False
    wait: float = 0.0
    cut: bool = False
    refused: bool = False
    usage: Usage = Usage()
    ms: float = 0.0

    def stripped(self) -> "Call":
        """Without a word of what was said."""
        return replace(self, messages=(), text=None, hash="")


class Budget:
    """Caps on calls, tokens and time, safe to share between threads. `deadline` is in `time.monotonic()` seconds.

    The tokens of a call are known only afterwards: until then its estimate is reserved, so that parallel calls cannot
    pass the cap together. An estimate that was too low passes it by the difference, once.
    """

    def __init__(self, calls: int, tokens: int, deadline: float) -> None:
        self._calls = calls
        self._tokens = tokens
        self._deadline = deadline
        self._usage = Usage()
        self._reserved = 0
        self._calls_made: list[Call] = []
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        with self._lock:
            return self._usage

    @property
    def calls(self) -> tuple[Call, ...]:
        """What was told of, in an order that does not depend on which of parallel calls ended first."""
        with self._lock:
            return tuple(sorted(self._calls_made, key=lambda call: call.about))

    def tell(self, call: Call) -> None:
        with self._lock:
            self._calls_made.append(call)

    def seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def patience(self, call_seconds: float) -> float:
        """How long one call may take, always more than 0. Raises BudgetSpent when the turn's time is over."""
        if left := self.seconds_left():
            return min(call_seconds, left)
        raise BudgetSpent("no time is left for the chat model in this turn")

    def take(self, tokens_estimate: int) -> None:
        """Counts one call and reserves its tokens. Raises BudgetSpent, and counts nothing, when a cap forbids it."""
        self.patience(0.0)
        with self._lock:
            if self._usage.calls >= self._calls:
                raise BudgetSpent("no call to the chat model is left in this turn")
            left = max(0, self._tokens - self._usage.tokens - self._reserved)
            if tokens_estimate > left:
                need = f"may need {tokens_estimate} tokens and {left} are left in this turn"
                raise BudgetSpent(f"the next call to the chat model {need}")
            self._usage += Usage(calls=1)
            self._reserved += tokens_estimate

    def settle(self, tokens_estimate: int, used: Usage) -> None:
        """Replaces the reservation of one `take` by what its call used; `used.calls` must be 0."""
        with self._lock:
            self._reserved -= tokens_estimate
            self._usage += used


def remaining(limits: Limits, spent: Usage, deadline: float) -> Budget:
    """What is left of a turn's caps after `spent`; the turn's calls must have ended at `deadline`."""
    return Budget(limits.model_calls - spent.calls, limits.model_tokens - spent.tokens, deadline)


def cost(usage: Usage, price: tuple[float, float] | None) -> float | None:
    """`price` is currency per million input and output tokens; None when it is not known."""
    if price is None:
        return None
    return (usage.input_tokens * price[0] + usage.output_tokens * price[1]) / 1e6
