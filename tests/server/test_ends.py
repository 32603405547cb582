"""How turns end: clients that go away, servers that are stopped or killed, queues that are full, models that die."""

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest

from duetto.cli import main
from duetto.settings import Settings
from duetto.tools import sample
from tests.graph.test_language_nodes import obedient
from tests.loopback import Answer, Body, Loopback, Script
from tests.serving import Served, environment, freed, raw, serving, speaking, streaming

_numbers = count()


def giraffes() -> str:
    """What the model is held at; no two are alike, for answers of the model are kept."""
    return f"films about giraffes, number {next(_numbers)}"


@dataclass
class Held:
    """A chat model that obeys, but for what asks about giraffes: that waits until it is let go."""

    going: threading.Event

    def __call__(self, body: Body, n: int) -> Answer:
        if "giraffes" in json.dumps(body):
            assert self.going.wait(30)
        return obedient(body, n)


def slowly(seconds: float) -> Script:
    return lambda body, n: replace(obedient(body, n), delay=seconds)


@pytest.fixture(scope="module")
def held() -> Held:
    return Held(threading.Event())


@pytest.fixture(scope="module")
def model(held: Held) -> Iterator[Loopback]:
    with Loopback(held) as model:
        yield model
        held.going.set()


@pytest.fixture(scope="module")
def server(settings: Settings, model: Loopback, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With the chat model, room for two turns that wait, and turns that are waited for four seconds."""
    limits = {"turns_at_once": "2", "turns_waiting": "2", "served_seconds": "4", "retry_seconds": "3"}
    with serving(settings, "--workers", "2", data=tmp_path_factory.mktemp("served"), **limits, **speaking(model)) as served:
        yield served


@pytest.fixture
def waiting(server: Served, held: Held) -> Iterator[Held]:
    """Until the test is over, and the server idle again."""
    held.going.clear()
    yield held
    held.going.set()
    assert server.settled("duetto_turns_in_flight", 0)
    assert server.settled("duetto_turns_waiting", 0)


def post(asked: Any, path: str = "/v1/turns") -> bytes:
    body = json.dumps(asked).encode()
    return b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        path.encode(), len(body), body,
    )  # fmt: skip


# clients that go away


def hang_up(server: Served, model: Loopback, **asked: Any) -> None:
    """Asks for a turn, and goes away when its first call waits for the model."""
    calls = len(model.chats)
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(post(asked))
        until = time.monotonic() + 20
        while len(model.chats) == calls:
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True])
def test_when_the_client_has_gone_no_more_calls_are_made(server: Served, model: Loopback, waiting: Held, stream: bool) -> None:
    thread = f"gone-{stream}"
    first = server.turn("a warm comedy", thread=thread, user="p001")
    before, calls = server.metric('duetto_turns_total{intent="",outcome="Stopped"}'), len(model.chats)
    hang_up(server, model, message=giraffes(), thread=thread, user="p001", stream=stream)
    time.sleep(0.2)  # that the server may see it
    waiting.going.set()
    assert server.settled('duetto_turns_total{intent="",outcome="Stopped"}', before + 1)
    assert len(model.chats) == calls + 1
    after = server.turn("a warm comedy", thread=thread, user="p001")
    assert after["turn"] == first["turn"] + 1
    assert server.told(thread) == ["a warm comedy", "a warm comedy"]


def test_a_conversation_whose_first_turn_was_given_up_begins_anew(server: Served, model: Loopback, waiting: Held) -> None:
    hang_up(server, model, message=f"{giraffes()}, nothing from the 1990s", thread="first", user="p003")
    time.sleep(0.2)
    waiting.going.set()
    assert server.settled("duetto_turns_in_flight", 0)
    assert server.ask("GET", "/v1/threads", params={"user": "p003"}).json() == []
    assert server.turn("hello!", thread="first", user="p003")["turn"] == 1
    assert server.told("first") == ["hello!"]


def test_who_goes_away_while_waiting_leaves_the_queue(server: Served, waiting: Held) -> None:
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(server.turn, giraffes()) for _ in range(2)]
        assert server.settled("duetto_turns_in_flight", 2)
        for _ in range(2):
            raw(server, post({"message": giraffes()}), hang_up=True)
        assert server.settled("duetto_turns_waiting", 0)
        assert server.metric("duetto_turns_in_flight") == 2
        waiting.going.set()
        assert {turn.result()["turn"] for turn in running} == {1}


# queues


def test_a_full_queue_says_when_to_come_again(server: Served, waiting: Held) -> None:
    refused = server.metric("duetto_refused_turns_total")
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(server.turn, giraffes()) for _ in range(4)]
        assert server.settled("duetto_turns_waiting", 2)
        for path, asked in (("turns", {"message": "a western"}), ("chat/completions", chat("a western"))):
            reply = server.ask("POST", f"/v1/{path}", json=asked)
            assert (reply.status_code, reply.headers["retry-after"]) == (429, "3")
            assert "too many turns are waiting" in reply.json()["error"]["message"]
        assert server.metric("duetto_refused_turns_total") == refused + 2
        waiting.going.set()
        assert [turn.result()["turn"] for turn in running] == [1] * 4


def chat(message: str) -> Body:
    return {"model": "duetto", "messages": [{"role": "user", "content": message}]}


def test_who_waited_too_long_is_told_and_the_conversation_still_takes_one_turn_at_a_time(server: Served, waiting: Held) -> None:
    with ThreadPoolExecutor() as pool:
        late = pool.submit(server.ask, "POST", "/v1/turns", json={"message": giraffes(), "thread": "late"})
        reply = late.result()
        assert (reply.status_code, reply.json()["error"]["type"]) == (504, "too_long")
        assert server.metric("duetto_turns_in_flight") == 1  # what was given up has not ended yet
        following = pool.submit(server.turn, "a warm comedy", thread="late")
        assert server.settled("duetto_turns_waiting", 1)
        waiting.going.set()
        assert following.result()["turn"] == 1
    assert server.told("late") == ["a warm comedy"]


@pytest.mark.parametrize("by_model", [False, True])
def test_of_three_hundred_turns_at_one_instant_none_is_lost(settings: Settings, tmp_path: Path, by_model: bool) -> None:
    with Loopback(slowly(0.2)) as slow:
        room = {"turns_at_once": "64", "turns_waiting": "64"}
        with serving(settings, data=tmp_path, served_seconds="200", **room, **(speaking(slow) if by_model else {})) as own:
            files, ready = own.files(), threading.Barrier(300)

            def one(n: int) -> int:
                ready.wait()
                got = raw(own, post({"message": f"a warm comedy, number {n}", "reasons": "plain", "k": 3}), seconds=200, most=12)
                return int(got.split()[1])

            with ThreadPoolExecutor(300) as pool:
                statuses = list(pool.map(one, range(300)))
            assert set(statuses) <= {200, 429}
            assert statuses.count(200) >= (128 if by_model else 67)
            assert own.metric("duetto_turns_total") == statuses.count(200)
            assert own.metric("duetto_refused_turns_total") == statuses.count(429)
            assert freed(own, files + 10) <= 10  # connections of the client that asks for metrics, and of the model


# servers that end


def test_a_server_that_is_stopped_finishes_its_turns(settings: Settings, tmp_path: Path) -> None:
    with (
        Loopback(slowly(0.5)) as slow,
        serving(settings, data=tmp_path, **speaking(slow)) as own,
        ThreadPoolExecutor() as pool,
    ):
        running = [pool.submit(own.turn, f"a warm comedy, {n}", thread=f"t{n}", reasons="plain") for n in range(3)]
        streamed = pool.submit(lambda: list(_told(own)))
        assert own.settled("duetto_turns_in_flight", 4)
        own.process.send_signal(signal.SIGTERM)
        assert [turn.result()["turn"] for turn in running] == [1, 1, 1]
        assert streamed.result()[-1] == "answer"
        assert own.process.wait(20) in (0, -signal.SIGTERM)
    with serving(settings, data=tmp_path) as again:
        assert [again.told(f"t{n}") for n in range(3)] == [[f"a warm comedy, {n}"] for n in range(3)]


def _told(server: Served) -> Iterator[str]:
    with streaming(server, message="a warm comedy", reasons="plain") as told:
        yield from (name for name, _ in told)


def test_thirty_kills_lose_no_turn_that_was_acknowledged(settings: Settings, tmp_path: Path) -> None:
    """A start costs seconds: so one process imports, and forks the servers that are killed."""
    dice, acknowledged = random.Random(7), dict[str, list[str]]()
    with Forge(settings, tmp_path) as forge, httpx2.Client(timeout=20) as client:
        for n in range(30):
            pid, url = forge.server()
            with ThreadPoolExecutor(4) as pool:
                players = [pool.submit(_talk, client, url, f"t{c}", n, acknowledged, c % 2 == 0) for c in range(4)]
                try:
                    _until(acknowledged, f"{n}-")
                    time.sleep(dice.uniform(0, 0.1))
                finally:
                    os.kill(pid, signal.SIGKILL)
                for player in players:
                    player.result()
        _, url = forge.server()
        for thread, messages in acknowledged.items():
            told = [turn["message"] for turn in client.get(f"{url}/v1/threads/{thread}").json()["turns"]]
            assert [message for message in told if message in set(messages)] == messages
            assert len(told) <= len(messages) + 30  # one turn a kill may be kept and not acknowledged
    assert sum(map(len, acknowledged.values())) > 60


def _until(acknowledged: dict[str, list[str]], kill: str) -> None:
    """Until a turn was acknowledged since the last kill."""
    until = time.monotonic() + 20
    while not any(f"number {kill}" in message for messages in acknowledged.values() for message in messages[-5:]):
        assert time.monotonic() < until
        time.sleep(0.005)


def _talk(client: httpx2.Client, url: str, thread: str, kill: int, acknowledged: dict[str, list[str]], stream: bool) -> None:
    """Turn after turn until the server is gone."""
    for n in range(1_000):
        message = f"a western, number {kill}-{n}"
        asked = {"message": message, "thread": thread, "reasons": "none", "stream": stream}
        try:
            if stream:
                with client.stream("POST", f"{url}/v1/turns", json=asked) as reply:
                    if not any(line == "event: answer" for line in reply.iter_lines()):
                        return
            elif client.post(f"{url}/v1/turns", json=asked).status_code != 200:
                return
        except httpx2.HTTPError:
            return
        acknowledged.setdefault(thread, []).append(message)


FORGE = """
import os, sys
from duetto import wiring
from duetto.server import serve
from duetto.server.app import Serving
from duetto.settings import Settings

for line in sys.stdin:
    if process := os.fork():
        print(process, flush=True)
        os.waitpid(process, 0)
        continue
    serve.serve(Settings.from_environment(), Serving(), "127.0.0.1", int(line), None)
"""


class Forge:
    """Makes servers over one folder of data, one after the other."""

    def __init__(self, settings: Settings, data: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", FORGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment(settings, data),
        )  # fmt: skip
        self.last = 0

    def __enter__(self) -> "Forge":
        return self

    def __exit__(self, *how: object) -> None:
        os.kill(self.last, signal.SIGKILL)
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def server(self) -> tuple[int, str]:
        """Its process, and where it serves, when it is ready."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{port}\n")
        self.process.stdin.flush()
        self.last = int(self.process.stdout.readline())
        url = f"http://127.0.0.1:{port}"
        for _ in range(2_000):
            try:
                httpx2.get(f"{url}/readyz").raise_for_status()
            except httpx2.HTTPError:
                time.sleep(0.01)
            else:
                return self.last, url
        raise AssertionError("the server does not start")


# what it depends on


def test_without_its_model_turns_go_on_degraded(settings: Settings, tmp_path: Path) -> None:
    there = Loopback(obedient)
    with serving(settings, data=tmp_path, **speaking(there)) as own:
        with there:
            assert own.turn("a warm comedy", thread="t", user="p001")["degraded"] == []
        answer = own.turn("a warm comedy, please", thread="t", user="p001")
        assert (answer["turn"], len(answer["recommendations"])) == (2, 10)
        assert "could not be reached" in " ".join(answer["degraded"])
        assert own.metric("duetto_degraded_turns_total") == 1
        assert own.stop() in (0, -signal.SIGTERM)


def test_without_its_database_it_is_not_ready_and_says_so(settings: Settings, tmp_path: Path) -> None:
    with serving(settings, data=tmp_path) as own:
        own.turn("a western", user="p001", thread="t")
        with sqlite3.connect(tmp_path / "threads.sqlite") as database:
            database.executescript("DROP TABLE checkpoints; DROP TABLE store")
        database.close()
        asked: Any = {"json": {"message": "a comedy", "user": "p001", "thread": "t"}}
        for method, path, how in (("POST", "/v1/turns", asked), ("GET", "/v1/threads/t", {}), ("GET", "/readyz", {})):
            reply = own.ask(method, path, **how)
            assert (reply.status_code, reply.json()["error"]["type"]) == (503, "not_ready"), path
        assert own.ask("GET", "/healthz").status_code == 200


def test_a_new_index_is_followed_without_dropping_a_turn(settings: Settings, tmp_path: Path) -> None:
    index = tmp_path / "index"
    _build(tmp_path, index, sample.films())
    with serving(settings, data=tmp_path, index=str(index), follow_seconds="0.05") as own, ThreadPoolExecutor(3) as pool:
        built, told = threading.Event(), dict[str, list[Body]](t0=[], t1=[])

        def talk(thread: str) -> None:
            while not built.is_set():
                told[thread].append(own.turn("a western", thread=thread, reasons="none"))

        def follow() -> str:
            current = (index / "CURRENT").read_text().strip()
            until = time.monotonic() + 60
            while any(not turns or turns[-1]["index"] != current for turns in told.values()):
                assert time.monotonic() < until
                time.sleep(0.02)
            return current

        talking = [pool.submit(talk, thread) for thread in told]
        try:
            current = follow()
            for keep in (470, 455):
                _build(tmp_path, index, sample.films().head(keep))
                current = follow()
        finally:
            built.set()
        for one in talking:
            one.result()
        for turns in told.values():
            assert [answer["turn"] for answer in turns] == list(range(1, len(turns) + 1))
            assert len({answer["index"] for answer in turns}) == 3
        (index / "CURRENT").write_text("no such version")
        time.sleep(0.2)
        assert own.turn("a western", thread="watch")["index"] == current
        assert {line["level"] for line in own.lines() if "cannot be used" in line["event"]} == {"error"}


def _build(folder: Path, index: Path, films: pl.DataFrame) -> None:
    films.write_parquet(folder / "items.parquet")
    sample.interactions().filter(pl.col("user_id") < "p050").write_parquet(folder / "log.parquet")
    files = ["--items", str(folder / "items.parquet"), "--interactions", str(folder / "log.parquet")]
    with pytest.raises(SystemExit) as ended:
        main(["build", *files, "--index", str(index)])
    assert ended.value.code in (0, None)
