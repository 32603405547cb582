"""Whole conversations over SQLite and over PostgreSQL, and how one or the other is chosen."""

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from duetto import tools
from duetto.cli import main
from duetto.errors import BadInput, NotReady, StorageFailed
from duetto.settings import Settings
from duetto.wiring import open_profiles, open_threads
from tests.persistence import ConversationContract


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, sample_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUETTO_CACHE", str(sample_path.parent))
    monkeypatch.setenv("DUETTO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")


class TestSqlite(ConversationContract):
    @pytest.fixture
    def place(self) -> Settings:
        return Settings.from_environment()


class TestPostgres(ConversationContract):
    @pytest.fixture
    def place(self, database: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
        monkeypatch.setenv("DUETTO_DATABASE_URL", database)
        return Settings.from_environment()

    def test_a_nul_character_is_kept_in_what_is_said_and_refused_in_a_name(self, place: Settings) -> None:
        with self.opened(place) as (graph, _):
            graph.invoke({"user": "ann", "message": "funny \0"}, {"configurable": {"thread_id": "t"}})
            with pytest.raises(BadInput, match="keeps no text with a NUL character"):
                graph.invoke({"user": "a\0", "message": "funny"}, {"configurable": {"thread_id": "t"}})

    def test_nothing_is_kept_in_files(self, place: Settings) -> None:
        with self.opened(place) as (graph, _):
            graph.invoke({"user": "ann", "message": "funny"}, {"configurable": {"thread_id": "t"}})
        assert not place.threads.exists()

    def test_all_who_open_a_database_share_one_pool(self, place: Settings) -> None:
        with closing(open_threads(place)) as threads, closing(open_profiles(place)) as profiles:
            pool: Any = threads.conn  # type: ignore[attr-defined]
            assert pool is profiles.conn  # type: ignore[attr-defined]
            assert pool.max_size == place.limits.database_connections
        assert pool.closed

    def test_processes_that_start_together_set_up_an_empty_database_once(self, place: Settings, database: str) -> None:
        postgres = pytest.importorskip("duetto.tools.postgres")
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda _: postgres.set_up(database, place.limits), range(6)))
        with closing(open_threads(place)) as threads:
            assert list(threads.list(None)) == []


@pytest.mark.parametrize(
    "url", ["sqlite:///hush.db", "host=there password=hush", "postgresql://", "postgresql://me:hu/sh@there/db",
            "postgresql://me:hush@there:port/db", "postgresql://me:hush@[there/db"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_without_being_told(url: str) -> None:
    with pytest.raises(BadInput, match="cannot use DUETTO_DATABASE_URL: it needs postgresql://user:password@host") as told:
        Settings.from_environment({"DUETTO_DATABASE_URL": url})
    assert "hush" not in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["postgresql://me:hu%sh@127.0.0.1/db", "postgresql://me:hush@127.0.0.1/db?password=hush&nonsense=1"]
)
def test_an_address_that_psycopg_cannot_read_is_refused_without_being_told(url: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(BadInput, match="cannot use DUETTO_DATABASE_URL") as told:
        open_threads(Settings.from_environment({"DUETTO_DATABASE_URL": url}))
    assert not any(secret in str(told.value) for secret in ("hush", "hu%sh"))
    assert told.value.__cause__ is None


def test_a_password_is_in_no_representation() -> None:
    assert "hush" not in repr(Settings.from_environment({"DUETTO_DATABASE_URL": "postgresql://me:hush@there/db"}))


def test_a_socket_s_address_and_no_address_are_fine() -> None:
    kept = Settings.from_environment({"DUETTO_DATABASE_URL": "postgresql:///db?host=/run/postgresql"}).database_url
    assert kept == SecretStr("postgresql:///db?host=/run/postgresql")
    assert Settings.from_environment({"DUETTO_DATABASE_URL": ""}).database_url is None


def test_a_database_that_is_not_there_is_told_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("DUETTO_DATABASE_URL", "postgresql://me:hush@127.0.0.1:1/db")
    with pytest.raises(SystemExit) as stop:
        main(["profile", "ann"])
    told = capsys.readouterr().err
    assert stop.value.code == 2
    assert told.startswith("duetto: could not open the database of DUETTO_DATABASE_URL: ")
    assert (told.count("\n"), "refused" in told, "hush" in told) == (1, True, False)


def test_a_database_that_does_not_exist_is_told(database: str) -> None:
    with pytest.raises(StorageFailed, match=r'could not open .* "nope" does not exist'):
        open_profiles(Settings(database_url=SecretStr(database.replace("/postgres?", "/nope?"))))


def test_without_the_extra_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "duetto.tools.postgres", raising=False)
    monkeypatch.delattr(tools, "postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(NotReady, match=r'pip install "duetto\[postgres\]"'):
        open_threads(Settings(database_url=SecretStr("postgresql://me@there/db")))
