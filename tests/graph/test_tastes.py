"""What a person says of their own tastes holds in every turn, with a language model and without one."""

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver

from duetto.graph.answer import Answer
from duetto.jobs import replay_recordings
from duetto.people import changed, forgotten
from duetto.settings import Settings
from duetto.tools.profiles import profile_of
from duetto.wiring import open_graph, open_profiles, open_threads
from tests.graph.test_conversation import FEW, Chat, reading
from tests.sessions import recorded

VAGUE = "something clever"
SWORDS = "samurai swords"
STRANGE = "zzyzx swords"  # in no text of the catalogue


def correct(chat: Chat, *tastes: tuple[str, float | None]) -> None:
    changed(chat.store, "p001", {}, [], [], None, tastes)


def weights(answer: Answer) -> dict[str, float]:
    return {p.preference: p.weight for p in answer.preferences}


def served(answer: Answer) -> set[str]:
    return {query.serves for query in answer.queries}


def two_tastes(messages: list[BaseMessage], schema: str) -> dict[str, Any]:
    """A model that sees two tastes, and leaves what it is told of them as it is."""
    turn = json.loads(messages[1].text)
    if schema == "QueriesAnswer":
        return {"queries": [{"query": f"of {p['preference']}", "serves": p["number"]} for p in turn["preferences"]]}
    if schema != "ExtractAnswer":
        return {"steps": [], "reason": "", "evidence": []}
    known = turn.get("known_preferences", [])
    newest = [str(one["id"]) for one in turn["history_oldest_first"]][-2:]
    fresh = [
        {"preference": "westerns", "evidence": newest, "weight": 0.9},
        {"preference": "musicals", "evidence": newest[:1], "weight": 0.4},
    ]
    queries = [{"query": f"of {one['preference']}", "serves": one["number"]} for one in known]
    return reading(request=turn["message"] or "", preferences=[] if known else fresh, queries=queries)


@pytest.fixture
def plain(settings: Settings) -> Chat:
    return Chat(settings)


@pytest.fixture
def spoken(settings: Settings) -> Chat:
    return Chat(settings, two_tastes)


@pytest.fixture(params=["plain", "model"])
def chat(request: pytest.FixtureRequest, settings: Settings) -> Chat:
    return Chat(settings, two_tastes if request.param == "model" else None)


def test_a_taste_that_was_removed_is_gone_with_its_queries_until_it_is_put_back(chat: Chat) -> None:
    first = chat.say(VAGUE)
    taste = first.preferences[0].preference
    assert taste in served(first)
    correct(chat, (taste.upper(), 0.0))
    for thread in ("t", "t", "another"):
        then = chat.say(VAGUE, thread=thread)
        assert taste not in weights(then)
        assert taste not in served(then)
        assert not [p for r in then.recommendations for p in r.preferences if p.preference == taste]
    correct(chat, (taste, None))
    assert weights(chat.say(VAGUE)) == weights(first)


def test_a_taste_has_the_weight_it_was_given(chat: Chat) -> None:
    before = chat.say(VAGUE)
    last = before.preferences[-1]
    correct(chat, (last.preference, 0.95))
    for thread in ("t", "another"):
        (found,) = (p for p in chat.say(VAGUE, thread=thread).preferences if p.preference == last.preference)
        assert found == last.model_copy(update={"weight": 0.95})


def test_a_taste_that_was_added_is_searched_for(chat: Chat) -> None:
    chat.say(VAGUE)
    correct(chat, (SWORDS, 1.0))
    answer = chat.say(VAGUE)
    assert (answer.preferences[0].preference, answer.preferences[0].evidence) == (SWORDS, [])
    assert SWORDS in served(answer)
    assert len(answer.preferences) <= 5


def test_more_of_a_taste_is_more_of_it_in_the_ranking(plain: Chat) -> None:
    def shown() -> list[float]:
        return [r.parts["language"].get("own", 0.0) for r in plain.say(VAGUE).recommendations]

    was = plain.say(VAGUE)
    assert shown() == [0.0] * 4
    found = {}
    for weight in (0.1, 1.0):
        correct(plain, (SWORDS, weight))
        found[weight] = sum(shown())
    assert 0 < found[0.1] < found[1.0]
    assert "Seven Samurai" in [r.title for r in plain.say(VAGUE).recommendations]
    assert "Seven Samurai" not in [r.title for r in was.recommendations]


def test_a_silent_visitor_is_searched_for_by_what_they_added(plain: Chat) -> None:
    assert plain.say(None).queries == []
    correct(plain, (SWORDS, 1.0))
    assert [(q.query, q.serves) for q in plain.say(None).queries] == [(SWORDS, SWORDS)]


def test_what_is_known_of_a_person_is_told_as_they_corrected_it(plain: Chat) -> None:
    taste = plain.say(VAGUE).preferences[0].preference
    correct(plain, (taste, 0.0), (SWORDS, 0.9))
    told = plain.say("what do you know about me?").reply
    assert f"{SWORDS} (0.90)" in told
    assert taste not in told


def test_a_model_is_told_the_tastes_as_they_were_corrected(spoken: Chat) -> None:
    correct(spoken, (SWORDS, 0.7))
    spoken.say(VAGUE)  # nothing was read yet, so the model reads first
    assert spoken.asked == ["ExtractAnswer", "QueriesAnswer"]
    assert "known_preferences" not in spoken.calls[0][1]
    assert [(p["preference"], p["weight"]) for p in spoken.calls[1][1]["preferences"]] == [
        ("westerns", 0.9), (SWORDS, 0.7), ("musicals", 0.4),
    ]  # fmt: skip
    correct(spoken, ("Westerns", 0.0))
    answer = spoken.say(VAGUE)
    assert spoken.asked == ["ExtractAnswer"]
    assert [one["preference"] for one in spoken.calls[-1][1]["known_preferences"]] == [SWORDS, "musicals"]
    assert served(answer) == {"request", SWORDS, "musicals"}


def test_what_a_model_read_stays_under_the_corrections(spoken: Chat) -> None:
    spoken.say(VAGUE)
    correct(spoken, ("westerns", 0.0), ("musicals", 0.8))
    spoken.say(VAGUE)
    spoken.say("I loved Alien")
    kept = profile_of(spoken.store, "p001")
    assert kept is not None
    assert [(one["text"], one["weight"]) for one in kept.tastes["preferences"]] == [("westerns", 0.9), ("musicals", 0.4)]


def test_a_model_that_sees_all_tastes_removed_reads_them_anew_and_they_stay_removed(spoken: Chat) -> None:
    spoken.say(VAGUE)
    correct(spoken, ("westerns", 0.0), ("musicals", 0.0))
    answer = spoken.say(VAGUE)
    assert answer.preferences == []
    assert served(answer) == {"request"}


def test_nobody_else_s_tastes_are_corrected(plain: Chat) -> None:
    before = weights(plain.say(VAGUE, user="p002", thread="theirs"))
    correct(plain, (SWORDS, 1.0), *((taste, 0.0) for taste in before))
    assert weights(plain.say(VAGUE, user="p002", thread="theirs")) == before
    assert SWORDS not in weights(plain.say(VAGUE, user=None, thread="nobody"))
    plain.say(VAGUE, thread="both")
    assert weights(plain.say(VAGUE, user="p002", thread="both")) == before


def test_corrections_outlive_the_process_and_go_with_the_person(settings: Settings, tmp_path: Path) -> None:
    place = Settings(cache=settings.cache, data=tmp_path)

    def said() -> dict[str, float]:
        with_store = open_graph("sample", InMemorySaver(), store=store, settings=place)
        given: Any = {"user": "p001", "message": VAGUE}
        told = with_store.invoke(given, {"configurable": {"thread_id": "t"}}, context=FEW)["answer"]
        return weights(Answer.model_validate(told))

    store = open_profiles(place)
    before = said()
    changed(store, "p001", {}, [], [], None, [(SWORDS, 0.8)])
    store.close()
    store = open_profiles(place)
    assert said()[SWORDS] == 0.8
    threads = open_threads(place)
    forgotten(store, threads, "p001", [], place)
    threads.close()
    assert said() == before
    store.close()


@pytest.mark.parametrize("redact", [False, True])
def test_a_recorded_turn_has_the_corrections_it_was_played_with(settings: Settings, tmp_path: Path, redact: bool) -> None:
    chat = Chat(settings)
    place = Settings(cache=settings.cache, data=tmp_path / "data")
    graph = open_graph("sample", InMemorySaver(), store=chat.store, settings=place, record=tmp_path / "recorded", redact=redact)
    given: Any = {"user": "p001", "message": VAGUE}
    for tastes in ((), ((STRANGE, 1.0),)):
        correct(chat, *tastes)
        graph.invoke(given, {"configurable": {"thread_id": "t"}}, context=FEW)
    (file,) = (tmp_path / "recorded").iterdir()
    without, with_one = (json.loads(line)["before"] for line in file.read_text(encoding="utf-8").splitlines())
    assert "corrected" not in without
    if redact:
        assert STRANGE not in file.read_text(encoding="utf-8")
    else:
        assert with_one["corrected"] == [{"preference": STRANGE, "weight": 1.0}]
        assert STRANGE in weights(recorded(file)[1].answer)
        assert replay_recordings([file], "sample", settings=settings)["drifted"] == 0
