"""Conversations with assertions: each kind of assertion fails where it should, and a bad file is told by its name."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from duetto.cli import main
from duetto.errors import BadInput, NotReady
from duetto.evals.case_files import OURS, Case, Expected, read
from duetto.evals.case_runner import Outcome, Runner
from duetto.graph.state import State
from duetto.settings import Settings
from duetto.tools.catalogue import Catalogue
from duetto.tools.index import Index
from duetto.tools.language import Reason
from duetto.wiring import graph_of, parts

LATE: dict[str, Any] = {"column": "year", "operator": "gt", "value": 1995}
SHOWN = {
    "user", "message", "intent", "request", "constraints", "soft", "liked", "disliked", "seen", "uninterested", "items",
    "question", "facts", "preferences", "queries", "recommended", "degraded", "usage",
}  # fmt: skip
Turn = tuple[str | None, dict[str, Any]]


@pytest.fixture(scope="session")
def runner(settings: Settings, sample_index: Index) -> Runner:
    box, signals = parts(sample_index, settings)
    return Runner(box, sample_index.features, partial(graph_of, sample_index, box, signals, None))


def case(*turns: Turn, user: str | None = "p042", **fields: Any) -> Case:
    steps = [{"say": say, "expect": expect} for say, expect in turns]
    return Case.model_validate({"name": "ours", "user": user, "turns": steps, **fields})


def outcome(runner: Runner, *turns: Turn, **fields: Any) -> Outcome:
    (found,) = runner.run([case(*turns, **fields)])
    return found


# what ships


def test_a_file_and_its_folder_are_the_same_cases() -> None:
    files = sorted(OURS.glob("*.yaml"))
    assert read([OURS]) == read(files)
    assert len({one.name for one in read([OURS])}) == len(files)


# every kind of assertion

SAID = "something newer than 1995"
NO_HORROR = {"not": {"column": "genres", "operator": "eq", "value": "horror"}}
HOLDS: dict[str, Turn] = {
    "intent": (SAID, {"intent": "recommend"}),
    "constraints": (SAID, {"constraints": [LATE]}),
    "no constraints": (None, {"constraints": []}),
    "every": (SAID, {"every": LATE}),
    "excludes by title": ("something like Alien", {"excludes": ["Alien"]}),
    "liked": ("I loved Blade Runner", {"liked": ["Blade Runner"], "disliked": []}),
    "disliked": ("I hated Blade Runner", {"liked": [], "disliked": ["Blade Runner"]}),
    "seen": ("I've already seen Alien", {"seen": ["Alien"], "liked": []}),
    "uninterested": ("not interested in Alien", {"uninterested": ["Alien"], "seen": []}),
    "items": ("tell me about Alien", {"items": ["Alien"]}),
    "no items": (SAID, {"items": []}),
    "soft": ("something shorter, without violence", {"soft": {"leanings": ["shorter"], "avoid": True, "unchecked": True}}),
    "not soft": (SAID, {"soft": {"leanings": False, "avoid": False}}),
    "asks nothing": (SAID, {"asks": False}),
    "relaxations": ("films newer than 2150", {"relaxations": True}),
    "so many relaxations": ("films newer than 2150", {"relaxations": 1}),
    "no relaxations": (SAID, {"relaxations": False}),
    "not changed": (SAID, {"changed": False}),
    "facts": ("what is your oldest film?", {"facts": {"of": 483, "lowest": [{"title": "Nosferatu"}]}}),
    "language": (SAID, {"language": "English"}),
    "retrieves": (SAID, {"retrieves": True}),
    "does not retrieve": ("hello!", {"retrieves": False}),
    "second look": ("a westren", {"second_look": True}),
    "no second look": (SAID, {"second_look": False}),
    "profile": (
        "I loved Alien. I never watch horror",
        {
            "profile": {"liked": ["Alien"], "disliked": [], "standing": [NO_HORROR]},
        },
    ),
    "least": (SAID, {"least": 10}),
    "most": (SAID, {"most": 10}),
    "calls": (SAID, {"calls": 0}),
    "grounded": (SAID, {"grounded": True}),
    "refused": ("  ", {"refused": True}),
    "nothing": (SAID, {}),
}


@pytest.mark.parametrize("name", HOLDS)
def test_an_assertion_that_holds_passes(runner: Runner, name: str) -> None:
    assert outcome(runner, HOLDS[name]) == Outcome("ours", 1, [], {})


FAILS: dict[str, tuple[Turn, str]] = {
    "intent": ((SAID, {"intent": "small_talk"}), "the intent is recommend"),
    "constraints, another": ((SAID, {"constraints": [{**LATE, "value": 1990}]}), "the constraints are [{'column': 'year'"),
    "constraints, one too many": ((SAID, {"constraints": []}), "the constraints are [{'column': 'year'"),
    "constraints, one too few": ((None, {"constraints": [LATE]}), "the constraints are []"),
    "constraints, twice": ((SAID, {"constraints": [LATE, LATE]}), "the constraints are [{'column': 'year'"),
    "every": ((SAID, {"every": {**LATE, "operator": "le"}}), "is recommended against the filter"),
    "contains": ((SAID, {"contains": ["Alien"]}), "Alien is not recommended"),
    "liked": ((SAID, {"liked": ["Alien"]}), "liked are []"),
    "liked, another": (("I loved Blade Runner", {"liked": ["Alien"]}), "liked are ['Blade Runner']"),
    "liked, nothing": (("I loved Blade Runner", {"liked": []}), "liked are ['Blade Runner']"),
    "disliked": ((SAID, {"disliked": ["Alien"]}), "disliked are []"),
    "disliked, nothing": (("I hated Blade Runner", {"disliked": []}), "disliked are ['Blade Runner']"),
    "seen": ((SAID, {"seen": ["Alien"]}), "seen are []"),
    "uninterested": ((SAID, {"uninterested": ["Alien"]}), "uninterested are []"),
    "items": ((SAID, {"items": ["Alien"]}), "it is about []"),
    "items, none": (("tell me about Alien", {"items": []}), "it is about ['Alien']"),
    "soft": ((SAID, {"soft": {"leanings": ["shorter"]}}), "leanings are []"),
    "soft, none": (("something shorter", {"soft": {"leanings": False}}), "leanings are ['shorter']"),
    "asks": ((SAID, {"asks": True}), "no question is asked"),
    "asks, options": ((SAID, {"asks": ["Alien", "Aliens"]}), "no question is asked"),
    "relaxations": ((SAID, {"relaxations": True}), "what may be given up is []"),
    "relaxations, so many": (("films newer than 2150", {"relaxations": 2}), "what may be given up is [{"),
    "relaxations, none": (("films newer than 2150", {"relaxations": False}), "what may be given up is [{"),
    "changed": ((SAID, {"changed": True}), "what is told of the changes is None"),
    "facts": (("what is your oldest film?", {"facts": {"lowest": [{"title": "Alien"}]}}), "the facts are {'count': 483"),
    "language": ((SAID, {"language": "German"}), "the language is English"),
    "retrieves": (("hello!", {"retrieves": True}), "the voices did not run"),
    "retrieves, and was not to": ((SAID, {"retrieves": False}), "the voices ran"),
    "second look": ((SAID, {"second_look": True}), "there was no second look"),
    "profile": (("I loved Alien", {"profile": {"liked": []}}), "liked in the profile are ['Alien']"),
    "profile, limits": (("no horror", {"profile": {"standing": [NO_HORROR]}}), "the standing limits are []"),
    "least": ((SAID, {"least": 11}), "only 10 items are recommended"),
    "most": ((SAID, {"most": 9}), "10 items are recommended"),
    "refused, and answered": ((SAID, {"refused": True}), "it was to be refused, and was answered"),
    "answered, and refused": (("  ", {}), "turn 1 was refused: cannot answer an empty message"),
}


@pytest.mark.parametrize("name", FAILS)
def test_an_assertion_that_does_not_hold_fails_alone(runner: Runner, name: str) -> None:
    turn, sentence = FAILS[name]
    found = outcome(runner, turn)
    assert found.wrong
    assert all(sentence in what for what in found.wrong)
    assert found.wrong[0].startswith("turn 1")
    assert len(found.wrong) == (10 if name == "every" else 1)


def test_every_field_of_an_expectation_is_tried_above() -> None:
    tried = {field for (_, expect), _ in FAILS.values() for field in expect}
    assert tried | {"excludes", "calls", "grounded"} == set(Expected.model_fields)


def test_an_item_that_is_recommended_is_found_by_id_and_by_title(runner: Runner) -> None:
    best = outcome(runner, (SAID, {"most": 0})).state["recommended"][0]
    for name in (best["item_id"], str(best["item_id"]), best["title"]):
        assert outcome(runner, (SAID, {"contains": [name]})).wrong == []
        assert outcome(runner, (SAID, {"excludes": [name]})).wrong == [f"turn 1: {best['title']} is recommended"]


def test_k_is_how_many_items_a_turn_recommends(runner: Runner) -> None:
    assert outcome(runner, (SAID, {"least": 3, "most": 3}), k=3).wrong == []
    assert "turn 1 was refused: cannot recommend 1000 items" in outcome(runner, (SAID, {}), k=1000).wrong[0]


def test_more_calls_than_expected_fail(runner: Runner) -> None:
    def graph(record: Any, checkpointer: Any, *, store: Any) -> Any:
        def spending(state: State) -> dict[str, Any]:
            kept = State(**{**vars(state), "answer": {**state.answer, "usage": {"calls": 3}}})
            return dict(record(kept))

        return runner.make(spending, checkpointer, store=store)

    spender = Runner(runner.box, runner.features, graph)
    assert outcome(spender, (SAID, {"calls": 2})).wrong == ["turn 1: 3 calls to the chat model"]
    assert outcome(spender, (SAID, {"calls": 3})).wrong == []


@pytest.mark.parametrize(
    ("lie", "what"),
    [
        ("It won 7777 prizes.", "7777 stands nowhere"),
        ("I know nothing of your taste yet.", "denies a taste that the history shows"),
    ],
)
def test_a_reason_that_is_not_so_fails_and_is_quoted(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, lie: str, what: str
) -> None:
    monkeypatch.setattr("duetto.graph.explain.plain_reason", lambda *of: Reason(lie, (), ()))
    assert outcome(runner, (SAID, {"grounded": True})).wrong == [f"turn 1: “{lie}” {what}"] * 10
    assert outcome(runner, (SAID, {})).wrong == []


def test_all_that_is_wrong_with_a_turn_is_told(runner: Runner) -> None:
    found = outcome(runner, (SAID, {"intent": "small_talk", "least": 11, "liked": ["Alien"]}))
    assert found.wrong == [
        "turn 1: the intent is recommend",
        "turn 1: only 10 items are recommended",
        "turn 1: liked are []",
    ]


@pytest.mark.parametrize("written", [{"value": 1995, "operator": "gt", "column": "year"}, {**LATE, "value": 1995.0}])
def test_a_constraint_is_the_same_in_whatever_order_it_is_written(runner: Runner, written: dict[str, Any]) -> None:
    assert outcome(runner, (SAID, {"constraints": [written]})).wrong == []


def test_constraints_may_be_named_in_any_order(runner: Runner) -> None:
    horror = {"not": {"column": "genres", "operator": "eq", "value": "horror"}}
    for wanted in ([LATE, horror], [horror, LATE]):
        assert outcome(runner, (SAID, {}), ("no horror please", {"constraints": wanted})).wrong == []


# conversations


def test_the_state_is_that_of_the_first_turn_that_failed(runner: Runner) -> None:
    found = outcome(runner, (SAID, {}), ("no horror please", {"most": 0}), ("hello!", {"least": 1}))
    assert (found.turns, len(found.wrong)) == (2, 1)
    assert found.wrong[0].startswith("turn 2: ")
    assert found.state.keys() == SHOWN
    assert (found.state["user"], found.state["message"], found.state["intent"]) == ("p042", "no horror please", "refine")
    assert found.state["constraints"][0]["where"] == LATE
    assert [item["rank"] for item in found.state["recommended"]] == list(range(1, 11))
    assert json.loads(json.dumps(asdict(found))) == asdict(found)


def test_a_refused_turn_leaves_the_conversation_as_it_was(runner: Runner) -> None:
    found = outcome(
        runner,
        ("I loved Blade Runner, nothing before 1990", {"liked": ["Blade Runner"]}),
        ("   ", {"refused": True}),
        ("x" * 5_000, {"refused": True}),
        ("something clever", {"liked": ["Blade Runner"], "excludes": ["Blade Runner"], "least": 10, "grounded": True}),
        (None, {"constraints": [{"column": "year", "operator": "ge", "value": 1990}]}),
    )
    assert (found.wrong, found.turns) == ([], 5)


def test_conversations_do_not_leak_into_each_other(runner: Runner) -> None:
    first = case(("I loved Blade Runner", {}), ("films newer than 2000", {"liked": ["Blade Runner"]}))
    fresh = case((None, {"liked": [], "disliked": [], "constraints": []}))
    assert [found.wrong for found in runner.run([first, fresh, first, fresh])] == [[], [], [], []]


def test_a_case_that_fails_does_not_stop_the_others(runner: Runner) -> None:
    done: list[int] = []
    cases = [case((SAID, {"most": 0})), case(("  ", {})), case((SAID, {}))]
    assert [bool(found.wrong) for found in runner.run(cases, done.append)] == [True, True, False]
    assert done == [1, 1, 1]


def steps(*turns: dict[str, Any], user: str | None = "p042") -> Case:
    return Case.model_validate({"name": "ours", "user": user, "turns": turns})


def test_a_place_in_a_list_names_what_was_shown_there(runner: Runner) -> None:
    found = outcome(runner, (SAID, {}), ("tell me about the second one", {"items": ["#2"]}), ("a western", {}),
                    ("tell me about the third one from the first list", {"items": ["#3 of turn 1"]}))  # fmt: skip
    assert found.wrong == []
    wrong = outcome(runner, (SAID, {}), ("tell me about the second one", {"items": ["#3"]})).wrong
    assert [what.startswith("turn 2: it is about [") for what in wrong] == [True]
    assert "there is no '#11'" in outcome(runner, (SAID, {}), ("hello!", {"items": ["#11"]})).wrong[0]


def test_threads_are_apart_and_a_place_is_of_the_threads_last_list(runner: Runner) -> None:
    found = runner.run([steps(
        {"say": SAID, "thread": "a", "expect": {}},
        {"say": "only westerns", "thread": "b", "expect": {"constraints": [{**LATE, "column": "genres", "operator": "eq",
                                                                            "value": "western"}]}},
        {"say": "tell me about the first one", "thread": "a", "expect": {"items": ["#1"], "constraints": [LATE]}},
        {"say": "tell me about the first one", "thread": "b", "expect": {"items": ["#1 of turn 2"]}},
    )])  # fmt: skip
    assert found[0].wrong == []


def test_a_turn_may_be_another_persons(runner: Runner) -> None:
    found = runner.run([steps(
        {"say": "I loved Alien", "thread": "a", "expect": {"profile": {"liked": ["Alien"]}}},
        {"say": SAID, "user": "p300", "thread": "b", "expect": {"liked": [], "profile": {"liked": []}}},
    )])  # fmt: skip
    assert found[0].wrong == []


def test_what_was_said_outlives_a_restart_and_only_the_graph_is_made_anew(runner: Runner) -> None:
    made: list[Any] = []

    def graph(record: Any, checkpointer: Any, *, store: Any) -> Any:
        made.append(runner.make(record, checkpointer, store=store))
        return made[-1]

    again = replace(runner, make=graph)
    found = again.run([steps(
        {"say": "I loved Alien", "expect": {}},
        {"say": SAID, "restart": True, "expect": {"liked": ["Alien"], "profile": {"liked": ["Alien"]}}},
        {"say": "undo", "expect": {"liked": ["Alien"], "constraints": []}},
    )])  # fmt: skip
    assert (found[0].wrong, len(made)) == ([], 2)


def test_no_turn_may_recommend_against_the_limits_in_force_or_what_is_known(runner: Runner) -> None:
    def graph(record: Any, checkpointer: Any, *, store: Any) -> Any:
        def lying(state: State) -> dict[str, Any]:
            first = runner.box.catalogue.ids[state.ranking.picks[0].row]
            where = {"column": "year", "operator": "gt", "value": 2150}
            return dict(record(replace(state, seen=[first], constraints=[{"said": "late", "where": where}])))

        return runner.make(lying, checkpointer, store=store)

    (found,) = replace(runner, make=graph).run([case((None, {}))])
    assert len([what for what in found.wrong if "against the limits in force" in what]) == 10
    assert len([what for what in found.wrong if "and is known" in what]) == 1


@dataclass(frozen=True)
class Broken:
    """A graph that raises."""

    error: Exception

    def invoke(self, *given: Any, **context: Any) -> Any:
        raise self.error


def test_what_breaks_a_turn_is_no_refusal(runner: Runner) -> None:
    breaking = Runner(runner.box, runner.features, lambda record, checkpointer, *, store: Broken(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        outcome(breaking, (SAID, {"refused": True}))


def test_what_is_not_ready_is_no_refusal(runner: Runner) -> None:
    unready = Runner(runner.box, runner.features, lambda record, checkpointer, *, store: Broken(NotReady("no embedder")))
    with pytest.raises(NotReady, match="no embedder"):
        outcome(unready, (SAID, {"refused": True}))


# duetto eval cases


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(sample_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("DUETTO_CACHE", str(sample_path.parent))
    monkeypatch.setenv("DUETTO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "300")

    def cases(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["eval", "cases", *words])
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return cases


GOOD = "name: a good one\nuser: p042\nturns: [{say: a western, expect: {least: 10}}]\n"
BAD = "name: a bad one\nturns: [{say: films newer than 1995, expect: {most: 0, intent: small_talk}}]\n"


def written(folder: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return [str(folder / f"{name}.yaml") for name in files]


def test_cases_that_pass_exit_with_0(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(*written(tmp_path, good=GOOD))
    assert code == 0
    assert out.splitlines() == ["passed  a good one", "1 passed, 0 failed"]


def test_without_files_the_cases_of_duetto_are_played(run: Run) -> None:
    code, out, _ = run()
    count = len(list(OURS.glob("*.yaml")))
    assert (code, out.count("passed  ")) == (0, count)
    assert f"{count} passed, 0 failed" in out


def test_a_model_that_is_none_of_ours_is_refused(run: Run, tmp_path: Path) -> None:
    assert "choose none, scripted or live" in refused(run, *written(tmp_path, good=GOOD), "--model", "other")
    assert "DUETTO_MODEL" in refused(run, *written(tmp_path, good=GOOD), "--model", "live")


def test_a_case_that_fails_exits_with_1_and_prints_its_state(run: Run, tmp_path: Path) -> None:
    written(tmp_path, good=GOOD, bad=BAD)
    code, out, err = run(str(tmp_path), "--index", "sample")
    assert code == 1
    assert [line for line in out.splitlines() if line.startswith(("passed", "FAILED"))] == [
        "FAILED  a bad one",
        "passed  a good one",
    ]
    assert "turn 1: the intent is recommend" in out
    assert "turn 1: 10 items are recommended" in out
    state = json.loads(" ".join(out[out.index("{") : out.rindex("}") + 1].split()))
    assert state.keys() == SHOWN
    assert state["constraints"][0]["where"] == LATE
    assert "1 passed, 1 failed" in out
    assert "Traceback" not in err


def test_outcomes_are_printed_as_json(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(*written(tmp_path, good=GOOD, bad=BAD), "--json")
    good, bad = json.loads(out)
    assert code == 1
    assert good == {"case": "a good one", "turns": 1, "wrong": [], "state": {}}
    assert (bad["case"], len(bad["wrong"]), bad["state"]["message"]) == ("a bad one", 2, "films newer than 1995")


def refused(run: Run, *words: str) -> str:
    """The one sentence of a command that is refused."""
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    sentences = [line for line in err.splitlines() if line.startswith("duetto: ")]
    assert len(sentences) == 1, err
    return sentences[0]


TURN = "turns: [{expect: {}}]"
BAD_FILES: dict[str, tuple[str, str]] = {
    "no YAML": ("name: [unclosed", "it is no YAML"),
    "a tab": ("name: a\n\tturns: b", "it is no YAML"),
    "an object of Python": ("!!python/object/apply:os.getcwd []", "it is no YAML"),
    "two documents": (f"name: a\n{TURN}\n---\nname: b\n{TURN}", "it is no YAML"),
    "empty": ("", "it: "),
    "a list": ("- a", "it: "),
    "no name": (TURN, "name: "),
    "no turns": ("name: a", "turns: "),
    "empty turns": ("name: a\nturns: []", "turns: "),
    "an unknown field": (f"name: a\nuesr: p042\n{TURN}", "uesr: "),
    "an unknown field of a turn": ("name: a\nturns: [{says: b, expect: {}}]", "turns.0.says: "),
    "an unknown assertion": ("name: a\nturns: [{expect: {}}, {expect: {intend: b}}]", "turns.1.expect.intend: "),
    "no expectation": ("name: a\nturns: [{say: b}]", "turns.0.expect: "),
    "no items at all": (f"name: a\nk: 0\n{TURN}", "k: "),
    "a number for a message": ("name: a\nturns: [{say: 1995, expect: {}}]", "turns.0.say: "),
    "an unknown field of a profile": ("name: a\nturns: [{expect: {profile: {loved: [1]}}}]", "turns.0.expect.profile.loved: "),
    "an unknown soft wish": ("name: a\nturns: [{expect: {soft: {hard: true}}}]", "turns.0.expect.soft.hard"),
    "a word for a restart": ("name: a\nturns: [{restart: perhaps, expect: {}}]", "turns.0.restart: "),
    "a negative count": ("name: a\nturns: [{expect: {least: -1}}]", "turns.0.expect.least: "),
    "a word for a count": ("name: a\nturns: [{expect: {most: some}}]", "turns.0.expect.most: "),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_sentence_with_its_name_and_the_field(run: Run, tmp_path: Path, name: str) -> None:
    text, expected = BAD_FILES[name]
    sentence = refused(run, *written(tmp_path, good=GOOD, spoiled=text))
    assert f"{tmp_path / 'spoiled.yaml'}: {expected}" in sentence


def test_a_file_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    sentence = refused(run, str(tmp_path / "nowhere.yaml"))
    assert f"cannot read the case {tmp_path / 'nowhere.yaml'}: No such file" in sentence


def test_a_file_that_is_no_text_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff\xfe")
    assert "bytes.yaml: it is no YAML" in refused(run, str(tmp_path / "bytes.yaml"))


def test_a_folder_without_cases_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("name: a")
    assert "there is no .yaml file in the folder" in refused(run, str(tmp_path))


def test_a_folder_without_cases_is_named(run: Run, tmp_path: Path) -> None:
    assert str(tmp_path) in refused(run, str(tmp_path))


def test_an_empty_folder_beside_a_good_file_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(run, *written(tmp_path, good=GOOD), str(tmp_path / "empty"))


UNKNOWN: dict[str, tuple[str, str]] = {
    "contains": ("{contains: [Nonesuch]}", "no item is called 'Nonesuch'"),
    "excludes": ("{excludes: [999999]}", "no item is called 999999"),
    "liked": ("{liked: [Nonesuch]}", "no item is called 'Nonesuch'"),
    "disliked": ("{disliked: [alien]}", "no item is called 'alien'"),
    "items": ("{items: [Nonesuch]}", "no item is called 'Nonesuch'"),
    "profile": ("{profile: {seen: [Nonesuch]}}", "no item is called 'Nonesuch'"),
    "standing": ("{profile: {standing: [{column: colour, operator: eq, value: red}]}}", "cannot filter by 'colour'"),
    "every": ("{every: {column: colour, operator: eq, value: red}}", "cannot filter by 'colour'"),
    "every, no filter": ("{every: {colour: red}}", "cannot read the filter"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_expectation_of_what_the_index_lacks_is_one_sentence(run: Run, tmp_path: Path, name: str) -> None:
    expect, sentence = UNKNOWN[name]
    text = f"name: of another catalogue\nturns: [{{say: a western, expect: {expect}}}]"
    assert sentence in refused(run, *written(tmp_path, spoiled=text))


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_expectation_of_what_the_index_lacks_is_found_by_its_case(run: Run, tmp_path: Path, name: str) -> None:
    text = f"name: of another catalogue\nturns: [{{say: a western, expect: {UNKNOWN[name][0]}}}]"
    sentence = refused(run, *written(tmp_path, spoiled=text))
    assert "spoiled.yaml" in sentence or "of another catalogue" in sentence


def test_a_title_of_several_items_is_refused(runner: Runner) -> None:
    alike = Catalogue.of(runner.box.catalogue.table.with_columns(pl.lit("The Same").alias("title")))
    doubled = Runner(replace(runner.box, catalogue=alike), runner.features, runner.make)
    with pytest.raises(BadInput, match="several items are called 'The Same'"):
        outcome(doubled, (SAID, {"contains": ["The Same"]}))


def test_an_index_that_is_not_there_names_the_command_that_makes_it(run: Run, tmp_path: Path) -> None:
    assert "duetto build" in refused(run, *written(tmp_path, good=GOOD), "--index", str(tmp_path / "nowhere"))
