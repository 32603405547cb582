"""Two voices, one ranking. The formula is ours; QueRec's adaptive reranking is not published.

An item's score is the weighted sum of its parts, each a z-score over the whole catalogue for this person. Parts
belong to a voice: `queries` (best match among the search queries) and `taste` (likeness to the newest history items)
to the language voice; `als` (and `popularity`, for somebody nobody knows) to the crowd. Strategies say how much each
part weighs: `adaptive` fits the weights to the person and the request, `fixed` does not, `rrf` looks at ranks only.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duetto.errors import BadInput
from duetto.limits import Limits

Array = NDArray[np.float64]
PARTS = {"queries": "language", "taste": "language", "als": "crowd", "popularity": "crowd"}
FEATURES = ("bias", "history", "agreement", "language_margin", "crowd_margin", "specificity", "balance")
STRATEGIES = ("adaptive", "fixed", "rrf")


@dataclass(frozen=True)
class Evidence:
    """One person's candidates: `parts[name]` (candidates,) of z-scores; only the voices that spoke have parts.

    `asked` is true when the person said what they want in this turn.
    """

    parts: dict[str, Array]
    history: int
    asked: bool


@dataclass(frozen=True)
class Ranked:
    """`order` (candidates,), best first; `scores` and `contributions[part]` (candidates,) in candidate order."""

    order: NDArray[np.int64]
    scores: Array
    contributions: dict[str, Array]
    weights: dict[str, float]


@dataclass(frozen=True)
class Weights:
    """weight of part p = exp(coefficients[situation][p] . features); situations are `asked` and `silent`."""

    coefficients: dict[str, dict[str, list[float]]] = field(default_factory=lambda: DEFAULTS)
    fitted_on: dict[str, int] = field(default_factory=dict)

    def of(self, evidence: Evidence) -> dict[str, float]:
        rows = self.coefficients["asked" if evidence.asked else "silent"]
        features = describe(evidence)
        exponents = {part: np.dot(rows.get(part, EVEN), features) for part in evidence.parts}
        return {part: float(np.exp(np.clip(exponent, -6, 6))) for part, exponent in exponents.items()}

    def to_json(self) -> dict[str, Any]:
        return {"features": FEATURES, "coefficients": self.coefficients, "fitted_on": self.fitted_on}


def _constant(weight: float) -> list[float]:
    return [float(np.log(weight)), *[0.0] * (len(FEATURES) - 1)]


EVEN = _constant(1.0)

# What the fit starts from, and what serves a log it cannot be fitted on: what is asked leads, history personalises.
# The crowd's z-scores have long tails; by the balance its best item adds at most 0.45 of what the best match adds.
DEFAULTS: dict[str, dict[str, list[float]]] = {
    "asked": {"queries": _constant(1.0), "taste": _constant(0.1), "als": [*_constant(0.45)[:-1], 1.0]},
    "silent": {"queries": _constant(0.3), "taste": _constant(0.3), "als": _constant(1.0)},
}


def describe(evidence: Evidence) -> Array:
    """The features the weights depend on, shape (7,), all but the last about 0 to 1.

    history: log of its length; agreement: overlap of the voices' top 20; margins: how far each voice's best stands
    above its tenth; specificity: the height of the best match to what was asked; balance: the log of that height over
    the crowd's best.
    """
    language = evidence.parts.get("queries", evidence.parts.get("taste"))
    crowd = evidence.parts.get("als")
    agreement = 0.0
    if language is not None and crowd is not None:
        n = min(20, len(crowd))
        agreement = len(set(_top(language, n)) & set(_top(crowd, n))) / max(1, n)
    asked = evidence.parts.get("queries")
    specificity = 0.0 if asked is None or not len(asked) else float(np.clip(asked.max() / 10, 0, 2))
    history = float(np.log1p(evidence.history) / 5)
    balance = float(np.log(_height(asked) / _height(crowd))) if asked is not None and crowd is not None else 0.0
    return np.array([1.0, history, agreement, _margin(language), _margin(crowd), specificity, balance])


def _height(scores: Array) -> float:
    return max(0.5, float(scores.max())) if len(scores) else 1.0


def _top(scores: Array, n: int) -> list[int]:
    return np.argpartition(-scores, n - 1)[:n].tolist() if n else []


def _margin(scores: Array | None) -> float:
    if scores is None or len(scores) < 10:
        return 0.0
    top = -np.partition(-scores, 9)[:10]
    return float(np.clip((top.max() - top.min()) / 3, 0, 2))


def rank(evidence: Evidence, weights: Weights, limits: Limits) -> Ranked:
    """Ranks the candidates by the strategy named in `limits.fusion`; ties keep candidate order."""
    if limits.fusion == "rrf":
        parts = {part: 1 / (limits.rrf_constant + 1 + _ranks(scores)) for part, scores in evidence.parts.items()}
        shares = dict.fromkeys(parts, 1.0)
    elif limits.fusion in ("adaptive", "fixed"):
        parts = evidence.parts
        shares = weights.of(evidence) if limits.fusion == "adaptive" else _fixed(evidence, limits.fixed_language_weight)
    else:
        raise BadInput(f"cannot rank by the strategy {limits.fusion!r}: choose one of {', '.join(STRATEGIES)}")
    contributions = {part: shares[part] * scores for part, scores in parts.items()}
    total = np.sum(list(contributions.values()), axis=0) if contributions else np.zeros(0)
    return Ranked(np.argsort(-total, kind="stable"), total, contributions, shares)


def _fixed(evidence: Evidence, language: float) -> dict[str, float]:
    share = {"language": language, "crowd": 1 - language}
    voices = [PARTS[part] for part in evidence.parts]
    return {part: share[PARTS[part]] / voices.count(PARTS[part]) for part in evidence.parts}


def _ranks(scores: Array) -> Array:
    ranks = np.empty(len(scores))
    ranks[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    return ranks


def voice_shares(contributions: dict[str, float]) -> dict[str, float]:
    """Each voice's share of the summed absolute contributions of one item."""
    total = sum(abs(value) for value in contributions.values()) or 1.0
    shares = dict.fromkeys(("language", "crowd"), 0.0)
    for part, value in contributions.items():
        shares[PARTS[part]] += abs(value) / total
    return {voice: round(share, 4) for voice, share in shares.items()}
