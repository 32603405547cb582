"""The language voice: the best match among the queries, and likeness to the newest items."""

import numpy as np
import polars as pl
import pytest

from duetto.limits import Limits
from duetto.tools.catalogue import Catalogue
from duetto.tools.embedding import Vectors, unit
from duetto.tools.histories import NOBODY
from duetto.tools.language_voice import Heard, LanguageVoice
from duetto.tools.vector_store import FaissStore
from tests.contracts import random_units
from tests.tools.words import Words

PLANE = unit(np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 1]]))
EAST, NORTH = PLANE[[0]], PLANE[[1]]
ALL = np.ones(5, np.bool_)


def voice(vectors: Vectors = PLANE, limits: Limits | None = None) -> LanguageVoice:
    limits = limits or Limits()
    count = len(vectors)
    catalogue = Catalogue.of(pl.DataFrame({"item_id": range(count), "title": [f"item {n}" for n in range(count)]}))
    return LanguageVoice(FaissStore(catalogue, vectors, Words(), limits), limits)


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


def test_a_query_of_unknown_words_is_unheard_and_the_others_are_not() -> None:
    vectors = np.concatenate([np.zeros((1, 2), np.float32), NORTH])
    heard = voice().listen(("zzz", "north"), vectors, NOBODY, ALL)
    assert (heard.unheard, heard.queries) == (("zzz",), ("north",))
    assert heard.found[0][0][0] == 1


def test_taste_weighs_the_newest_item_most() -> None:
    taste = voice(limits=Limits(taste_decay=0.5)).taste([0, 1])
    assert taste.tolist() == [[0.5, 1.0]]


def test_taste_looks_at_the_newest_liked_items_only() -> None:
    history = NOBODY.with_feedback([2, 0, 1], [3])
    heard = voice(limits=Limits(taste_items=1)).listen((), np.zeros((0, 2), np.float32), history, ALL)
    assert heard.vectors["taste"] == pytest.approx(NORTH)
    assert set(heard.vectors) == {"taste"}


def test_nothing_said_and_nothing_known_is_silence() -> None:
    heard = voice().listen((), np.zeros((0, 2), np.float32), NOBODY, ALL)
    assert len(heard.rows) == 0
    assert voice().score(heard, np.arange(5)) == {}


def test_dislikes_alone_are_no_taste() -> None:
    heard = voice().listen((), np.zeros((0, 2), np.float32), NOBODY.with_feedback([], [1, 2]), ALL)
    assert heard.vectors == {}


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
