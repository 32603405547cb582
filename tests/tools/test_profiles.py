"""What is kept of a person across conversations, in memory and in SQLite."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from duetto.tools.profiles import Kind, Profile, all_profiles, forget, keep_profile, note_thread, profile_of, threads_of
from duetto.tools.threads import EitherSqliteStore

HORROR: dict[str, Any] = {"not": {"column": "genres", "operator": "eq", "value": "horror"}}


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStore]:
    if request.param == "memory":
        yield InMemoryStore()
        return
    opened = EitherSqliteStore.open(tmp_path / "profiles.sqlite")
    yield opened
    opened.close()


def said(**items: list[str | int]) -> dict[Kind, list[str | int]]:
    none: dict[Kind, list[str | int]] = {"liked": [], "disliked": [], "seen": [], "uninterested": []}
    return {**none, **items}  # type: ignore[dict-item]


def test_a_profile_comes_back_as_it_was_kept(store: BaseStore) -> None:
    known = Profile(user=7).with_opinions(said(liked=[1, 2], disliked=["x"]), "t")
    keep_profile(store, known.with_constraints([{"said": "no horror", "where": HORROR}], "t"))
    back = profile_of(store, 7)
    assert back is not None
    assert (back.of("liked"), back.of("disliked"), back.constraints[0].where) == ([1, 2], ["x"], HORROR)


def test_somebody_unknown_has_none(store: BaseStore) -> None:
    assert profile_of(store, "nobody") is None


@pytest.mark.parametrize("user", ["a/b", "a.b", " ", "ü", "' OR 1=1 --", "x" * 300])
def test_strange_names_are_names(store: BaseStore, user: str) -> None:
    keep_profile(store, Profile(user=user).with_opinions(said(liked=[1]), None))
    note_thread(store, "t", user, None)
    assert profile_of(store, user) is not None
    assert [note["thread"] for note in threads_of(store, user)] == ["t"]


def test_an_opinion_keeps_its_date_and_its_conversation() -> None:
    first = Profile(user="ann").with_opinions(said(liked=[1]), "one")
    first.opinions[0].at = "2020-01-01T00:00:00+00:00"
    later = first.with_opinions(said(liked=[1], seen=[2]), "two")
    assert [(o.item_id, o.at[:4] == "2020", o.thread) for o in later.opinions] == [(1, True, "one"), (2, False, "two")]


def test_an_opinion_that_is_gone_is_gone() -> None:
    assert Profile(user="ann").with_opinions(said(liked=[1]), None).with_opinions(said(), None).opinions == []


def test_all_profiles_are_told_however_many(store: BaseStore) -> None:
    for n in range(230):
        keep_profile(store, Profile(user=f"u{n}"))
    assert len({known.user for known in all_profiles(store)}) == 230


def test_the_conversations_of_a_person_are_told_however_many(store: BaseStore) -> None:
    for n in range(130):
        note_thread(store, f"t{n}", "ann", None)
    note_thread(store, "t0", "bob", None)
    assert len(threads_of(store, "ann")) == 130


def test_every_folder_a_conversation_was_recorded_in_is_noted_once(store: BaseStore) -> None:
    for folder in (None, "a", "b", "a"):
        note_thread(store, "t", "ann", folder)
    assert [note["recordings"] for note in threads_of(store, "ann")] == [["a", "b"]]


def test_whoever_is_forgotten_is_gone_and_nobody_else(store: BaseStore) -> None:
    for user in ("ann", "bob"):
        keep_profile(store, Profile(user=user))
        note_thread(store, "t", user, None)
    forget(store, "ann")
    assert (profile_of(store, "ann"), threads_of(store, "ann")) == (None, [])
    assert profile_of(store, "bob") is not None
    assert len(threads_of(store, "bob")) == 1


def test_a_profile_outlives_the_process(tmp_path: Path) -> None:
    first = EitherSqliteStore.open(tmp_path / "p.sqlite")
    keep_profile(first, Profile(user="ann").with_opinions(said(liked=[3]), "t"))
    first.close()
    second = EitherSqliteStore.open(tmp_path / "p.sqlite")
    known = profile_of(second, "ann")
    second.close()
    assert known is not None
    assert known.of("liked") == [3]
