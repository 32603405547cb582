"""What is kept of a person across conversations, in memory, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from pydantic import SecretStr

from duetto.settings import Settings
from duetto.tools.profiles import Profile, keep_profile, profile_of
from duetto.tools.threads import EitherSqliteStore
from duetto.wiring import open_profiles
from tests.persistence import StoreContract, said


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self) -> BaseStore:
        return InMemoryStore()


class TestSqlite(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[BaseStore]:
        with closing(open_profiles(Settings(data=tmp_path))) as opened:
            yield opened


class TestPostgres(StoreContract):
    @pytest.fixture
    def store(self, database: str) -> Iterator[BaseStore]:
        with closing(open_profiles(Settings(database_url=SecretStr(database)))) as opened:
            yield opened


def test_an_opinion_keeps_its_date_and_its_conversation() -> None:
    first = Profile(user="ann").with_opinions(said(liked=[1]), "one")
    first.opinions[0].at = "2020-01-01T00:00:00+00:00"
    later = first.with_opinions(said(liked=[1], seen=[2]), "two")
    assert [(o.item_id, o.at[:4] == "2020", o.thread) for o in later.opinions] == [(1, True, "one"), (2, False, "two")]


def test_an_opinion_that_is_gone_is_gone() -> None:
    assert Profile(user="ann").with_opinions(said(liked=[1]), None).with_opinions(said(), None).opinions == []


def test_a_correction_replaces_the_earlier_one_and_can_be_taken_back() -> None:
    known = (
        Profile(user="ann").with_corrected("Heist films", 0.4).with_corrected("westerns", 0).with_corrected("heist  FILMS", 0.9)
    )
    assert [(one.preference, one.weight) for one in known.corrected] == [("westerns", 0.0), ("heist  FILMS", 0.9)]
    assert [one.preference for one in known.with_corrected("heist films", None).corrected] == ["westerns"]


def test_a_profile_outlives_the_process(tmp_path: Path) -> None:
    first = EitherSqliteStore.open(tmp_path / "p.sqlite")
    keep_profile(first, Profile(user="ann").with_opinions(said(liked=[3]), "t").with_corrected("westerns", 0.3))
    first.close()
    second = EitherSqliteStore.open(tmp_path / "p.sqlite")
    known = profile_of(second, "ann")
    second.close()
    assert known is not None
    assert known.of("liked") == [3]
    assert [(one.preference, one.weight) for one in known.corrected] == [("westerns", 0.3)]
