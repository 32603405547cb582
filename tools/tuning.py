"""What `build` learns from the log: which crowd settings predict held-out items, and how much each voice weighs.

Every sampled person's last liked item is held out, and the crowd is fitted without any person's last event.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from duetto.limits import Limits
from duetto.tools.catalogue import Catalogue, document
from duetto.tools.crowd import Crowd, CrowdSettings
from duetto.tools.embedding import Vectors, embed_queries
from duetto.tools.fit_weights import fit
from duetto.tools.fusion import DEFAULTS, Array, Evidence, Weights
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
_CLAUSES = re.compile(r"[^.;!?]{15,}")
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


def choose_crowd(
    histories: Histories, items: int, people: list[HeldOut], advance: Advance = lambda done: None
) -> Choice:
    """Ranks the held-out item among all unseen items for every preset; the best NDCG@10 wins."""
    inner = histories.positives(items, without_newest=1)
    tried: list[tuple[float, CrowdSettings, Crowd]] = []
    for factorization in FACTORIZATIONS:
        crowd = Crowd.fit(inner, _sized(replace(FOLDS[0], **factorization), items))  # type: ignore[arg-type]
        advance(1)
        for fold in FOLDS:
            settings = _sized(replace(fold, **factorization), items)  # type: ignore[arg-type]
            candidate = Crowd(crowd.item_factors, settings)
            ranks = np.concatenate([_target_ranks(scores, part) for part, scores in _scored(candidate, people)])
            ndcg = float(np.where(ranks < 10, 1 / np.log2(ranks + 2), 0).mean()) if len(ranks) else 0.0
            tried.append((ndcg, settings, candidate))
            advance(1)
    best = max(tried, key=lambda entry: entry[0])
    return Choice(best[1], best[2], {_name(settings): round(ndcg, 4) for ndcg, settings, _ in tried})


def default_crowd(items: int) -> CrowdSettings:
    return _sized(CrowdSettings(), items)


def _sized(settings: CrowdSettings, items: int) -> CrowdSettings:
    return replace(settings, factors=max(1, min(settings.factors, items // 2)))


def _name(s: CrowdSettings) -> str:
    return f"{s.mode} f{s.factors} reg{s.regularization:g} alpha{s.alpha:g} newest{s.newest} decay{s.decay:g} x{s.confidence:g}"


def _scored(crowd: Crowd, people: list[HeldOut]) -> Iterator[tuple[list[HeldOut], NDArray[np.float32]]]:
    for start in range(0, len(people), CHUNK):
        part = people[start : start + CHUNK]
        yield part, crowd.scores([crowd.taste(person.history) for person in part])


def _target_ranks(scores: NDArray[np.float32], people: list[HeldOut]) -> NDArray[np.int64]:
    for row, person in zip(scores, people, strict=True):
        row[person.history.rows[person.history.rows != person.target]] = -np.inf
    target = scores[np.arange(len(people)), [person.target for person in people]]
    return (scores > target[:, None]).sum(axis=1)


# weights


def fit_weights(
    catalogue: Catalogue, vectors: Vectors, embedder: Embeddings, crowd: Crowd, people: list[HeldOut], limits: Limits,
    advance: Advance = lambda done: None,
) -> Weights:  # fmt: skip
    """Weights for a silent turn, and for one with a request about the held-out item.

    The request is one of the item's `queries`, or a few words of its text; either is cut out of the item's own text
    before that is embedded, so that the language voice cannot win by recognising a copy.
    """
    silent = [_sample(e, r, p) for e, r, p in _evidence(vectors, crowd, people, None, None, limits)]
    kept_silent = [sample for sample in silent if sample is not None]
    advance(1)
    asked_people = people[: limits.tuning_requests]
    messages, texts = requests(catalogue, [person.target for person in asked_people])
    asking = embed_queries(embedder, messages)
    without = embed_queries(embedder, texts)
    advance(1)
    asked = [_sample(e, r, p) for e, r, p in _evidence(vectors, crowd, asked_people, asking, without, limits)]
    kept_asked = [sample for sample in asked if sample is not None]
    coefficients = dict(DEFAULTS)
    fitted_on = {}
    for situation, samples in (("silent", kept_silent), ("asked", kept_asked)):
        if len(samples) >= limits.tuning_least:
            coefficients[situation] = fit(samples, situation)
            fitted_on[situation] = len(samples)
        advance(1)
    return Weights(coefficients, fitted_on)


def requests(catalogue: Catalogue, rows: list[int], seed: int = 0) -> tuple[list[str], list[str]]:
    """For each row a message about the item, and the item's text without that message."""
    rng = np.random.default_rng(seed)
    texts = catalogue.table.select(catalogue.columns("title", "year", "category", "text", "queries"))
    place = next((i for i, name in enumerate(texts.columns) if catalogue.kinds[name] == "queries"), None)
    prose = [i for i, name in enumerate(texts.columns) if catalogue.kinds[name] == "text"]
    messages, without = [], []
    for row in rows:
        values = list(texts.row(row))
        queries = list(values[place] or []) if place is not None else []
        if queries:
            message = queries.pop(int(rng.integers(len(queries))))
            values[place] = queries  # type: ignore[call-overload]
            messages.append(message)
            without.append(document(values))
            continue
        column = max(prose, key=lambda i: len(values[i] or ""), default=None)
        clauses = [] if column is None else _CLAUSES.findall(values[column] or "")
        if column is not None and len(clauses) > 1:
            messages.append(clauses.pop(int(rng.integers(len(clauses)))))
            values[column] = " ".join(clauses)
        else:
            words = document(values).split()
            length = int(min(len(words), rng.integers(2, 6)))
            start = int(rng.integers(len(words) - length + 1))
            messages.append(" ".join(words[start : start + length]))
            values = [" ".join(words[:start] + words[start + length :])]
        without.append(document(values) or messages[-1])
    return messages, without


def _evidence(
    vectors: Vectors, crowd: Crowd, people: list[HeldOut], asking: Vectors | None, without: Vectors | None, limits: Limits
) -> Iterator[tuple[Evidence, NDArray[np.int64], HeldOut]]:
    """Each person's evidence as a turn would have it, in batches: every part is one matrix product a chunk."""
    for start, (part, als) in zip(range(0, len(people), CHUNK), _scored(crowd, people), strict=True):
        parts = {"taste": _tastes(vectors, part, limits) @ vectors.T, "als": als}
        if asking is not None and without is not None:
            span = slice(start, start + len(part))
            cosines = asking[span] @ vectors.T
            targets = [person.target for person in part]
            cosines[np.arange(len(part)), targets] = (asking[span] * without[span]).sum(axis=1)
            parts["queries"] = cosines
        standard = {name: _standard(scores) for name, scores in parts.items()}
        for i, person in enumerate(part):
            seen = person.history.rows[person.history.rows != person.target]
            rows = np.unique(np.concatenate([_top(scores[i], seen, limits.candidates) for scores in standard.values()]))
            chosen = {name: scores[i, rows] for name, scores in standard.items()}
            yield Evidence(chosen, len(person.history), asking is not None), rows, person


def _sample(evidence: Evidence, rows: NDArray[np.int64], person: HeldOut) -> tuple[Evidence, int] | None:
    place = int(np.searchsorted(rows, person.target))
    return (evidence, place) if place < len(rows) and rows[place] == person.target else None


def _tastes(vectors: Vectors, people: list[HeldOut], limits: Limits) -> Vectors:
    tastes = np.zeros((len(people), vectors.shape[1]), dtype=np.float32)
    for i, person in enumerate(people):
        newest = person.history.liked_rows(limits.taste_items)
        tastes[i] = (limits.taste_decay ** np.arange(len(newest))[::-1]) @ vectors[newest]
    return tastes


def _standard(scores: NDArray[np.floating]) -> Array:
    deviation = scores.std(axis=1, keepdims=True)
    return (scores - scores.mean(axis=1, keepdims=True)).astype(np.float64) / np.where(deviation == 0, 1, deviation)


def _top(scores: Array, seen: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    masked = scores.copy()
    masked[seen] = -np.inf
    n = min(n, len(scores) - len(seen))
    return np.argpartition(-masked, n - 1)[:n] if n > 0 else np.zeros(0, np.int64)
