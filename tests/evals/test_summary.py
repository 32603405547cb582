"""From six cases of two systems to a report's numbers."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from duetto.errors import BadInput
from duetto.evals.metrics import METRICS
from duetto.evals.summary import summarise
from tests.evals.cases import COUNTS, ITEMS, USERS, VECTORS, cases


def summary(table: pl.DataFrame | None = None, **options: Any) -> dict[str, Any]:
    return summarise(cases() if table is None else table, ITEMS, COUNTS, USERS, VECTORS, **options)


def test_every_system_has_every_metric_and_its_interval() -> None:
    systems = summary()["systems"]
    assert list(systems) == ["popular", "duetto"]
    for found in systems.values():
        assert set(found) == set(METRICS) | {"coverage@10", "novelty@10", "diversity@10", "popularity@10"}
        assert all(e["low"] <= e["mean"] <= e["high"] for name, e in found.items() if name != "coverage@10")


def test_means_are_those_worked_out_by_hand() -> None:
    popular, duetto = summary()["systems"].values()
    assert popular["hr@10"]["mean"] == 4 / 6
    assert duetto["mrr@10"]["mean"] == pytest.approx((1 + 1 + 1 / 2 + 1 / 10) / 6)
    assert duetto["log_rank"]["mean"] == pytest.approx(np.log([1, 1, 2, 10, 20, 31]).mean())
    assert (popular["coverage@10"], duetto["coverage@10"]) == ({"mean": 10 / 12}, {"mean": 3 / 12})
    assert (popular["popularity@10"]["mean"], duetto["popularity@10"]["mean"]) == (1.5, 0)
    assert popular["novelty@10"]["mean"] == pytest.approx((0 + 1 + 2 + 7 * 3) / 10)
    assert duetto["diversity@10"]["mean"] == pytest.approx(1)


def test_the_last_system_is_compared_with_the_others() -> None:
    found = summary()["comparisons"]
    assert [(c["system"], c["against"], c["metric"]) for c in found] == [
        ("duetto", "popular", metric) for metric in ("hr@10", "ndcg@10", "log_rank")
    ]
    assert found[0]["difference"] == 0
    assert found[0]["p"] == 1
    assert all(c["low"] <= c["difference"] <= c["high"] and c["p"] <= c["p_holm"] <= 1 for c in found)


def test_another_system_may_be_ours_and_the_difference_turns_its_sign() -> None:
    there = [c["difference"] for c in summary()["comparisons"]]
    back = [c["difference"] for c in summary(ours="popular")["comparisons"]]
    assert there == pytest.approx([-difference for difference in back])


def test_a_system_alone_is_compared_with_nobody() -> None:
    assert summary(cases("duetto"))["comparisons"] == []


def test_a_person_s_cases_are_one_witness() -> None:
    once = summary()["comparisons"]
    table = cases()
    again = pl.concat([table.with_columns(case=pl.col("case") + 100 * n) for n in range(5)])
    often = summary(again)["comparisons"]
    assert [c["difference"] for c in often] == pytest.approx([c["difference"] for c in once])
    assert [c["high"] - c["low"] for c in often] == pytest.approx([c["high"] - c["low"] for c in once])
    by_metric = {c["metric"]: c["p"] for c in once}
    assert {c["metric"]: c["p"] for c in often if c["metric"] != "hr@10"} == pytest.approx(
        {metric: p for metric, p in by_metric.items() if metric != "hr@10"}
    )


def test_groups_are_by_history_and_only_those_that_have_cases() -> None:
    groups = summary()["groups"]["history"]
    assert [(g["group"], g["cases"]) for g in groups] == [("1-5", 2), ("6-10", 1), ("21-50", 2), ("201+", 1)]
    assert groups[0]["systems"]["popular"] == pytest.approx({"hr@10": 1, "ndcg@10": (1 + 1 / np.log2(6)) / 2})
    assert groups[3]["systems"]["duetto"] == {"hr@10": 0, "ndcg@10": 0}


def test_groups_are_by_how_often_the_label_was_seen() -> None:
    groups = summary()["groups"]["popularity"]
    assert [(g["group"], g["cases"]) for g in groups] == [("0", 1), ("1", 1), ("2-5", 2), ("501+", 2)]


def test_a_case_without_history_is_not_lost() -> None:
    groups = summary(cases().with_columns(history=0))["groups"]["history"]
    assert [(g["group"], g["cases"]) for g in groups] == [("0", 6)]


def test_cases_may_come_in_any_order_and_the_summary_is_the_same_json() -> None:
    mixed = pl.concat([cases("popular").reverse(), cases("duetto").sample(fraction=1, shuffle=True, seed=0)])
    assert json.dumps(summary(mixed), allow_nan=False) == json.dumps(summary(), allow_nan=False)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (cases()[:-1], "the same cases"),
        (pl.concat([cases("duetto"), cases("duetto")]), "each once"),
        (cases()[:0], "without cases"),
    ],
)
def test_cases_that_cannot_be_compared_are_refused(table: pl.DataFrame, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        summary(table)


def test_ours_must_be_a_system() -> None:
    with pytest.raises(BadInput, match=r"'duet'.*popular, duetto"):
        summary(ours="duet")
