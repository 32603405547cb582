"""Practice turns made of the log itself, with a request and without, and the weights of the two voices they teach."""

from collections.abc import Callable, Iterator

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from duetto.limits import Limits
from duetto.tools.catalogue import Catalogue, document
from duetto.tools.crowd import Crowd
from duetto.tools.embedding import Vectors, embed_queries
from duetto.tools.fit_weights import fit
from duetto.tools.fusion import DEFAULTS, Array, Evidence, Weights
from duetto.tools.language_voice import recency_sum
from duetto.tools.tuning import CHUNK, HeldOut, scored

Advance = Callable[[int], None]


def fit_weights(
    catalogue: Catalogue, vectors: Vectors, embedder: Embeddings, crowd: Crowd, people: list[HeldOut], limits: Limits,
    advance: Advance = lambda done: None,
) -> Weights:  # fmt: skip
    """Weights for a silent turn, and for one with a request about the held-out item.

    A request is one of the item's `queries`, cut out of the item's own text before that is embedded, so that the
    language voice cannot win by recognising a copy. Without queries the weights of a request stay the defaults:
    clauses cut out of a description are no requests, and weights fitted on them halved HR@1 on real ones.
    """
    practised = {"silent": list(_evidence(vectors, crowd, people, None, None, limits))}
    advance(1)
    row_requests = requests(catalogue, [person.target for person in people[: limits.tuning_requests]])
    asking = [person for person, request in zip(people, row_requests, strict=False) if request is not None]
    found = [request for request in row_requests if request is not None]
    if found:
        messages = embed_queries(embedder, [message for message, _ in found])
        without = embed_queries(embedder, [text for _, text in found])
        practised["asked"] = list(_evidence(vectors, crowd, asking, messages, without, limits))
    advance(1)
    coefficients, fitted_on = dict(DEFAULTS), {}
    for situation, turns in practised.items():
        samples = [sample for turn in turns if (sample := _sample(*turn)) is not None]
        if len(samples) >= limits.tuning_least:
            coefficients[situation] = fit(samples, situation)
            fitted_on[situation] = len(samples)
    advance(1)
    return Weights(coefficients, fitted_on)


def requests(catalogue: Catalogue, rows: list[int], seed: int = 0) -> list[tuple[str, str] | None]:
    """For each row one of the item's queries and the item's text without it; None where it has no queries."""
    rng = np.random.default_rng(seed)
    column = next(iter(catalogue.columns("queries")), None)
    if column is None:
        return [None] * len(rows)
    found: list[tuple[str, str] | None] = []
    for row in rows:
        values = catalogue.text_values(row)
        left = list(values[column] or [])
        if not left:
            found.append(None)
            continue
        message = left.pop(int(rng.integers(len(left))))
        found.append((message, document({**values, column: left}.values())))
    return found


def _evidence(
    vectors: Vectors,
    crowd: Crowd,
    people: list[HeldOut],
    asking: Vectors | None,
    without: Vectors | None,
    limits: Limits,
) -> Iterator[tuple[Evidence, NDArray[np.int64], HeldOut]]:
    """Each person's evidence as a turn would have it, in batches: every part is one matrix product a chunk."""
    for start, (part, als) in zip(range(0, len(people), CHUNK), scored(crowd, people), strict=True):
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
        tastes[i] = recency_sum(vectors[person.history.liked_rows(limits.taste_items)], limits.taste_decay)
    return tastes


def _standard(scores: NDArray[np.floating]) -> Array:
    deviation = scores.std(axis=1, keepdims=True)
    centred = scores - scores.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.where(deviation == 0, 1, deviation), dtype=np.float64)


def _top(scores: Array, seen: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    masked = scores.copy()
    masked[seen] = -np.inf
    n = min(n, len(scores) - len(seen))
    return np.argpartition(-masked, n - 1)[:n] if n > 0 else np.zeros(0, np.int64)
