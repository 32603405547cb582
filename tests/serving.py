"""A real `duetto serve` on 127.0.0.1, and what tests ask of it over HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from duetto.settings import Settings
from tests.loopback import Loopback

Body = dict[str, Any]
for extra in ("fastapi", "prometheus_client", "uvicorn"):
    pytest.importorskip(extra, reason="needs the extra `serve`")


@dataclass
class Served:
    """A running server; `log` is what it wrote to stderr. `key` is sent with each request."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    key: str | None = None
    client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=60))

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def headers(self, key: str | None = None) -> dict[str, str]:
        key = key or self.key
        return {} if key is None else {"Authorization": f"Bearer {key}"}

    def ask(self, method: str, path: str, key: str | None = None, **how: Any) -> httpx2.Response:
        headers = {**self.headers(key), **how.pop("headers", {})}
        return self.client.request(method, f"{self.url}{path}", headers=headers, **how)

    def turn(self, message: str | None = None, key: str | None = None, **asked: Any) -> Body:
        """The answer of a turn that must succeed."""
        reply = self.ask("POST", "/v1/turns", key, json={"message": message, **asked})
        assert reply.status_code == 200, reply.text
        answer: Body = reply.json()
        return answer

    def told(self, thread: str, key: str | None = None) -> list[str | None]:
        """The messages of a conversation's turns."""
        reply = self.ask("GET", f"/v1/threads/{thread}", key)
        assert reply.status_code == 200, reply.text
        return [turn["message"] for turn in reply.json()["turns"]]

    def metric(self, name: str) -> float:
        """A metric by its name and labels, 0 when there is none yet."""
        lines = self.ask("GET", "/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def settled(self, name: str, value: float, seconds: float = 10.0) -> bool:
        """Whether a metric comes to be this."""
        until = time.monotonic() + seconds
        while self.metric(name) != value:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def lines(self) -> list[Body]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def files(self) -> int:
        """How many file descriptors the server holds."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """How the process ended."""
        self.process.send_signal(how)
        try:
            return self.process.wait(60)
        finally:
            self.client.close()


def environment(settings: Settings, data: Path | None = None, **more: str) -> dict[str, str]:
    """`more` are variables of Duetto's, without the prefix and in small letters, or others as they are."""
    own = {name if name.isupper() else f"DUETTO_{name.upper()}": value for name, value in more.items()}
    places = {"DUETTO_CACHE": str(settings.cache), "DUETTO_DATA": str(data or settings.data)}
    return {**os.environ, **places, "OMP_NUM_THREADS": "1", **own}


def speaking(model: Loopback) -> dict[str, str]:
    """The environment of a server whose chat model this is."""
    return {"model": "loopback", "OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "sk-Very5ecret"}


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "duetto.cli", "serve", *options]


def _started(settings: Settings, *options: str, data: Path, index: str = "sample", **more: str) -> Served:
    """On a free port, in one process (which starts sooner), unless told otherwise."""
    port = (*(() if "--port" in options else ("--port", "0")), *(() if "--workers" in options else ("--workers", "0")))
    with tempfile.NamedTemporaryFile(dir=data, suffix=".log", delete=False) as log:
        process = subprocess.Popen(
            command("--index", index, *port, *options), stderr=log, stdout=subprocess.DEVNULL,
            env=environment(settings, data, **more),
        )  # fmt: skip
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        for line in Path(log.name).read_text(encoding="utf-8").splitlines():
            if '"address"' in line:
                return Served(process, json.loads(line)["address"], Path(log.name))
        time.sleep(0.02)
    process.kill()
    raise AssertionError(Path(log.name).read_text(encoding="utf-8"))


@contextmanager
def serving(settings: Settings, *options: str, data: Path, index: str = "sample", **more: str) -> Iterator[Served]:
    """Serves over this data until the block ends, or the server was stopped in it."""
    server = _started(settings, *options, data=data, index=index, **more)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)
        server.client.close()


def events(reply: httpx2.Response) -> Iterator[tuple[str, Any]]:
    """Server-sent events as they come: name and data; a comment is named ""."""
    name = ""
    for line in reply.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
        elif line == ":":
            yield "", None


@contextmanager
def streaming(server: Served, key: str | None = None, **asked: Any) -> Iterator[Iterator[tuple[str, Any]]]:
    """The events of a turn, while it is listened to."""
    turn, headers = {"stream": True, **asked}, server.headers(key)
    with (
        httpx2.Client(timeout=60) as client,
        client.stream("POST", f"{server.url}/v1/turns", json=turn, headers=headers) as reply,
    ):
        assert reply.status_code == 200, reply.read()
        yield events(reply)


def raw(server: Served, sent: bytes, most: int = 65_536, seconds: float = 20.0, hang_up: bool = False) -> bytes:
    """What comes back to these bytes, until the server closes; nothing when we hang up first."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as line:
        line.sendall(sent)
        if hang_up:
            return b""
        got = b""
        while len(got) < most and (part := line.recv(most)):
            got += part
        return got


def freed(server: Served, files: int, seconds: float = 20.0) -> int:
    """How many file descriptors more than these are held, when those of the last requests had time to close."""
    until = time.monotonic() + seconds
    while server.files() > files and time.monotonic() < until:
        time.sleep(0.1)
    return server.files() - files
