"""Tastes read from a history alone."""

import numpy as np
import polars as pl
import pytest

from duetto.tools.catalogue import Catalogue
from duetto.tools.features import Features
from duetto.tools.histories import NOBODY, History
from duetto.tools.language import Preference
from duetto.tools.plain.preferences import EVIDENCE, preferences
from tests.tools.films import catalogue

FEATURES = Features.of(catalogue())
SCI_FI = NOBODY.with_feedback([0, 1, 3], [])


def of(history: History, most: int = 5) -> tuple[Preference, ...]:
    return preferences(history, FEATURES, most)


def test_what_the_items_share_is_the_first_preference() -> None:
    first = of(SCI_FI)[0]
    assert "Science Fiction" in first.text
    assert first.weight == 1
    assert first.evidence == (3, 1, 0)


def test_preferences_come_strongest_first_and_weigh_at_most_one() -> None:
    weights = [p.weight for p in of(NOBODY.with_feedback([0, 1, 3, 2, 9, 4, 5, 10], []))]
    assert weights == sorted(weights, reverse=True)
    assert all(0 < weight <= 1 for weight in weights)


def test_every_row_of_the_evidence_has_every_feature_of_the_leading_taste() -> None:
    for preference in of(NOBODY.with_feedback([0, 3, 2, 9, 7, 10, 11], [])):
        assert preference.evidence
        assert FEATURES.matrix[list(preference.evidence)][:, [preference.features[0]]].toarray().all()


def test_the_words_of_a_preference_are_its_features() -> None:
    for preference in of(SCI_FI):
        assert {FEATURES.label(f) for f in preference.features} == set(preference.text.split(", "))


def test_evidence_is_from_the_history_newest_first_and_not_disliked() -> None:
    history = NOBODY.with_feedback([7, 4, 10, 11], [0])
    for preference in of(history):
        assert set(preference.evidence) <= {7, 4, 10, 11}
        places = [history.rows.tolist().index(row) for row in preference.evidence]
        assert places == sorted(places, reverse=True)


def test_no_more_are_given_than_wanted() -> None:
    assert len(of(NOBODY.with_feedback(list(range(12)), []), most=2)) <= 2
    assert of(SCI_FI, most=0) == ()


def test_no_feature_is_named_in_two_preferences() -> None:
    named = [f for preference in of(NOBODY.with_feedback([0, 1, 3, 2, 9, 4, 5], [])) for f in preference.features]
    assert len(named) == len(set(named))


@pytest.mark.parametrize("history", [NOBODY, NOBODY.with_feedback([], [1, 2])])
def test_nobody_and_dislikes_alone_have_no_preference(history: History) -> None:
    assert of(history) == ()


def test_one_item_is_enough_for_a_preference() -> None:
    assert of(NOBODY.with_feedback([8], []))[0].evidence == (8,)


def test_the_newest_items_weigh_more() -> None:
    assert "Crime" in of(NOBODY.with_feedback([0, 3, 2, 9], []))[0].text
    assert "Horror" in of(NOBODY.with_feedback([2, 9, 0, 3], []))[0].text


def test_only_the_newest_items_are_looked_at() -> None:
    history = NOBODY.with_feedback([7, 10, 11, 3, 0, 1], [])
    assert {row for p in preferences(history, FEATURES, 5, newest=3) for row in p.evidence} <= {3, 0, 1}


def test_a_long_history_cites_a_few_items() -> None:
    count = 40
    table = pl.DataFrame(
        {
            "item_id": range(count),
            "title": [f"t{n}" for n in range(count)],
            "tag": ["red" if n < 20 else "blue" for n in range(count)],
        }
    )
    found = preferences(NOBODY.with_feedback(list(range(18)), []), Features.of(Catalogue.of(table)), 5)
    assert found[0].text == "red"
    assert found[0].evidence == tuple(range(17, 17 - EVIDENCE, -1))


def test_what_everything_shares_is_no_taste() -> None:
    table = pl.DataFrame({"item_id": range(9), "title": [f"t{n}" for n in range(9)], "tag": ["red"] * 9})
    assert preferences(NOBODY.with_feedback([1, 2, 3], []), Features.of(Catalogue.of(table)), 5) == ()


def test_a_catalogue_without_features_gives_no_preference() -> None:
    bare = Features.of(Catalogue.of(pl.DataFrame({"item_id": [1, 2], "title": ["x", "y"]})))
    assert preferences(NOBODY.with_feedback([0, 1], []), bare, 5) == ()


def test_the_same_history_gives_the_same_preferences() -> None:
    history = History(np.array([0, 3, 2, 9], np.int32), np.zeros(4, np.bool_), known=True)
    assert of(history) == of(history)
