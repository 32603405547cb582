"""A person's tastes without a language model: what their items share more than the catalogue does."""

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
    share = np.asarray(features.matrix.mean(axis=0)).ravel()
    mine = features.matrix[rows]
    weight = 0.97 ** np.arange(len(rows))[::-1]
    handicap = np.where([column == WORDS for column in features.columns], _WORD_HANDICAP, 1.0)
    enough = np.asarray(mine.sum(axis=0)).ravel() >= min(2, len(rows))
    found: list[tuple[float, Preference]] = []
    used: set[int] = set()
    while len(found) < most:
        strength = np.where(enough, _surprise(mine.T @ weight, weight.sum(), share) * handicap, -np.inf)
        strength[list(used)] = -np.inf
        best = int(np.argmax(strength)) if len(strength) else -1
        if best < 0 or strength[best] < 0.5:
            break
        used.add(best)
        shows = np.asarray(mine[:, [best]].todense()).ravel() > 0
        names = [best, *_companions(mine[shows], share, features, best)]
        used.update(names[1:])
        evidence = tuple(int(row) for row in rows[shows][::-1][:EVIDENCE])
        found.append((float(strength[best]), Preference(_phrase(names, features), 0.0, evidence)))
        weight = np.where(shows, weight * 0.4, weight)
    top = max((strength for strength, _ in found), default=1.0)
    return tuple(Preference(p.text, round(strength / top, 3), p.evidence) for strength, p in found)


def _surprise(count: NDArray[np.floating], total: float, share: NDArray[np.floating]) -> NDArray[np.floating]:
    return (count - total * share) / np.sqrt(total * share * (1 - share) + 0.5)


def _companions(evidence: object, share: NDArray[np.floating], features: Features, best: int) -> list[int]:
    """The one feature of another column that most of the evidence shares, surprisingly."""
    counts = np.asarray(evidence.sum(axis=0)).ravel()  # type: ignore[attr-defined]
    n = float(evidence.shape[0])  # type: ignore[attr-defined]
    surprise = _surprise(counts, n, share)
    other = np.array([column != features.columns[best] for column in features.columns])
    eligible = other & (counts >= max(2, COMPANION_SHARE * n))
    if not eligible.any():
        return []
    second = int(np.argmax(np.where(eligible, surprise, -np.inf)))
    return [second] if surprise[second] > 1 else []


def _phrase(names: list[int], features: Features) -> str:
    order = {DECADE: 1, WORDS: 2}
    return ", ".join(features.label(f) for f in sorted(names, key=lambda f: order.get(features.columns[f], 0)))
