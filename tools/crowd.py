"""The crowd: implicit ALS (Hu, Koren and Volinsky, 2008) with people folded in from their newest items.

Plain ALS forgets order, and order is most of what predicts the next item. The same item factors, with a person's
newest items weighing most, double it on MovieLens-1M. Known people and strangers go through the same fold-in.
"""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from duetto.tools.histories import History

Floats = NDArray[np.float32]
DISLIKE = 5.0  # confidence of a dislike, at least: a whisper would be lost among what is merely unobserved


@dataclass(frozen=True)
class CrowdSettings:
    """`fold_in` solves ALS for the person; `neighbours` sums item-factor cosines. Both look at the `newest` items,

    the t-th newest weighing `confidence * decay**t`.
    """

    mode: Literal["fold_in", "neighbours"] = "fold_in"
    factors: int = 256
    regularization: float = 1.0
    alpha: float = 10.0
    iterations: int = 10
    newest: int = 20
    decay: float = 0.7
    confidence: float = 1.0

    @classmethod
    def of(cls, items: int) -> "CrowdSettings":
        """The defaults, with no more factors than half the items."""
        return cls(factors=max(1, min(cls.factors, items // 2)))


@dataclass(frozen=True)
class Taste:
    """A person as the crowd sees them: item `rows` and signed `weights`, both (n,)."""

    rows: NDArray[np.int32]
    weights: Floats

    def __len__(self) -> int:
        return len(self.rows)


class Crowd:
    """`item_factors` has shape (items, factors)."""

    def __init__(self, item_factors: Floats, settings: CrowdSettings) -> None:
        self.item_factors, self.settings = item_factors, settings

    @classmethod
    def fit(cls, positives: sp.csr_matrix, settings: CrowdSettings, seed: int = 0) -> "Crowd":
        with threadpool_limits(1, "blas"):  # implicit brings its own threads; two pools crawl
            model = _model(settings, seed)
            model.fit(positives, show_progress=False)
        return cls(np.ascontiguousarray(model.item_factors, dtype=np.float32), settings)

    @cached_property
    def _als(self) -> AlternatingLeastSquares:
        with threadpool_limits(1, "blas"):
            model = _model(self.settings, 0)
        model.item_factors = self.item_factors
        return model

    @cached_property
    def _unit_factors(self) -> Floats:
        norms = np.linalg.norm(self.item_factors, axis=1, keepdims=True)
        return np.asarray(self.item_factors / np.where(norms == 0, 1, norms), dtype=np.float32)

    def read_as(self, mode: Literal["fold_in", "neighbours"], newest: int, decay: float) -> "Crowd":
        """The same factors, read over another span of the history in another way."""
        return type(self)(self.item_factors, replace(self.settings, mode=mode, newest=newest, decay=decay))

    def warm(self) -> "Crowd":
        """Computes what the first turn would otherwise wait for."""
        _ = self._als.YtY if self.settings.mode == "fold_in" else self._unit_factors
        return self

    def taste(self, history: History) -> Taste:
        """The newest events of a history with recency weights; a dislike weighs against."""
        s = self.settings
        rows, disliked = history.rows[-s.newest :], history.disliked[-s.newest :]
        weights = (s.confidence * s.decay ** np.arange(len(rows))[::-1]).astype(np.float32)
        against = -np.maximum(weights, DISLIKE if s.mode == "fold_in" else 0)
        return Taste(rows, np.where(disliked, against, weights).astype(np.float32))

    def scores(self, tastes: list[Taste]) -> Floats:
        """Scores of every item for each person, shape (people, items); a row of zeros where nothing is known."""
        if self.settings.mode == "neighbours":
            factors = self._unit_factors
            people = [taste.weights @ factors[taste.rows] for taste in tastes]
            return np.asarray(np.stack(people) @ factors.T, dtype=np.float32)
        people = self._als.recalculate_user(np.arange(len(tastes)), events_matrix(tastes, len(self.item_factors)))
        return np.asarray(people @ self.item_factors.T, dtype=np.float32)

    def contributions(self, taste: Taste, rows: NDArray[np.int64]) -> Floats:
        """How much each history item adds to each of these items' scores, shape (rows, history items).

        Rows sum to the scores (Hu et al., section 5); a dislike has no term of its own in `fold_in`.
        """
        if not len(taste):
            return np.zeros((len(rows), 0), dtype=np.float32)
        if self.settings.mode == "neighbours":
            near = self._unit_factors[rows] @ self._unit_factors[taste.rows].T
            return np.asarray(near * taste.weights, dtype=np.float32)
        own, weights = self.item_factors[taste.rows], taste.weights * self.settings.alpha
        # implicit's user_linear_equation, whose sum of outer products is one product here: ten times as fast
        equation = self._als.YtY + self.settings.regularization * np.eye(own.shape[1])
        equation += (own.T * (np.abs(weights) - 1)) @ own
        solved = scipy.linalg.cho_solve(scipy.linalg.cho_factor(equation), self.item_factors[rows].T)
        return np.asarray(solved.T @ own.T * np.maximum(weights, 0), dtype=np.float32)

    def to_json(self) -> dict[str, Any]:
        return asdict(self.settings)


def _model(settings: CrowdSettings, seed: int) -> AlternatingLeastSquares:
    return AlternatingLeastSquares(
        factors=settings.factors,
        regularization=settings.regularization,
        alpha=settings.alpha,
        iterations=settings.iterations,
        random_state=seed,
    )


def events_matrix(tastes: list[Taste], items: int) -> sp.csr_matrix:
    """People x items, holding the weights of each person's events."""
    lengths = [len(taste) for taste in tastes]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    rows = np.concatenate([taste.rows for taste in tastes]) if tastes else np.zeros(0, np.int32)
    weights = np.concatenate([taste.weights for taste in tastes]) if tastes else np.zeros(0, np.float32)
    return sp.csr_matrix((weights, rows, indptr), shape=(len(tastes), items))


def newest(history: History, most: int, decay: float, skip: int = 0) -> Taste:
    """The newest events but for the `skip` newest, with recency weights; a dislike speaks against what its item speaks for."""
    end = max(0, len(history) - skip)
    rows, disliked = history.rows[max(0, end - most) : end], history.disliked[max(0, end - most) : end]
    weights = decay ** np.arange(len(rows))[::-1]
    return Taste(rows, np.where(disliked, -weights, weights).astype(np.float32))
