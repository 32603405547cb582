"""Metrics of rankings of the whole catalogue with one relevant item, the label, a case.

`ranks` (cases,) are the label's 0-based places among all items outside the history, ties resolved; nothing is sampled,
for sampled metrics order systems differently (Krichene and Rendle, KDD 2020). `lists` (cases, k) are the item rows shown,
best first, -1 where a list has ended; `counts` (items,) are interactions in the training log.

Not ranx: each metric of a case is a function of one number, where ranx wants every ranking as a dict, takes 3 s to import
and half a minute to compile. The tests check these against it.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from duetto.tools.histories import History

Ranks = NDArray[np.int64]
Lists = NDArray[np.int64]
Values = NDArray[np.float64]

CUTS = (1, 5, 10, 20)
SHOWN = 10
CHUNK = 1024


def hr(ranks: Ranks, k: int) -> Values:
    """Hit rate: 1 if the label is among the first k."""
    return (ranks < k).astype(np.float64)


def ndcg(ranks: Ranks, k: int) -> Values:
    """1 / log2(rank + 2) among the first k, else 0 (Järvelin and Kekäläinen 2002; one label, so the ideal is 1)."""
    return np.where(ranks < k, 1 / np.log2(ranks + 2), 0.0)


def mrr(ranks: Ranks, k: int) -> Values:
    """Reciprocal rank: 1 / (rank + 1) among the first k, else 0 (Voorhees 1999)."""
    return np.where(ranks < k, 1 / (ranks + 1), 0.0)


def log_rank(ranks: Ranks) -> Values:
    """ln(rank + 1): 0 is best; unlike a cut metric it hears of moves anywhere in the catalogue."""
    return np.log1p(ranks)


METRICS: dict[str, Callable[[Ranks], Values]] = {
    **{f"{metric.__name__}@{k}": partial(metric, k=k) for metric in (hr, ndcg, mrr) for k in CUTS},
    "log_rank": log_rank,
}


def shown(top: pl.Series, k: int = SHOWN) -> Lists:
    """The first k rows of each list of `top`, shape (cases, k); a shorter list ends in -1."""
    padded = top.list.gather(list(range(k)), null_on_oob=True).explode(empty_as_null=False, keep_nulls=False)
    return padded.fill_null(-1).to_numpy().astype(np.int64).reshape(len(top), k)


def label_ranks(
    scores: NDArray[np.float32], histories: list[History], labels: NDArray[np.int64]
) -> tuple[Ranks, list[NDArray[np.int64]]]:
    """Each label's place among all items the person does not have, from 0, and the first 20 of them, best first.

    Ties stand in catalogue order, in both. Shape (people,), and at most 20 rows for each person.
    """
    scores = scores.astype(np.float32, copy=True)
    lengths = [len(history) for history in histories]
    people = np.arange(len(histories))
    scores[np.repeat(people, lengths), np.concatenate([history.rows for history in histories])] = -np.inf
    own = scores[people, labels][:, None]
    before = np.arange(scores.shape[1]) < labels[:, None]
    ranks = ((scores > own) | ((scores == own) & before)).sum(axis=1)
    return ranks, [_first(row, 20) for row in scores]


def _first(scores: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    if len(scores) > most:
        least = np.partition(scores, -most)[-most]
        rows = np.flatnonzero(scores >= least)
    else:
        rows = np.arange(len(scores))
    rows = rows[scores[rows] > -np.inf]
    return rows[np.argsort(-scores[rows], kind="stable")][:most]


def coverage(lists: Lists, items: int) -> float:
    """Share of the catalogue that is in any list (Ge, Delgado-Battenfeld and Jannach, RecSys 2010)."""
    return len(np.unique(lists[lists >= 0])) / items


def novelty(lists: Lists, counts: NDArray[np.integer], users: int) -> Values:
    """Mean self-information of the items shown, -log2(count / users) in bits (Zhou et al., PNAS 2010).

    An item nobody has seen counts as if one user had.
    """
    return _mean_shown(lists, -np.log2(np.maximum(counts, 1) / users))


def popularity(lists: Lists, counts: NDArray[np.integer]) -> Values:
    """Mean interactions of the items shown."""
    return _mean_shown(lists, counts.astype(np.float64))


def diversity(lists: Lists, vectors: NDArray[np.floating]) -> Values:
    """1 - mean cosine of the pairs in a list (Smyth and McClave, ICCBR 2001); 0 for a list without a pair.

    `vectors` (items, d) are unit, so a list's cosines sum to |sum of its vectors|² - sum of their squared lengths. A zero
    vector is at a right angle to all others.
    """
    found = np.zeros(len(lists))
    for start in range(0, len(lists), CHUNK):
        part = lists[start : start + CHUNK]
        sizes = (part >= 0).sum(axis=1)
        members = np.where((part >= 0)[:, :, None], vectors[part], 0.0)
        twice = (members.sum(axis=1) ** 2).sum(axis=1) - (members**2).sum(axis=(1, 2))
        found[start : start + CHUNK] = np.where(sizes > 1, 1 - twice / np.maximum(sizes * (sizes - 1), 1), 0.0)
    return found


def _mean_shown(lists: Lists, values: Values) -> Values:
    """Mean of `values` (items,) over each list; 0 for an empty list."""
    real = lists >= 0
    return np.asarray(np.where(real, values[lists], 0.0).sum(axis=1) / np.maximum(real.sum(axis=1), 1))
