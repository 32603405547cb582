"""implicit's ALS as the crowd, in both of its modes."""

import numpy as np
import pytest
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from duetto.tools.crowd import DISLIKE, Crowd, CrowdSettings
from duetto.tools.histories import NOBODY
from tests.contracts import SIZE, CrowdContract, checkerboard, owner, stranger

FOLD_IN = CrowdSettings("fold_in", factors=2, regularization=0.1, alpha=2.0)
NEIGHBOURS = CrowdSettings("neighbours", factors=2, regularization=0.1, newest=10, decay=0.7, confidence=1.0)


class TestFoldIn(CrowdContract):
    @classmethod
    def fit(cls, positives: sp.csr_matrix) -> Crowd:
        return Crowd.fit(positives, FOLD_IN)


class TestNeighbours(CrowdContract):
    @classmethod
    def fit(cls, positives: sp.csr_matrix) -> Crowd:
        return Crowd.fit(positives, NEIGHBOURS)


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    return Crowd.fit(checkerboard(), FOLD_IN).warm()


@pytest.fixture(scope="module")
def implicit(crowd: Crowd) -> AlternatingLeastSquares:
    """The same factors in implicit's own hands."""
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=2, regularization=0.1, alpha=2.0)
    model.item_factors = crowd.item_factors
    return model


def test_scores_are_those_of_implicit_s_recalculated_person(crowd: Crowd, implicit: AlternatingLeastSquares) -> None:
    taste = crowd.taste(stranger([2, 9, 4], disliked=[7]))
    row = sp.csr_matrix((taste.weights, ([0] * 4, taste.rows)), shape=(1, SIZE))
    person = implicit.recalculate_user(0, row)
    assert np.allclose(crowd.scores([taste])[0], crowd.item_factors @ person, atol=1e-5)


def test_contributions_are_those_implicit_explains(crowd: Crowd, implicit: AlternatingLeastSquares) -> None:
    taste = crowd.taste(stranger([2, 9, 4]))
    row = sp.csr_matrix((taste.weights, ([0] * 3, taste.rows)), shape=(1, SIZE))
    total, explained, _ = implicit.explain(0, row, itemid=10)
    added = dict(zip(taste.rows.tolist(), crowd.contributions(taste, np.array([10]))[0].tolist(), strict=True))
    assert added == pytest.approx(dict(explained), abs=1e-4)
    assert sum(added.values()) == pytest.approx(total, abs=1e-4)


def test_weights_decay_with_age_and_only_the_newest_count() -> None:
    settings = CrowdSettings("neighbours", newest=3, decay=0.5, confidence=8)
    taste = Crowd(np.ones((9, 2), np.float32), settings).taste(stranger([5, 6, 7, 8]))
    assert taste.rows.tolist() == [6, 7, 8]
    assert taste.weights.tolist() == [2, 4, 8]


def test_an_old_dislike_still_weighs_in_the_fold_in() -> None:
    crowd = Crowd(np.ones((9, 2), np.float32), CrowdSettings("fold_in", decay=0.1, confidence=1))
    taste = crowd.taste(stranger([], disliked=[3]).with_feedback([4, 5], []))
    assert taste.weights == pytest.approx([-DISLIKE, 0.1, 1])


def test_a_dislike_alone_recommends_nothing_in_the_fold_in(crowd: Crowd) -> None:
    assert not crowd.scores([crowd.taste(stranger([], disliked=[3]))]).any()


def test_an_item_nobody_took_scores_nothing() -> None:
    board = sp.csr_matrix(np.pad(checkerboard().toarray(), ((0, 0), (0, 1))))
    crowd = Crowd.fit(board, FOLD_IN)
    assert crowd.scores([crowd.taste(owner(0))])[0, SIZE] == pytest.approx(0, abs=1e-6)


def test_the_same_log_and_seed_give_the_same_factors(crowd: Crowd) -> None:
    assert np.allclose(Crowd.fit(checkerboard(), FOLD_IN).item_factors, crowd.item_factors, atol=1e-6)


def test_factors_and_settings_are_all_there_is_to_a_crowd(crowd: Crowd) -> None:
    again = Crowd(crowd.item_factors.copy(), CrowdSettings(**crowd.to_json()))
    assert again.scores([again.taste(owner(1))]).tolist() == crowd.scores([crowd.taste(owner(1))]).tolist()


@pytest.mark.parametrize("settings", [FOLD_IN, NEIGHBOURS])
def test_warming_changes_no_score(settings: CrowdSettings) -> None:
    cold = Crowd(np.eye(4, 2, dtype=np.float32), settings)
    warm = Crowd(np.eye(4, 2, dtype=np.float32), settings).warm()
    taste = cold.taste(NOBODY.with_feedback([1, 2], []))
    assert warm.scores([taste]).tolist() == cold.scores([taste]).tolist()
