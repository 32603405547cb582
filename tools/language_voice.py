"""The language voice: search queries and the person's newest items against the whole vector space."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duetto.limits import Limits
from duetto.tools.embedding import Vectors
from duetto.tools.fusion import Array
from duetto.tools.histories import History
from duetto.tools.vector_store import Mask, Rows, Searchable


@dataclass(frozen=True)
class Heard:
    """What one turn's queries and history say. `found[q]` are (row, cosine) of query q, best first; `unheard` are
    queries whose words the embedder does not know: their vector is zero, and nothing is near it.

    `rows` are the candidates; `vectors[part]` (n, dimensions) and `moments[part]` (mean and deviation of the part's
    cosine over the catalogue) let any item be scored exactly.
    """

    queries: tuple[str, ...]
    unheard: tuple[str, ...]
    found: tuple[tuple[tuple[int, float], ...], ...]
    rows: NDArray[np.int64]
    vectors: dict[str, Vectors]
    moments: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class LanguageVoice:
    """A search is the maximum over queries, for each query speaks for one taste; likeness to history is a sum.

    The history vector is the sum of the newest items' vectors, the t-th newest weighing `taste_decay**t` (STAR,
    arXiv 2410.16458).
    """

    store: Searchable
    limits: Limits

    def listen(self, queries: tuple[str, ...], vectors: Vectors, history: History, keep: Mask) -> Heard:
        """`vectors` (queries, dimensions) embeds `queries`; only rows where `keep` holds become candidates."""
        parts: dict[str, Vectors] = {}
        found: tuple[tuple[tuple[int, float], ...], ...] = ()
        rows: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
        known = np.asarray(vectors.any(axis=1))
        unheard = tuple(query for query, heard in zip(queries, known, strict=True) if not heard)
        queries, vectors = tuple(query for query in queries if query not in unheard), vectors[known]
        if len(queries):
            parts["queries"] = vectors
            quota = max(self.limits.quota_per_query, self.limits.candidates // len(queries))
            places, cosines = self.store.nearest(vectors, quota, keep)
            rows.append(places.ravel())
            found = tuple(
                tuple((r, c) for r, c in zip(rs, cs, strict=True) if r >= 0)
                for rs, cs in zip(places.tolist(), cosines.tolist(), strict=True)
            )
        if len(newest := history.liked_rows(self.limits.taste_items)):
            parts["taste"] = self.taste(newest)
            rows.append(self.store.nearest(parts["taste"], self.limits.candidates, keep)[0].ravel())
        union = np.unique(np.concatenate(rows))
        moments = {part: self._moments(v) for part, v in parts.items()}
        return Heard(queries, unheard, found, union[union >= 0], parts, moments)

    def taste(self, newest: list[int]) -> Vectors:
        """The history vector, shape (1, dimensions); `newest` are rows, oldest first."""
        return recency_sum(self.store.vectors_of(np.array(newest)), self.limits.taste_decay)[None, :]

    def score(self, heard: Heard, rows: Rows) -> dict[str, Array]:
        """z-scores of these rows, by part, each shape (rows,)."""
        scored = {}
        for part, vectors in heard.vectors.items():
            mean, deviation = heard.moments[part]
            scored[part] = (self._raw(vectors, rows) - mean) / deviation
        return scored

    def sample_cosines(self, vectors: Vectors) -> Vectors:
        """Cosines of these vectors with the catalogue, or with a fixed sample of a large one: (vectors, rows)."""
        return self.store.cosines(vectors, self._sample())

    def _raw(self, vectors: Vectors, rows: Rows | None) -> Array:
        return np.asarray(self.store.cosines(vectors, rows).max(axis=0), dtype=np.float64)

    def _moments(self, vectors: Vectors) -> tuple[float, float]:
        """Over the whole catalogue; over a fixed sample of it when searching all of it is what HNSW avoids."""
        raw = self._raw(vectors, self._sample())
        return float(raw.mean()), float(raw.std()) or 1.0

    def _sample(self) -> Rows | None:
        if len(self.store) <= self.limits.hnsw_above:
            return None
        return np.random.default_rng(0).choice(len(self.store), min(len(self.store), self.limits.moments_sample), replace=False)


def recency_sum(vectors: Vectors, decay: float) -> Vectors:
    """The sum of these vectors, oldest first, the t-th newest weighing `decay**t`: shape (dimensions,)."""
    weights = decay ** np.arange(len(vectors), dtype=np.float32)[::-1]
    return np.asarray(weights @ vectors, dtype=np.float32)
