"""What items have in common."""

import numpy as np
import polars as pl
import pytest

from duetto.tools.catalogue import Catalogue
from duetto.tools.features import DECADE, WORDS, Features
from tests.tools.films import catalogue

FEATURES = Features.of(catalogue())


def of_item(row: int, features: Features = FEATURES) -> set[tuple[str, str]]:
    return {(features.columns[f], features.values[f]) for f in features.matrix[row].indices}


def test_an_item_has_its_categories_and_its_decade() -> None:
    assert of_item(0) == {
        ("genres", "Horror"), ("genres", "Science Fiction"), ("director", "Ridley Scott"), (DECADE, "1970s"),
    }  # fmt: skip


def test_every_feature_is_nought_or_one() -> None:
    assert set(np.unique(FEATURES.matrix.toarray()).tolist()) == {0, 1}
    assert FEATURES.matrix.shape == (12, len(FEATURES.columns)) == (12, len(FEATURES.values))


def test_a_value_written_twice_in_a_cell_counts_once() -> None:
    table = pl.DataFrame({"item_id": [1, 2], "title": ["x", "y"], "tags": ["red| red |", "red"]})
    assert Features.of(Catalogue.of(table)).matrix.toarray().tolist() == [[1], [1]]


def test_paths_are_split_like_lists() -> None:
    table = pl.DataFrame({"item_id": [1, 2], "title": ["x", "y"], "shelf": ["Beauty > Hair Care", "Beauty"]})
    assert of_item(0, Features.of(Catalogue.of(table))) == {("shelf", "Beauty"), ("shelf", "Hair Care")}


def test_missing_values_are_no_features() -> None:
    table = pl.DataFrame({"item_id": [1, 2], "title": ["x", "y"], "tags": [None, "red"], "year": [None, 1999]})
    features = Features.of(Catalogue.of(table))
    assert of_item(0, features) == set()
    assert of_item(1, features) == {("tags", "red"), (DECADE, "1990s")}


def test_words_of_some_items_but_not_of_most_are_features() -> None:
    about = [
        f"A {'lonely robot' if n < 4 else 'long story of people'} who met number {n} on a morning in May." for n in range(60)
    ]
    table = pl.DataFrame({"item_id": range(60), "title": [f"t{n}" for n in range(60)], "about": about})
    features = Features.of(Catalogue.of(table))
    words = {v for c, v in zip(features.columns, features.values, strict=True) if c == WORDS}
    assert words == {"lonely", "robot"}


def test_shares_are_those_of_the_catalogue() -> None:
    share = dict(zip(FEATURES.values, FEATURES.shares.tolist(), strict=True))
    assert share["Comedy"] == pytest.approx(4 / 12)
    assert share["Western"] == pytest.approx(1 / 12)


def test_a_column_s_code_is_that_of_its_features() -> None:
    warm = FEATURES.warm()
    for code, column in zip(warm.column_codes.tolist(), warm.columns, strict=True):
        assert warm.code(column) == code
    assert warm.code("no such column") == -1


def test_words_are_quoted_and_values_are_not() -> None:
    features = Features(FEATURES.matrix, [WORDS, "genres"], ["robot", "Horror"])
    assert (features.label(0), features.label(1)) == ("'robot'", "Horror")


def test_a_catalogue_of_bare_titles_has_no_features() -> None:
    features = Features.of(Catalogue.of(pl.DataFrame({"item_id": [1, 2], "title": ["x", "y"]})))
    assert features.matrix.shape == (2, 0)
    assert len(features.shares) == len(features.column_codes) == 0
