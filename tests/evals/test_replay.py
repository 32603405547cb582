"""Recorded turns played again: nothing moves while nothing changed, and what changed is what is told."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.types import Checkpointer

from duetto.errors import BadInput, NotReady
from duetto.evals.player import Player
from duetto.evals.replay import Drift, Seen, baseline, compare, page, read
from duetto.evals.report import html
from duetto.graph.record import Keeper, Record, Recorded
from duetto.graph.state import Context, TurnInput
from duetto.jobs import replay_recordings
from duetto.limits import Limits
from duetto.settings import Settings
from duetto.tools import index as indexes
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.index import Index
from duetto.wiring import Graph, graph_of, open_index, parts, setup
from tests.graph.test_language_nodes import METHODS, at, good, obedient
from tests.loopback import Answer as Reply
from tests.loopback import Body, Loopback, always, fails, refuses, says
from tests.sessions import KEY, PLAIN, SCRIPTED, SPOKEN, TURNS, Session, open_at, played, recorded, reworded

Report = dict[str, Any]
LIMITS = Limits()
UNDERSTOOD = ("intent", "request", "constraints", "liked", "disliked", "queries", "candidates")


def mends(body: Body, n: int) -> Reply:
    """Malformed at first, obedient when shown it."""
    return says("{") if len(body["messages"]) == 2 else obedient(body, n)


def busy_once(body: Body, n: int) -> Reply:
    """429 to the first request of each turn's first node."""
    return fails(429, "0") if n % 6 == 1 else obedient(body, n)


UNTOUCHED: dict[str, Session] = {
    "plain": PLAIN,
    "scripted": SCRIPTED,
    **{method: replace(SPOKEN, method=method) for method in METHODS},
    "429, then an answer": replace(SPOKEN, script=busy_once),
    "500 twice": replace(SPOKEN, script=at("QueriesAnswer", lambda turn: fails(500)), turns=TURNS[:1]),
    "malformed, then mended": replace(SPOKEN, script=mends, limits=Limits(model_calls=12)),
    "malformed twice": replace(SPOKEN, script=at("ExtractAnswer", lambda turn: says("{"))),
    "refused": replace(SPOKEN, script=at("ExplainAnswer", lambda turn: refuses())),
    "strangers named": replace(SPOKEN, script=at("ExplainAnswer", lambda turn: says({"reason": "As Alien.", "evidence": [7]}))),
}
CAPPED = {
    "calls spent": replace(SPOKEN, limits=Limits(model_calls=3)),
    "calls spent by repairs": replace(SPOKEN, script=always(says("{")), limits=Limits(model_calls=3)),
    "no call at all": replace(SPOKEN, limits=Limits(model_calls=0)),
    "no tokens at all": replace(SPOKEN, limits=Limits(model_tokens=100)),
    "tokens run out at the reasons": replace(
        SPOKEN, script=at("QueriesAnswer", lambda turn: says(good("QueriesAnswer", turn), usage=(26_000, 10)))
    ),
    "time spent": replace(SPOKEN, script=always(Reply(hang=True)), limits=Limits(turn_seconds=0.4), turns=TURNS[:1]),
}
SESSIONS = UNTOUCHED | CAPPED


@contextmanager
def offline() -> Iterator[None]:
    """Nobody may open a connection, not even to this machine."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a replay opened a connection")

    with pytest.MonkeyPatch.context() as patch:
        for place, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "create_connection")):
            patch.setattr(place, name, refuse)
        yield


@pytest.fixture(scope="module")
def recordings(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of a session, recorded when it is first asked for."""
    folder, found = tmp_path_factory.mktemp("recorded"), dict[str, Path]()

    def recording(name: str) -> Path:
        if name not in found:
            found[name] = SESSIONS[name].record(folder / str(len(found)), settings, thread=name)
        return found[name]

    return recording


@pytest.fixture(scope="module")
def plain(recordings: Callable[[str], Path]) -> Path:
    return recordings("plain")


@pytest.fixture(scope="module")
def spoken(recordings: Callable[[str], Path]) -> Path:
    return recordings("json_schema")


def replayed(path: Path, settings: Settings, limits: Limits = LIMITS, index: str | Path = "sample", **kwargs: Any) -> Report:
    return replay_recordings([path], index, settings=replace(settings, limits=limits), **kwargs)


def states(path: Path) -> list[Report]:
    return [Seen.of(turn).model_dump(mode="json") for turn in recorded(path)]


def known(path: Path) -> str:
    """The name by which a report knows a file."""
    return f"{path.parent.name}/{path.name}"


def moved(report: Report) -> list[set[str]]:
    """What moved, turn by turn."""
    return [set(turn["moved"]) for turn in report["turns"]]


# while nothing changes


def test_what_a_person_who_took_over_said_is_said_again(settings: Settings, tmp_path: Path) -> None:
    turns: list[Any] = [
        {"user": "p001", "message": "a western"},
        {"user": "p001", "messages": [AIMessage("Heat (1995) is good."), HumanMessage("loved it")]},
    ]
    path = played(tmp_path, settings, turns)
    assert recorded(path)[1].told == "Heat (1995) is good."
    assert len(recorded(path)[1].liked) == 1
    assert replayed(path, settings)["drifted"] == 0


WRONG = {
    "429, then an answer": ("answered 429 (rate limit)", ""),
    "500 twice": ("answered 500 (server error)", "queries are plain: the chat model answered 500 (server error) twice"),
    "malformed, then mended": ("", ""),
    "malformed twice": ("", "preferences are plain: the chat model answered with malformed JSON twice"),
    "refused": ("refused", "reason 1 is plain: the chat model refused"),
    "calls spent": ("", "is plain: no call to the chat model is left in this turn"),
    "no tokens at all": ("", "preferences are plain: the next call to the chat model may need"),
    "time spent": ("did not answer within 0.", "queries are plain: no time is left for the chat model in this turn"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_went_wrong_in_a_session_is_what_its_name_says(recordings: Callable[[str], Path], name: str) -> None:
    failed, told = WRONG[name]
    for turn in recorded(recordings(name)):
        if turn.answer.intent == "recommend":
            assert any(call.failed.startswith(failed) for call in turn.calls) or name.startswith("no tokens")
            assert any(told in note for note in turn.answer.degraded) == bool(told)
            assert ("{" in [call.text for call in turn.calls]) == name.startswith("malformed")


@pytest.mark.parametrize("name", SESSIONS)
def test_every_turn_is_played_to_the_last_bit_without_a_connection(
    recordings: Callable[[str], Path], settings: Settings, name: str
) -> None:
    path = recordings(name)
    with offline():
        report = replayed(path, settings, SESSIONS[name].limits, strict=True)
    assert [turn["state"] for turn in report["turns"]] == states(path)
    assert (report["drifted"], report["moved"], report["overlap"], report["prompts"]) == (0, {}, 1, {})
    assert (report["setup_changes"], report["turns_played"]) == ({}, len(recorded(path)))


def test_a_live_replay_would_have_been_noticed(spoken: Path, settings: Settings, sample_path: Path, tmp_path: Path) -> None:
    with Loopback(obedient) as server, offline(), pytest.raises(AssertionError, match="opened a connection"):
        replayed(spoken, live(settings, server, tmp_path), index=sample_path, model="live")


@pytest.mark.parametrize("name", CAPPED)
def test_what_a_cap_forbade_stays_forbidden_under_today_s_higher_caps(
    recordings: Callable[[str], Path], settings: Settings, name: str
) -> None:
    path = recordings(name)
    assert any(call.refused for turn in recorded(path) for call in turn.calls)
    report = replayed(path, settings, strict=True)
    assert [turn["state"] for turn in report["turns"]] == states(path)
    assert (report["drifted"], report["prompts"]) == (0, {})


def test_several_files_are_played_in_their_order(recordings: Callable[[str], Path], settings: Settings) -> None:
    paths = [recordings(name) for name in ("function_calling", "plain", "json_mode")]
    with offline():
        report = replay_recordings(paths, "sample", settings=settings)
    assert [turn["file"] for turn in report["turns"]] == [known(path) for path in paths for _ in TURNS]
    assert [(turn["line"], turn["turn"]) for turn in report["turns"]] == [(n, n) for n in (1, 2, 3, 4)] * 3
    assert report["drifted"] == 0


def test_what_a_crash_left_in_a_file_is_skipped_and_counted(plain: Path, settings: Settings, tmp_path: Path) -> None:
    first, second, third, fourth = plain.read_bytes().splitlines()
    (tmp_path / "t.jsonl").write_bytes(b"\n".join([first, second[:-9], third, fourth, first[:99]]))
    report = replayed(tmp_path / "t.jsonl", settings)
    assert (report["half_written_lines"], report["turns_played"], report["drifted"]) == (2, 3, 0)
    assert [turn["line"] for turn in report["turns"]] == [1, 3, 4]


def test_a_caller_may_have_asked_for_fewer_items_and_no_reasons(settings: Settings, tmp_path: Path) -> None:
    path = played(tmp_path, settings, TURNS[:2], context=Context(k=3, reasons="none"))
    report = replayed(path, replace(settings, model="gpt-4o", base_url="http://127.0.0.1:1"), Limits(top_k=20))
    assert (report["drifted"], [len(turn["state"]["ranked"]) for turn in report["turns"]]) == (0, [3, 3])


def test_a_turn_may_have_been_given_otherwise(settings: Settings, tmp_path: Path) -> None:
    said = HumanMessage([{"type": "text", "text": " a western "}])
    turns: list[TurnInput] = [
        {"messages": [said]},
        {"user": 42, "message": "a western"},
        {"messages": [said, AIMessage("Here.")]},
    ]
    path = played(tmp_path, settings, turns, None, context=Context(user="p001"))
    found = [turn for path in tmp_path.iterdir() for turn in recorded(path)]
    assert sorted((str(turn.answer.user), str(turn.message)) for turn in found) == [
        ("42", "a western"), ("p001", "None"), ("p001", "a western"),
    ]  # fmt: skip
    report = replay_recordings(sorted(path.parent.iterdir()), "sample", settings=settings)
    assert (report["drifted"], report["turns_played"]) == (0, 3)


def playing(settings: Settings, limits: Limits = LIMITS) -> Player:
    """A player over the sample, to look at all that it plays."""
    limited = replace(settings, limits=limits)
    index = open_index("sample", limited)
    box, signals = parts(index, limited)

    def make(model: LanguageModel | None, keeper: Keeper, threads: Checkpointer) -> Graph:
        return graph_of(index, box, signals, model, Record(box, setup(index, box, model), keeper), threads)

    return Player(make, None, limits, recorded=True)


def bare(turn: Recorded) -> dict[str, Any]:
    """Without names and times."""
    told = turn.model_dump(mode="json", exclude={"at": True, "answer": {"thread", "run_id", "timings_ms"}})
    return told | {"calls": [{**call, "ms": 0.0} for call in told["calls"]]}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_all_of_a_turn_is_played_as_it_was_also_what_is_not_compared(
    recordings: Callable[[str], Path], settings: Settings, name: str
) -> None:
    turns, player = recorded(recordings(name)), playing(settings, SESSIONS[name].limits)
    assert [bare(player.play(turn)[0]) for turn in turns] == [bare(turn) for turn in turns]


def test_a_player_keeps_no_thread_also_of_a_turn_that_fails(plain: Path, settings: Settings) -> None:
    first, *_, last = recorded(plain)
    player = playing(settings, Limits(message_chars=10))
    player.play(last)
    with pytest.raises(BadInput, match="the most is 10"):
        player.play(first)
    assert list(player._threads.list(None)) == []


def test_turns_may_be_played_in_any_order(recordings: Callable[[str], Path], settings: Settings) -> None:
    turns = [turn for name in ("json_mode", "plain", "scripted") for turn in reversed(recorded(recordings(name)))]
    player = playing(settings)
    assert [bare(player.play(turn)[0]) for turn in turns] == [bare(turn) for turn in turns]


# when something changed


# Calls of each turn by prompt: once preferences are known, the call that reads a turn brings its queries too.
REWORDED = {"extract_preferences": [1, 1, 1, 0], "write_queries": [1, 0, 0, 0], "explain_item": [3, 3, 3, 0]}


@pytest.mark.parametrize("name", REWORDED)
def test_a_word_of_a_prompt_changes_no_state_and_is_told(spoken: Path, settings: Settings, tmp_path: Path, name: str) -> None:
    with reworded(tmp_path, name):
        report = replayed(spoken, settings)
    assert (report["drifted"], report["moved"]) == (0, {})
    assert list(report["setup_changes"]) == [f"prompts.{name}"]
    assert [len(turn["prompts"]) for turn in report["turns"]] == REWORDED[name]
    for turn in report["turns"]:
        assert all(note.startswith(name) and note.endswith("though the prompt reads otherwise") for note in turn["prompts"])


@pytest.mark.parametrize("name", REWORDED)
def test_strictly_the_turns_that_used_the_prompt_drifted_and_no_other(
    spoken: Path, settings: Settings, tmp_path: Path, name: str
) -> None:
    with reworded(tmp_path, name):
        report = replayed(spoken, settings, strict=True)
    assert [turn["drifted"] for turn in report["turns"]] == [calls > 0 for calls in REWORDED[name]]
    assert (report["drifted"], report["moved"]) == (sum(map(bool, REWORDED[name])), {})


def test_a_prompt_that_a_turn_did_not_use_is_nothing_to_it(plain: Path, settings: Settings, tmp_path: Path) -> None:
    with Loopback(obedient) as server:
        path = played(tmp_path / "recorded", settings, TURNS, model=open_at(server), context=Context(reasons="none"))
    with reworded(tmp_path, "explain_item"):
        assert replayed(path, settings, strict=True)["drifted"] == 0
        assert replayed(plain, settings, strict=True)["drifted"] == 0


def test_a_turn_that_asked_twice_is_one_turn_of_the_prompt(
    recordings: Callable[[str], Path], settings: Settings, tmp_path: Path
) -> None:
    path = recordings("malformed, then mended")
    with reworded(tmp_path, "extract_preferences"):
        report = replayed(path, settings, Limits(model_calls=12))
    assert list(report["prompts"].values()) == [3]


@pytest.mark.parametrize(("change", "what"), [({"fusion": "fixed"}, {"ranking", "parts"}), ({"diversity": 0.5}, {"ranking"})])
@pytest.mark.parametrize("name", ["plain", "json_schema"])
def test_a_setting_of_the_ranking_moves_the_ranking_alone(
    recordings: Callable[[str], Path], settings: Settings, name: str, change: dict[str, Any], what: set[str]
) -> None:
    report = replayed(recordings(name), settings, Limits(**change))
    assert ["ranking" in found for found in moved(report)] == [True, True, True, False]
    assert set(report["moved"]) - {"evidence", "calls"} == what  # nobody recorded reasons for the items that came up
    ((setting, value),) = change.items()
    assert report["setup_changes"] == {f"limits.{setting}": {"was": getattr(Limits(), setting), "now": value}}
    for turn, was in zip(report["turns"], states(recordings(name)), strict=True):
        assert [turn["state"][part] for part in UNDERSTOOD] == [was[part] for part in UNDERSTOOD]
        assert set(turn["voices"].values()) == {1.0}
        assert (turn["overlap"] < 1) == bool(turn["moved"])


def test_the_part_that_moved_most_is_named(plain: Path, settings: Settings) -> None:
    for turn in replayed(plain, settings, Limits(fusion="fixed"))["turns"][:3]:
        changes = turn["moved"]["parts"]
        assert changes[turn["moved_by"]] == max(changes.values())


def test_the_text_of_one_item_moves_only_the_rankings_it_is_in(settings: Settings, sample_index: Index, tmp_path: Path) -> None:
    turns: list[TurnInput] = [{"user": "p001", "message": "a warm comedy"}, {"message": "a slow western"}, {"message": "hello!"}]
    path = played(tmp_path / "recorded", settings, turns)
    (best, *_), *others = ([r.item_id for r in turn.answer.recommendations] for turn in recorded(path))
    assert all(best not in found for found in others)
    indexes.write(tmp_path / "index", rewritten(sample_index, best, "Napoleonic cavalry marches through Russia in winter"))
    report = replayed(path, settings, index=tmp_path / "index")
    assert list(report["setup_changes"]) == ["index"]
    assert moved(report)[1:] == [set(), set()]
    assert "ranking" in moved(report)[0] <= {"ranking", "parts", "evidence"}
    assert best not in report["turns"][0]["state"]["ranked"][:1]


def rewritten(index: Index, item: str | int, text: str) -> Index:
    """The index with another description of one item; the fusion's weights are kept."""
    row, vectors, table = index.catalogue.row(item), index.vectors.copy(), index.catalogue.table
    assert row is not None
    assert index.lsa is not None
    vectors[row] = np.asarray(index.lsa.embed_documents([text]))[0]
    there = pl.int_range(pl.len()) == row
    other = table.with_columns(pl.when(there).then(pl.lit(text)).otherwise("description").alias("description"))
    return replace(index, vectors=vectors, catalogue=replace(index.catalogue, table=other))


def test_a_turn_that_moved_does_not_drag_the_next_one_along(spoken: Path, settings: Settings) -> None:
    first, second, third, _ = moved(replayed(spoken, settings, model="none"))
    assert "constraints" in first & second
    assert not third & {"constraints", "liked", "disliked"}


def test_a_turn_that_cannot_be_played_any_more_is_told(plain: Path, settings: Settings) -> None:
    report = replayed(plain, settings, Limits(message_chars=10))
    assert [bool(turn["failed"]) for turn in report["turns"]] == [True, True, False, False]
    assert "the most is 10" in report["turns"][0]["failed"]
    assert (report["drifted"], report["turns"][0]["state"], moved(report)[0]) == (2, None, {"turn"})
    html(page(report))


# with another model, or none


def live(settings: Settings, server: Loopback, folder: Path, method: str = "json_schema") -> Settings:
    """With an empty cache of answers."""
    return replace(settings, model="some-model", base_url=server.base_url, api_key=KEY, cache=folder, method=method)  # type: ignore[arg-type]


def test_without_a_model_the_plain_twins_speak_and_no_call_is_made(spoken: Path, settings: Settings) -> None:
    with offline():
        report = replayed(spoken, settings, model="none")
    assert [turn["moved"].get("calls") for turn in report["turns"]] == [*({"was": was, "now": 0} for was in (5, 4, 4)), None]
    assert report["setup_changes"] == {
        "model": {"was": "some-model", "now": None}, "method": {"was": "json_schema", "now": None},
    }  # fmt: skip
    assert report["prompts"] == {}


def test_without_a_model_a_plain_session_is_the_same(plain: Path, settings: Settings) -> None:
    assert replayed(plain, settings, model="none", strict=True)["drifted"] == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_live_model_that_says_the_same_moves_nothing(
    recordings: Callable[[str], Path], settings: Settings, sample_path: Path, tmp_path: Path, method: str
) -> None:
    path = recordings(method)
    with Loopback(obedient) as server:
        report = replayed(path, live(settings, server, tmp_path, method), index=sample_path, model="live", strict=True)
        assert len(server.chats) == sum(turn.answer.usage.calls for turn in recorded(path)) == 13
    assert (report["drifted"], report["setup_changes"]) == (0, {})
    assert [turn["state"] for turn in report["turns"]] == states(path)


def test_a_live_model_that_says_something_else_moves_what_it_says(
    spoken: Path, settings: Settings, sample_path: Path, tmp_path: Path
) -> None:
    another = at("QueriesAnswer", lambda turn: says({"queries": [{"query": "silent submarines", "serves": 1}]}))
    with Loopback(another) as server:
        report = replayed(spoken, live(settings, server, tmp_path), index=sample_path, model="live")
    assert [("queries" in found, "request" in found) for found in moved(report)] == [(True, False)] + [(False, False)] * 3
    assert "silent submarines" in report["turns"][0]["moved"]["queries"]["now"]


def test_the_settings_model_is_not_asked_while_the_recorded_one_answers(spoken: Path, settings: Settings) -> None:
    with offline():
        report = replayed(spoken, replace(settings, model="another", base_url="http://127.0.0.1:1", method="json_mode"))
    assert (report["drifted"], report["setup_changes"]) == (0, {})


# against an earlier report


def test_a_replay_is_compared_with_an_earlier_one_where_that_is_wanted(plain: Path, settings: Settings, tmp_path: Path) -> None:
    fixed = Limits(fusion="fixed")
    assert replayed(plain, settings, fixed, output=tmp_path)["drifted"] == 3
    earlier = tmp_path / "report.json"
    assert replayed(plain, settings, fixed, against=earlier)["drifted"] == 0
    report = replayed(plain, settings, against=earlier)
    assert (report["drifted"], set(report["moved"]) - {"evidence"}) == (3, {"ranking", "parts"})
    was = json.loads(earlier.read_text())["turns"][0]["state"]["ranked"]
    assert report["turns"][0]["moved"]["ranking"] == {"was": was, "now": states(plain)[0]["ranked"]}


def test_a_report_is_read_as_it_was_written(plain: Path, settings: Settings, tmp_path: Path) -> None:
    report = replayed(plain, settings, output=tmp_path)
    assert baseline(tmp_path / "report.json") == {
        f"{known(plain)}:{n}": Seen.of(turn) for n, turn in enumerate(recorded(plain), start=1)
    }
    assert json.loads((tmp_path / "report.json").read_text()) == report


def test_a_report_of_other_files_is_refused(
    plain: Path, recordings: Callable[[str], Path], settings: Settings, tmp_path: Path
) -> None:
    replayed(recordings("scripted"), settings, output=tmp_path)
    with pytest.raises(BadInput, match="it tells of none of these turns; give the report of the same files"):
        replayed(plain, settings, against=tmp_path / "report.json")


def test_one_conversation_in_two_folders_is_compared_each_with_its_own(settings: Settings, tmp_path: Path) -> None:
    one, two = (played(tmp_path / name, settings, [{"message": name}]) for name in ("western", "comedy"))
    replay_recordings([one, two], "sample", settings=settings, output=tmp_path / "out")
    again = replay_recordings([one, two], "sample", settings=settings, against=tmp_path / "out" / "report.json")
    assert again["drifted"] == 0


# what is read


def changed(path: Path, folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A recording whose first line is no longer what was written."""
    first, *rest = path.read_text().splitlines()
    line = json.loads(first)
    change(line)
    (folder / "changed.jsonl").write_text("\n".join([json.dumps(line), *rest]))
    return folder / "changed.jsonl"


def test_turns_are_known_by_where_they_are(plain: Path) -> None:
    files = read([plain])
    assert [turn.key for turn in files.turns] == [f"{known(plain)}:{n}" for n in (1, 2, 3, 4)]
    assert [turn.recorded for turn in files.turns] == recorded(plain)
    assert (files.broken, files.redacted) == (0, 0)


def test_redacted_turns_are_skipped_and_counted(plain: Path, settings: Settings, tmp_path: Path) -> None:
    path = played(tmp_path, settings, TURNS[:2], redact=True)
    files = read([path, plain])
    assert (len(files.turns), files.redacted) == (4, 2)
    with pytest.raises(BadInput) as refused:
        read([path, path])
    assert str(refused.value) == (
        f"cannot replay {path}, {path}: every turn is redacted, and what was not written down cannot be said again; "
        "record without --redact"
    )


def test_a_file_named_from_its_own_folder_is_known_as_from_any_other(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(plain.parent)
    assert [turn.key for turn in read([Path(plain.name)]).turns] == [turn.key for turn in read([plain]).turns]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda line: line.update(schema=2), "it has schema 2, and this duetto reads 1; update duetto"),
        (lambda line: line.update(schema="1"), "it is no recorded turn (schema: Input should be 1)"),
        (lambda line: line.pop("scores"), "it is no recorded turn (scores: Field required)"),
        (lambda line: line["answer"].pop("usage"), "it is no recorded turn (answer.usage: Field required)"),
        (lambda line: line["before"].update(turn="one"), "it is no recorded turn (before.turn: "),
        (lambda line: line.clear(), "it is no recorded turn ("),
    ],
)
def test_a_line_that_is_no_turn_is_told_with_its_place(
    plain: Path, tmp_path: Path, change: Callable[[dict[str, Any]], Any], told: str
) -> None:
    path = changed(plain, tmp_path, change)
    with pytest.raises(BadInput) as refused:
        read([path])
    assert str(refused.value).startswith(f"cannot replay line 1 of {path}: {told}")


def test_a_constraint_that_is_none_is_told(plain: Path, settings: Settings, tmp_path: Path) -> None:
    path = changed(plain, tmp_path, lambda line: line["before"].update(constraints=[{"words": "before 1960"}]))
    with pytest.raises(BadInput, match=r"line 1 of .*before\.constraints"):
        replayed(path, settings)


WITHOUT = ["", "\n\n", '{"schema": 1, "at"', "nothing happened", "[1]\n", "\0" * 64]


@pytest.mark.parametrize("content", WITHOUT, ids=range(len(WITHOUT)))
def test_files_without_a_whole_turn_are_refused_by_their_names(content: str, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("t.jsonl", "u.jsonl")]
    for path in paths:
        path.write_text(content)
    with pytest.raises(BadInput) as refused:
        read(paths)
    names = ", ".join(map(str, paths))
    assert str(refused.value) == f"cannot replay {names}: there is no whole turn; name files that --record wrote"


@pytest.mark.parametrize("content", WITHOUT, ids=range(len(WITHOUT)))
def test_a_file_that_a_crash_left_without_a_turn_is_skipped_beside_one_that_has(
    plain: Path, tmp_path: Path, content: str
) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    files = read([tmp_path / "t.jsonl", plain])
    assert (len(files.turns), files.broken) == (4, int(bool(content.strip())))


@pytest.mark.parametrize("content", ["Dear diary,\nnothing happened.\n", "item_id,title\n1,Alien\n2,Heat\n", "[1]\n\n[2]"])
def test_a_file_that_is_no_recording_is_refused_also_beside_one_that_is(content: str, plain: Path, tmp_path: Path) -> None:
    diary = tmp_path / "diary.txt"
    diary.write_text(content)
    for paths in ([diary], [plain, diary], [diary, plain]):
        with pytest.raises(BadInput) as refused:
            read(paths)
        told = "none of its lines is a recorded turn; name files that --record wrote"
        assert str(refused.value) == f"cannot replay {diary}: {told}"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "3", "null", '{"turns": 3}', '{"turns": [{"file": "t"}]}',
                                     '{"turns": [{"file": "t", "line": 1, "state": {}}]}'])  # fmt: skip
def test_what_is_no_report_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(
        BadInput, match=r"^cannot compare with .*r\.json: it is not a report\.json that `duetto replay --out` wrote$"
    ):
        baseline(tmp_path / "r.json")
    with pytest.raises(BadInput, match="cannot read the report"):
        baseline(tmp_path / "nowhere.json")


def test_what_makes_no_sense_is_refused_before_anything_is_played(plain: Path, settings: Settings) -> None:
    with pytest.raises(BadInput, match="cannot replay with the model 'gpt-4o': choose recorded, live or none"):
        replayed(plain, settings, model="gpt-4o")
    with pytest.raises(BadInput, match="cannot replay with a live model: name it in DUETTO_MODEL"):
        replayed(plain, settings, model="live")


# what counts as drift

SEEN = Seen(
    intent="recommend", request="a western", constraints=[{"column": "year", "operator": "lt", "value": 1960}], liked=[1],
    disliked=["b"], queries=["western"], candidates={"language": [1, 2, 3], "crowd": [3, 4]}, ranked=[1, 2, "c"],
    scores=[3.0, 2.0, 1.0], parts=[{"queries": 1.0, "als": 2.0}, {"queries": 1.5, "als": 0.5}, {"queries": 1.0}],
    cited=[[7], [], [8]], calls=2,
)  # fmt: skip


def against(**change: Any) -> Drift:
    return compare(SEEN, SEEN.model_copy(update=change))


def test_what_is_the_same_has_not_drifted() -> None:
    assert against() == Drift({}, 1.0, {"language": 1.0, "crowd": 1.0}, {"als": 0.0, "queries": 0.0})
    assert against().moved_by is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("intent", "small_talk"), ("request", "a Western"), ("constraints", []), ("liked", []), ("disliked", [1, "b"]),
        ("queries", ["western", "desert"]), ("calls", 3),
    ],
)  # fmt: skip
def test_what_was_understood_is_compared_exactly(name: str, value: Any) -> None:
    drift = against(**{name: value})
    assert drift.moved == {name: (getattr(SEEN, name), value)}
    assert (drift.overlap, drift.moved_by) == (1.0, None)


def test_another_order_is_drift_and_is_measured() -> None:
    drift = against(ranked=[2, 1, "c"], parts=[SEEN.parts[n] for n in (1, 0, 2)], cited=[SEEN.cited[n] for n in (1, 0, 2)])
    assert drift.moved == {"ranking": ([1, 2, "c"], [2, 1, "c"])}
    assert drift.overlap == 0.9


def test_items_that_only_one_ranking_shows_have_no_parts_to_compare() -> None:
    drift = against(ranked=[1, 2, "d"], parts=[*SEEN.parts[:2], {"popularity": 9.0}], cited=[[7], [], [1, 2]])
    assert set(drift.moved) == {"ranking"}
    assert drift.parts == {"als": 0.0, "queries": 0.0}
    assert against(ranked=[], parts=[], cited=[]).overlap == 0


@pytest.mark.parametrize(("by", "drifted"), [(0.004, False), (0.006, True)])
def test_a_part_may_move_by_what_rounding_costs(by: float, drifted: bool) -> None:
    drift = against(parts=[{"queries": 1.0, "als": 2.0 - by}, *SEEN.parts[1:]])
    assert ("parts" in drift.moved) == drifted
    assert drift.parts["als"] == pytest.approx(by / 2)


def test_a_part_that_came_or_went_moved_by_all_of_it() -> None:
    drift = against(parts=[{"queries": 1.0, "taste": 0.5}, {"queries": 1.4, "als": 0.5}, {"queries": 1.0}])
    assert drift.parts == {"als": 1.0, "queries": pytest.approx(0.1 / 3, abs=1e-5), "taste": 0.5}
    assert (set(drift.moved), drift.moved_by) == ({"parts"}, "als")


def test_what_a_reason_cites_is_evidence_and_candidates_are_only_measured() -> None:
    assert set(against(cited=[[7], [9], [8]]).moved) == {"evidence"}
    drift = against(candidates={"language": [1, 2, 3], "crowd": [4, 3]})
    assert (drift.moved, drift.voices) == ({}, {"language": 1.0, "crowd": 0.9})


def test_wording_is_never_compared(plain: Path) -> None:
    turn = recorded(plain)[0]
    answer = turn.answer.model_copy(update={"reply": "?", "recommendations": [
        r.model_copy(update={"reason": "?", "title": "?"}) for r in turn.answer.recommendations
    ]})  # fmt: skip
    assert compare(Seen.of(turn), Seen.of(turn.model_copy(update={"answer": answer}))) == replace(Drift(), voices={
        "language": 1.0, "crowd": 1.0}, parts=compare(Seen.of(turn), Seen.of(turn)).parts)  # fmt: skip


# the report


def test_the_page_tells_what_moved_and_escapes_what_was_said(settings: Settings, tmp_path: Path) -> None:
    path = played(tmp_path / "recorded", settings, [{"user": "p001", "message": "<script>alert(1)</script> western"}], "<b>t</b>")
    report = replayed(path, settings, Limits(fusion="fixed"), output=tmp_path / "out")
    shown = page(report)
    assert [section["title"] for section in shown["sections"]] == ["Setup", "What moved"]
    assert shown["protocol"] == "1 of 1 turns moved."
    assert {row[2] for row in shown["sections"][1]["rows"]} == set(report["moved"])
    written = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in written
    assert "<script>alert" not in written
    assert "<b>t</b>" not in written


def test_the_page_of_a_replay_that_moved_nothing_says_so(plain: Path, settings: Settings) -> None:
    shown = page(replayed(plain, settings))
    assert (shown["protocol"], shown["sections"], shown["facts"]["drifted"]) == ("No turn moved.", [], 0)


def test_the_page_tells_of_prompts(spoken: Path, settings: Settings, tmp_path: Path) -> None:
    with reworded(tmp_path, "write_queries"):
        shown = page(replayed(spoken, settings, strict=True))
    assert [section["title"] for section in shown["sections"]] == ["Setup", "Prompts", "What moved"]
    assert shown["sections"][1]["rows"] == [["write_queries: answered as recorded, though the prompt reads otherwise", 1]]
    assert [row[2] for row in shown["sections"][2]["rows"]] == ["prompts"]


def test_progress_is_told_turn_by_turn(plain: Path, settings: Settings) -> None:
    class Told:
        def __init__(self) -> None:
            self.stages: list[tuple[str, int]] = []
            self.done = 0

        def stage(self, name: str, total: int) -> Callable[[int], None]:
            self.stages.append((name, total))
            return self.advance

        def advance(self, done: int) -> None:
            self.done += done

    told = Told()
    replayed(plain, settings, progress=told)
    assert (told.stages, told.done) == ([("replaying turns", 4)], 4)


def test_a_report_that_cannot_be_written_is_told(plain: Path, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(NotReady, match=r"could not write to .*taken.*; name another folder"):
        replayed(plain, settings, output=tmp_path / "taken")
