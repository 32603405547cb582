"""What was answered is kept, whatever happens to the database: it is cut off, the disk is full, the process is killed."""

import asyncio
import multiprocessing
import os
import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydantic import SecretStr

from duetto.cli import main
from duetto.errors import StorageFailed
from duetto.limits import Limits
from duetto.settings import Settings
from duetto.tools.profiles import Profile, keep_profile, profile_of
from duetto.wiring import Graph, open_graph, open_profiles, open_threads
from tests.proxy import Proxy
from tests.talking import talk as talk_until_killed

HASTY = Limits(database_connections=4, database_connect_seconds=2, database_checkout_seconds=0.8, database_seconds=1)
BOUND = 5.0  # seconds until a turn without a database ends, on a busy machine


class Talk:
    """Over a place, and which turn of each thread was answered last."""

    def __init__(self, place: Settings) -> None:
        self._open = ExitStack()
        self.threads = self._open.enter_context(closing(open_threads(place)))
        self.store = self._open.enter_context(closing(open_profiles(place)))
        self.graph: Graph = open_graph("sample", self.threads, store=self.store, settings=place)
        self.answered: dict[str, int] = {}

    def close(self) -> None:
        self._open.close()

    def say(self, thread: str, message: str = "something funny") -> int:
        given: Any = {"user": thread, "message": message}
        turn: int = self.graph.invoke(given, _thread(thread), context=_BRIEF)["answer"]["turn"]
        self.answered[thread] = turn
        return turn

    def kept(self) -> dict[str, int]:
        return {thread: _turn(self.graph, thread) for thread in self.answered}

    def refused(self, thread: str) -> str:
        """How a turn fails, in time."""
        started = time.monotonic()
        with pytest.raises(StorageFailed) as told:
            self.say(thread)
        assert time.monotonic() - started < BOUND
        return str(told.value)


_BRIEF: Any = {"k": 3, "reasons": "none"}


def _thread(name: str) -> Any:
    return {"configurable": {"thread_id": name}}


def _turn(graph: Graph, thread: str) -> int:
    turn: int = graph.get_state(_thread(thread)).values.get("turn", 0)
    return turn


# PostgreSQL behind a network


@pytest.fixture
def proxy(cluster: int) -> Iterator[Proxy]:
    with Proxy(cluster) as opened:
        yield opened


@pytest.fixture
def afar(settings: Settings, database: str, cluster: int, proxy: Proxy) -> Settings:
    url = database.replace(f":{cluster}/", f":{proxy.port}/")
    return replace(settings, database_url=SecretStr(url), limits=HASTY)


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_a_turn_without_the_database_fails_soon_and_the_next_after_it_is_mended_goes_on(
    afar: Settings, proxy: Proxy, fault: str
) -> None:
    with closing(Talk(afar)) as talk:
        assert [talk.say(thread) for thread in ("a", "b", "a", "b")] == [1, 1, 2, 2]
        for _ in range(2):
            getattr(proxy, fault)()
            assert talk.refused("a").startswith("could not read this conversation: the database is not reachable; try again")
            with pytest.raises(StorageFailed, match="could not read or keep what is known of a person"):
                profile_of(talk.store, "a")
            proxy.mend()
            before = talk.kept()
            assert before == talk.answered
            assert talk.say("a") == before["a"] + 1


@pytest.mark.parametrize("how", ["waits", "awaits"])
def test_a_cut_between_the_reading_and_the_keeping_of_a_turn_reaches_its_caller(afar: Settings, proxy: Proxy, how: str) -> None:
    given: Any = {"user": "a", "message": "something sad"}

    def waits() -> None:
        for update in talk.graph.stream(given, _thread("a"), stream_mode="updates"):
            if "rerank" in update:
                proxy.cut()

    async def awaits() -> None:
        async for update in talk.graph.astream(given, _thread("a"), stream_mode="updates"):
            if "rerank" in update:
                proxy.cut()

    with closing(Talk(afar)) as talk:
        talk.say("a")
        with pytest.raises(StorageFailed, match="could not keep this conversation: the database is not reachable"):
            waits() if how == "waits" else asyncio.run(awaits())
        proxy.mend()
        assert talk.kept() == {"a": 1}
        assert talk.say("a") == 2


def test_people_who_talk_while_the_database_goes_and_comes_lose_nothing(afar: Settings, proxy: Proxy) -> None:
    done = Event()

    def talking(name: str) -> int:
        failed = 0
        while not done.is_set():
            try:
                talk.say(name)
            except StorageFailed:
                failed += 1
        talk.say(name)
        return failed

    with closing(Talk(afar)) as talk, ThreadPoolExecutor(4) as pool:
        people = [pool.submit(talking, f"p{n}") for n in range(4)]
        try:
            for _ in range(3):
                time.sleep(0.4)
                proxy.cut()
                time.sleep(0.2)
                proxy.mend()
        finally:
            done.set()
        assert sum(person.result() for person in people) > 0
        assert talk.kept() == talk.answered
        assert len(talk.answered) == 4


def test_a_statement_that_waits_for_another_s_lock_is_ended(afar: Settings, database: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    with closing(open_profiles(afar)) as store, psycopg.connect(database) as other:
        keep_profile(store, Profile(user="ann"))
        other.execute("LOCK TABLE store")
        started = time.monotonic()
        with pytest.raises(StorageFailed, match="the database answered QueryCanceled; try again"):
            keep_profile(store, Profile(user="ann"))
        assert time.monotonic() - started < BOUND


# SQLite


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "duetto", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small file system needs root, and leave to mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told_and_loses_nothing(settings: Settings, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (small / "ballast").write_bytes(bytes(1_000_000))
    place = replace(settings, data=small)
    with closing(Talk(place)) as talk:
        told = []
        for n in range(500):
            try:
                talk.say(f"t{n % 3}")
            except StorageFailed as error:
                told.append(str(error))
                if len(told) == 3:
                    break
        assert len(told) == 3
        assert all("the disk is full; free some space where DUETTO_DATA is, and try again" in said for said in told)
        assert min(talk.answered.values()) > 1
        assert talk.kept() == talk.answered
        assert _whole(place.threads)
        (small / "ballast").unlink()
        for thread, turn in list(talk.answered.items()):
            assert talk.say(thread) == turn + 1
        answered = talk.answered
    with closing(Talk(place)) as talk:
        talk.answered = answered
        assert talk.kept() == answered


def test_a_full_disk_ends_a_command_with_one_sentence(
    settings: Settings, small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUETTO_CACHE", str(settings.cache))
    monkeypatch.setenv("DUETTO_DATA", str(small))
    with closing(Talk(replace(settings, data=small))):
        _fill(small / "ballast")
        with pytest.raises(SystemExit) as stop:
            main(["ask", "--index", "sample", "--user", "ann", "--thread", "t", "I loved Alien"])
    told = capsys.readouterr()
    assert (stop.value.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert "the disk is full" in told.err


def test_a_read_that_fails_is_told_without_what_was_asked(tmp_path: Path) -> None:
    place = Settings(data=tmp_path)
    with closing(open_profiles(place)) as store, closing(sqlite3.connect(place.threads)) as other:
        other.execute("DROP TABLE store")
        with pytest.raises(StorageFailed, match=r"the database failed \(no such table: store\)") as told:
            profile_of(store, "ann")
        assert "ann" not in str(told.value)


def test_a_transaction_that_failed_leaves_none_open(tmp_path: Path) -> None:
    """Another process holds the file: the one after it can still write."""
    place = Settings(data=tmp_path)
    with closing(open_profiles(place)) as store, closing(sqlite3.connect(place.threads, isolation_level=None)) as other:
        store.conn.execute("PRAGMA busy_timeout=50")  # type: ignore[attr-defined]
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageFailed, match="another process keeps the database busy"):
            keep_profile(store, Profile(user="ann"))
        other.execute("ROLLBACK")
        keep_profile(store, Profile(user="ann"))
        assert profile_of(store, "ann") is not None


def test_what_was_answered_before_a_kill_is_kept(settings: Settings, tmp_path: Path) -> None:
    place = replace(settings, data=tmp_path)
    answered: dict[str, int] = {}
    dice = random.Random(3)
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["tests.talking"])
    for _round in range(5):
        people = [_talking(forks, place, name) for name in ("ann", "bob")]
        for _process, told in people:
            for _ in range(1 + dice.randrange(6)):
                answered.update([told.recv()])
        time.sleep(dice.uniform(0, 0.05))
        for process, told in people:
            process.kill()
            process.join()
            answered.update(_left(told))
        assert _whole(place.threads)
        with closing(Talk(place)) as talk:
            for thread, turn in answered.items():
                assert _turn(talk.graph, thread) in (turn, turn + 1), "the one after it was kept, and not yet answered"
            for name in ("ann", "bob"):
                known = profile_of(talk.store, name)
                assert known is not None
                assert len(known.of("liked")) == 1
    assert len(answered) == 6


def _talking(forks: ForkServerContext, place: Settings, name: str) -> tuple[BaseProcess, Connection]:
    told, tell = forks.Pipe(duplex=False)
    process = forks.Process(target=talk_until_killed, args=(place, name, tell), daemon=True)
    process.start()
    tell.close()
    return process, told


def _left(told: Connection) -> list[tuple[str, int]]:
    """What a process had said when it was killed, half a message aside."""
    left = []
    with suppress(EOFError, OSError), told:
        while True:
            left.append(told.recv())
    return left


def _fill(file: Path) -> None:
    with suppress(OSError), file.open("wb", buffering=0) as ballast:
        while ballast.write(bytes(4096)):
            pass


def _whole(file: Path) -> bool:
    with closing(sqlite3.connect(file)) as connection:
        found: tuple[str] = connection.execute("PRAGMA integrity_check").fetchone()
    return found == ("ok",)
