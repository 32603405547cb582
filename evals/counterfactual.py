"""Are the reasons true to the ranking? Take away what a reason cites, rank anew, and see whether the item falls.

Items taken away stay masked as seen, and the fall is compared with taking away as many others of the same history, drawn
at random (the comprehensiveness of DeYoung et al., ERASER, ACL 2020, against its random baseline).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duetto.evals.statistics import interval
from duetto.evals.subject import Subject
from duetto.tools.fusion import Evidence, rank
from duetto.tools.histories import History
from duetto.tools.practice import turns
from duetto.tools.progress import Advance, Progress, Silence
from duetto.tools.single_thread import single_thread

DRAWS = 5
Removal = tuple[int, tuple[int, ...]]  # a person, and the rows taken from their history


@dataclass(frozen=True)
class Claim:
    """A reason for an item (row), and the rows of the person's history that it cites, at least one."""

    person: int
    history: History
    row: int
    cited: tuple[int, ...]


@dataclass(frozen=True)
class Fall:
    """Places (0-based) of the claimed item: as it was shown, without what is cited, and the mean without as many others."""

    shown: int
    without: int
    others: float


def falls(subject: Subject, claims: list[Claim], seed: int = 0, progress: Progress | None = None) -> list[Fall | None]:
    """For each claim; None where the history holds too few others to compare with."""
    rng = np.random.default_rng(seed)
    plans = [_plan(claim, rng) for claim in claims]
    wanted: dict[Removal, list[int]] = {}
    histories = {claim.person: claim.history for claim in claims}
    for claim, plan in zip(claims, plans, strict=True):
        for gone in plan or ():
            wanted.setdefault((claim.person, gone), []).append(claim.row)
    advance = (progress or Silence()).stage("rankings without what is cited", len(wanted))
    placed = dict(_placed(subject, histories, wanted, advance))
    found: list[Fall | None] = []
    for claim, plan in zip(claims, plans, strict=True):
        if plan is None:
            found.append(None)
            continue
        shown, without, *others = (placed[claim.person, gone][claim.row] for gone in plan)
        found.append(Fall(shown, without, float(np.mean(others))))
    return found


def _plan(claim: Claim, rng: np.random.Generator) -> list[tuple[int, ...]] | None:
    """What to take away: nothing, what is cited, and draws of as many others."""
    others = np.setdiff1d(claim.history.liked_rows(), claim.cited)
    if len(others) < len(claim.cited):
        return None
    draws = [tuple(sorted(rng.choice(others, len(claim.cited), replace=False).tolist())) for _ in range(DRAWS)]
    return [(), tuple(sorted(claim.cited)), *draws]


def _placed(
    subject: Subject, histories: dict[int, History], wanted: dict[Removal, list[int]], advance: Advance
) -> Iterator[tuple[Removal, dict[int, int]]]:
    """The places of the wanted items in each ranking; one that is no candidate any more stands behind them all."""
    keys = list(wanted)
    seen = [histories[person] for person, _ in keys]
    left = [_without(history, gone) for history, (_, gone) in zip(seen, keys, strict=True)]
    signals = subject.signals if subject.ranker is not None else None
    with single_thread():
        for key, (rows, evidence) in zip(keys, turns(subject.box, signals, left, seen=seen), strict=True):
            yield key, _places(subject, rows, evidence, wanted[key])
            advance(1)


def _places(subject: Subject, rows: NDArray[np.int64], evidence: Evidence, items: list[int]) -> dict[int, int]:
    order = rank(evidence, subject.weights, subject.box.limits, subject.ranker).order
    place = {int(row): n for n, row in enumerate(rows[order])}
    return {item: place.get(item, len(rows)) for item in items}


def _without(history: History, gone: tuple[int, ...]) -> History:
    kept = ~np.isin(history.rows, gone)
    return History(history.rows[kept], history.disliked[kept], history.known)


def faithfulness(claims: list[Claim], found: list[Fall | None], reasons: int) -> dict[str, float | int | dict[str, float]]:
    """The share of claims whose item falls further than without others, ties against us, and by how much it falls.

    `reasons` is how many reasons there were, with a claim or without; intervals are over people.
    """
    pairs = [(claim.person, fall) for claim, fall in zip(claims, found, strict=True) if fall is not None]
    told: dict[str, float | int | dict[str, float]] = {
        "reasons": reasons,
        "without history evidence": round(1 - len(claims) / max(1, reasons), 4),
        "compared": len(pairs),
    }
    if not pairs:
        return told
    people = np.unique([person for person, _ in pairs], return_inverse=True)[1].astype(np.int64)
    values = np.array(
        [
            (
                fall.without > fall.others,
                fall.without - fall.shown,
                fall.others - fall.shown,
                np.log1p(fall.without) - np.log1p(fall.shown),
                np.log1p(fall.others) - np.log1p(fall.shown),
            )
            for _, fall in pairs
        ],
        dtype=np.float64,
    )
    names = ("faithful", "rank loss", "rank loss without others", "log-rank loss", "log-rank loss without others")
    for name, mean, low, high in zip(names, *interval(values, people=people), strict=True):
        told[name] = {"mean": round(float(mean), 4), "low": round(float(low), 4), "high": round(float(high), 4)}
    return told
