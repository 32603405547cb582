"""Who may come in, how often and how: keys, other people's things, limits, and what browsers say of a request."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from duetto.server.doors import new_key
from duetto.settings import Settings
from tests.serving import Served, raw, serving


@dataclass(frozen=True)
class Keys:
    service: str
    mine: str
    theirs: str
    seldom: str


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Keys]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    made = [new_key(file, who, often) for who, often in (("*", 9_000), ("p001", 9_000), ("p002", 9_000), ("p003", 3))]
    return file, Keys(*made)


@pytest.fixture(scope="module")
def server(settings: Settings, keys: tuple[Path, Keys], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With keys, open to pages of one other site, and with half a second for each request."""
    data = tmp_path_factory.mktemp("served")
    options = ("--keys", str(keys[0]), "--origin", "https://a.example")
    with serving(settings, *options, data=data, body_seconds="0.5", body_bytes="100000") as served:
        served.key = keys[1].service
        yield served
        log = served.log.read_text(encoding="utf-8")
        known = [*vars(keys[1]).values(), "a western", "p001", "mine-thread", "Shane", "High Noon"]
        assert not [secret for secret in known if secret in log]


@pytest.fixture(scope="module")
def thread(server: Served, keys: tuple[Path, Keys]) -> str:
    """A conversation of p001's."""
    server.turn("a western", keys[1].mine, thread="mine-thread")
    return "mine-thread"


# keys


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/turns"), ("GET", "/v1/threads"), ("GET", "/v1/threads/x"), ("GET", "/v1/profile"), ("PATCH", "/v1/profile"),
        ("DELETE", "/v1/profile"), ("GET", "/v1/feedback"), ("POST", "/v1/feedback"), ("GET", "/v1/items/1"),
        ("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/v1/models/duetto"), ("GET", "/metrics"),
    ],
)  # fmt: skip
def test_nobody_comes_in_without_a_key(server: Served, method: str, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}):
        reply = server.client.request(method, f"{server.url}{path}", headers=headers)
        assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert "send `Authorization: Bearer KEY`" in reply.json()["error"]["message"]


def test_openai_s_client_knows_what_is_wrong_with_a_key(server: Served, keys: tuple[Path, Keys]) -> None:
    asked: Any = {"model": "duetto", "messages": [{"role": "user", "content": "hello!"}]}
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="wants an API key"),
    ):
        client.chat.completions.create(**asked)
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=keys[1].mine, max_retries=0) as client:
        with pytest.raises(openai.NotFoundError, match="nobody of that id"):
            client.chat.completions.create(user="p002", **asked)
        told: Any = client.chat.completions.create(**asked)
        assert told.duetto["user"] == "p001"


def test_a_key_has_so_many_requests_a_minute(server: Served, keys: tuple[Path, Keys]) -> None:
    statuses = [server.ask("GET", "/v1/models", keys[1].seldom).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    reply = server.ask("GET", "/v1/models", keys[1].seldom)
    assert 1 <= int(reply.headers["retry-after"]) <= 20
    assert reply.json()["error"]["code"] == "too_often"
    assert server.ask("GET", "/v1/models").status_code == 200


# other people's things


def names(thread: str) -> list[str]:
    """100 ways to write the name of somebody else's conversation, and names like it."""
    coded = "".join(f"%{ord(letter):02x}" for letter in thread)
    around = ["", "/", "//", "./", "../", "%2F", "%2f", "..%2F", "%2e%2e/", ".", "..", "%00", "%20", " ", "\u200b", "é", "%c3%a9"]
    written = [thread, coded, thread.upper(), f"p001/{thread}", f"p001%2F{thread}", f"p002/../p001/{thread}", f"{thread};x=1"]
    return [
        *written, *(f"{part}{thread}" for part in around), *(f"{thread}{part}" for part in around[1:]),
        *(f"{part}{coded}{part}" for part in around), *(f"p001{part}{thread}" for part in around),
        *(f"{thread}:{n}" for n in range(20)),
        *(f"{'x' * n}{thread}" for n in (120, 500, 5_000)), "%ff", "*", "%", "_", "p001", "[]", "%5B%5D",
    ]  # fmt: skip


def test_somebody_else_s_conversation_is_not_there(server: Served, keys: tuple[Path, Keys], thread: str) -> None:
    assert len(names(thread)) >= 100
    for name in names(thread):
        reply = server.ask("GET", f"/v1/threads/{name}", keys[1].theirs)
        mine = reply.status_code == 200 and reply.json() == []  # `..` and the like lead to their own list
        assert mine or reply.status_code in (404, 307), name
        assert "western" not in reply.text


def test_nobody_speaks_in_somebody_else_s_conversation(server: Served, keys: tuple[Path, Keys], thread: str) -> None:
    chat = {"model": "duetto", "messages": [{"role": "user", "content": "a comedy"}]}
    for stream in (False, True):
        asked = {"message": "a comedy", "thread": thread, "stream": stream}
        assert server.ask("POST", "/v1/turns", keys[1].theirs, json=asked).status_code == 404
        named = {"X-Duetto-Thread": thread}
        told = server.ask("POST", "/v1/chat/completions", keys[1].theirs, json={**chat, "stream": stream}, headers=named)
        assert told.status_code == 404
    given = {"thread": thread, "verdict": "up"}
    assert server.ask("POST", "/v1/feedback", keys[1].theirs, json=given).status_code == 404
    assert server.told(thread, keys[1].mine) == ["a western"]


@pytest.mark.parametrize(
    ("method", "path", "how"),
    [
        ("POST", "/v1/turns", "json"), ("GET", "/v1/threads", "params"), ("GET", "/v1/profile", "params"),
        ("PATCH", "/v1/profile", "json"), ("DELETE", "/v1/profile", "params"), ("GET", "/v1/feedback", "params"),
        ("POST", "/v1/feedback", "json"), ("POST", "/v1/chat/completions", "json"),
    ],
)  # fmt: skip
def test_nobody_speaks_for_somebody_else(server: Served, keys: tuple[Path, Keys], method: str, path: str, how: str) -> None:
    about = {"verdict": "up"} if path == "/v1/feedback" and how == "json" else {}
    chat = {"messages": [{"role": "user", "content": "a comedy"}]} if "chat" in path else {}
    for user in ("p001", "P002", "p002 ", "p002/", "*", "p001\u0000", "p%30%30%32", "é"):
        reply = server.ask(method, path, keys[1].theirs, **{how: {"user": user, **about, **chat}})
        assert reply.status_code == 404, user


def test_nobody_corrects_somebody_else_s_tastes(server: Served, keys: tuple[Path, Keys]) -> None:
    asked = {"tastes": [{"preference": "westerns", "weight": 0.5}]}
    assert server.ask("PATCH", "/v1/profile", keys[1].theirs, json={**asked, "user": "p001"}).status_code == 404
    form = {"user": "p001", "preference": "westerns", "weight": "0.5"}
    assert server.ask("POST", "/page/taste", keys[1].theirs, data=form).status_code == 404
    assert server.ask("GET", "/v1/profile", keys[1].mine).json()["corrected"] == []
    assert len(server.ask("PATCH", "/v1/profile", keys[1].theirs, json=asked).json()["corrected"]) == 1
    assert server.ask("GET", "/v1/profile", keys[1].mine).json()["corrected"] == []


def test_everybody_reaches_their_own(server: Served, keys: tuple[Path, Keys], thread: str) -> None:
    assert [one["thread"] for one in server.ask("GET", "/v1/threads", keys[1].mine).json()].count(thread) == 1
    assert server.ask("GET", "/v1/threads", keys[1].theirs).json() == []
    assert server.ask("GET", "/v1/profile", keys[1].mine).json()["user"] == "p001"
    assert server.ask("GET", "/v1/profile", params={"user": "p002"}).json()["user"] == "p002"  # by the service
    assert server.told(thread) == ["a western"]
    assert server.ask("GET", "/metrics", keys[1].mine).status_code == 404


def test_of_two_who_begin_a_conversation_of_one_name_at_once_one_is_refused(server: Served, keys: tuple[Path, Keys]) -> None:
    for n in range(5):
        with ThreadPoolExecutor() as pool:
            asked = {"message": "a western", "thread": f"both-{n}"}
            replies = list(
                pool.map(lambda key, a=asked: server.ask("POST", "/v1/turns", key, json=a), (keys[1].mine, keys[1].theirs))
            )
        assert sorted(reply.status_code for reply in replies) == [200, 404]
        seen = [server.ask("GET", f"/v1/threads/both-{n}", key).status_code for key in (keys[1].mine, keys[1].theirs)]
        assert seen == [reply.status_code for reply in replies]


# limits of size and time


def test_a_body_that_is_too_large_is_refused_however_it_is_sent(server: Served) -> None:
    large = json.dumps({"message": "x" * 100_001}).encode()
    assert server.ask("POST", "/v1/turns", content=large).status_code == 413
    pieces = (large[at : at + 10_000] for at in range(0, len(large), 10_000))
    assert server.ask("POST", "/v1/turns", content=pieces).status_code == 413
    head = f"POST /v1/turns HTTP/1.1\r\nHost: x\r\nContent-Length: {10**12}\r\n\r\n".encode()
    assert raw(server, head).startswith(b"HTTP/1.1 413 ")
    assert server.ask("POST", "/v1/turns", json={"message": "x" * 4_001}).status_code == 422


def test_a_request_that_is_not_there_in_time_is_given_up(server: Served) -> None:
    head = b"POST /v1/turns HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
    assert raw(server, head).startswith(b"HTTP/1.1 408 ")
    for begun in (b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "):
        began = time.monotonic()
        assert raw(server, begun) == b""
        assert time.monotonic() - began < 5


# what browsers say of a request


def test_pages_of_other_sites_are_not_let_in(server: Served) -> None:
    own = server.url
    for headers, allowed in [
        ({"Origin": "https://b.example"}, False), ({"Origin": "null"}, False), ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False), ({"Origin": own}, True), ({"Origin": "https://a.example"}, True),
        ({"Origin": "https://a.example", "Sec-Fetch-Site": "cross-site"}, True), ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://a.example.b.example"}, False), ({"Origin": "http://a.example"}, False),
    ]:  # fmt: skip
        reply = server.ask("POST", "/v1/turns", json={"message": "hello!"}, headers=headers)
        assert reply.status_code == (200 if allowed else 403), headers


def test_cors_is_open_to_the_site_that_was_named_alone(server: Served) -> None:
    for origin, allowed in (("https://a.example", True), ("https://b.example", False), ("null", False)):
        wants = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        reply = server.client.options(f"{server.url}/v1/turns", headers=wants)
        assert (reply.headers.get("access-control-allow-origin") == origin) == allowed
        assert (
            server.ask("GET", "/v1/models", headers={"Origin": origin}).headers.get("access-control-allow-origin") == origin
        ) == allowed


def test_without_keys_the_server_knows_its_own_names_alone_and_no_other_site(settings: Settings, tmp_path: Path) -> None:
    with serving(settings, data=tmp_path) as own:
        for host, status in [
            ("localhost", 200), ("LOCALHOST:80", 200), (f"127.0.0.1:{own.port}", 200), ("[::1]:8000", 200), ("[::1]", 200),
            ("b.example", 421), ("localhost.b.example", 421), ("127.0.0.1.b.example", 421), ("", 421),
            ("localhost@b.example", 421),
        ]:  # fmt: skip
            assert own.ask("GET", "/healthz", headers={"Host": host}).status_code == status, host
        wants = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
        closed = own.client.options(f"{own.url}/v1/turns", headers=wants)
        assert "access-control-allow-origin" not in closed.headers
        reply = own.ask("GET", "/healthz")
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in reply.headers["content-security-policy"]
