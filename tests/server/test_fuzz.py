"""Malformed requests by the thousand: none is an error of ours, none leaves anything open."""

import json
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from duetto.settings import Settings
from tests.serving import Served, freed, serving

TRIES = 1_000
PATHS = ("/v1/turns", "/v1/chat/completions", "/v1/feedback", "/v1/profile", "/v1/threads", "/v1/items/1", "/nothing")
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 10**400, 1e308, "", "\ud800", "\x00", "x" * 5_000, [], {}, [[]], {"": None}, {"\ud800": 1}, "p001", "t",
    "ünï\u202e", "' OR 1=1 --", "../../etc/passwd", float("nan"), float("inf"), ["liked"], {"role": "user", "content": "hello!"},
    [{"role": "user", "content": "hello!"}], [{"role": "user", "content": [{"type": "text", "text": "\ud800"}]}],
)  # fmt: skip
NAMES = ("message", "user", "thread", "k", "reasons", "stream", "messages", "model", "item_id", "kind", "verdict", "run_id",
         "comment", "liked", "dropped", "lifted", "stream_options", "\ud800", "")  # fmt: skip


def head(path: str, method: str = "POST", **headers: str) -> bytes:
    given = {"Host": "localhost", "Content-Type": "application/json", **headers}
    return f"{method} {path} HTTP/1.1\r\n".encode() + "".join(f"{k}: {v}\r\n" for k, v in given.items()).encode(
        "latin-1", "replace"
    )


def posted(path: str, body: bytes, **headers: str) -> bytes:
    return head(path, **{"Content-Length": str(len(body)), "Connection": "close", **headers}) + b"\r\n" + body


def odd_values(dice: random.Random) -> bytes:
    asked = {dice.choice(NAMES): dice.choice(ODD) for _ in range(dice.randrange(5))}
    return posted(dice.choice(PATHS), json.dumps(asked).encode())


def not_json(dice: random.Random) -> bytes:
    deep = b"[" * dice.choice((10, 100_000))
    body = dice.choice((dice.randbytes(200), deep, b'{"message": ', b"\xff\xfe{}", b"null", b'"x"', b"1e999", b"9" * 5_000, b""))
    kind = dice.choice(
        ("application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "x")
    )
    return posted(dice.choice(PATHS), body, **{"Content-Type": kind})


def odd_headers(dice: random.Random) -> bytes:
    name = dice.choice(("Accept", "X-Request-Id", "Authorization", "Cookie", "X-Duetto-Thread", "Origin", "Host",
                        "Content-Length", "Transfer-Encoding", "Expect", "Upgrade", "Connection", "X" * 60_000))  # fmt: skip
    value = dice.choice(("", "\xff\xfe", "x" * 70_000, "-1", "0", "chunked", "chunked, chunked", "100-continue", "websocket", "é",
                         "text/event-stream", "Bearer \x01", "duetto_key=%00; =;;", "a\tb", "1, 2"))  # fmt: skip
    return posted(dice.choice(PATHS), b'{"message": "hello!"}', **{name: value})


def odd_requests(dice: random.Random) -> bytes:
    line = dice.choice((b"GET", b"P\xd6ST / HTTP/1.1", b"GET / HTTP/9.9", b"\x16\x03\x01\x02", b"PRI * HTTP/2.0",
                        b"GET  /  HTTP/1.1", b"GET /v1/threads/%ff%00%2e HTTP/1.1", b"GET /v1/items/\x80 HTTP/1.1",
                        b"TRACE /v1/turns HTTP/1.1",
                        b"GET /v1/profile?user=%ff%00&user=%f0 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"DELETE /v1/profile? HTTP/1.1",
                        b"GET http://b.example/v1/models HTTP/1.1", b"CONNECT x:1 HTTP/1.1",
                        b"GET /" + b"x" * 70_000))  # fmt: skip
    return line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n" + dice.randbytes(dice.randrange(20))


def half_a_request(dice: random.Random) -> bytes:
    whole = posted("/v1/turns", b'{"message": "hello!", "stream": true}')
    return whole[: dice.randrange(len(whole))]


def pipelined(dice: random.Random) -> bytes:
    return head("/healthz", "GET") + b"\r\n" + odd_values(dice) + dice.randbytes(30)


MAKERS: tuple[Callable[[random.Random], bytes], ...] = (
    odd_values,
    not_json,
    odd_headers,
    odd_requests,
    half_a_request,
    pipelined,
)


def status(server: Served, sent: bytes, drop: bool) -> int | None:
    """What the answer begins with; None when it never comes, or nobody waits for it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        try:
            line.sendall(sent)
            if drop:
                return None
            got = line.recv(12)
        except (ConnectionResetError, BrokenPipeError):
            return None
    return int(got.split()[1]) if got.startswith(b"HTTP/1.1 ") else None


@pytest.fixture(scope="module")
def server(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With little patience for requests that are never whole, and room for all of these turns."""
    with serving(settings, data=tmp_path_factory.mktemp("served"), body_seconds="0.3") as served:
        yield served


def test_a_thousand_malformed_requests_are_no_error_of_ours_and_leave_nothing_open(server: Served) -> None:
    server.turn("hello!")
    files = server.files()

    def one(n: int) -> tuple[int | None, bytes]:
        dice = random.Random(n)
        sent = MAKERS[n % len(MAKERS)](dice)
        return status(server, sent, drop=dice.random() < 0.2), sent

    with ThreadPoolExecutor(12) as pool:
        told = list(pool.map(one, range(TRIES)))
    assert [(code, sent[:300]) for code, sent in told if code is not None and code >= 500] == []
    counts = Counter(code for code, _ in told)
    assert {200, 400, 404, 408, 422} <= set(counts)
    assert counts[None] < TRIES / 3
    assert freed(server, files) <= 0
    assert server.turn("hello!")["turn"] == 1
    assert not [line for line in server.lines() if line["event"] in ("a request failed", "a turn failed")]
    assert not [line for line in server.lines() if line["level"] in ("error", "critical")]


def test_streams_that_are_dropped_leave_nothing_open(server: Served) -> None:
    dice = random.Random(12)
    server.turn("hello!")
    files = server.files()
    for n in range(60):
        asked = {
            "message": f"a western, number {n}",
            "stream": True,
            "messages": [{"role": "user", "content": f"a western, {n}"}],
        }
        chat = n % 2
        del asked["message" if chat else "messages"]
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
            line.sendall(posted("/v1/chat/completions" if chat else "/v1/turns", json.dumps(asked).encode()))
            line.recv(dice.choice((1, 100, 3_000)))
    assert freed(server, files) <= 0
    assert server.settled("duetto_turns_in_flight", 0)
    assert server.settled("duetto_turns_waiting", 0)
    assert not [line for line in server.lines() if line["level"] == "error"]


def more(self: Any) -> bool:
    """What hypothesis-jsonschema 0.23.1 asks of `many`, and hypothesis 6.170 calls iteration."""
    if self._depth is None:
        self.__enter__()
        self.left = iter(self)
    if next(self.left, self) is None:
        return True
    self.__exit__(None)
    return False


def test_no_request_that_the_document_allows_is_an_error_of_ours(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    schemathesis = pytest.importorskip("schemathesis", reason="needs the extra `fuzz`")
    hypothesis = pytest.importorskip("hypothesis", reason="needs the extra `dev`")
    many = pytest.importorskip("hypothesis.internal.conjecture.utils").many
    if not hasattr(many, "more"):
        monkeypatch.setattr(many, "more", more, raising=False)
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) >= 12
    tried = 0

    def holds(case: Any) -> None:
        nonlocal tried
        tried += 1
        case.call_and_validate(checks=[schemathesis.checks.not_a_server_error], timeout=20)

    patience = hypothesis.settings(
        max_examples=600, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    cases = hypothesis.strategies.one_of([operation.as_strategy() for operation in operations])
    patience(hypothesis.seed(13)(hypothesis.given(case=cases)(holds)))()
    assert tried >= 600
