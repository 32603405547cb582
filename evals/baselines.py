"""The recommenders that ours is measured against, each fitted on first use, on the training log alone."""

import warnings
from dataclasses import replace
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from duetto.errors import BadInput
from duetto.evals.metrics import METRICS, label_ranks
from duetto.tools.crowd import Crowd, CrowdSettings, Taste, events_matrix
from duetto.tools.histories import Histories, History

Floats = NDArray[np.float32]
NEIGHBOURS = 200
EASE_RIDGE = 500.0
EASE_ITEMS = 20_000  # it inverts a dense items x items matrix
ALS = (
    CrowdSettings(factors=128, regularization=10.0, alpha=1.0),
    CrowdSettings(factors=512, regularization=1.0, alpha=10.0),
)
VALIDATED_ON = 1_000


class Baselines:
    """Each method scores every item for each history, shape (people, items); order and recency are ignored."""

    def __init__(self, histories: Histories, items: int) -> None:
        self.histories, self.items = histories, items

    @cached_property
    def _taken(self) -> sp.csr_matrix:
        return self.histories.positives(self.items)

    @cached_property
    def _als(self) -> Crowd:
        """Of two settings the one that ranks the last training event better, so that the baseline is not a straw man."""
        cut = np.where(np.diff(self.histories.indptr) >= 3, 1, 0)
        inner = self.histories.cut(cut)
        people = np.random.default_rng(0).permutation(np.flatnonzero(cut))[:VALIDATED_ON]
        before = [inner.at(int(person)) for person in people]
        targets = self.histories.rows[self.histories.indptr[people + 1] - 1].astype(np.int64)

        def quality(settings: CrowdSettings) -> float:
            scores = _whole(Crowd.fit(inner.positives(self.items), settings), before)
            return float(METRICS["ndcg@10"](label_ranks(scores, before, targets)[0]).mean())

        settings = [replace(s, factors=max(1, min(s.factors, self.items // 2))) for s in ALS]
        return Crowd.fit(self._taken, max(settings, key=quality) if len(people) else settings[0])

    def als(self, histories: list[History]) -> Floats:
        return _whole(self._als, histories)

    @cached_property
    def _neighbours(self) -> tuple[sp.csr_matrix, ...]:
        found = []
        for model in (CosineRecommender(NEIGHBOURS), BM25Recommender(NEIGHBOURS)):
            with warnings.catch_warnings():  # implicit warns of the matrix that its own weighting made
                warnings.simplefilter("ignore")
                model.fit(self._taken, show_progress=False)
            found.append(model.similarity.astype(np.float32).tocsr())
        return tuple(found)

    def item_knn(self, histories: list[History]) -> Floats:
        return np.asarray((self._all(histories) @ self._neighbours[0]).toarray())

    def item_knn_bm25(self, histories: list[History]) -> Floats:
        return np.asarray((self._all(histories) @ self._neighbours[1]).toarray())

    @cached_property
    def _ease(self) -> Floats:
        """Steck, Embarrassingly shallow autoencoders (2019), shape (items, items)."""
        if self.items > EASE_ITEMS:
            raise BadInput(f"cannot fit ease to {self.items:,} items, at most {EASE_ITEMS:,}: leave it out with --systems")
        gram = (self._taken.T @ self._taken).toarray().astype(np.float32)
        gram[np.diag_indices(self.items)] += EASE_RIDGE
        inverse = scipy.linalg.inv(gram, overwrite_a=True, check_finite=False)
        inverse /= -np.diag(inverse)
        inverse[np.diag_indices(self.items)] = 0
        return np.asarray(inverse, dtype=np.float32)

    def ease(self, histories: list[History]) -> Floats:
        return np.asarray(self._all(histories) @ self._ease, dtype=np.float32)

    def _all(self, histories: list[History]) -> sp.csr_matrix:
        return events_matrix([_flat(history) for history in histories], self.items)


def _flat(history: History) -> Taste:
    """Every like alike, as a plain collaborative filter has them."""
    rows = history.rows[~history.disliked]
    return Taste(rows, np.ones(len(rows), dtype=np.float32))


def _whole(als: Crowd, histories: list[History]) -> Floats:
    with threadpool_limits(1, "blas"):
        return als.scores([_flat(history) for history in histories])
