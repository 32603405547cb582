"""What a build learns from the log: which crowd predicts held-out items, and how much each voice should weigh."""

import numpy as np
import polars as pl
import scipy.sparse as sp

from duetto.limits import Limits
from duetto.tools.catalogue import Catalogue
from duetto.tools.crowd import Crowd, CrowdSettings
from duetto.tools.embedding import embed_items
from duetto.tools.fusion import DEFAULTS, Weights
from duetto.tools.histories import NOBODY, Histories
from duetto.tools.practice import fit_weights, requests
from duetto.tools.tuning import FACTORIZATIONS, FOLDS, HeldOut, choose_crowd, default_crowd, held_out, scored
from tests.tools.films import catalogue, indexed, log
from tests.tools.words import Words

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


def mean_rank(crowd: Crowd, people: list[HeldOut]) -> float:
    found = []
    for part, scores in scored(crowd, people):
        for row, person in zip(scores, part, strict=True):
            row[person.history.rows] = -np.inf
            found.append(int((row > row[person.target]).sum()))
    return float(np.mean(found))


# who is held out


def test_a_held_out_person_lacks_their_last_event_only() -> None:
    for person in held_out(WALKS, 10):
        assert len(person.history) == 4
        assert person.target == (person.history.rows[-1] + 1) % CIRCLE


def test_the_same_seed_holds_out_the_same_people_and_no_more_than_wanted() -> None:
    first, again, other = (held_out(WALKS, 10, seed) for seed in (0, 0, 1))
    assert [p.target for p in first] == [p.target for p in again]
    assert [p.target for p in first] != [p.target for p in other]
    assert len(held_out(WALKS, 10_000)) == 120


def test_short_histories_and_last_dislikes_are_not_held_out() -> None:
    events = [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("b", 3), ("c", 1), ("c", 2), ("c", 3)]
    people = Histories.of(log(*events, rating=[5, 5, 5, 5, 1, 1, 5, 5]), catalogue())
    assert [person.target for person in held_out(people, 10)] == [2]


# the crowd's settings


def test_the_chosen_settings_predict_better_than_the_default() -> None:
    people = held_out(WALKS, 200)
    chosen = choose_crowd(WALKS, CIRCLE, people)
    default = Crowd.fit(WALKS.positives(CIRCLE, without_newest=1), default_crowd(CIRCLE))
    assert mean_rank(chosen.crowd, people) < mean_rank(default, people)
    assert mean_rank(chosen.crowd, people) < 2


def test_every_preset_is_reported_and_the_best_is_chosen() -> None:
    heard: list[int] = []
    chosen = choose_crowd(WALKS, CIRCLE, held_out(WALKS, 50), heard.append)
    assert len(chosen.report) == len(FACTORIZATIONS) * len(FOLDS)
    assert len(heard) == len(FACTORIZATIONS) * (1 + len(FOLDS))
    assert all(0 <= ndcg <= 1 for ndcg in chosen.report.values())
    named = next(name for name, ndcg in chosen.report.items() if ndcg == max(chosen.report.values()))
    assert named.startswith(chosen.settings.mode)
    assert f"decay{chosen.settings.decay:g}" in named


def test_there_are_never_more_factors_than_half_the_items() -> None:
    assert [default_crowd(n).factors for n in (1, 2, 3, 100, 10_000)] == [1, 1, 1, 50, CrowdSettings().factors]


def test_the_default_leaves_something_of_a_small_log() -> None:
    blocks = sp.csr_matrix(np.kron(np.eye(2), np.ones((8, 8))).astype(np.float32))
    crowd = Crowd.fit(blocks, default_crowd(16))
    scores = crowd.scores([crowd.taste(NOBODY.with_feedback([0, 1], []))])[0]
    assert scores[:8].min() > 0.1
    assert scores[8:].max() < 0.01


def test_choosing_leaves_the_newest_events_out_of_the_factors() -> None:
    people = held_out(WALKS, 50)
    once = choose_crowd(WALKS, CIRCLE, people)
    inner = Histories(WALKS.users, WALKS.indptr, WALKS.rows.copy(), WALKS.disliked)
    inner.rows[inner.indptr[1:] - 1] = 0
    assert np.allclose(choose_crowd(inner, CIRCLE, people).crowd.item_factors, once.crowd.item_factors, atol=1e-5)


# the weights of the voices


def learned(items: Catalogue = ITEMS, limits: Limits | None = None) -> Weights:
    """From a log whose crowd is noise: the request alone knows the held-out item."""
    noise = Crowd(np.random.default_rng(0).normal(size=(CIRCLE, 4)).astype(np.float32), CrowdSettings("neighbours", factors=4))
    vectors = embed_items(Words(64), items.documents(), 32)
    return fit_weights(items, vectors, Words(64), noise, held_out(WALKS, 200), limits or Limits())


def test_a_voice_that_knows_gains_weight_on_one_that_does_not() -> None:
    gained = {part: row[0] - DEFAULTS["asked"][part][0] for part, row in learned().coefficients["asked"].items()}
    assert gained["queries"] > gained["als"]
    assert gained["als"] < 0


def test_recognising_a_copy_of_the_request_teaches_nothing() -> None:
    copies = pl.Series([[f"secret{n}"] for n in range(CIRCLE)], dtype=pl.List(pl.String))
    made = learned(Catalogue.of(things().with_columns(queries=copies)))
    assert made.coefficients["asked"]["queries"][0] < DEFAULTS["asked"]["queries"][0]


def test_too_few_people_leave_the_defaults() -> None:
    made = learned(limits=Limits(tuning_least=500))
    assert (made.coefficients, made.fitted_on) == (DEFAULTS, {})


def test_without_queries_nothing_is_learned_of_requests() -> None:
    made = learned(Catalogue.of(things().drop("queries")))
    assert set(made.fitted_on) == {"silent"}
    assert made.coefficients["asked"] == DEFAULTS["asked"]


def test_a_request_is_one_of_the_item_s_queries_and_cut_out_of_its_text() -> None:
    table = catalogue().table.with_columns(queries=pl.lit(["space horror", "monster aboard"], dtype=pl.List(pl.String)))
    for found in requests(Catalogue.of(table), list(range(12))):
        assert found is not None
        message, left = found
        assert message in ("space horror", "monster aboard")
        assert message not in left
        assert ("space horror" in left) != ("monster aboard" in left)


def test_an_item_without_queries_has_no_request() -> None:
    queries = pl.Series([["space horror"], [], None, *[["x"]] * 9], dtype=pl.List(pl.String))
    table = catalogue().table.with_columns(queries=queries)
    assert [found is None for found in requests(Catalogue.of(table), [0, 1, 2])] == [False, True, True]
    assert requests(catalogue(), [0, 1]) == [None, None]


def test_the_same_seed_writes_the_same_requests() -> None:
    assert requests(ITEMS, [0, 5, 9]) == requests(ITEMS, [0, 5, 9])


def test_embedding_queries_nobody_wrote_is_not_attempted() -> None:
    words = Words(64)
    vectors = embed_items(Words(64), ITEMS.documents(), 32)
    crowd = Crowd.fit(WALKS.positives(CIRCLE), default_crowd(CIRCLE))
    fit_weights(Catalogue.of(things().drop("queries")), vectors, words, crowd, held_out(WALKS, 200), Limits())
    assert words.asked == []


# in a build


def test_a_build_learns_from_a_log_that_is_large_enough() -> None:
    made = indexed(things(), walks())
    assert made.manifest.crowd_validation
    assert set(made.weights.fitted_on) == {"asked", "silent"}
    assert made.weights.coefficients != DEFAULTS
    assert made.manifest.fusion["fitted_on"] == made.weights.fitted_on
