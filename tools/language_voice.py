"""The language voice: search queries and the person's newest items against the whole vector space.

Beside the vectors the words themselves are searched: an embedding blurs names and rare words.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from duetto.limits import Limits
from duetto.tools.embedding import Vectors
from duetto.tools.fusion import Array
from duetto.tools.histories import History
from duetto.tools.vector_store import Mask, Rows, Searchable
from duetto.tools.words import Words

TEXTS = {"text_1": (1, 1.0), "text_3": (3, 0.7), "text_50": (50, 0.95)}  # newest items, and their decay (STAR, 2410.16458)
WORDS_UNIT = 0.1  # a cosine of words that counts as one deviation
PARTS_OF = {"queries": "queries", "words": "words", **dict.fromkeys(TEXTS, "taste")}


@dataclass(frozen=True)
class Heard:
    """What one turn's queries and history say. `found[q]` are (row, cosine) of query q, best first; `unheard` are
    queries whose words the embedder does not know: their vector is zero, and nothing is near it.

    `rows` are the candidates, `own` those that the history alone brings. `vectors[source]` (n, dimensions), or where
    the catalogue is small enough `cosines[source]` (items,), and `moments[source]` (mean and deviation over the
    catalogue) let any item be scored exactly.
    """

    queries: tuple[str, ...]
    unheard: tuple[str, ...]
    found: tuple[tuple[tuple[int, float], ...], ...]
    rows: NDArray[np.int64]
    own: NDArray[np.int64]
    vectors: dict[str, Vectors]
    cosines: dict[str, Vectors]
    moments: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class LanguageVoice:
    """A search is the maximum over queries, for each query speaks for one taste; likeness to history is a sum."""

    store: Searchable
    words: Words
    limits: Limits

    def listen(
        self, queries: tuple[str, ...], vectors: Vectors, history: History, keep: Mask, own: Vectors | None = None
    ) -> Heard:
        """`vectors` (queries, dimensions) embeds `queries`; only rows where `keep` holds become candidates.

        `own` (texts, items), if known already, is one person's part of `own_cosines`.
        """
        parts: dict[str, Vectors] = {}
        found: tuple[tuple[tuple[int, float], ...], ...] = ()
        rows = np.zeros(0, dtype=np.int64)
        known = np.asarray(vectors.any(axis=1))
        unheard = tuple(query for query, heard in zip(queries, known, strict=True) if not heard)
        queries, vectors = tuple(query for query in queries if query not in unheard), vectors[known]
        quota = max(self.limits.quota_per_query, self.limits.candidates // max(1, len(queries)))
        if len(queries):
            parts["queries"] = vectors
            places, cosines = self.store.nearest(vectors, quota, keep)
            rows = places.ravel()
            found = tuple(
                tuple((r, c) for r, c in zip(rs, cs, strict=True) if r >= 0)
                for rs, cs in zip(places.tolist(), cosines.tolist(), strict=True)
            )
        raw = self._everywhere(parts)
        tastes: dict[str, Vectors] = {}
        if liked := history.liked_rows():
            tastes = {name: taste[None, :] for name, taste in zip(TEXTS, self.tastes(liked), strict=True)}
            raw |= self._everywhere(tastes) if own is None else dict(zip(TEXTS, own, strict=True))
        everywhere = dict(raw) if self._sample is None else {}
        near = self._nearest_own(tastes, everywhere, keep)
        if queries and (spoken := self.words.score(queries).max(axis=0)).any():
            raw["words"] = everywhere["words"] = spoken
            rows = np.concatenate([rows, _best(np.where(keep, spoken, 0), quota)])
        moments = {name: (float(values.mean()), float(values.std()) or 1.0) for name, values in raw.items()}
        if "words" in raw:  # few items share a word with a request, and a z-score would make giants of them
            moments["words"] = 0.0, WORDS_UNIT
        union = np.union1d(rows[rows >= 0], near)
        return Heard(queries, unheard, found, union, near, parts | tastes, everywhere, moments)

    def own_cosines(self, histories: list[History]) -> Vectors | None:
        """What `listen` asks for each of many people, in one product: (people, texts, items); None for a large catalogue."""
        if self._sample is not None:
            return None
        tastes = np.concatenate([self.tastes(history.liked_rows()) for history in histories])
        return self.store.cosines(tastes).reshape(len(histories), len(TEXTS), len(self.store))

    def tastes(self, liked: list[int]) -> Vectors:
        """A vector for each of TEXTS: the sum of its newest items' vectors, decayed; shape (texts, dimensions)."""
        if not liked:
            return np.zeros((len(TEXTS), self.store.vectors_of(np.zeros(0, np.int64)).shape[1]), dtype=np.float32)
        longest = self.store.vectors_of(np.array(liked[-max(most for most, _ in TEXTS.values()) :]))
        return np.stack([recency_sum(longest[-most:], decay) for most, decay in TEXTS.values()])

    def score(self, heard: Heard, rows: Rows) -> dict[str, Array]:
        """z-scores of these rows, by source, each shape (rows,)."""
        scored = {}
        for name, (mean, deviation) in heard.moments.items():
            own = (
                heard.cosines[name][rows] if name in heard.cosines else self.store.cosines(heard.vectors[name], rows).max(axis=0)
            )
            scored[name] = (own.astype(np.float64) - mean) / deviation
        return scored

    def sample_cosines(self, vectors: Vectors) -> Vectors:
        """Cosines of these vectors with the catalogue, or with a fixed sample of a large one: (vectors, rows)."""
        return self.store.cosines(vectors, self._sample)

    def usual_cosines(self, vectors: Vectors) -> tuple[Array, Array]:
        """Mean and deviation of each vector's `sample_cosines`, each (vectors,), without working out a cosine."""
        mean, covariance = self._spread
        return vectors @ mean, np.sqrt(np.maximum(((vectors @ covariance) * vectors).sum(axis=1), 0))

    @cached_property
    def _spread(self) -> tuple[Array, Array]:
        """Mean and covariance of the vectors: (dimensions,) and (dimensions, dimensions)."""
        rows = np.arange(len(self.store)) if self._sample is None else self._sample
        vectors = self.store.vectors_of(rows).astype(np.float64)
        mean = vectors.mean(axis=0)
        vectors -= mean
        return mean, vectors.T @ vectors / max(1, len(vectors))

    def _nearest_own(self, tastes: dict[str, Vectors], everywhere: dict[str, Vectors], keep: Mask) -> NDArray[np.int64]:
        """The rows nearest to each taste, in one array."""
        most = min(self.limits.candidates_by_taste, int(keep.sum()))
        if not tastes or not most:
            return np.zeros(0, dtype=np.int64)
        if not everywhere:
            near = self.store.nearest(np.concatenate(list(tastes.values())), most, keep)[0]
        else:
            cosines = np.where(keep, np.stack([everywhere[name] for name in tastes]), -np.inf)
            near = np.argpartition(-cosines, most - 1, axis=1)[:, :most]
        return np.unique(near[near >= 0])

    def _everywhere(self, parts: dict[str, Vectors]) -> dict[str, Vectors]:
        """Each source's best cosine with every item, or with a fixed sample of a large catalogue."""
        if not parts:
            return {}
        cosines = self.sample_cosines(np.concatenate(list(parts.values())))
        ends = np.cumsum([len(vectors) for vectors in parts.values()])
        pieces = np.split(cosines, ends[:-1])
        return {name: piece.max(axis=0) for name, piece in zip(parts, pieces, strict=True)}

    @cached_property
    def _sample(self) -> Rows | None:
        """Searching all of a large catalogue is what HNSW avoids."""
        if len(self.store) <= self.limits.hnsw_above:
            return None
        return np.random.default_rng(0).choice(len(self.store), min(len(self.store), self.limits.moments_sample), replace=False)


def _best(scores: NDArray[np.floating], most: int) -> NDArray[np.int64]:
    """The rows of the highest positive scores."""
    most = min(most, int((scores > 0).sum()))
    return np.argpartition(-scores, most - 1)[:most] if most else np.zeros(0, np.int64)


def recency_sum(vectors: Vectors, decay: float) -> Vectors:
    """The sum of these vectors, oldest first, the t-th newest weighing `decay**t`: shape (dimensions,)."""
    weights = decay ** np.arange(len(vectors), dtype=np.float32)[::-1]
    return np.asarray(weights @ vectors, dtype=np.float32)
