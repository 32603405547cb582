"""How two voices become one ranking, by numbers worked out by hand; and what the weights learn."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from duetto.errors import BadInput
from duetto.limits import Limits
from duetto.tools import fit_weights
from duetto.tools.fusion import (
    ASKED,
    DEFAULTS,
    FEATURES,
    LEARNED,
    PARTS,
    STRATEGIES,
    Array,
    Evidence,
    Weights,
    carried,
    describe,
    rank,
    voice_shares,
    with_learned,
)
from duetto.tools.ranker import Lesson, Ranker

Z = np.array([2.0, 0.0, -1.0])
CROWD = np.array([-1.0, 3.0, 0.0])


def evidence(history: int = 5, asked: bool = True, **parts: Array) -> Evidence:
    return Evidence(parts, history, asked)


def by(fusion: str, **limits: float) -> Limits:
    return Limits(fusion=fusion, **limits)  # type: ignore[arg-type]


# strategies


def test_rrf_looks_at_ranks_only() -> None:
    ranked = rank(evidence(queries=Z, als=CROWD), Weights(), by("rrf"))
    assert ranked.scores == pytest.approx([1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 63 + 1 / 62])
    assert ranked.order.tolist() == [1, 0, 2]
    assert rank(evidence(queries=Z * 100, als=CROWD), Weights(), by("rrf")).scores.tolist() == ranked.scores.tolist()


def test_fixed_gives_each_voice_its_share() -> None:
    ranked = rank(evidence(queries=Z, als=CROWD), Weights(), by("fixed", fixed_language_weight=0.25))
    assert ranked.weights == {"queries": 0.25, "als": 0.75}
    assert ranked.scores == pytest.approx([0.5 - 0.75, 2.25, -0.25])


def test_fixed_splits_a_voice_s_share_between_its_parts() -> None:
    ranked = rank(evidence(queries=Z, taste=Z, als=CROWD), Weights(), by("fixed", fixed_language_weight=0.5))
    assert ranked.weights == {"queries": 0.25, "taste": 0.25, "als": 0.5}


def coefficients(**features: float) -> list[float]:
    return [features.get(name, 0.0) for name in FEATURES]


def test_adaptive_weighs_by_coefficients_and_features() -> None:
    rows = {"queries": coefficients(history=1.0), "als": coefficients(bias=np.log(2.0))}
    ranked = rank(evidence(history=10, queries=Z, als=CROWD), Weights({"asked": rows, "silent": {}}), by("adaptive"))
    share = np.exp(np.log1p(10) / 5)
    assert ranked.weights == pytest.approx({"queries": share, "als": 2.0})
    assert ranked.scores == pytest.approx(share * Z + 2 * CROWD)


def test_adaptive_knows_whether_something_was_asked() -> None:
    weights = Weights({"asked": {"als": coefficients(bias=np.log(3))}, "silent": {"als": coefficients(bias=np.log(5))}})
    assert weights.of(evidence(als=CROWD)) == pytest.approx({"als": 3})
    assert weights.of(evidence(als=CROWD, asked=False)) == pytest.approx({"als": 5})


def test_by_default_a_request_leads_and_in_silence_the_crowd_does() -> None:
    asked, silent = (Weights().of(evidence(queries=Z, als=CROWD, asked=said)) for said in (True, False))
    assert asked["queries"] > asked["als"]
    assert silent["als"] > silent["queries"]


def test_a_part_without_coefficients_weighs_one() -> None:
    assert Weights().of(evidence(popularity=CROWD, asked=False)) == {"popularity": 1.0}


def test_a_weight_is_bounded_however_wild_the_coefficients() -> None:
    wild = {"asked": {"queries": coefficients(bias=900.0), "als": coefficients(bias=-900.0)}, "silent": {}}
    weights = Weights(wild).of(evidence(queries=Z, als=CROWD))
    assert weights == pytest.approx({"queries": np.exp(6), "als": np.exp(-6)})


def test_an_unknown_strategy_is_bad_input_naming_those_there_are() -> None:
    with pytest.raises(BadInput, match=r"'best'.*adaptive, fixed, rrf"):
        rank(evidence(queries=Z), Weights(), by("best"))


@pytest.mark.parametrize("fusion", STRATEGIES)
def test_contributions_sum_to_the_score(fusion: str) -> None:
    ranked = rank(evidence(queries=Z, taste=-Z, als=CROWD), Weights(), by(fusion))
    assert np.sum(list(ranked.contributions.values()), axis=0) == pytest.approx(ranked.scores)
    assert (np.diff(ranked.scores[ranked.order]) <= 0).all()


@pytest.mark.parametrize("fusion", STRATEGIES)
def test_one_voice_alone_ranks_by_itself(fusion: str) -> None:
    assert rank(evidence(als=CROWD), Weights(), by(fusion)).order.tolist() == [1, 2, 0]


@pytest.mark.parametrize("fusion", STRATEGIES)
@pytest.mark.parametrize("parts", [{}, {"queries": np.zeros(0), "als": np.zeros(0)}])
def test_no_candidate_is_an_empty_ranking(fusion: str, parts: dict[str, Array]) -> None:
    ranked = rank(Evidence(parts, 5, asked=True), Weights(), by(fusion))
    assert len(ranked.order) == len(ranked.scores) == 0


@pytest.mark.parametrize("fusion", STRATEGIES)
def test_ties_keep_the_candidates_order(fusion: str) -> None:
    flat = rank(evidence(queries=np.zeros(5), als=np.zeros(5)), Weights(), by(fusion))
    assert fusion == "rrf" or flat.order.tolist() == [0, 1, 2, 3, 4]


# a ranker in the place of what history says

SIGNALS = {"als_5": "als", "next_3": "next", "text_1": "taste", "liked": "popularity"}


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    """It looks at the second signal more than at the others."""
    rng, lessons = np.random.default_rng(0), []
    for _ in range(60):
        signals, target = rng.normal(size=(30, 4)).astype(np.float32), int(rng.integers(30))
        signals[target] += [0.5, 2, 0.5, 0]
        lessons.append(Lesson(signals, target))
    return Ranker.fit(lessons, lessons, SIGNALS, Limits(ranker_trees=15, ranker_leaves=5, ranker_rate=0.2))


def learnable(asked: bool, queries: bool = True, candidates: int = 25) -> Evidence:
    rng = np.random.default_rng(5)
    names = [*(ASKED if queries else ()), "taste", "als", "together", "next"]
    parts = {part: rng.normal(size=candidates) for part in names}
    return Evidence(parts, 8, asked, rng.normal(size=(candidates, 4)).astype(np.float32))


@pytest.mark.parametrize("asked", [True, False])
def test_the_ranker_speaks_in_the_place_of_history_and_beside_what_was_asked(ranker: Ranker, asked: bool) -> None:
    given = learnable(asked)
    assert given.signals is not None
    beside = with_learned(given, ranker)
    assert set(beside.parts) == {*ASKED, LEARNED}
    assert beside.parts[LEARNED].tolist() == ranker.score(given.signals).tolist()
    assert (beside.history, beside.asked) == (8, asked)
    ranked = rank(given, Weights(), by("learned"), ranker)
    assert ranked.weights == Weights().of(beside)
    assert ranked.scores == pytest.approx(sum(ranked.weights[part] * scores for part, scores in beside.parts.items()))


def test_in_silence_the_ranker_alone_ranks(ranker: Ranker) -> None:
    given = learnable(asked=False, queries=False)
    assert given.signals is not None
    ranked = rank(given, Weights(), by("learned"), ranker)
    assert ranked.weights == {LEARNED: 1.0}
    assert ranked.order.tolist() == np.argsort(-ranker.score(given.signals), kind="stable").tolist()


@pytest.mark.parametrize("places", [list(range(25)), [3], [24, 0, 7]])
@pytest.mark.parametrize(("asked", "queries"), [(True, True), (False, True), (False, False)])
def test_what_carried_an_item_sums_to_its_score(ranker: Ranker, asked: bool, queries: bool, places: list[int]) -> None:
    given = learnable(asked, queries)
    ranked = rank(given, Weights(variety=0.3), by("learned"), ranker)
    shown = carried(ranked, given, ranker, places)
    assert set(shown) == {*(ASKED if queries else ()), *SIGNALS.values()}
    assert set(shown) <= set(PARTS)
    assert np.sum(list(shown.values()), axis=0) == pytest.approx(ranked.scores[places], abs=1e-9)


def test_variety_takes_back_some_of_what_likeness_to_the_history_gives(ranker: Ranker) -> None:
    given = learnable(asked=False, queries=False)
    plain, varied = (rank(given, Weights(variety=variety), by("learned"), ranker) for variety in (0.0, 0.3))
    assert varied.scores == pytest.approx(plain.scores - 0.3 * given.parts["taste"])
    untouched = [rank(given, Weights(variety=variety), by("adaptive")).scores.tolist() for variety in (0.0, 0.3)]
    assert untouched[0] == untouched[1]


@pytest.mark.parametrize("fusion", ["adaptive", "fixed", "rrf"])
def test_other_strategies_do_not_hear_the_ranker_and_carry_their_own_parts(ranker: Ranker, fusion: str) -> None:
    given = learnable(asked=True)
    ranked = rank(given, Weights(), by(fusion), ranker)
    assert ranked.scores.tolist() == rank(given, Weights(), by(fusion)).scores.tolist()
    shown = carried(ranked, given, ranker, [4, 2])
    assert {part: values.tolist() for part, values in shown.items()} == {
        part: values[[4, 2]].tolist() for part, values in ranked.contributions.items()
    }


@pytest.mark.parametrize("missing", ["ranker", "signals"])
def test_without_a_ranker_or_anything_for_it_to_read_learned_is_adaptive(ranker: Ranker, missing: str) -> None:
    given = learnable(asked=True)
    adaptive = rank(given, Weights(), by("adaptive"))
    if missing == "signals":
        given = Evidence(given.parts, given.history, given.asked)
    ranked = rank(given, Weights(), by("learned"), None if missing == "ranker" else ranker)
    assert (ranked.scores.tolist(), ranked.weights) == (adaptive.scores.tolist(), adaptive.weights)


def test_no_candidate_is_an_empty_ranking_for_the_ranker_too(ranker: Ranker) -> None:
    assert len(rank(learnable(asked=True, candidates=0), Weights(), by("learned"), ranker).order) == 0


@pytest.mark.parametrize("name", ["silent", "silent_learned"])
def test_queries_nobody_asked_for_count_less_the_longer_the_history(name: str) -> None:
    heights = [
        Weights().of(Evidence({"queries": Z, "als" if name == "silent" else LEARNED: CROWD}, n, False)) for n in (1, 8, 100)
    ]
    queries = [weights["queries"] for weights in heights]
    assert queries[0] > queries[1] > queries[2]
    assert queries[1:] == pytest.approx([0.2, 0.06], abs=0.01)


# shares and features


@pytest.mark.parametrize(
    ("contributions", "language", "crowd"),
    [
        ({"queries": 3.0, "als": 1.0}, 0.75, 0.25),
        ({"queries": -1.0, "taste": 1.0, "als": -2.0}, 0.5, 0.5),
        ({"als": 0.2, "popularity": 0.2}, 0.0, 1.0),
        ({"taste": -5.0}, 1.0, 0.0),
        ({"queries": 0.0, "als": 0.0}, 0.0, 0.0),
        ({}, 0.0, 0.0),
    ],
)
def test_a_voice_s_share_is_of_the_absolute_contributions(contributions: dict[str, float], language: float, crowd: float) -> None:
    assert voice_shares(contributions) == {"language": language, "crowd": crowd}


@given(st.dictionaries(st.sampled_from(list(PARTS)), st.floats(-100, 100).filter(lambda x: abs(x) > 1e-3), min_size=1))
def test_shares_sum_to_one(contributions: dict[str, float]) -> None:
    assert sum(voice_shares(contributions).values()) == pytest.approx(1, abs=2e-4)


SCORES = st.lists(st.floats(-1e6, 1e6), min_size=30, max_size=30).map(np.array)


@given(SCORES, SCORES, st.integers(0, 10**6), st.integers(0, 30))
def test_features_are_bounded_whatever_the_scores(queries: Array, als: Array, history: int, n: int) -> None:
    described = dict(zip(FEATURES, describe(evidence(history, queries=queries[:n], als=als[:n])), strict=True))
    assert abs(described.pop("balance", 0.0)) < 20  # the log of a ratio of heights
    assert all(0 <= value <= 3 for value in described.values())


def test_agreement_is_the_overlap_of_the_two_tops() -> None:
    up = np.arange(40.0)
    agreement = FEATURES.index("agreement")
    assert describe(evidence(queries=up, als=up))[agreement] == 1
    assert describe(evidence(queries=up, als=-up))[agreement] == 0
    assert describe(evidence(queries=up, als=np.roll(up, 10)))[agreement] == 0.5


def test_a_margin_is_how_far_the_best_stands_above_the_tenth() -> None:
    scores = np.concatenate([[4.5], np.full(20, 1.5)])
    described = dict(zip(FEATURES, describe(evidence(queries=scores, als=np.zeros(21))), strict=True))
    assert (described["language_margin"], described["crowd_margin"]) == (1.0, 0.0)


def test_a_voice_that_is_silent_has_no_margin_and_no_agreement() -> None:
    assert describe(evidence(history=0, als=CROWD)).tolist() == coefficients(bias=1.0)


def test_weights_tell_what_they_are_made_of() -> None:
    told = Weights(fitted_on={"asked": 7}, variety=0.1).to_json()
    assert told == {"features": FEATURES, "coefficients": DEFAULTS, "fitted_on": {"asked": 7}, "variety": 0.1}


# fitting


def planted(informative: str, samples: int = 150, candidates: int = 30) -> list[tuple[Evidence, int]]:
    """Held-out items that one part ranks high while the others know nothing of them."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(samples):
        parts = {part: rng.normal(size=candidates) for part in ("queries", "taste", "als")}
        target = int(rng.integers(candidates))
        parts[informative][target] += 3
        made.append((Evidence(parts, int(rng.integers(1, 50)), asked=True), target))
    return made


@pytest.mark.parametrize("informative", ["queries", "taste", "als"])
def test_the_fit_finds_the_part_that_knows(informative: str) -> None:
    samples = planted(informative)
    coefficients = {**DEFAULTS, "asked": fit_weights.fit(samples, "asked")}
    weights = Weights(coefficients).of(samples[0][0])
    assert max(weights, key=lambda part: weights[part]) == informative
    assert weights[informative] > 3 * max(w for part, w in weights.items() if part != informative)


def test_the_fit_ranks_held_out_items_better_than_the_defaults() -> None:
    samples = planted("als")
    fitted = Weights({**DEFAULTS, "asked": fit_weights.fit(samples, "asked")})
    assert mean_rank(samples, fitted) < 0.5 * mean_rank(samples, Weights())


def mean_rank(samples: list[tuple[Evidence, int]], weights: Weights) -> float:
    found = [rank(e, weights, by("adaptive")).order.tolist().index(target) for e, target in samples]
    return float(np.mean(found))


def test_where_nothing_can_be_learned_the_weights_stay_near_the_defaults() -> None:
    blind = [(Evidence({"queries": np.zeros(9), "als": np.zeros(9)}, 3, asked=True), 4)] * 20
    fitted = fit_weights.fit(blind, "asked")
    for part, row in DEFAULTS["asked"].items():
        assert fitted[part] == pytest.approx(row, abs=1e-4)


def test_candidates_may_be_few_for_one_sample_and_many_for_another() -> None:
    samples = planted("als", candidates=30)[:40] + planted("als", candidates=7)[:40]
    coefficients = fit_weights.fit(samples, "asked")
    assert coefficients["als"][0] > DEFAULTS["asked"]["als"][0]
    assert np.isfinite(list(coefficients.values())).all()


def test_a_part_that_is_silent_for_some_is_learned_from_the_others() -> None:
    samples = planted("queries", samples=120)
    mixed = [
        (Evidence({part: z for part, z in e.parts.items() if n % 2 or part != "queries"}, e.history, True), target)
        for n, (e, target) in enumerate(samples)
    ]
    assert "queries" not in mixed[0][0].parts
    fitted = fit_weights.fit(mixed, "asked")
    assert Weights({**DEFAULTS, "asked": fitted}).of(mixed[1][0])["queries"] > 1.2
    assert np.isfinite(list(fitted.values())).all()


def test_a_strong_ridge_keeps_the_defaults() -> None:
    fitted = fit_weights.fit(planted("als"), "asked", ridge=1e6)
    assert fitted["als"] == pytest.approx(DEFAULTS["asked"]["als"], abs=1e-3)


def loss(samples: list[tuple[Evidence, int]], flat: Array, ridge: float) -> float:
    """What `fit` says it minimises, computed by the ranking itself."""
    rows = dict(zip(("queries", "taste", "als"), flat.reshape(3, -1).tolist(), strict=True))
    weights = Weights({**DEFAULTS, "asked": rows})
    scored = [(rank(e, weights, by("adaptive")).scores, target) for e, target in samples]
    unlikely = float(np.mean([scipy.special.logsumexp(scores) - scores[target] for scores, target in scored]))
    prior = np.array([DEFAULTS["asked"][part] for part in rows]).ravel()
    return unlikely + ridge * float(((flat - prior) ** 2).sum())


def test_the_fitted_coefficients_are_where_the_loss_is_flat() -> None:
    samples = planted("als", samples=40)
    fitted = fit_weights.fit(samples, "asked", ridge=0.1)
    flat = np.array([fitted[part] for part in ("queries", "taste", "als")]).ravel()
    slope = scipy.optimize.approx_fprime(flat, lambda x: loss(samples, x, 0.1), 1e-5)
    assert slope == pytest.approx(np.zeros(len(flat)), abs=2e-3)
