"""Practice turns made of the log itself, with a request and without, and the weights of the two voices they teach."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from duetto.limits import Limits
from duetto.tools.catalogue import Catalogue, document
from duetto.tools.crowd import Crowd
from duetto.tools.embedding import Vectors, embed_queries
from duetto.tools.fit_weights import fit
from duetto.tools.fusion import DEFAULTS, Array, Evidence, Weights
from duetto.tools.tuning import CHUNK, HeldOut, scored

_CLAUSES = re.compile(r"[^.;!?]{15,}")
Advance = Callable[[int], None]


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
    messages, texts = [], []
    for row in rows:
        message, left = _request(catalogue.text_values(row), rng)
        messages.append(message)
        texts.append(left or message)
    return messages, texts


def _request(values: dict[str, Any], rng: np.random.Generator) -> tuple[str, str]:
    """One of the item's queries, else a clause of its longest text, else a few words; and the document without it."""
    lists = [name for name, value in values.items() if isinstance(value, list) and value]
    if lists:
        left = list(values[lists[0]])
        message = left.pop(int(rng.integers(len(left))))
        return message, document({**values, lists[0]: left}.values())
    longest = max(values, key=lambda name: len(str(values[name] or "")))
    clauses = _CLAUSES.findall(str(values[longest] or ""))
    if len(clauses) > 1:
        message = clauses.pop(int(rng.integers(len(clauses)))).strip()
        return message, document({**values, longest: " ".join(clauses)}.values())
    words = document(values.values()).split()
    length = min(len(words), int(rng.integers(2, 6)))
    start = int(rng.integers(len(words) - length + 1))
    return " ".join(words[start : start + length]), " ".join(words[:start] + words[start + length :])


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
        newest = person.history.liked_rows(limits.taste_items)
        tastes[i] = (limits.taste_decay ** np.arange(len(newest))[::-1]) @ vectors[newest]
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
