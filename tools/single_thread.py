"""One turn's arithmetic is too small to share: two thread pools waking for it cost ten times what they save."""

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()  # looks through every loaded library: once a process, not once a turn


def single_thread() -> AbstractContextManager[object]:
    """Within it, BLAS and OpenMP of this thread use one core."""
    limited: AbstractContextManager[object] = _pools().limit(limits=1)
    return limited
