"""What each metric says of ranks and of lists, by hand and by ranx."""

import warnings

import numpy as np
import polars as pl
import pytest

from duetto.evals.metrics import CHUNK, CUTS, METRICS, coverage, diversity, novelty, popularity, shown
from duetto.tools.embedding import unit
from tests.contracts import random_units
from tests.evals.cases import COUNTS, USERS

RANKS = np.array([0, 1, 4, 9, 10, 19, 20, 5000])


# one label a case


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("hr@1", [1, 0, 0, 0, 0, 0, 0, 0]),
        ("hr@10", [1, 1, 1, 1, 0, 0, 0, 0]),
        ("hr@20", [1, 1, 1, 1, 1, 1, 0, 0]),
        ("ndcg@5", [1, 1 / np.log2(3), 1 / np.log2(6), 0, 0, 0, 0, 0]),
        ("ndcg@10", [1, 1 / np.log2(3), 1 / np.log2(6), 1 / np.log2(11), 0, 0, 0, 0]),
        ("mrr@5", [1, 1 / 2, 1 / 5, 0, 0, 0, 0, 0]),
        ("mrr@20", [1, 1 / 2, 1 / 5, 1 / 10, 1 / 11, 1 / 20, 0, 0]),
        ("log_rank", np.log([1, 2, 5, 10, 11, 20, 21, 5001])),
    ],
)
def test_a_metric_is_what_its_formula_says(metric: str, expected: list[float]) -> None:
    assert METRICS[metric](RANKS) == pytest.approx(np.array(expected))


def test_of_the_first_place_alone_all_metrics_say_the_same() -> None:
    assert METRICS["hr@1"](RANKS).tolist() == METRICS["ndcg@1"](RANKS).tolist() == METRICS["mrr@1"](RANKS).tolist()


def test_the_table_has_every_cut_and_gives_a_number_a_case() -> None:
    assert set(METRICS) == {f"{name}@{k}" for name in ("hr", "ndcg", "mrr") for k in CUTS} | {"log_rank"}
    for of in METRICS.values():
        assert of(RANKS).shape == RANKS.shape
        assert of(RANKS).dtype == np.float64


def test_ranx_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    config = pytest.importorskip("numba").config
    monkeypatch.setattr(config, "DISABLE_JIT", True)  # compiled, forty cases take half a minute
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranx = pytest.importorskip("ranx")
        rng = np.random.default_rng(0)
        orders, labels = [rng.permutation(60) for _ in range(40)], rng.integers(60, size=40)
        qrels = ranx.Qrels({f"q{n}": {f"d{label}": 1} for n, label in enumerate(labels)})
        run = ranx.Run({f"q{n}": {f"d{item}": 60.0 - p for p, item in enumerate(order)} for n, order in enumerate(orders)})
        names = {metric: metric.replace("hr@", "hit_rate@") for metric in METRICS if "@" in metric}
        found = ranx.evaluate(qrels, run, list(names.values()))
    ranks = np.array([int(np.flatnonzero(order == label)[0]) for order, label in zip(orders, labels, strict=True)])
    for metric, name in names.items():
        assert METRICS[metric](ranks).mean() == pytest.approx(found[name]), metric


# the lists shown


LISTS = np.array([[0, 1, 2], [0, 3, -1], [4, -1, -1], [-1, -1, -1]])


def test_lists_are_cut_and_short_ones_end_in_minus_one() -> None:
    top = pl.Series([[5, 4, 3, 2], [7], [], [1, 2, 3]], dtype=pl.List(pl.Int32))
    assert shown(top, 3).tolist() == [[5, 4, 3], [7, -1, -1], [-1, -1, -1], [1, 2, 3]]


def test_coverage_is_the_share_of_items_in_any_list() -> None:
    assert coverage(LISTS, 10) == 5 / 10


def test_popularity_is_the_mean_count_of_a_list() -> None:
    assert popularity(LISTS, COUNTS) == pytest.approx(np.array([14 / 3, 9 / 2, 0, 0]))


def test_novelty_is_in_bits_and_an_unseen_item_counts_as_seen_once() -> None:
    assert novelty(LISTS, COUNTS, USERS) == pytest.approx(np.array([(0 + 1 + 2) / 3, (0 + 3) / 2, 3, 0]))


def test_diversity_is_none_of_the_same_and_whole_at_right_angles() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1], [-1, 0], [0, 0]], dtype=np.float32)
    lists = np.array([[0, 1, -1], [0, 2, -1], [0, 3, -1], [0, 1, 2], [0, 4, -1], [0, -1, -1]])
    assert diversity(lists, vectors) == pytest.approx(np.array([0, 1, 2, 2 / 3, 1, 0]))


def test_diversity_is_the_mean_over_pairs_across_chunks() -> None:
    vectors = unit(random_units(50, seed=0, dimensions=16) + 1)
    lists = np.array([np.random.default_rng(n).permutation(50)[:10] for n in range(CHUNK + 5)])
    found = diversity(lists, vectors)
    for n in (0, CHUNK - 1, CHUNK, CHUNK + 4):
        cosines = vectors[lists[n]] @ vectors[lists[n]].T
        assert found[n] == pytest.approx(1 - cosines[np.triu_indices(10, 1)].mean(), abs=1e-5)
