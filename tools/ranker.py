"""The learned ranker: LightGBM's LambdaMART over the signals of both voices, fitted on held-out items of the log itself.

Burges, From RankNet to LambdaRank to LambdaMART (2010). Kept as text, so loading it runs no code.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duetto.errors import NotReady
from duetto.limits import Limits

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Lesson:
    """One practice turn: `signals` (candidates, signals), and the place of the held-out item among them."""

    signals: Floats
    target: int

    @classmethod
    def of(cls, signals: Floats, target: int, negatives: int, rng: np.random.Generator) -> "Lesson":
        """With at most so many of the other candidates, drawn at random."""
        places = np.arange(len(signals))
        if len(places) > negatives + 1:
            places = np.union1d(rng.choice(places, negatives, replace=False), [target])
        return cls(signals[places], int(np.searchsorted(places, target)))


class Ranker:
    """`parts` maps each signal to its part of the score, in order; `text` is LightGBM's own model file."""

    def __init__(self, text: str, parts: dict[str, str]) -> None:
        self.text, self.parts = text, parts
        self._trees = _lightgbm().Booster(model_str=text)
        self._groups = list(dict.fromkeys(parts.values()))
        self._into = np.array([[part == group for group in self._groups] for part in parts.values()], dtype=np.float64)
        self._base = float(self._trees.predict(np.zeros((1, len(parts))), pred_contrib=True, num_threads=1)[0, -1])

    @classmethod
    def fit(
        cls, lessons: list[Lesson], examination: list[Lesson], parts: dict[str, str], limits: Limits, seed: int = 0
    ) -> "Ranker":
        """As many trees as serve the examination best. One thread a core; the same lessons and seed give the same trees."""
        lightgbm = _lightgbm()
        data = _dataset(lightgbm, lessons, parts)
        unseen = _dataset(lightgbm, examination, parts, data)
        settings = {
            "objective": "lambdarank",
            "learning_rate": limits.ranker_rate,
            "num_leaves": max(2, limits.ranker_leaves),
            "min_data_in_leaf": 50,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambda_l2": 5.0,
            "lambdarank_truncation_level": 20,
            "metric": "ndcg",
            "eval_at": [10],
            "max_bin": 127,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        stop = lightgbm.early_stopping(limits.ranker_patience, verbose=False)
        trees = lightgbm.train(settings, data, limits.ranker_trees, valid_sets=[unseen], callbacks=[stop])
        return cls(trees.model_to_string(num_iteration=trees.best_iteration), parts)

    def score(self, signals: Floats) -> NDArray[np.float64]:
        """Higher is better, comparable among one person's candidates, shape (candidates,); 0 is what an average one gets."""
        if not len(signals):
            return np.zeros(0)
        return np.asarray(self._trees.predict(signals, num_threads=1), dtype=np.float64) - self._base

    def contributions(self, signals: Floats) -> dict[str, NDArray[np.float64]]:
        """What each part adds to the scores, exactly (Lundberg et al., TreeSHAP, 2018): each (candidates,), summing to them."""
        each = np.asarray(self._trees.predict(signals, pred_contrib=True, num_threads=1), dtype=np.float64)
        return dict(zip(self._groups, (each[:, :-1] @ self._into).T, strict=True))


def _dataset(lightgbm: Any, lessons: list[Lesson], parts: dict[str, str], like: Any = None) -> Any:
    return lightgbm.Dataset(
        np.concatenate([lesson.signals for lesson in lessons]),
        np.concatenate([np.arange(len(lesson.signals)) == lesson.target for lesson in lessons]).astype(np.int8),
        group=[len(lesson.signals) for lesson in lessons],
        feature_name=list(parts),
        reference=like,
        params={"max_bin": 127, "verbosity": -1},
    )


def available() -> str | None:
    """None when LightGBM can run here, else why it cannot."""
    try:
        _lightgbm()
    except NotReady as error:
        return str(error)
    return None


def _lightgbm() -> Any:
    try:
        import lightgbm
    except (ImportError, OSError) as error:
        library = "the system library libgomp.so.1" if "libgomp" in str(error) else "LightGBM"
        raise NotReady(f"the learned ranker needs {library}, which is not installed here") from error
    return lightgbm
