"""How sure the numbers are: bootstrap intervals, paired tests, and Holm's correction for many of them.

Two systems are compared case by case, on differences: `interval(ours - theirs)` is the paired bootstrap interval.
People are taken as independent, the cases of one person are not.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

RESAMPLES = 1000
LEVEL = 95
WEIGHTS = 2**20  # at a time: 32 MB


class Interval(NamedTuple):
    """Means and the ends of their intervals, each of shape (columns,)."""

    mean: Values
    low: Values
    high: Values


def interval(values: Values, resamples: int = RESAMPLES, seed: int = 0, people: NDArray[np.int64] | None = None) -> Interval:
    """Mean of each column of `values` (cases, columns) with its 95% percentile bootstrap interval (Efron 1979).

    `people` (cases,) numbers whose case each is, from 0: people are drawn, with all their cases; without it each case is
    somebody else's. Every column sees the same resamples: how often each was drawn, times the values, as one matrix product.
    """
    means_of_all = values.mean(axis=0)
    sizes = np.ones(len(values)) if people is None else np.bincount(people).astype(np.float64)
    values = values if people is None else sums(values, people)
    cases = len(values)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    chunk = max(1, WEIGHTS // cases)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = rng.integers(cases, size=(rows, cases)) + cases * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * cases).reshape(rows, cases)
        drawn_times = times.astype(np.float64)
        means[start : start + rows] = drawn_times @ values / (drawn_times @ sizes)[:, None]
    low, high = np.percentile(means, [50 - LEVEL / 2, 50 + LEVEL / 2], axis=0)
    return Interval(means_of_all, low, high)


def sums(values: Values, people: NDArray[np.int64]) -> Values:
    """The sum of each person's rows, shape (people, columns)."""
    summed = np.zeros((int(people.max()) + 1, values.shape[1]))
    np.add.at(summed, people, values)
    return summed


def mcnemar(ours: Values, theirs: Values) -> float:
    """Exact two-sided McNemar test of hits (0 or 1, shape (cases,)): are the cases only one side hits split evenly?"""
    won, lost = int((ours > theirs).sum()), int((ours < theirs).sum())
    return float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0


def paired_t(ours: Values, theirs: Values) -> float:
    """Two-sided paired t-test of two means over the same cases, shape (cases,) each.

    It tests the mean difference that a report shows, which Wilcoxon's ranks do not, and of the tests usual in retrieval it
    and the permutation test keep their level best (Urbano, Lima and Hanjalic, SIGIR 2019). When all differences are the same
    there is no variance, and the answer is the sign-flip test's, 2^(1 - cases).
    """
    differences = ours - theirs
    if np.ptp(differences) == 0:
        return float(2.0 ** (1 - len(differences))) if differences[0] else 1.0
    return float(stats.ttest_1samp(differences, 0).pvalue)


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction of a family of p-values (Scandinavian Journal of Statistics, 1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return [float(value) for value in adjusted]
