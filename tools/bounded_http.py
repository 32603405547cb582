"""An HTTP client for the openai library whose whole answer, not only each read of it, must arrive in time."""

import time
from collections.abc import Iterator

import httpx2
import openai


class BoundedClient(openai.DefaultHttpxClient):
    """httpx's read timeout begins anew with every byte: a server that trickles, or sends blank lines to keep a
    connection alive, could hold a thread for ever. Here the body must end within one read timeout of the headers.

    Redirects are not followed: each would be a request no budget knows of.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(timeout=seconds, follow_redirects=False, event_hooks={"response": [_bound]})

    def __del__(self) -> None:
        if hasattr(self, "_state") and not self.is_closed:
            self.close()


def _bound(response: httpx2.Response) -> None:
    seconds = response.request.extensions["timeout"]["read"]
    assert isinstance(response.stream, httpx2.SyncByteStream)
    response.stream = _Bounded(response.stream, time.monotonic() + seconds)


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
