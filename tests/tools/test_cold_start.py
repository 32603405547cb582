"""What a stranger is shown and asked."""

import numpy as np
import polars as pl

from duetto.tools.catalogue import Catalogue
from duetto.tools.cold_start import question, spread
from tests.tools.films import catalogue

FILMS = catalogue()
ALL = np.ones(12, dtype=bool)


def test_the_most_liked_of_each_region_is_shown_most_liked_first() -> None:
    vectors = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    liked = np.array([1, 9, 2, 3, 8, 1, 1, 1, 2, 2, 7, 1], dtype=np.float64)
    assert spread(liked, vectors, 3) == [1, 4, 10]


def test_a_pool_smaller_than_the_list_is_shown_whole() -> None:
    assert spread(np.array([1.0, 3.0, 2.0]), np.eye(3, dtype=np.float32), 5) == [1, 2, 0]


def test_regions_that_fall_together_still_fill_the_list() -> None:
    assert len(spread(np.arange(20.0), np.ones((20, 4), dtype=np.float32), 5)) == 5


def test_the_question_offers_answers_that_are_there() -> None:
    asked = question(FILMS, ALL, set())
    assert asked is not None
    assert 2 <= len(asked.options) <= 3
    for option in asked.options:
        assert option.predicate is not None
        assert 0 < FILMS.mask(option.predicate).sum() < 12
        assert option.label in asked.text


def test_a_column_that_is_limited_already_is_not_asked_about() -> None:
    first = question(FILMS, ALL, set())
    assert first is not None
    columns = {"genres", "year", "minutes", "director"}
    assert question(FILMS, ALL, columns) is None
    second = question(FILMS, ALL, {"year"})
    assert second is None or "year" not in second.text


def test_what_all_items_share_is_not_asked_about() -> None:
    same = Catalogue.of(pl.DataFrame({"item_id": range(20), "title": [f"t{n}" for n in range(20)], "genre": ["drama"] * 20}))
    assert question(same, np.ones(20, dtype=bool), set()) is None


def test_nothing_left_is_no_question() -> None:
    assert question(FILMS, np.zeros(12, dtype=bool), set()) is None
