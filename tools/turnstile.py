"""Who computes now. Threads of one interpreter that compute at the same time only share it: each takes as long as all."""

import heapq
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar

Result = TypeVar("Result")
_mine = threading.local()  # .passed: the turnstile this thread is in, and how it came


class Turnstile:
    """Lets `at_once` threads compute, those first that come `first`, others as they came.

    What the ranking of one turn waits for need not wait for the reasons of another. Who waits for something else lets
    others pass (`waiting`); what nobody announces, as LangGraph's own steps, computes beside it.
    """

    def __init__(self, at_once: int) -> None:
        self._lock, self._free = threading.Lock(), at_once
        self._queue: list[tuple[bool, int, threading.Lock]] = []  # (late, arrival, what opens when it is let in)
        self._arrivals = count()

    @contextmanager
    def computing(self, first: bool = True) -> Iterator[None]:
        """Waits until this thread may. A thread that is in already stays in."""
        if getattr(_mine, "passed", None) is not None:
            yield
            return
        self._enter(first)
        _mine.passed = self, first
        try:
            yield
        finally:
            _mine.passed = None
            self._leave()

    def guarding(self, call: Callable[..., Result], first: bool = True) -> Callable[..., Result]:
        """The same function, which computes within."""

        def guarded(*args: Any, **kwargs: Any) -> Result:
            with self.computing(first):
                return call(*args, **kwargs)

        guarded.__signature__ = inspect.signature(call)  # type: ignore[attr-defined]  # LangGraph looks what a node takes
        return guarded

    def _enter(self, first: bool) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            let_in = threading.Lock()
            let_in.acquire()
            heapq.heappush(self._queue, (not first, next(self._arrivals), let_in))
        let_in.acquire()

    def _leave(self) -> None:
        with self._lock:
            if self._queue:
                heapq.heappop(self._queue)[2].release()
            else:
                self._free += 1


@contextmanager
def waiting() -> Iterator[None]:
    """For a thread that waits for something else, as a chat model: others may compute meanwhile."""
    passed: tuple[Turnstile, bool] | None = getattr(_mine, "passed", None)
    if passed is None:
        yield
        return
    turnstile, first = passed
    _mine.passed = None
    turnstile._leave()
    try:
        yield
    finally:
        turnstile._enter(first)
        _mine.passed = passed
