"""Two voices, one ranking. The formula is ours; QueRec's adaptive reranking is not published.

An item's score is the weighted sum of its parts, each a z-score over the whole catalogue for this person. Parts
belong to a voice: `queries` and `words` (best match among the search queries, by vector and by word) and `taste`
(likeness to the newest history items) to the language voice; `als`, `together`, `next` (and `popularity`, for somebody
nobody knows) to the crowd. Strategies say how much each part weighs: `adaptive` fits the weights to the person and the
request, `fixed` does not, `rrf` looks at ranks only. `learned` puts a ranker in the place of all that history says; what
it says is taken apart again into the same parts, for what is shown (`carried`).
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duetto.errors import BadInput
from duetto.limits import Limits
from duetto.tools.ranker import Ranker

Array = NDArray[np.float64]
CROWD = ("als", "together", "next")
ASKED = ("queries", "words")
LEARNED = "learned"
PARTS = {
    "queries": "language", "words": "language", "taste": "language",
    "leaning": "language", "avoid": "language", "own": "language",
    **dict.fromkeys((*CROWD, "popularity", "agreement", LEARNED), "crowd"),
}  # fmt: skip
FEATURES = ("bias", "history", "agreement", "language_margin", "crowd_margin", "specificity", "balance")
STRATEGIES = ("learned", "adaptive", "fixed", "rrf")


@dataclass(frozen=True)
class Evidence:
    """One person's candidates: `parts[name]` (candidates,) of z-scores; only the voices that spoke have parts.

    `asked` is true when the person said what they want in this turn. `signals` (candidates, signals) are what a
    learned ranker reads; None where a voice is silent or nothing is known of the person.
    """

    parts: dict[str, Array]
    history: int
    asked: bool
    signals: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Ranked:
    """`order` (candidates,), best first; `scores` and `contributions[part]` (candidates,) in candidate order."""

    order: NDArray[np.int64]
    scores: Array
    contributions: dict[str, Array]
    weights: dict[str, float]


@dataclass(frozen=True)
class Weights:
    """weight of part p = exp(coefficients[situation][p] . features).

    Situations are `asked` and `silent`, and both again with a ranker in the place of the history's parts:
    `asked_learned` and `silent_learned`. A ranker judges one item at a time, so each of ten near copies of the last
    purchase gets the text's whole credit; `variety` is what it loses of it for each deviation of likeness to the history.
    """

    coefficients: dict[str, dict[str, list[float]]] = field(default_factory=lambda: DEFAULTS)
    fitted_on: dict[str, int] = field(default_factory=dict)
    variety: float = 0.0

    def of(self, evidence: Evidence) -> dict[str, float]:
        rows = self.coefficients[situation(evidence)]
        features = describe(evidence)
        exponents = {part: np.dot(rows.get(part, EVEN), features) for part in evidence.parts}
        return {part: float(np.exp(np.clip(exponent, -6, 6))) for part, exponent in exponents.items()}

    def to_json(self) -> dict[str, Any]:
        return {"features": FEATURES, "coefficients": self.coefficients, "fitted_on": self.fitted_on, "variety": self.variety}


def situation(evidence: Evidence) -> str:
    return ("asked" if evidence.asked else "silent") + ("_learned" if LEARNED in evidence.parts else "")


def _constant(weight: float) -> list[float]:
    return [float(np.log(weight)), *[0.0] * (len(FEATURES) - 1)]


EVEN = _constant(1.0)
# Queries that a model wrote for somebody who said nothing: no inner data can weigh them (recorded ones saw the validation
# item), so they count 0.2 after 8 items and 0.06 after 100, where the history says it better.
UNASKED = [-0.5, -2.5, *_constant(1.0)[2:]]

# What the fit starts from, and what serves a log it cannot be fitted on: what is asked leads, history personalises.
# The crowd's z-scores have long tails; by the balance its best item adds at most 0.45 of what the best match adds.
DEFAULTS: dict[str, dict[str, list[float]]] = {
    "asked": {
        "queries": _constant(1.0), "words": _constant(0.3), "taste": _constant(0.1),
        **{part: [*_constant(0.2)[:-1], 1.0] for part in CROWD},
    },
    "silent": {
        "queries": UNASKED, "words": UNASKED, "taste": _constant(0.3),
        "als": _constant(0.5), "together": _constant(0.2), "next": _constant(0.5),
    },
    "asked_learned": {"queries": _constant(1.0), "words": _constant(0.4), LEARNED: [*_constant(0.6)[:-1], 0.5]},
    "silent_learned": {"queries": UNASKED, "words": UNASKED, LEARNED: EVEN},
}  # fmt: skip


def describe(evidence: Evidence) -> Array:
    """The features the weights depend on, shape (7,), all but the last about 0 to 1.

    history: log of its length; agreement: overlap of the voices' top 20; margins: how far each voice's best stands
    above its tenth; specificity: the height of the best match to what was asked; balance: the log of that height over
    the crowd's best.
    """
    language = evidence.parts.get("queries", evidence.parts.get("taste"))
    spoke = [evidence.parts[part] for part in (*CROWD, LEARNED) if part in evidence.parts]
    crowd = np.mean(spoke, axis=0) if spoke else None
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


def rank(evidence: Evidence, weights: Weights, limits: Limits, ranker: Ranker | None = None) -> Ranked:
    """Ranks the candidates by the strategy named in `limits.fusion`; ties keep candidate order.

    `learned` without a ranker, or without signals for it to read, is `adaptive`.
    """
    echo = None
    if limits.fusion == "learned" and ranker is not None and evidence.signals is not None:
        learned = with_learned(evidence, ranker)
        parts, shares = learned.parts, weights.of(learned)
        echo = -weights.variety * shares[LEARNED] * evidence.parts["taste"] if weights.variety else None
    elif limits.fusion == "rrf":
        parts = {part: 1 / (limits.rrf_constant + 1 + _ranks(scores)) for part, scores in evidence.parts.items()}
        shares = dict.fromkeys(parts, 1.0)
    elif limits.fusion in STRATEGIES:
        parts = evidence.parts
        shares = _fixed(evidence, limits.fixed_language_weight) if limits.fusion == "fixed" else weights.of(evidence)
    else:
        raise BadInput(f"cannot rank by the strategy {limits.fusion!r}: choose one of {', '.join(STRATEGIES)}")
    contributions = {part: shares[part] * scores for part, scores in parts.items()}
    if echo is not None:
        contributions["taste"] = echo
    total = np.sum(list(contributions.values()), axis=0) if contributions else np.zeros(0)
    return Ranked(np.argsort(-total, kind="stable"), total, contributions, shares)


def leaned(ranked: Ranked, soft: dict[str, Array]) -> Ranked:
    """With soft wishes (candidates,) added: in deviations of the candidates' scores, so that they weigh alike everywhere."""
    if not soft or not len(ranked.scores):
        return ranked
    unit = float(ranked.scores.std()) or 1.0
    added = {part: unit * values for part, values in soft.items()}
    total = ranked.scores + np.sum(list(added.values()), axis=0)
    return replace(ranked, order=np.argsort(-total, kind="stable"), scores=total, contributions=ranked.contributions | added)


def with_learned(evidence: Evidence, ranker: Ranker) -> Evidence:
    """The evidence with the ranker's score in the place of what the history's parts say."""
    assert evidence.signals is not None
    asked = {part: scores for part, scores in evidence.parts.items() if part in ASKED}
    return replace(evidence, parts={**asked, LEARNED: ranker.score(evidence.signals)})


def carried(ranked: Ranked, evidence: Evidence, ranker: Ranker | None, places: list[int]) -> dict[str, Array]:
    """What each part adds to the score at these places, exactly: each (places,), summing to the scores."""
    shown = {part: values[places] for part, values in ranked.contributions.items()}
    if LEARNED in shown and ranker is not None and evidence.signals is not None:
        del shown[LEARNED]
        for part, values in ranker.contributions(evidence.signals[places]).items():
            shown[part] = shown.get(part, 0.0) + values * ranked.weights[LEARNED]
    return shown


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
