"""Which preference an item answers, and how a list is kept from repeating itself."""

import numpy as np
import pytest

from duetto.tools.attention import attention, diversify
from duetto.tools.embedding import unit
from tests.contracts import random_units

EVEN = np.ones(3)


def shares(
    prior: list[float] | None = None, heads: int = 4, temperature: float = 0.1
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Of five items over three preferences; items 0, 1 and 2 are the preferences themselves."""
    preferences = random_units(3, seed=0, dimensions=16)
    items = np.concatenate([preferences, random_units(2, seed=1, dimensions=16)])
    found: np.ndarray[tuple[int, int], np.dtype[np.float64]] = attention(
        preferences, EVEN if prior is None else np.array(prior), items, heads, temperature
    )
    return found


@pytest.mark.parametrize("heads", [1, 3, 4, 16, 99])
def test_an_item_s_attention_sums_to_one(heads: int) -> None:
    found = shares(heads=heads)
    assert found.shape == (5, 3)
    assert found.sum(axis=1) == pytest.approx(np.ones(5))
    assert (found >= 0).all()


@pytest.mark.parametrize("heads", [1, 4])
def test_the_nearest_preference_gets_most(heads: int) -> None:
    assert shares(heads=heads)[:3].argmax(axis=1).tolist() == [0, 1, 2]


def test_a_cold_attention_sees_one_preference_and_a_hot_one_sees_all() -> None:
    assert shares(heads=1, temperature=0.001)[:3].max(axis=1) == pytest.approx([1, 1, 1])
    assert shares(heads=1, temperature=1000).ravel() == pytest.approx(np.full(15, 1 / 3), abs=1e-2)


def test_of_two_equal_preferences_the_weightier_gets_its_share_more() -> None:
    twice = unit(np.ones((2, 8)))
    found = attention(twice, np.array([0.75, 0.25]), random_units(4, seed=2, dimensions=8), 2, 0.1)
    assert found[:, 0] == pytest.approx(np.full(4, 0.75))


def test_a_preference_of_weight_nought_is_no_error() -> None:
    assert shares(prior=[0.0, 1.0, 1.0])[1, 0] < 1e-3


def test_without_preferences_there_is_nothing_to_attend_to() -> None:
    assert attention(np.zeros((0, 8), np.float32), np.zeros(0), random_units(4, seed=0, dimensions=8), 2, 0.1).shape == (4, 0)


def test_a_zero_vector_attends_evenly() -> None:
    found = attention(random_units(3, seed=0, dimensions=8), EVEN, np.zeros((1, 8), np.float32), 2, 0.1)
    assert found.ravel() == pytest.approx([1 / 3] * 3)


SCORES = np.array([0.9, 1.0, 0.2, 0.8, 0.85])
VECTORS = unit(np.array([[1, 0, 0], [1, 0.01, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0.02]]))


def test_without_diversity_the_order_is_the_scores() -> None:
    assert diversify(SCORES, VECTORS, 5, 0.0) == [1, 0, 4, 3, 2]


def test_with_diversity_a_near_copy_waits() -> None:
    assert diversify(SCORES, VECTORS, 3, 0.5) == [1, 3, 2]


def test_with_diversity_alone_copies_come_last() -> None:
    assert set(diversify(SCORES, VECTORS, 3, 1.0)[1:]) == {2, 3}


@pytest.mark.parametrize("diversity", [0.0, 0.3, 1.0])
def test_everybody_is_taken_once(diversity: float) -> None:
    assert sorted(diversify(SCORES, VECTORS, 9, diversity)) == [0, 1, 2, 3, 4]


def test_equal_scores_are_no_error() -> None:
    assert diversify(np.zeros(3), VECTORS[:3], 2, 0.0) == [0, 1]


def test_none_wanted_are_none_taken() -> None:
    assert diversify(SCORES, VECTORS, 0, 0.5) == []
