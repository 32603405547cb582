"""Which crowd settings predict held-out items of the log best.

Every sampled person's last liked item is held out, and the crowd is fitted without any person's last event.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from duetto.tools.crowd import Crowd, CrowdSettings
from duetto.tools.histories import Histories, History

CHUNK = 250
FOLDS = (
    CrowdSettings("fold_in", newest=20, decay=0.7, confidence=10),
    CrowdSettings("fold_in", newest=30, decay=0.8, confidence=10),
    CrowdSettings("fold_in", newest=20, decay=0.7, confidence=1),
    CrowdSettings("neighbours", newest=5, decay=0.5, confidence=1),
    CrowdSettings("neighbours", newest=10, decay=0.7, confidence=1),
)
FACTORIZATIONS = (
    {"factors": 128, "regularization": 10.0, "alpha": 1.0},
    {"factors": 256, "regularization": 1.0, "alpha": 10.0},
)
Advance = Callable[[int], None]


@dataclass(frozen=True)
class HeldOut:
    """One person without their last event, and the row of that event."""

    history: History
    target: int


def held_out(histories: Histories, most: int, seed: int = 0) -> list[HeldOut]:
    """A seeded sample of people with three events or more whose last one is liked and new to them."""
    lengths = np.diff(histories.indptr)
    eligible = np.flatnonzero(lengths >= 3)
    eligible = eligible[~histories.disliked[histories.indptr[eligible + 1] - 1]]
    people = np.sort(np.random.default_rng(seed).permutation(eligible)[:most])
    found = []
    for place in people:
        whole = histories.at(int(place))
        found.append(HeldOut(History(whole.rows[:-1], whole.disliked[:-1], known=True), int(whole.rows[-1])))
    return found


@dataclass(frozen=True)
class Choice:
    """The winning settings, the crowd fitted with them on the inner split, and every preset's NDCG@10."""

    settings: CrowdSettings
    crowd: Crowd
    report: dict[str, float]


def choose_crowd(histories: Histories, items: int, people: list[HeldOut], advance: Advance = lambda done: None) -> Choice:
    """Ranks the held-out item among all unseen items for every preset; the best NDCG@10 wins."""
    inner = histories.positives(items, without_newest=1)
    tried: list[tuple[float, CrowdSettings, Crowd]] = []
    for factorization in FACTORIZATIONS:
        crowd = Crowd.fit(inner, _sized(replace(FOLDS[0], **factorization), items))  # type: ignore[arg-type]
        advance(1)
        for fold in FOLDS:
            settings = _sized(replace(fold, **factorization), items)  # type: ignore[arg-type]
            candidate = Crowd(crowd.item_factors, settings)
            ranks = np.concatenate([_target_ranks(scores, part) for part, scores in scored(candidate, people)])
            ndcg = float(np.where(ranks < 10, 1 / np.log2(ranks + 2), 0).mean()) if len(ranks) else 0.0
            tried.append((ndcg, settings, candidate))
            advance(1)
    best = max(tried, key=lambda entry: entry[0])
    return Choice(best[1], best[2], {_name(settings): round(ndcg, 4) for ndcg, settings, _ in tried})


def default_crowd(items: int) -> CrowdSettings:
    """For a log too small to choose by: the regularisation a large log wants would leave nothing of its factors."""
    return _sized(CrowdSettings(regularization=1.0), items)


def _sized(settings: CrowdSettings, items: int) -> CrowdSettings:
    return replace(settings, factors=max(1, min(settings.factors, items // 2)))


def _name(s: CrowdSettings) -> str:
    return f"{s.mode} f{s.factors} reg{s.regularization:g} alpha{s.alpha:g} newest{s.newest} decay{s.decay:g} x{s.confidence:g}"


def scored(crowd: Crowd, people: list[HeldOut]) -> Iterator[tuple[list[HeldOut], NDArray[np.float32]]]:
    for start in range(0, len(people), CHUNK):
        part = people[start : start + CHUNK]
        yield part, crowd.scores([crowd.taste(person.history) for person in part])


def _target_ranks(scores: NDArray[np.float32], people: list[HeldOut]) -> NDArray[np.int64]:
    for row, person in zip(scores, people, strict=True):
        row[person.history.rows[person.history.rows != person.target]] = -np.inf
    target = scores[np.arange(len(people)), [person.target for person in people]]
    return np.asarray((scores > target[:, None]).sum(axis=1))
