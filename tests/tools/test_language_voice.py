"""The language voice: the best match among the queries, and likeness to the newest items."""

import numpy as np
import polars as pl
import pytest

from duetto.limits import Limits
from duetto.tools.catalogue import Catalogue
from duetto.tools.embedding import Vectors, unit
from duetto.tools.histories import NOBODY
from duetto.tools.language_voice import TEXTS, WORDS_UNIT, Heard, LanguageVoice
from duetto.tools.vector_store import FaissStore
from duetto.tools.words import Words
from tests.contracts import random_units
from tests.tools.words import Words as Hashed

PLANE = unit(np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 1]]))
EAST, NORTH = PLANE[[0]], PLANE[[1]]
ALL = np.ones(5, np.bool_)
NOTHING = np.zeros((0, 2), np.float32)
TITLES = ("harbour", "north wind", "harbour wind", "quiet sea", "sea")


def voice(vectors: Vectors = PLANE, limits: Limits | None = None) -> LanguageVoice:
    """The words of `TITLES` are those of the first items; "east" is a word of none."""
    limits = limits or Limits()
    titles = [TITLES[n] if n < len(TITLES) else f"item {n}" for n in range(len(vectors))]
    catalogue = Catalogue.of(pl.DataFrame({"item_id": range(len(vectors)), "title": titles}))
    return LanguageVoice(FaissStore(catalogue, vectors, Hashed(), limits), Words.fit(titles), limits)


def both() -> Heard:
    return voice().listen(("east", "north"), np.concatenate([EAST, NORTH]), NOBODY, ALL)


def test_an_item_counts_for_its_best_query_only() -> None:
    heard = both()
    mean, deviation = heard.moments["queries"]
    raw = voice().score(heard, np.arange(5))["queries"] * deviation + mean
    assert raw == pytest.approx([1, 1, 0, 0, np.sqrt(0.5)], abs=1e-6)


def test_scores_are_standard_over_the_whole_catalogue() -> None:
    z = voice().score(both(), np.arange(5))["queries"]
    assert (z.mean(), z.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))


def test_the_moments_do_not_depend_on_the_filter() -> None:
    narrow = voice().listen(("east",), EAST, NOBODY, np.array([False, True, True, False, False]))
    wide = voice().listen(("east",), EAST, NOBODY, ALL)
    assert narrow.moments == wide.moments
    assert narrow.rows.tolist() == [1, 2]


def test_what_each_query_found_is_kept_best_first() -> None:
    found = both().found
    assert [row for row, _ in found[0]][:2] == [0, 4]
    assert [row for row, _ in found[1]][:2] == [1, 4]
    assert found[0][0][1] == pytest.approx(1)


def test_only_kept_rows_are_found() -> None:
    heard = voice().listen(("east",), EAST, NOBODY, np.array([False, True, False, False, True]))
    assert [row for row, _ in heard.found[0]] == [4, 1]
    assert heard.rows.tolist() == [1, 4]


def test_each_query_brings_candidates_however_many_there_are() -> None:
    limits = Limits(candidates=4, quota_per_query=1)
    heard = voice(limits=limits).listen(("e", "n", "w", "s"), PLANE[:4], NOBODY, ALL)
    assert heard.rows.tolist() == [0, 1, 2, 3]
    assert len(heard.own) == 0


def test_a_query_of_unknown_words_is_unheard_and_the_others_are_not() -> None:
    vectors = np.concatenate([np.zeros((1, 2), np.float32), NORTH])
    heard = voice().listen(("zzz", "north"), vectors, NOBODY, ALL)
    assert (heard.unheard, heard.queries) == (("zzz",), ("north",))
    assert heard.found[0][0][0] == 1


def test_each_taste_looks_at_its_own_span_and_the_newest_weighs_most() -> None:
    tastes = dict(zip(TEXTS, voice().tastes([3, 2, 0, 1]), strict=True))
    assert tastes["text_1"] == pytest.approx(NORTH[0])
    assert tastes["text_3"] == pytest.approx(PLANE[1] + 0.7 * PLANE[0] + 0.49 * PLANE[2], abs=1e-6)
    whole = PLANE[1] + 0.95 * PLANE[0] + 0.95**2 * PLANE[2] + 0.95**3 * PLANE[3]
    assert tastes["text_50"] == pytest.approx(whole, abs=1e-6)


def test_a_history_of_one_is_the_same_taste_over_every_span() -> None:
    assert voice().tastes([1]) == pytest.approx(np.repeat(NORTH, 3, axis=0))
    assert voice().tastes([]).tolist() == [[0.0, 0.0]] * 3


def test_taste_is_made_of_liked_items_only() -> None:
    heard = voice().listen((), NOTHING, NOBODY.with_feedback([2, 0, 1], [3]), ALL)
    assert set(heard.vectors) == set(heard.cosines) == set(heard.moments) == set(TEXTS)
    assert heard.vectors["text_1"] == pytest.approx(NORTH)
    assert heard.vectors["text_50"][0] == pytest.approx(voice().tastes([2, 0, 1])[2])


def test_history_alone_brings_the_items_nearest_to_each_taste() -> None:
    heard = voice(limits=Limits(candidates_by_taste=1)).listen((), NOTHING, NOBODY.with_feedback([0, 1], []), ALL)
    assert heard.rows.tolist() == heard.own.tolist() == [1, 4]  # the newest itself; halfway between both


def test_what_history_brings_is_kept_apart_from_what_a_query_brings() -> None:
    limits = Limits(candidates=1, quota_per_query=1, candidates_by_taste=1)
    heard = voice(limits=limits).listen(("west",), PLANE[[2]], NOBODY.with_feedback([1], []), ALL)
    assert (heard.rows.tolist(), heard.own.tolist()) == ([1, 2], [1])


def test_history_brings_only_what_is_kept_and_nothing_when_nothing_is() -> None:
    keep = np.array([False, False, True, True, False])
    history = NOBODY.with_feedback([0, 1], [])
    assert voice().listen((), NOTHING, history, keep).own.tolist() == [2, 3]
    assert voice().listen((), NOTHING, history, ~ALL).rows.tolist() == []


@pytest.mark.parametrize("limits", [Limits(), Limits(hnsw_above=2)], ids=["small", "large"])
def test_what_is_known_of_many_people_is_what_each_is_told(limits: Limits) -> None:
    ours = voice(random_units(40, seed=0, dimensions=2), limits)
    people = [NOBODY.with_feedback(liked, [9]) for liked in ([1, 4, 7], [], [30], list(range(10, 25)))]
    together = ours.own_cosines(people)
    assert (together is None) == (limits.hnsw_above == 2)
    keep = np.ones(40, np.bool_)
    for place, history in enumerate(people):
        alone = ours.listen((), NOTHING, history, keep)
        told = ours.listen((), NOTHING, history, keep, None if together is None else together[place])
        assert told.rows.tolist() == alone.rows.tolist()
        scored, expected = ours.score(told, np.arange(40)), ours.score(alone, np.arange(40))
        assert set(scored) == set(expected) == (set(TEXTS) if history.liked_rows() else set())
        for name, z in expected.items():
            assert scored[name] == pytest.approx(z, abs=1e-5)


def test_words_are_a_source_of_their_own_and_bring_what_the_vectors_do_not() -> None:
    limits = Limits(candidates=1, quota_per_query=1)
    heard = voice(limits=limits).listen(("quiet",), EAST, NOBODY, ALL)
    z = voice().score(heard, np.arange(5))
    assert z["queries"].argmax() == 0
    assert z["words"].argmax() == heard.cosines["words"].argmax() == 3
    assert heard.rows.tolist() == [0, 3]


def test_words_are_counted_in_units_of_their_own_so_that_a_rare_one_is_no_giant() -> None:
    heard = voice().listen(("quiet",), EAST, NOBODY, ALL)
    z = voice().score(heard, np.arange(5))["words"]
    assert z == pytest.approx(voice().words.score(["quiet"])[0] / WORDS_UNIT)
    assert (z[[0, 1, 2, 4]] == 0).all()


def test_an_item_counts_for_the_query_that_shares_most_words_with_it() -> None:
    heard = voice().listen(("harbour", "sea"), np.concatenate([EAST, NORTH]), NOBODY, ALL)
    assert heard.cosines["words"] == pytest.approx(voice().words.score(("harbour", "sea")).max(axis=0))


def test_without_a_shared_word_the_words_are_silent() -> None:
    heard = voice().listen(("east",), EAST, NOBODY, ALL)
    assert set(heard.moments) == {"queries"}


def test_words_bring_only_what_is_kept() -> None:
    heard = voice().listen(("quiet sea",), EAST, NOBODY, np.array([True, True, True, False, False]))
    assert heard.rows.tolist() == [0, 1, 2]


def test_nothing_said_and_nothing_known_is_silence() -> None:
    heard = voice().listen((), NOTHING, NOBODY, ALL)
    assert len(heard.rows) == 0
    assert voice().score(heard, np.arange(5)) == {}


def test_dislikes_alone_are_no_taste() -> None:
    heard = voice().listen((), NOTHING, NOBODY.with_feedback([], [1, 2]), ALL)
    assert (heard.vectors, heard.moments, heard.rows.tolist()) == ({}, {}, [])


def test_where_all_items_are_alike_scores_are_nought_and_not_nan() -> None:
    same = voice(np.repeat(EAST, 4, axis=0))
    heard = same.listen(("east",), EAST, NOBODY, np.ones(4, np.bool_))
    assert same.score(heard, np.arange(4))["queries"].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("sample", [50, 300, 4_096])
def test_a_large_catalogue_s_moments_come_from_a_sample(sample: int) -> None:
    vectors = random_units(300, seed=0, dimensions=8)
    large = voice(vectors, Limits(hnsw_above=100, moments_sample=sample))
    small = voice(vectors, Limits())
    ours, theirs = (v.listen(("q",), vectors[[7]], NOBODY, np.ones(300, np.bool_)).moments["queries"] for v in (large, small))
    assert ours == pytest.approx(theirs, abs=0.2)
    assert large.sample_cosines(vectors[:2]).shape == (2, min(sample, 300))


@pytest.mark.parametrize("sample", [50, 4_096])
def test_the_usual_cosines_of_a_vector_are_known_without_working_them_out(sample: int) -> None:
    vectors = random_units(300, seed=0, dimensions=8)
    for limits in (Limits(), Limits(hnsw_above=100, moments_sample=sample)):
        known = voice(vectors, limits)
        mean, deviation = known.usual_cosines(vectors[:5])
        cosines = known.sample_cosines(vectors[:5])
        assert mean == pytest.approx(cosines.mean(axis=1), abs=1e-6)
        assert deviation == pytest.approx(cosines.std(axis=1), abs=1e-6)


def test_the_items_of_a_large_catalogue_are_scored_exactly() -> None:
    vectors = random_units(300, seed=0, dimensions=8)
    large = voice(vectors, Limits(hnsw_above=100))
    heard = large.listen(("harbour",), vectors[[7]], NOBODY.with_feedback([3, 5], []), np.ones(300, np.bool_))
    assert set(heard.cosines) == {"words"}
    mean, deviation = heard.moments["text_3"]
    own = vectors[[2, 250]] @ (vectors[5] + 0.7 * vectors[3])
    assert large.score(heard, np.array([2, 250]))["text_3"] == pytest.approx((own - mean) / deviation, abs=1e-4)
