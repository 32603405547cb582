"""A person's tastes without a language model: what their items share more than the catalogue does."""

from dataclasses import replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from duetto.tools.features import DECADE, WORDS, Features
from duetto.tools.histories import History
from duetto.tools.language import Preference

EVIDENCE = 5
COMPANION_SHARE = 0.5  # a second feature must hold for at least this share of the evidence
_WORD_HANDICAP = 0.6  # a shared word says less of a taste than a shared category


def preferences(history: History, features: Features, most: int, newest: int = 50) -> tuple[Preference, ...]:
    """At most `most` preferences, strongest first, each with the newest history rows that show it.

    A feature's strength is the surprise of its recency-weighted count c in the history against the catalogue's
    share p: (c - n p) / sqrt(n p (1 - p) + 1/2). What is explained weighs less in the next round.
    """
    rows = np.array(history.liked_rows(newest), dtype=np.int64)
    if not len(rows):
        return ()
    mine = features.matrix[rows]
    active = np.unique(mine.indices)  # the few features of this history, of the catalogue's thousands
    mine = mine[:, active].toarray() > 0
    share, column = features.shares[active], features.column_codes[active]
    handicap = np.where(column == features.code(WORDS), _WORD_HANDICAP, 1.0)
    free = mine.sum(axis=0) >= min(2, len(rows))
    weight = 0.97 ** np.arange(len(rows))[::-1]
    found: list[tuple[float, Preference]] = []
    while len(found) < most and free.any():
        surprise = _surprise(weight @ mine, weight.sum(), share) * handicap
        best = int(np.argmax(np.where(free, surprise, -np.inf)))
        if surprise[best] < 0.5:
            break
        shows = mine[:, best]
        names = [best, *_companions(mine[shows], share, column, best)]
        free[names] = False
        evidence = tuple(int(row) for row in rows[shows][::-1][:EVIDENCE])
        made_of = tuple(int(active[name]) for name in names)
        found.append((float(surprise[best]), Preference(_phrase(made_of, features), 0.0, evidence, made_of)))
        weight = np.where(shows, weight * 0.4, weight)
    strengths = accumulate((strength for strength, _ in found), min)  # what is left may stand out more than what it follows
    return tuple(replace(p, weight=round(s / found[0][0], 3)) for s, (_, p) in zip(strengths, found, strict=True))


def _surprise(count: NDArray[np.floating], total: float, share: NDArray[np.floating]) -> NDArray[np.floating]:
    return (count - total * share) / np.sqrt(total * share * (1 - share) + 0.5)


def _companions(evidence: NDArray[np.bool_], share: NDArray[np.floating], column: NDArray[np.integer], best: int) -> list[int]:
    """The one feature of another column that most of the evidence shares, surprisingly."""
    counts = evidence.sum(axis=0)
    surprise = _surprise(counts, len(evidence), share)
    eligible = (column != column[best]) & (counts >= max(2, COMPANION_SHARE * len(evidence)))
    second = int(np.argmax(np.where(eligible, surprise, -np.inf)))
    return [second] if eligible[second] and surprise[second] > 1 else []


def _phrase(names: tuple[int, ...], features: Features) -> str:
    order = {DECADE: 1, WORDS: 2}
    return ", ".join(features.label(f) for f in sorted(names, key=lambda f: order.get(features.columns[f], 0)))
