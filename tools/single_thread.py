"""One turn's arithmetic is too small to share: two thread pools waking for it cost ten times what they save."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_entered = threading.Lock()
_within: list[Any] = []  # what the first of the threads that are within has limited, once for each of them


@contextmanager
def single_thread() -> Iterator[None]:
    """Within it, BLAS and OpenMP of this thread use one core."""
    # What OpenMP limits is this thread's own. Other pools are the whole process's: were each of two overlapping turns to
    # set and restore them for itself, the last to leave would restore what the other had limited.
    own, shared = _pools()
    with own.limit(limits=1):
        with _entered:
            _within.append(_within[0] if _within else shared.limit(limits=1))
        try:
            yield
        finally:
            with _entered:
                limited = _within.pop()
                if not _within:
                    limited.restore_original_limits()


@cache
def _pools() -> tuple[ThreadpoolController, ThreadpoolController]:
    """Of OpenMP, and others."""
    every = ThreadpoolController()  # looks through every loaded library: once a process, not once a turn
    openmp = [p["filepath"] for p in every.info() if p["user_api"] == "openmp" or p["threading_layer"] == "openmp"]
    others = [p["filepath"] for p in every.info() if p["filepath"] not in openmp]
    return every.select(filepath=openmp), every.select(filepath=others)
