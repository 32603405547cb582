"""An HTTP client for the openai library whose whole answer, not only each read of it, must arrive in time."""

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar

import httpx2
import openai

# When the caller stops waiting, in `time.monotonic()` seconds. Not an argument: it would be part of a cache's key.
DEADLINE: ContextVar[float] = ContextVar("DEADLINE", default=math.inf)


class BoundedClient(openai.DefaultHttpxClient):
    """httpx's read timeout begins anew with every byte: a server that trickles, or sends blank lines to keep a
    connection alive, could hold a thread for ever. Here all ends by DEADLINE, and the body within one read timeout.

    Redirects are not followed: each would be a request no budget knows of.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(timeout=seconds, follow_redirects=False, event_hooks={"request": [_hurry], "response": [_bound]})

    def __del__(self) -> None:
        with suppress(AttributeError):  # of an __init__ that failed
            self.close()


def _hurry(request: httpx2.Request) -> None:
    left = max(0.01, DEADLINE.get() - time.monotonic())
    request.extensions["timeout"] = {what: min(s, left) for what, s in request.extensions["timeout"].items()}


def _bound(response: httpx2.Response) -> None:
    seconds = response.request.extensions["timeout"]["read"]
    assert isinstance(response.stream, httpx2.SyncByteStream)
    response.stream = _Bounded(response.stream, min(DEADLINE.get(), time.monotonic() + seconds))


class _Bounded(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        for part in self._stream:
            if time.monotonic() > self._deadline:
                raise httpx2.ReadTimeout("the answer did not end in time")
            yield part

    def close(self) -> None:
        self._stream.close()
