"""`duetto eval rank` on the sample: honest splits, honest ranks, and a run that survives being killed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from duetto.errors import BadInput
from duetto.evals import accuracy, sections
from duetto.evals.accuracy import Task, evaluate
from duetto.evals.metrics import label_ranks
from duetto.evals.ranking import Played, play
from duetto.evals.split import cases, leave_one_out
from duetto.evals.subject import Subject, subject_of, unrefitted
from duetto.evals.systems import DEFAULT, SYSTEMS, Batch
from duetto.limits import Limits
from duetto.tools import sample
from duetto.tools.catalogue import Catalogue
from duetto.tools.histories import History
from duetto.tools.indexing import make_index

LIMITS = Limits(ranker_trees=20, held_out=2, tuning_people=100)
LOG = sample.interactions()
ITEMS = sample.films()
CASES = cases(LOG, leave_one_out(LOG), Catalogue.of(ITEMS))


def subject(training: pl.DataFrame) -> Subject:
    index = make_index(ITEMS, training, None, embedder_name="lsa", embedder=None, previous=None, limits=LIMITS)
    return subject_of(index, None, LIMITS)


@pytest.fixture(scope="module")
def fitted() -> Subject:
    return subject(leave_one_out(LOG).training)


def hr10(table: pl.DataFrame, system: str) -> float:
    return float((table.filter(pl.col("system") == system)["rank"] < 10).mean())  # type: ignore[arg-type]


def test_ranks_are_those_of_a_full_sort_and_ties_stand_in_catalogue_order() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 5, (6, 40)).astype(np.float32)
    histories = [History(rng.permutation(40)[:n].astype(np.int32), np.zeros(n, bool), True) for n in (0, 1, 5, 9, 20, 39)]
    labels = np.array([next(i for i in range(40) if i not in h.rows) for h in histories])
    ranks, top = label_ranks(scores, histories, labels)
    for person, history in enumerate(histories):
        free = [row for row in range(40) if row not in history.rows]
        ordered = sorted(free, key=lambda row: (-scores[person, row], row))
        assert ranks[person] == ordered.index(labels[person])
        assert top[person].tolist() == ordered[:20]


@pytest.mark.parametrize("system", DEFAULT)
def test_every_system_scores_every_item_for_everybody(fitted: Subject, system: str) -> None:
    histories = [case.history for case in CASES[:4]]
    scores = SYSTEMS[system](Batch(fitted, histories))
    assert scores.shape == (4, len(ITEMS))
    assert np.isfinite(scores).all()
    alone = np.concatenate([SYSTEMS[system](Batch(fitted, [history])) for history in histories])
    assert np.allclose(scores, alone, atol=1e-3)


def test_learning_order_beats_forgetting_it(fitted: Subject) -> None:
    table = play(fitted, Played(CASES), ("popularity", "als", "learned"))
    assert hr10(table, "learned") > max(hr10(table, "popularity"), hr10(table, "als"))


def test_with_labels_of_others_nothing_is_better_than_popularity(fitted: Subject) -> None:
    """With a label that has nothing to do with the history, knowing the history helps nobody."""
    rng = np.random.default_rng(1)
    labels = rng.permutation([case.label for case in CASES])
    shuffled = [replace(c, label=int(x)) for c, x in zip(CASES, labels, strict=True) if x not in c.history.rows]
    table = play(fitted, Played(shuffled), ("popularity", "learned", "adaptive"))
    noise = 3 * (hr10(table, "popularity") / len(shuffled)) ** 0.5
    assert hr10(table, "learned") <= hr10(table, "popularity") + noise
    assert hr10(table, "adaptive") <= hr10(table, "popularity") + noise


def test_no_score_depends_on_a_label(fitted: Subject) -> None:
    """A log whose labels are other items, or are not there at all, gives bit-identical scores."""
    last = pl.col("position") == pl.col("position").max().over("user_id")
    removed = LOG.filter(~last)
    again = subject(removed)
    histories = [case.history for case in CASES[:60]]
    for system in ("als", "crowd", "adaptive", "learned"):
        assert np.array_equal(SYSTEMS[system](Batch(fitted, histories)), SYSTEMS[system](Batch(again, histories)))


def test_without_refit_the_crowd_has_not_seen_the_last_training_event(fitted: Subject) -> None:
    inner = unrefitted(fitted)
    histories = fitted.box.histories
    last = histories.indptr[1:][np.diff(histories.indptr) > 1] - 1
    fewer = int((~histories.disliked[last]).sum())
    assert inner.box.crowd.standing.liked.sum() == fitted.box.crowd.standing.liked.sum() - fewer
    assert inner.ranker is fitted.ranker
    assert len(inner.box.histories.at(0)) == len(fitted.box.histories.at(0))


# the whole run


def task(**changes: object) -> Task:
    base = Task("sample", ITEMS, LOG, None, "lsa", None, LIMITS, users=40, systems=("popularity", "als", "learned"))
    return replace(base, **changes)  # type: ignore[arg-type]


class Killed(Exception):
    pass


class Watch:
    """Progress that raises when a stage gets so far."""

    def __init__(self, stage: str | None = None) -> None:
        self.stages: list[str] = []
        self.fatal = stage

    def stage(self, name: str, total: int) -> Callable[[int], None]:
        self.stages.append(name)

        def advance(done: int) -> None:
            if name == self.fatal:
                raise Killed

        return advance


def test_a_report_tells_every_system_with_intervals_and_every_section(tmp_path: Path) -> None:
    report = evaluate(task(), tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert list(report["systems"]) == ["popularity", "als", "learned"]
    hit = report["systems"]["learned"]["hr@10"]
    assert hit["low"] <= hit["mean"] <= hit["high"]
    assert {(c["system"], c["against"]) for c in report["comparisons"]} == {("learned", "popularity"), ("learned", "als")}
    titles = [section["title"] for section in report["sections"]]
    assert titles == [
        "The crowd fitted without the validation items too",
        "People with few items",
        "Noise in histories",
        "Items nobody knows",
    ]
    assert 0 < report["facts"]["recall of the candidates"] <= 1
    assert {stage["stage"] for stage in report["stages"]} >= {"build", "rank"}
    table = pl.read_parquet(tmp_path / "cases.parquet")
    assert table.height == 3 * 40
    assert table.select("system", "case").is_unique().all()


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        evaluate(task(), tmp_path / "killed", Watch("noise"))
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").rglob("*.parquet")}
    watch = Watch()
    resumed = evaluate(task(), tmp_path / "killed", watch)
    assert "learning from held-out likes" not in watch.stages
    kept = [path for path, time in written.items() if path.exists() and path.stat().st_mtime_ns == time]
    assert len(kept) == len(written)
    whole = evaluate(task(), tmp_path / "whole")
    assert {k: v for k, v in resumed.items() if k != "stages"} == {k: v for k, v in whole.items() if k != "stages"}


def test_another_task_in_the_same_folder_starts_anew(tmp_path: Path) -> None:
    evaluate(task(users=30), tmp_path)
    assert evaluate(task(), tmp_path)["facts"]["cases"] == 40
    assert task().fingerprint != task(log=LOG.head(LOG.height - 1)).fingerprint


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"protocol": "random"}, "there is no protocol 'random': choose one of leave-one-out, temporal"),
        ({"systems": ("learned", "best")}, "there is no system 'best': choose among popularity"),
        ({"systems": ("als", "als")}, "name each system once"),
        (
            {"log": LOG.unique("user_id", keep="first", maintain_order=True)},
            "no interaction with an item of the catalogue is left to predict",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_said(tmp_path: Path, changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        evaluate(task(**changes), tmp_path)


# the sections


def test_what_is_asked_in_evaluation_is_never_practised() -> None:
    described = pl.DataFrame({"item_id": [1, 2, 3], "queries": [["a", "b", "c"], ["d"], []]})
    asked = sections.requests_of(described)
    assert set(asked.evaluated) == {"1", "2"}
    assert set(asked.practice) == {"1"}
    assert asked.evaluated["1"] != asked.practice["1"]
    assert sections.requests_of(described) == asked


def test_hidden_items_lose_their_interactions_and_nothing_else(fitted: Subject) -> None:
    histories = fitted.box.histories
    hidden = np.array([3, 7])
    for left in (0, 1):
        kept = sections._hide(histories, hidden, left)
        before, after = (np.bincount(h.rows, minlength=len(ITEMS)) for h in (histories, kept))
        assert after[hidden].tolist() == [left, left]
        others = np.setdiff1d(np.arange(len(ITEMS)), hidden)
        assert np.array_equal(before[others], after[others])
        assert len(kept) == len(histories)


def test_noise_replaces_a_tenth_of_a_history_and_never_by_the_label() -> None:
    rng = np.random.default_rng(0)
    for case in CASES[:50]:
        noisy = sections._noisy(case, len(ITEMS), rng)
        assert (noisy.rows != case.history.rows).sum() == max(1, round(0.1 * len(case.history)))
        assert case.label not in noisy.rows
        assert len(set(noisy.rows.tolist())) == len(noisy)


def test_requests_are_found_by_who_asks_for_them(tmp_path: Path) -> None:
    described = pl.DataFrame(
        {
            "item_id": ITEMS["item_id"],
            "description": [f"about {word}" for word in ITEMS["title"]],
            "queries": [[f"{title} of {i}", f"the one called {title}"] for i, title in enumerate(ITEMS["title"])],
        }
    )
    report = evaluate(task(descriptions=described, requests=described), tmp_path)
    told = {section["title"]: section for section in report["sections"]}
    assert {"Requests", "Requests with somebody else's history", "Requests, items without descriptions"} <= set(told)
    hits = {row[0]: row[2] for row in told["Requests"]["rows"]}
    assert hits["learned"] >= hits["language"] - 0.05 > hits["crowd"]


def test_recorded_queries_are_compared_pair_by_pair(tmp_path: Path) -> None:
    recordings = tuple({"user_id": c.user, "queries": [str(ITEMS["title"][c.label])]} for c in CASES)
    report = evaluate(task(recordings=recordings), tmp_path)
    told = {section["title"]: section for section in report["sections"]}
    rows = told["What the recorded language voice changes"]["rows"]
    gained = {row[0]: row[5] for row in rows if row[1] == "all" and row[3] == "hr@10"}
    assert gained["fixed"] > 0


def test_the_protocols_are_the_documented_ones() -> None:
    assert set(accuracy.PROTOCOLS) == {"leave-one-out", "temporal"}
