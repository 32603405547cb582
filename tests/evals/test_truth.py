"""`duetto eval reasons`: turns of many people, their reasons judged as shown and without the explainer's filter."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duetto.errors import BadInput, NotReady
from duetto.evals.report import html
from duetto.evals.subject import Subject, subject_of
from duetto.evals.truth import EXAMPLES, evaluate_reasons, page
from duetto.graph.build import Node
from duetto.graph.state import Explained, State
from duetto.jobs import evaluate_reasons as evaluate_index
from duetto.limits import Limits
from duetto.settings import Settings
from duetto.tools.histories import Histories
from duetto.tools.index import Index
from duetto.tools.language import Reason
from duetto.tools.progress import Silence
from duetto.wiring import graph_of
from tests.tools.eras import era_index

GROUPS = ["shown", "without its filter"]
FAITHFULNESS = ["faithful", "rank loss", "rank loss without others", "log-rank loss", "log-rank loss without others"]
PEOPLE = 6


class Watch:
    """Progress that remembers how much of each stage was promised and done."""

    def __init__(self) -> None:
        self.stages: list[list[Any]] = []

    def stage(self, name: str, total: int) -> Callable[[int], None]:
        told: list[Any] = [name, total, 0]
        self.stages.append(told)

        def advance(done: int) -> None:
            told[2] += done

        return advance


@pytest.fixture(scope="module")
def era() -> Subject:
    return subject_of(era_index(), None, Limits())


def honest(index: Index, subject: Subject, record: Node) -> Any:
    return graph_of(index, subject.box, subject.signals, None, record)


def judged(
    subject: Subject, users: int | None = PEOPLE, message: str | None = None, watch: Watch | None = None,
    graph: Callable[[Index, Subject, Node], Any] = honest,
) -> dict[str, Any]:  # fmt: skip
    index = era_index()
    make: Callable[[Node], Any] = partial(graph, index, subject)
    return evaluate_reasons(subject, index.features, make, users, message, "eras", watch or Silence())[0]


@pytest.fixture(scope="module")
def silent(era: Subject) -> dict[str, Any]:
    return judged(era)


@pytest.fixture(scope="module")
def asked(era: Subject) -> dict[str, Any]:
    return judged(era, message="a western, nothing from before 1950")


def test_a_report_tells_both_groups_and_is_json(silent: dict[str, Any]) -> None:
    assert json.loads(json.dumps(silent, allow_nan=False)) == silent
    assert (silent["dataset"], silent["message"], silent["people"]) == ("eras", None, PEOPLE)
    assert list(silent["reasons"]) == GROUPS
    for of in silent["reasons"].values():
        assert sum(of["kinds"].values()) == of["faithfulness"]["reasons"] == 10 * PEOPLE


def test_reasons_that_are_shown_are_grounded_and_contradict_nothing(silent: dict[str, Any], asked: dict[str, Any]) -> None:
    for report in (silent, asked):
        for of in report["reasons"].values():
            assert (of["grounded"], of["contradictions"], of["wrong"]) == (1.0, 0, [])


def test_faithfulness_has_intervals_and_compares_with_as_many_others(silent: dict[str, Any]) -> None:
    told = silent["reasons"]["shown"]["faithfulness"]
    assert [name for name, value in told.items() if isinstance(value, dict)] == FAITHFULNESS
    assert all(told[name]["low"] <= told[name]["mean"] <= told[name]["high"] for name in FAITHFULNESS)
    assert 0 < told["compared"] <= told["reasons"] * (1 - told["without history evidence"]) + 0.01
    assert told["rank loss"]["mean"] > told["rank loss without others"]["mean"]


def test_the_filter_makes_reasons_no_less_faithful(silent: dict[str, Any]) -> None:
    shown, unfiltered = (silent["reasons"][group]["faithfulness"]["faithful"]["mean"] for group in GROUPS)
    assert shown >= unfiltered
    assert silent["reasons"]["shown"] != silent["reasons"]["without its filter"]


def test_with_a_message_nothing_is_taken_away(asked: dict[str, Any]) -> None:
    assert [of["faithfulness"] for of in asked["reasons"].values()] == [None, None]
    assert asked["message"] == "a western, nothing from before 1950"
    assert any("request" in kind for kind in asked["reasons"]["shown"]["kinds"])


def test_with_a_message_that_wants_nothing_there_is_no_faithfulness_either(era: Subject) -> None:
    report = judged(era, users=2, message="thank you")
    assert [of["faithfulness"] for of in report["reasons"].values()] == [None, None]


def test_the_same_people_give_the_same_report(era: Subject, silent: dict[str, Any]) -> None:
    assert judged(era) == silent


def test_all_are_asked_where_no_number_is_given(era: Subject) -> None:
    some = Histories(era.box.histories.users[:4], *_first(era.box.histories, 4))
    few = replace(era, box=replace(era.box, histories=some))
    assert judged(few, users=None)["people"] == 4
    assert judged(few, users=50)["people"] == 4
    assert judged(few, users=2)["people"] == 2


def test_people_without_a_history_are_not_asked(era: Subject) -> None:
    indptr, rows, disliked = _first(era.box.histories, 4)
    absent = Histories(["nobody", *era.box.histories.users[:4]], np.concatenate([[0], indptr]), rows, disliked)
    assert judged(replace(era, box=replace(era.box, histories=absent)), users=None)["people"] == 4


def _first(histories: Histories, people: int) -> tuple[Any, Any, Any]:
    end = int(histories.indptr[people])
    return histories.indptr[: people + 1], histories.rows[:end], histories.disliked[:end]


def test_where_nobody_has_a_history_that_is_said(era: Subject) -> None:
    empty = Histories([], *_first(era.box.histories, 0))
    with pytest.raises(BadInput, match="cannot evaluate reasons: nobody in the index has a history"):
        judged(replace(era, box=replace(era.box, histories=empty)))


@pytest.mark.parametrize("message", ["", "   "])
def test_an_empty_message_is_refused(era: Subject, message: str) -> None:
    with pytest.raises(BadInput, match="empty message"):
        judged(era, message=message)


def test_an_explainer_that_lies_is_found_out(era: Subject) -> None:
    report = judged(era, users=3, graph=lying)
    of = report["reasons"]["shown"]
    assert of["grounded"] == 0
    assert of["faithfulness"] == {"reasons": 30, "without history evidence": 1.0, "compared": 0}
    assert len(of["wrong"]) == EXAMPLES
    assert of["wrong"][0]["wrong"] == ["“<b>sleep</b>. It won 17 prizes.” is no taste of this person", "17 stands nowhere"]
    assert report["reasons"]["without its filter"]["grounded"] == 1
    text = html(page(report))
    assert "What is not so" in text
    assert "<b>sleep</b>" not in text


def lying(index: Index, subject: Subject, record: Node) -> Any:
    def lie(state: State) -> dict[str, Any]:
        reasons = (Reason("It fits your taste for <b>sleep</b>. It won 17 prizes."),) * len(state.ranking.picks)
        return record(replace(state, explained=Explained(reasons)))

    return graph_of(index, subject.box, subject.signals, None, lie)


def test_progress_is_told_of_every_turn(era: Subject) -> None:
    watch = Watch()
    judged(era, users=2, watch=watch)
    assert [stage[0] for stage in watch.stages] == ["turns", *["rankings without what is cited"] * 2]
    assert watch.stages[0] == ["turns", 2, 2]


def test_progress_is_told_of_as_much_as_was_promised(era: Subject) -> None:
    watch = Watch()
    judged(era, users=2, watch=watch)
    assert all(done == total for _, total, done in watch.stages)


# the page


def test_a_page_shows_what_a_report_tells(silent: dict[str, Any]) -> None:
    shown = page(silent)
    text = html(shown)
    for word in ("Truth of reasons", "What reasons rest on", "nobody says anything", "6 people", *GROUPS, *FAITHFULNESS):
        assert word in text
    assert "What is not so" not in text
    assert len(shown["sections"][0]["rows"]) == sum(2 + len(of["faithfulness"]) for of in silent["reasons"].values())


def test_a_page_of_turns_that_asked_tells_what_was_said(asked: dict[str, Any]) -> None:
    text = html(page(asked))
    assert "each says “a western, nothing from before 1950”" in text
    assert "log-rank loss" not in text


# over an index


def test_an_index_is_judged_and_the_report_written(sample_index: Index, settings: Settings, tmp_path: Path) -> None:
    report = evaluate_index("sample", users=2, output=tmp_path, settings=settings)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert (report["dataset"], report["people"]) == ("sample", 2)
    assert [of["grounded"] for of in report["reasons"].values()] == [1.0, 1.0]
    assert "Truth of reasons" in (tmp_path / "report.html").read_text()


def test_an_index_that_is_not_there_is_not_ready(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="duetto build"):
        evaluate_index(tmp_path / "none", users=2, settings=Settings())


def test_a_report_that_cannot_be_written_says_so(sample_index: Index, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(NotReady, match="name another folder"):
        evaluate_index("sample", users=1, output=tmp_path / "taken", message="a western", settings=settings)
