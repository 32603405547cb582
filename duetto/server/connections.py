"""HTTP connections that are given up when no request comes of them: uvicorn itself would wait for the first one forever."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


def hurried(seconds: float) -> type[H11Protocol]:
    """A connection has so long for the head of its request."""

    class Hurried(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self._late is not None:
                self._late.cancel()

        def _watch(self) -> None:
            """From its first byte on, however slowly the others come."""
            waits = self.cycle is None or self.cycle.response_complete
            if waits and self._late is None:
                self._late = self.loop.call_later(seconds, self.transport.close)
            elif not waits and self._late is not None:
                self._late.cancel()
                self._late = None

    return Hurried
