"""What a build learns from the log itself: what is held out, how it is practised on, and what that teaches."""

import builtins
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from duetto.limits import Limits
from duetto.tools.agent_tools import Toolbox, artifact, recommend_from_history, search_catalogue
from duetto.tools.catalogue import Catalogue
from duetto.tools.crowd import Crowd, CrowdSettings
from duetto.tools.crowd_voice import CrowdVoice, Standing
from duetto.tools.duet import join
from duetto.tools.embedding import embed_items
from duetto.tools.features import Features
from duetto.tools.fusion import DEFAULTS, Evidence, Weights, rank
from duetto.tools.histories import NOBODY, Histories
from duetto.tools.indexing import fit_crowd
from duetto.tools.practice import HeldOut, Learned, held_out, learn, newest_events, requests, turns
from duetto.tools.signals import Signals
from duetto.tools.vector_store import FaissStore
from duetto.tools.words import Words
from tests.tools import eras
from tests.tools.films import catalogue, log
from tests.tools.test_relations import people as having
from tests.tools.words import Words as Hashed

CIRCLE = 24


def things() -> pl.DataFrame:
    """Items in a circle; people ask for an item by the gates it stands between."""
    places = list(range(CIRCLE))
    table = pl.DataFrame({"item_id": places, "title": [f"thing{n}" for n in places]})
    asked = [[f"gate{n} gate{(n + 1) % CIRCLE}", f"gate{(n + 1) % CIRCLE}", f"gate{n}"] for n in places]
    return table.with_columns(queries=pl.Series(asked, dtype=pl.List(pl.String)))


def walks(people: int = 120, steps: int = 5) -> pl.DataFrame:
    """Everybody walks along the circle: the next item is the one after the last."""
    starts = np.random.default_rng(0).integers(CIRCLE, size=people)
    return log(*((f"p{p:03d}", int((start + step) % CIRCLE)) for p, start in enumerate(starts) for step in range(steps)))


ITEMS = Catalogue.of(things())
WALKS = Histories.of(walks(), ITEMS)


def inner(
    items: Catalogue, histories: Histories, limits: Limits, embedder: Hashed | None = None, crowd: CrowdVoice | None = None
) -> tuple[Toolbox, Signals]:
    """What practice is played with: everything that is fitted, without the newest events."""
    cut, embedder = histories.cut(newest_events(histories, limits)), embedder or Hashed(64)
    texts = items.documents()
    store = FaissStore(items, embed_items(Hashed(64), texts, 32), embedder, limits)
    crowd = crowd or fit_crowd(cut, len(items), limits)
    box = Toolbox(items, cut, store, embedder, Words.fit(texts), crowd, limits)
    return box, Signals(items, Features.of(items), crowd)


def taught(
    items: Catalogue = ITEMS, histories: Histories = WALKS, limits: Limits | None = None, messages: dict[int, str] | None = None,
    embedder: Hashed | None = None, crowd: CrowdVoice | None = None,
) -> Learned:  # fmt: skip
    limits = limits or Limits(ranker_trees=20)
    box, signals = inner(items, histories, limits, embedder, crowd)
    return learn(box, signals, held_out(histories, newest_events(histories, limits)), messages)


@pytest.fixture(scope="module")
def walked() -> Learned:
    return taught()


# who and what is held out


def test_a_tenth_of_a_history_is_held_out_but_at_least_one_of_three_and_at_most_the_limit() -> None:
    log = having(*([0] * n for n in (0, 1, 2, 3, 9, 19, 20, 39, 40, 500)))
    assert newest_events(log, Limits(held_out=4)).tolist() == [0, 0, 0, 1, 1, 1, 2, 3, 4, 4]
    assert newest_events(log, Limits(held_out=2)).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]


def test_every_held_out_like_is_a_turn_after_all_that_came_before_it() -> None:
    found = held_out(having([5, 6, 7, 8], [1, 2]), np.array([2, 0]))
    assert [(turn.person, turn.history.rows.tolist(), turn.target) for turn in found] == [(0, [5, 6], 7), (0, [5, 6, 7], 8)]
    assert all(turn.history.known for turn in found)


def test_dislikes_repetitions_and_what_follows_dislikes_alone_are_not_predicted() -> None:
    log = having([1, 2, 3], [1, 2, 1], [1, 2, 3], [4, 5, 6, 7], disliked={(0, 3), (2, 1), (2, 2), (3, 4)})
    assert [(turn.person, turn.target) for turn in held_out(log, np.array([1, 1, 1, 1]))] == [(3, 7)]


def test_nobody_is_held_out_of_a_log_of_short_histories() -> None:
    short = having([1, 2], [3])
    assert held_out(short, newest_events(short, Limits())) == []


def test_what_is_held_out_touches_nothing_that_is_fitted() -> None:
    limits, other = Limits(), Histories(WALKS.users, WALKS.indptr, WALKS.rows.copy(), WALKS.disliked.copy())
    other.rows[other.indptr[1:] - 1] = 0
    other.disliked[other.indptr[8] - 1] = True
    ours, theirs = (fit_crowd(h.cut(newest_events(h, limits)), CIRCLE, limits) for h in (WALKS, other))
    assert np.array_equal(ours.als.item_factors, theirs.als.item_factors)
    for name, relation in ours.relations.items():
        assert (relation != theirs.relations[name]).nnz == 0
    for told, again in zip(vars(ours.standing).values(), vars(theirs.standing).values(), strict=True):
        assert told.tolist() == again.tolist()


# turns


@pytest.mark.parametrize("queries", [None, [("gate3", "thing9"), (), ("gate5",), ()]])
@pytest.mark.parametrize("limits", [Limits(), Limits(hnsw_above=10), Limits(candidates=10, candidates_by_taste=2)])
def test_practice_turns_are_the_turns_of_the_tools(limits: Limits, queries: list[tuple[str, ...]] | None) -> None:
    box, signals = inner(ITEMS, WALKS, limits)
    histories = [box.histories.at(0), NOBODY, box.histories.at(7), NOBODY.with_feedback([], [3])]
    played = list(turns(box, signals, histories, queries))
    for place, (rows, evidence) in enumerate(played):
        history, own = histories[place], list(queries[place]) if queries else []
        said: dict[str, Any] = {
            "user": WALKS.users[(0, 0, 7, 0)[place]] if history.known else None,
            "disliked": [] if history.known else [ITEMS.ids[row] for row in history.rows],
        }
        heard = artifact(search_catalogue(box), "1", queries=own, **said)
        chosen = artifact(recommend_from_history(box), "1", **said)
        expected_rows, expected = join(box.voice, heard, chosen, history, bool(own), signals)
        assert rows.tolist() == expected_rows.tolist()
        assert_same(evidence, expected)


def assert_same(evidence: Evidence, expected: Evidence) -> None:
    assert (evidence.history, evidence.asked) == (expected.history, expected.asked)
    assert set(evidence.parts) == set(expected.parts)
    for part, scores in expected.parts.items():
        assert evidence.parts[part] == pytest.approx(scores, abs=1e-4)
    assert (evidence.signals is None) == (expected.signals is None)
    if evidence.signals is not None:
        assert evidence.signals == pytest.approx(expected.signals, abs=1e-3, nan_ok=True)


def test_what_is_searched_without_having_been_asked_for_is_no_request() -> None:
    box, _ = inner(ITEMS, WALKS, Limits())
    played = turns(box, None, [box.histories.at(0)] * 2, [("gate3",), ("gate3",)], asked=False)
    assert [evidence.asked for _, evidence in played] == [False, False]


# the weights of the voices


def test_the_order_of_a_log_is_learned(walked: Learned) -> None:
    assert walked.validation["adaptive"] > 0.95
    gained = {part: row[0] - DEFAULTS["silent"][part][0] for part, row in walked.weights.coefficients["silent"].items()}
    assert gained["next"] > gained["together"]


@pytest.mark.parametrize(("relation", "least", "most"), [("next", 0.95, 1.0), ("before", 0.0, 0.9)])
def test_what_looks_forward_knows_what_what_looks_back_does_not(relation: str, least: float, most: float) -> None:
    """Titles tell nothing, and the factors nothing either."""
    titled = Catalogue.of(pl.DataFrame({"item_id": range(CIRCLE), "title": [f"thing{n}" for n in range(CIRCLE)]}))
    whole = fit_crowd(WALKS.cut(newest_events(WALKS, Limits())), CIRCLE, Limits())
    nothing = Crowd(np.zeros((CIRCLE, 1), np.float32), CrowdSettings(factors=1))
    crowd = CrowdVoice(nothing, {relation: whole.relations[relation]}, whole.standing)
    assert least <= taught(titled, crowd=crowd).validation["adaptive"] <= most


def test_learned_weights_predict_better_than_the_defaults(walked: Learned) -> None:
    box, signals = inner(ITEMS, WALKS, Limits(fusion="adaptive"))
    people = held_out(WALKS, newest_events(WALKS, Limits()))
    assert unlikely(box, signals, people, walked.weights) < 0.5 * unlikely(box, signals, people, Weights())


def unlikely(box: Toolbox, signals: Signals, people: list[HeldOut], weights: Weights) -> float:
    """The mean of logsumexp(scores) - the held-out item's score."""
    lost = []
    for turn, (rows, evidence) in zip(people, turns(box, signals, [p.history for p in people]), strict=True):
        scores = rank(evidence, weights, box.limits).scores
        lost.append(np.log(np.exp(scores).sum()) - scores[int(np.searchsorted(rows, turn.target))])
    return float(np.mean(lost))


def noise() -> CrowdVoice:
    """A crowd that knows nothing: the request alone knows the held-out item."""
    factors = np.random.default_rng(0).normal(size=(CIRCLE, 4)).astype(np.float32)
    return CrowdVoice(Crowd(factors, CrowdSettings(factors=4)), {}, Standing.of(WALKS, CIRCLE))


def test_a_voice_that_knows_gains_weight_on_one_that_does_not() -> None:
    box, signals = inner(ITEMS, WALKS, Limits(), crowd=noise())
    _, evidence = next(turns(box, signals, [WALKS.at(0)], [("gate3 gate4",)]))
    before, after = Weights().of(evidence), taught(crowd=noise()).weights.of(evidence)
    gained = {part: after[part] / before[part] for part in after}
    assert gained["words"] > 3
    assert gained["words"] > gained["als"]


def test_recognising_a_copy_of_the_request_teaches_nothing() -> None:
    copies = pl.Series([[f"secret{n}"] for n in range(CIRCLE)], dtype=pl.List(pl.String))
    made = taught(Catalogue.of(things().with_columns(queries=copies)), crowd=noise())
    assert made.weights.fitted_on["asked"] >= 50
    assert made.weights.coefficients["asked"]["queries"][0] < DEFAULTS["asked"]["queries"][0]
    assert made.weights.coefficients["asked"]["words"] == pytest.approx(DEFAULTS["asked"]["words"], abs=0.01)


def test_too_few_people_leave_the_defaults_and_the_note_says_so() -> None:
    made = taught(limits=Limits(tuning_least=500))
    assert (made.weights.coefficients, made.weights.fitted_on, made.ranker, made.validation) == (DEFAULTS, {}, None, {})
    assert made.note == "the log has 120 people to learn from, and 500 are needed"


def test_without_queries_nothing_is_learned_of_requests() -> None:
    words = Hashed(64)
    made = taught(Catalogue.of(things().drop("queries")), embedder=words)
    assert set(made.weights.fitted_on) == {"silent"}
    assert made.weights.coefficients["asked"] == DEFAULTS["asked"]
    assert words.asked == []


def test_a_request_is_one_of_the_item_s_queries_and_cut_out_of_its_text() -> None:
    table = catalogue().table.with_columns(queries=pl.lit(["space horror", "monster aboard"], dtype=pl.List(pl.String)))
    found = requests(Catalogue.of(table), list(range(12)))
    assert list(found) == list(range(12))
    for message, left in found.values():
        assert message in ("space horror", "monster aboard")
        assert message not in left
        assert ("space horror" in left) != ("monster aboard" in left)


def test_an_item_without_queries_has_no_request() -> None:
    queries = pl.Series([["space horror"], [], None, *[["x"]] * 9], dtype=pl.List(pl.String))
    table = catalogue().table.with_columns(queries=queries)
    assert set(requests(Catalogue.of(table), [0, 1, 2])) == {0}
    assert requests(catalogue(), [0, 1]) == {}


def test_the_same_seed_writes_the_same_requests() -> None:
    assert requests(ITEMS, [0, 5, 9]) == requests(ITEMS, [0, 5, 9])


# the ranker


def test_a_ranker_that_is_no_better_than_the_weights_is_not_kept(walked: Learned) -> None:
    assert walked.validation["learned"] <= walked.validation["adaptive"]
    assert walked.ranker is None
    assert walked.note == "the learned ranker was not better than the adaptive weights on people it had not seen"
    assert walked.weights.fitted_on["silent"] >= 50


@pytest.fixture(scope="module")
def era() -> tuple[Catalogue, Histories]:
    items = Catalogue.of(eras.things())
    return items, Histories.of(eras.takings(), items)


def test_a_ranker_that_is_better_is_kept_and_learns_to_stand_beside_a_request(era: tuple[Catalogue, Histories]) -> None:
    messages = {row: f"the one of {eras.things()['year'][row]}" for row in range(eras.ITEMS)}
    made = taught(*era, limits=eras.SMALL, messages=messages)
    assert made.ranker is not None
    assert made.validation["learned"] > made.validation["adaptive"] + 0.02
    assert made.note == ""
    assert set(made.weights.fitted_on) == {"silent", "asked", "asked_learned"}
    again = taught(*era, limits=eras.SMALL, messages=messages)
    assert again.ranker is not None
    assert again.ranker.text == made.ranker.text


def test_variety_is_kept_where_it_costs_little(era: tuple[Catalogue, Histories]) -> None:
    assert taught(*era, limits=replace(eras.SMALL, variety=3.0)).weights.variety == 0.0
    assert taught(*era, limits=replace(eras.SMALL, variety=0.1)).weights.variety == 0.1


def test_where_the_ranker_cannot_run_the_weights_are_learned_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def importing(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "lightgbm":
            raise OSError("libgomp.so.1: cannot open shared object file")
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", importing)
    made = taught()
    assert made.ranker is None
    assert made.note == "the learned ranker needs the system library libgomp.so.1, which is not installed here"
    assert made.weights.fitted_on["silent"] >= 50


def test_people_whose_held_out_likes_are_never_candidates_teach_nothing() -> None:
    limits = replace(Limits(), candidates=1, candidates_by_taste=1, quota_per_query=1)
    mixed = Histories(WALKS.users, WALKS.indptr, np.random.default_rng(1).permutation(WALKS.rows), WALKS.disliked)
    made = taught(histories=mixed, limits=limits)
    assert (made.ranker, made.note) == (None, "too few held-out likes were among the candidates")
    assert made.weights.coefficients["silent"] == DEFAULTS["silent"]
    assert made.validation == {}
