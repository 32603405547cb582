"""What is written down of a turn: all that a replay needs, no secret, and, redacted, no word of what was said."""

import asyncio
import json
import logging
import re
import shutil
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from duetto import prompts
from duetto.errors import BadInput, NotReady
from duetto.graph.answer import Answer
from duetto.graph.record import CANDIDATES, Before, Record, Recorded
from duetto.graph.state import NOTHING, Context, TurnInput
from duetto.jobs import replay_recordings
from duetto.limits import Limits
from duetto.settings import Settings
from duetto.tools.agent_tools import Toolbox
from duetto.tools.index import Index
from duetto.tools.journal import lines
from duetto.tools.signals import Signals
from duetto.tools.vector_store import FaissStore
from duetto.version import VERSION
from duetto.wiring import graph_of, open_graph, open_tools, setup
from tests.graph.test_branches import LARGE, FadingStore, LostStore, lost_crowd
from tests.graph.test_language_nodes import at, good, obedient
from tests.loopback import Loopback, Script, always, fails, in_turn, refuses, says
from tests.sessions import KEY, PLAIN, SCRIPTED, TURNS, Session, answers, open_at, played, recorded, speaking

SCHEMA = Path(__file__).parents[2] / "docs" / "recording.schema.json"
SECRET = KEY.get_secret_value()
NAMES = ("extract_preferences", "write_queries", "explain_item", "answer_about", "translate_reply")
NODES = Counter({"extract_preferences": 1, "write_queries": 1, "explain": 3})


def only(path: Path) -> Recorded:
    (turn,) = recorded(path)
    return turn


# where it is written


def test_a_thread_has_one_file_and_a_turn_one_line(settings: Settings, tmp_path: Path) -> None:
    graph = open_graph("sample", InMemorySaver(), settings=settings, record=tmp_path)
    for thread in ("a", "b"):
        for turn in TURNS[:3]:
            graph.invoke(turn, {"configurable": {"thread_id": thread}})
    assert [[turn.answer.turn for turn in recorded(path)] for path in sorted(tmp_path.iterdir())] == [[1, 2, 3]] * 2
    assert [path.read_bytes().count(b"\n") for path in tmp_path.iterdir()] == [3, 3]


def test_a_thread_goes_on_in_its_file_after_a_restart(settings: Settings, tmp_path: Path) -> None:
    paths = {played(tmp_path, settings, TURNS[:1]) for _ in range(2)}
    assert [len(recorded(path)) for path in paths] == [2]


def test_a_turn_outside_a_thread_has_a_file_of_its_own(settings: Settings, tmp_path: Path) -> None:
    played(tmp_path, settings, [{"message": "hello!"}] * 12, None)
    assert [len(recorded(path)) for path in tmp_path.iterdir()] == [1] * 12
    assert all(path.name.startswith("turn-") for path in tmp_path.iterdir())


def test_turns_outside_a_thread_do_not_share_a_file_though_the_caller_names_their_run(settings: Settings, tmp_path: Path) -> None:
    graph = open_graph("sample", settings=settings, record=tmp_path)
    for _ in range(2):
        graph.invoke({"message": "hello!"}, {"run_id": UUID(int=7)})
    assert [len(recorded(path)) for path in tmp_path.iterdir()] == [1, 1]


def test_the_line_is_there_before_the_turn_is_answered(settings: Settings, tmp_path: Path) -> None:
    graph = open_graph("sample", settings=settings, record=tmp_path)
    for n in range(1, 4):
        graph.invoke(TURNS[0], {"configurable": {"thread_id": "t"}})
        assert len(recorded(next(tmp_path.iterdir()))) == n


def test_awaited_and_streamed_turns_are_recorded_too(settings: Settings, tmp_path: Path) -> None:
    graph = open_graph("sample", settings=settings, record=tmp_path)
    asyncio.run(graph.ainvoke(TURNS[0], {"configurable": {"thread_id": "t"}}))
    parts: Any = graph.stream(TURNS[0], {"configurable": {"thread_id": "t"}}, stream_mode=["updates", "custom", "messages"])
    assert {mode for mode, _ in parts} == {"updates", "custom", "messages"}
    (path,) = tmp_path.iterdir()
    first, second = recorded(path)
    assert first.scores == second.scores


def test_a_turn_that_is_refused_is_none(settings: Settings, tmp_path: Path) -> None:
    graph = open_graph("sample", settings=settings, record=tmp_path)
    with pytest.raises(BadInput):
        graph.invoke({"message": " "})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_before_the_first_turn(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(NotReady, match="cannot record into"):
        open_graph("sample", settings=settings, record=tmp_path / "taken")


# what is written


def test_a_line_says_who_asked_what_and_what_it_ran_with(settings: Settings, sample_index: Index, tmp_path: Path) -> None:
    limits = Limits(top_k=7, diversity=0.2)
    turn = only(played(tmp_path, replace(settings, limits=limits), TURNS[:1], context=Context(reasons="none")))
    assert (turn.message, turn.answer.user, turn.answer.thread) == (TURNS[0]["message"], "p001", "t")
    assert (turn.k, turn.reasons, turn.redacted, turn.schema_) == (7, "none", False, 1)
    assert turn.setup.limits == asdict(limits)
    assert turn.setup.prompts == {name: prompts.version(name) for name in NAMES}
    assert (turn.setup.index, turn.setup.embedder, turn.setup.duetto) == (sample_index.version, "lsa", VERSION)
    assert (turn.setup.model, turn.setup.method, turn.calls) == (None, None, [])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", turn.at)


@pytest.mark.parametrize("session", [PLAIN, SCRIPTED], ids=["plain", "model"])
def test_the_answer_is_written_as_it_was_given(settings: Settings, tmp_path: Path, session: Session) -> None:
    model = speaking() if session.model else None
    graph = open_graph("sample", InMemorySaver(), model=model, settings=settings, record=tmp_path)
    given = [graph.invoke(turn, {"configurable": {"thread_id": "t"}})["answer"] for turn in TURNS]
    (path,) = tmp_path.iterdir()
    assert [answer.model_dump(mode="json", by_alias=True) for answer in answers(path)] == given
    for turn in recorded(path):
        assert [round(score, 5) for score in turn.scores] == [r.score for r in turn.answer.recommendations]
        assert turn.scores == sorted(turn.scores, reverse=True)


def test_recording_changes_no_answer(settings: Settings, tmp_path: Path) -> None:
    plain = open_graph("sample", settings=settings).invoke(TURNS[0])["answer"]
    assert (
        open_graph("sample", settings=settings, record=tmp_path).invoke(TURNS[0])["answer"]
        | {name: plain[name] for name in ("run_id", "timings_ms")}
        == plain
    )


def test_the_parts_the_reasons_and_the_timings_are_there(settings: Settings, tmp_path: Path) -> None:
    answer = only(played(tmp_path, settings, TURNS[:1])).answer
    assert {part for r in answer.recommendations for part in r.parts} == {"language", "crowd"}
    assert all(r.reason and r.reason_by == "plain" for r in answer.recommendations)
    assert set(answer.timings_ms) >= {"extract_preferences", "rerank", "total"}


def test_the_candidates_are_each_voice_s_best(settings: Settings, tmp_path: Path) -> None:
    turn = only(played(tmp_path, settings, [{"user": "p001", "message": "a western"}]))
    _, crowd, _ = open_tools("sample", settings)
    best = [item["item_id"] for item in json.loads(crowd.invoke({"user": "p001", "k": CANDIDATES}))]
    assert turn.candidates["crowd"] == best
    assert len(set(turn.candidates["language"])) == CANDIDATES
    shown = {r.item_id for r in turn.answer.recommendations}
    beyond = shown - {*turn.candidates["language"], *turn.candidates["crowd"]}
    assert len(beyond) <= 2  # what both voices rank fairly high may stand among the best of neither


def test_candidates_satisfy_what_was_asked_for(settings: Settings, sample_index: Index, tmp_path: Path) -> None:
    turn = only(played(tmp_path, settings, [{"user": "p001", "message": "a comedy before 1960"}]))
    years = sample_index.catalogue.table["year"].to_list()
    for voice in ("language", "crowd"):
        assert turn.candidates[voice]
        assert all(years[row] < 1960 for row in sample_index.catalogue.rows(turn.candidates[voice]))


def test_a_voice_that_is_silent_has_no_candidates(settings: Settings, tmp_path: Path) -> None:
    path = played(tmp_path, settings, [{"message": "a western"}, {}, {"message": "hello!"}])
    found = [{voice: len(items) for voice, items in turn.candidates.items()} for turn in recorded(path)]
    assert found[0]["language"] > 0 == found[0]["crowd"]
    assert found[1:] == [{"language": 0, "crowd": 0}] * 2


def test_what_a_turn_found_of_the_turns_before_is_there(settings: Settings, sample_index: Index, tmp_path: Path) -> None:
    first, second, third, fourth = recorded(played(tmp_path, settings))
    assert first.before == Before.model_validate(NOTHING)
    assert second.before.constraints == first.answer.constraints != []
    assert titled(sample_index, second.liked, second.disliked) == (["The Thing"], ["Alien"])
    assert titled(sample_index, third.before.liked, third.before.disliked) == (["The Thing"], ["Alien"])
    assert (third.liked, third.disliked, third.message) == ([], [], None)
    assert [turn.before.turn for turn in (first, second, third, fourth)] == [0, 1, 2, 3]
    assert [turn.answer.intent for turn in (first, fourth)] == ["recommend", "small_talk"]


def titled(index: Index, *groups: list[str | int]) -> tuple[list[str], ...]:
    return tuple([index.catalogue.titles[row] for row in index.catalogue.rows(group)] for group in groups)


# the model's calls


def test_every_call_is_there_as_the_server_saw_it(settings: Settings, tmp_path: Path) -> None:
    with Loopback(obedient) as server:
        turn = only(played(tmp_path, settings, TURNS[:1], model=open_at(server)))
        sent = {tuple(message["content"] for message in seen.body["messages"]) for seen in server.chats}
    assert Counter(call.node for call in turn.calls) == NODES
    assert {tuple(content for _, content in call.messages) for call in turn.calls} == sent
    shown = {str(r.item_id) for r in turn.answer.recommendations[:3]}
    assert {call.about for call in turn.calls if call.node == "explain"} == shown
    for call in turn.calls:
        assert (call.model, call.input_tokens, call.output_tokens, call.calls) == ("some-model", 20, 10, 1)
        assert (call.failed, call.again, call.cut) == ("", False, False)
        assert call.ms > 0
        assert json.loads(str(call.text)) == good(schema_of(call.node), json.loads(call.messages[1][1]))
    assert len({call.hash for call in turn.calls}) == 5
    assert (turn.setup.model, turn.setup.method) == ("some-model", "json_schema")


def schema_of(node: str) -> str:
    return {"extract_preferences": "ExtractAnswer", "write_queries": "QueriesAnswer", "explain": "ExplainAnswer"}[node]


FAILING: dict[str, tuple[Script, list[tuple[str, bool]]]] = {  # what each request came to, and whether the model spoke
    "429, then an answer": (in_turn(fails(429, "0"), refuses()), [("answered 429 (rate limit)", False), ("refused", False)]),
    "500 twice": (always(fails(500)), [("answered 500 (server error)", False)] * 2),
    "malformed twice": (always(says("{")), [("", True)] * 2),
    "forbidden": (always(fails(403)), [("answered 403 (forbidden)", False)]),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_call_that_failed_is_there_with_what_it_did(settings: Settings, tmp_path: Path, case: str) -> None:
    script, expected = FAILING[case]
    turn = only(Session(script=script, turns=TURNS[:1]).record(tmp_path, settings))
    calls = [call for call in turn.calls if call.node == "extract_preferences"]
    assert [(call.failed, call.text is not None) for call in calls] == expected
    assert len([call for call in turn.calls if not call.refused]) == turn.answer.usage.calls


def test_a_call_that_a_cap_forbade_is_there_with_the_sentence(settings: Settings, tmp_path: Path) -> None:
    turn = only(Session(limits=Limits(model_calls=3), turns=TURNS[:1]).record(tmp_path, settings))
    asked, spared = ([call for call in turn.calls if call.refused == refused] for refused in (False, True))
    assert (len(asked), turn.answer.usage.calls) == (3, 3)
    assert spared
    for call in spared:
        assert (call.node, call.failed, call.text) == ("explain", "no call to the chat model is left in this turn", None)
        assert (call.calls, call.input_tokens, call.output_tokens, call.ms) == (0, 0, 0, 0)
        assert (len(call.messages), len(call.hash)) == (2, 16)


def test_an_answer_that_was_remembered_is_there_and_cost_nothing(settings: Settings, sample_path: Path, tmp_path: Path) -> None:
    with Loopback(obedient) as server:
        spoken = replace(settings, model="m", base_url=server.base_url, cache=tmp_path / "cache")
        for folder in ("first", "second"):
            played(tmp_path / folder, spoken, TURNS[:1], index=sample_path)
    first, second = (only(next((tmp_path / folder).iterdir())) for folder in ("first", "second"))
    assert [call.text for call in second.calls] == [call.text for call in first.calls]
    assert (sum(call.calls for call in first.calls), sum(call.calls for call in second.calls)) == (5, 0)


# what may go wrong


def test_a_disk_that_fails_costs_nobody_the_answer(settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    graph = open_graph("sample", settings=settings, record=tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    with caplog.at_level(logging.WARNING):
        assert len(graph.invoke(TURNS[0])["answer"]["recommendations"]) == 10
    assert [record.message for record in caplog.records] == ["this turn could not be recorded (FileNotFoundError)"]


def test_a_turn_of_which_no_line_can_be_made_is_answered(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Record, "recorded", fail)
    graph = open_graph("sample", settings=settings, record=tmp_path)
    with caplog.at_level(logging.WARNING):
        assert len(graph.invoke(TURNS[0])["answer"]["recommendations"]) == 10
    assert [record.message for record in caplog.records] == ["this turn could not be recorded (KeyError)"]
    assert list(tmp_path.iterdir()) == []


class Kept(list[Recorded]):
    def append(self, name: str, line: BaseModel) -> None:  # type: ignore[override]
        super().append(Recorded.model_validate(line.model_dump(by_alias=True)))


def kept(index: Index, turn: TurnInput, store: type[FaissStore], limits: Limits, *, crowd: bool = True) -> Recorded:
    """The turn as recorded over parts of which some fail."""
    assert index.lsa is not None
    voice = index.crowd if crowd else lost_crowd(index)
    vectors, keeper = store(index.catalogue, index.vectors, index.lsa, limits), Kept()
    box = Toolbox(index.catalogue, index.histories, vectors, index.lsa, index.words, voice, limits)
    record = Record(box, setup(index, box, None), keeper)
    graph_of(index, box, Signals(index.catalogue, index.features, index.crowd), None, record).invoke(turn)
    return keeper[0]


def test_a_turn_of_which_a_voice_failed_is_recorded(sample_index: Index) -> None:
    lost = kept(sample_index, TURNS[0], LostStore, LARGE)
    assert (len(lost.candidates["language"]), len(lost.scores)) == (0, 10)
    assert lost.answer.degraded == ["the vector search failed (ConnectionError), so the other voice answers alone"]
    alone = kept(sample_index, TURNS[0], FaissStore, Limits(), crowd=False)
    assert (len(alone.candidates["crowd"]), len(alone.scores)) == (0, 10)


def test_a_turn_whose_vectors_failed_only_in_the_ranking_is_recorded(sample_index: Index) -> None:
    turn = kept(sample_index, TURNS[0], FadingStore, LARGE)
    assert turn.answer.degraded == ["the vectors failed in the ranking (ConnectionError), so the crowd ranks alone"]
    assert (len(turn.candidates["language"]), len(turn.candidates["crowd"])) == (0, CANDIDATES)


HALF = b"\xff western".decode(errors="surrogateescape")  # as a broken terminal sends it


def test_a_message_that_is_no_unicode_costs_nobody_the_answer(settings: Settings, tmp_path: Path) -> None:
    turn: TurnInput = {"user": "p001", "message": HALF}
    assert open_graph("sample", settings=settings).invoke(turn)["answer"]["recommendations"]
    assert open_graph("sample", settings=settings, record=tmp_path).invoke(turn)["answer"]["recommendations"]
    (path,) = tmp_path.iterdir()
    assert "\ufffd western" in path.read_text(encoding="utf-8")
    assert only(path).message == "\ufffd western"
    assert replay_recordings([path], "sample", settings=settings)["drifted"] == 0


def test_a_message_that_is_no_unicode_costs_nobody_the_answer_of_a_model(settings: Settings) -> None:
    with Loopback(obedient) as server:
        graph = open_graph("sample", model=open_at(server), settings=settings)
        assert graph.invoke({"user": "p001", "message": HALF})["answer"]["recommendations"]


def test_a_name_that_is_no_unicode_costs_nobody_the_answer(settings: Settings, tmp_path: Path) -> None:
    keyed = replace(settings, data=tmp_path / "data")
    graph = open_graph("sample", settings=keyed, record=tmp_path / "recorded", redact=True)
    assert graph.invoke({"user": HALF, "message": "a western"})["answer"]["recommendations"]


# secrets


def everything(folder: Path) -> str:
    """All that was written below a folder, the files' names included."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return "\n".join(f"{path.name}\n{path.read_text()}" for path in files)


REFUSING: dict[str, Script] = {
    "obeys": obedient,
    "quotes the key in a 401": lambda body, n: fails(401, message=f"bad key {SECRET}", code=SECRET),
    "quotes the key in a 500": lambda body, n: fails(500, message=SECRET),
}


@pytest.mark.parametrize("redact", [False, True])
@pytest.mark.parametrize("address", ["http://", f"http://me:{SECRET}@"])
@pytest.mark.parametrize("server_that", REFUSING)
def test_no_secret_is_in_a_recorded_byte(
    sample_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_that: str, address: str, redact: bool
) -> None:
    with Loopback(REFUSING[server_that]) as server:
        for name, value in {
            "OPENAI_API_KEY": SECRET,
            "OPENAI_BASE_URL": server.base_url.replace("http://", address),
            "DUETTO_MODEL": "some-model",
            "DUETTO_CALL_RETRIES": "0",
            "DUETTO_DATA": str(tmp_path / "data"),
            "DUETTO_CACHE": str(tmp_path / "cache"),
        }.items():
            monkeypatch.setenv(name, value)
        played(tmp_path / "recorded", Settings.from_environment(), TURNS[:1], index=sample_path, redact=redact)
        assert server.chats[0].headers["authorization"].startswith(("Bearer sk-Very", "Basic "))
    written = everything(tmp_path / "recorded")
    assert not [secret for secret in ("Very5ecret", "127.0.0.1", "me:") if secret in written]


# redacted

USER = "p042"
THREAD = f"chat-{USER}"
SAID: tuple[TurnInput, ...] = (
    {"user": USER, "message": "a warm comedy, nothing from the 1950s"},
    {"user": USER, "message": "I hated Alien. I loved The Thing. Under 120 minutes, with zzyzx"},
    {"user": USER, "message": "zzyzx qwertz"},
    {"user": USER},
)


def redacted(folder: Path, settings: Settings, session: Session, turns: tuple[TurnInput, ...] = SAID) -> str:
    """All that was written of these turns, redacted."""
    model = speaking() if session.model else None
    path = played(folder / "recorded", settings, turns, THREAD, redact=True, model=model)
    assert all(turn.redacted for turn in recorded(path))
    return everything(folder / "recorded")


def heard(settings: Settings, session: Session, folder: Path) -> list[Recorded]:
    """The same turns, whole."""
    return recorded(played(folder / "whole", settings, SAID, THREAD, model=speaking() if session.model else None))


@pytest.mark.parametrize("session", [PLAIN, SCRIPTED], ids=["plain", "model"])
def test_neither_who_spoke_nor_what_was_said_nor_what_came_of_it_is_written(
    settings: Settings, tmp_path: Path, session: Session
) -> None:
    written = redacted(tmp_path, settings, session)
    whole = heard(settings, session, tmp_path)
    assert USER in everything(tmp_path / "whole")
    private = [USER, THREAD, "zzyzx", "qwertz"]
    for turn in whole:
        private += [turn.message or USER, turn.request, turn.answer.reply]
        private += [query.query for query in turn.answer.queries] + [p.preference for p in turn.answer.preferences]
        private += [constraint.said for constraint in turn.answer.constraints]
        private += [text for call in turn.calls for _, text in call.messages] + [call.text or "" for call in turn.calls]
        for r in turn.answer.recommendations:
            private += [r.reason or "", *(step.why for step in r.steps), *(hit.query for hit in r.found_by.queries)]
    assert [text for text in private if text and (text in written or json.dumps(text)[1:-1] in written)] == []


def test_no_sentence_of_a_prompt_or_of_the_model_is_written(settings: Settings, tmp_path: Path) -> None:
    written = redacted(tmp_path, settings, SCRIPTED)
    whole = [turn for turn in heard(settings, SCRIPTED, tmp_path) if turn.calls]
    sent = {text for turn in whole for call in turn.calls for kind, text in call.messages if kind == "system"}
    for sentence in {part for text in sent for part in re.split(r"[.\n]\s*", text) if len(part) > 20}:
        assert sentence not in written
    for phrase in ("comedies with a heart", "kind and funny", "you keep coming back", "is as warm as", "nothing from"):
        assert any(phrase in (call.text or "") for turn in whole for call in turn.calls)
        assert phrase not in written


@pytest.mark.parametrize("session", [PLAIN, SCRIPTED], ids=["plain", "model"])
def test_what_tells_nothing_of_the_person_stays(settings: Settings, tmp_path: Path, session: Session) -> None:
    redacted(tmp_path, settings, session)
    for quiet, loud in zip(recorded(next((tmp_path / "recorded").iterdir())), heard(settings, session, tmp_path), strict=True):
        assert [r.item_id for r in quiet.answer.recommendations] == [r.item_id for r in loud.answer.recommendations]
        assert [r.parts for r in quiet.answer.recommendations] == [r.parts for r in loud.answer.recommendations]
        assert (quiet.scores, quiet.candidates, quiet.setup) == (loud.scores, loud.candidates, loud.setup)
        assert [(c.node, c.about, c.input_tokens) for c in quiet.calls] == [(c.node, c.about, c.input_tokens) for c in loud.calls]
        assert {c.hash for c in quiet.calls} <= {""}  # a short message could be guessed by it
        assert (quiet.answer.usage, quiet.answer.turn) == (loud.answer.usage, loud.answer.turn)
        assert len(quiet.answer.degraded) == len(loud.answer.degraded)


def test_a_person_has_one_pseudonym_in_all_files(settings: Settings, tmp_path: Path) -> None:
    keyed = replace(settings, data=tmp_path / "data")
    for thread, user in (("a", "p042"), ("b", "p042"), ("c", "p043"), (None, None)):
        played(tmp_path / "recorded", keyed, [{"user": user, "message": "a western"}], thread, redact=True)
    turns = sorted((only(path) for path in (tmp_path / "recorded").iterdir()), key=lambda turn: turn.at)
    told = Counter(turn.answer.user for turn in turns)
    assert sorted(told.values()) == [1, 1, 2]
    assert told[None] == 1
    assert len({turn.answer.thread for turn in turns}) == 4
    assert (tmp_path / "data" / "pseudonyms.key").is_file()


STRANGE = [
    "zzyzx; qwertz", "zzyzx\nqwertz", "zzyzx “qwertz", "zzyzx: qwertz", "“zzyzx” qwertz", "zzyzx ” qwertz",
    "zzyzx' (qwertz)", '"zzyzx" qwertz', "zzyzx) qwertz",
]  # fmt: skip


@pytest.mark.parametrize("message", STRANGE)
def test_a_note_of_what_was_not_understood_does_not_repeat_it(settings: Settings, tmp_path: Path, message: str) -> None:
    written = redacted(tmp_path, settings, PLAIN, ({"user": USER, "message": message},))
    assert "no word of" in written
    assert not [word for word in ("zzyzx", "qwertz") if word in written]


@pytest.mark.parametrize("said", STRANGE)
def test_a_note_of_a_constraint_that_was_refused_does_not_repeat_it(settings: Settings, tmp_path: Path, said: str) -> None:
    refused = {"said": said, "column": "price", "operator": "lt", "values": [5]}
    script = at("ExtractAnswer", lambda turn: says(good("ExtractAnswer", turn) | {"constraints_set": [refused]}))
    written = spoken_redacted(tmp_path, settings, script)
    assert any(turn.answer.degraded for turn in recorded(next((tmp_path / "recorded").iterdir())))
    assert not [word for word in ("zzyzx", "qwertz") if word in written]


NAMED = {"said": "with zzyzx in the title", "column": "title", "operator": "contains", "values": ["zzyzx"]}
NUMBERED = {"said": "not as long as zzyzx", "column": "minutes", "operator": "lt", "values": [120]}
LISTED = {"said": "of these zzyzx years", "column": "year", "operator": "in", "values": [1955, 1957, "1961"]}


def test_a_constraint_s_own_words_are_not_written_and_its_numbers_are(settings: Settings, tmp_path: Path) -> None:
    said = [NAMED, NUMBERED, LISTED]
    script = at("ExtractAnswer", lambda turn: says(good("ExtractAnswer", turn) | {"constraints_set": said}))
    assert "zzyzx" not in spoken_redacted(tmp_path, settings, script)
    first, second = recorded(next((tmp_path / "recorded").iterdir()))
    for constraints in (first.answer.constraints, second.before.constraints):
        assert [constraint.said for constraint in constraints] == [""] * len(constraints)
        assert [constraint.where for constraint in constraints] == [
            {"column": "title", "operator": "contains", "value": ""},
            {"column": "minutes", "operator": "lt", "value": 120},
            {"column": "year", "operator": "in", "value": [1955, 1957, ""]},
        ]


def test_what_is_ruled_out_keeps_its_numbers_when_redacted(settings: Settings, tmp_path: Path) -> None:
    redacted(tmp_path, settings, PLAIN, SAID[:1])
    (constraint,) = only(next((tmp_path / "recorded").iterdir())).answer.constraints
    years = [{"column": "year", "operator": "ge", "value": 1950}, {"column": "year", "operator": "lt", "value": 1960}]
    assert (constraint.said, constraint.where) == ("", {"not": {"and": years}})


def spoken_redacted(folder: Path, settings: Settings, script: Script) -> str:
    with Loopback(script) as server:
        played(folder / "recorded", settings, SAID[:2], THREAD, redact=True, model=open_at(server))
    return everything(folder / "recorded")


# the schema


def test_the_published_schema_is_the_recording_s() -> None:
    # To write it anew:  python -c "import json; from duetto.graph.record import Recorded; \
    #   print(json.dumps(Recorded.model_json_schema(by_alias=True), indent=1))" > docs/recording.schema.json
    assert SCHEMA.read_text(encoding="utf-8") == json.dumps(Recorded.model_json_schema(by_alias=True), indent=1) + "\n"


@pytest.mark.parametrize("session", [PLAIN, SCRIPTED], ids=["plain", "model"])
@pytest.mark.parametrize("redact", [False, True])
def test_a_line_has_every_field_and_no_other(settings: Settings, tmp_path: Path, session: Session, redact: bool) -> None:
    path = played(tmp_path, settings, model=speaking() if session.model else None, redact=redact)
    for _, line in lines(path):
        assert line is not None
        assert Recorded.model_validate(line).model_dump(mode="json", by_alias=True) == line
        assert set(line) == {
            "schema", "at", "redacted", "setup", "message", "told", "k", "reasons", "before", "request", "liked", "disliked",
            "candidates", "scores", "answer", "calls",
        }  # fmt: skip
        assert isinstance(line["answer"], dict)
        Answer.model_validate(line["answer"])
