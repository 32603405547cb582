"""Intervals and tests: values worked out by hand, and how often they are wrong when there is nothing to find."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from duetto.evals.statistics import WEIGHTS, holm, interval, mcnemar, paired_t


def column(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


# intervals


def test_an_interval_of_a_constant_is_the_constant() -> None:
    found = interval(np.full((50, 2), [3.0, 0.25]))
    assert np.array(found) == pytest.approx(np.array([[3, 0.25]] * 3))


def test_an_interval_of_many_cases_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(5, 2, size=(10_000, 1))
    mean, low, high = (float(end[0]) for end in interval(values, resamples=2000))
    half = 1.96 * values.std() / 100
    assert mean == pytest.approx(values.mean())
    assert [mean - low, high - mean] == pytest.approx([half, half], rel=0.1)


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    values = np.random.default_rng(0).random((100, 3))
    assert np.array_equal(interval(values, seed=1), interval(values, seed=1))
    assert not np.array_equal(interval(values, seed=1), interval(values, seed=2))


def test_columns_see_the_same_resamples() -> None:
    values = np.random.default_rng(0).random((100, 1))
    low, high = interval(np.hstack([values, values * 2 + 1]))[1:]
    assert low[1] == pytest.approx(low[0] * 2 + 1)
    assert high[1] == pytest.approx(high[0] * 2 + 1)


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    rng = np.random.default_rng(0)
    theirs = rng.normal(size=(2000, 1))
    ours = theirs + 0.05 + rng.normal(scale=0.1, size=(2000, 1))
    paired = interval(ours - theirs)
    assert paired.mean[0] == pytest.approx(0.05, abs=0.01)
    assert paired.low[0] > 0.04
    assert interval(ours).high[0] - interval(ours).low[0] > 5 * (paired.high[0] - paired.low[0])


def test_more_cases_than_are_weighed_at_a_time_still_get_an_interval() -> None:
    found = interval(np.tile([[0.0], [1.0]], (WEIGHTS // 2 + 1, 1)), resamples=3)
    assert found.low[0] < 0.501 > found.mean[0]


def test_people_are_drawn_with_all_their_cases() -> None:
    """A person's cases alike: many of them tell no more than one."""
    rng = np.random.default_rng(0)
    own = rng.normal(size=(60, 1))
    once, often = interval(own), interval(np.repeat(own, 20, axis=0), people=np.repeat(np.arange(60), 20))
    assert np.array(often) == pytest.approx(np.array(once))
    alone = interval(np.repeat(own, 20, axis=0))
    assert alone.high - alone.low < 0.5 * (often.high - often.low)


def test_an_interval_holds_the_truth_about_95_times_in_100() -> None:
    samples = np.random.default_rng(0).exponential(size=(150, 400))
    found = interval(samples, resamples=500)
    assert 0.92 < ((found.low <= 1) & (found.high >= 1)).mean() < 0.975


def test_a_large_evaluation_takes_about_a_second() -> None:
    values = np.random.default_rng(0).random((22_000, 20))
    started = time.process_time()
    interval(values)
    assert time.process_time() - started < 5


# paired tests


@pytest.mark.parametrize(
    ("won", "lost", "p"), [(0, 0, 1), (1, 0, 1), (5, 0, 2 / 32), (8, 2, 112 / 1024), (2, 8, 112 / 1024), (20, 0, 2 / 2**20)]
)
def test_mcnemar_counts_the_cases_that_one_side_alone_hits(won: int, lost: int, p: float) -> None:
    ours = column([1] * won + [0] * lost + [1, 0])
    theirs = column([0] * won + [1] * lost + [1, 0])
    assert mcnemar(ours, theirs) == pytest.approx(p)


def test_the_t_test_is_the_one_in_the_books() -> None:
    """Student's sleep data (1908): t = 4.062, 9 degrees of freedom, p = 0.002833."""
    drug = column([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    other = column([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    assert paired_t(drug, other) == pytest.approx(0.002833, abs=1e-6)
    assert paired_t(other, drug) == paired_t(drug, other)


def test_differences_without_variance_have_a_p_value_too() -> None:
    assert paired_t(column([1, 2, 3]), column([1, 2, 3])) == 1
    assert paired_t(column([2, 3, 4]), column([1, 2, 3])) == 1 / 4
    assert paired_t(column([2]), column([1])) == 1


def test_both_tests_can_be_very_sure() -> None:
    rng = np.random.default_rng(0)
    theirs = rng.random(5000)
    assert paired_t(theirs + rng.normal(0.02, 0.1, 5000), theirs) < 1e-20
    assert mcnemar(np.ones(60), np.zeros(60)) < 1e-15


def test_when_there_is_nothing_to_find_about_5_in_100_are_found() -> None:
    rng = np.random.default_rng(0)
    gains = [np.where(rng.random((2, 400)) < 0.3, rng.random((2, 400)), 0) for _ in range(800)]
    found = np.array([(paired_t(a, b), mcnemar(np.sign(a), np.sign(b))) for a, b in gains])
    t_test, exact = (found < 0.05).mean(axis=0)
    assert 0.035 < t_test < 0.065
    assert 0.02 < exact < 0.055  # an exact test of whole numbers errs on the safe side


# many tests


def test_holm_multiplies_by_what_is_left_and_never_turns_back() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stops_at_one_keeps_one_and_bears_none() -> None:
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
