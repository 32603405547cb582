"""A TCP proxy that can be cut, frozen and mended."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Proxy:
    """`cut` closes what is open and refuses what comes; `frozen` keeps all open and lets nothing through."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._flows = threading.Event()
        self._pairs: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.cut()

    def cut(self) -> None:
        listener, self._listener = self._listener, None
        for end in (listener, *self._pairs):
            if end is not None:
                _shut(end)
        self._pairs.clear()
        self._flows.set()

    def freeze(self) -> None:
        self._flows.clear()

    def mend(self) -> None:
        self._flows.set()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                self._pairs.append(near)
                far = socket.create_connection(("127.0.0.1", self._to))
                self._pairs.append(far)
                if self._listener is not listener:  # cut in the meantime
                    _shut(near)
                    _shut(far)
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        for end in (source, sink):
            _shut(end)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)  # close alone would not wake a thread that waits in accept or recv
    end.close()
