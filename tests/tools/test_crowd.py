"""implicit's ALS as the crowd, in both of its modes."""

import numpy as np
import pytest
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from duetto.tools.crowd import DISLIKE, Crowd, CrowdSettings, events_matrix, newest
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


def test_there_are_never_more_factors_than_half_the_items() -> None:
    assert [CrowdSettings.of(n).factors for n in (1, 2, 3, 100, 10_000)] == [1, 1, 1, 50, CrowdSettings().factors]


def test_the_default_leaves_something_of_a_small_log() -> None:
    blocks = sp.csr_matrix(np.kron(np.eye(2), np.ones((8, 8))).astype(np.float32))
    crowd = Crowd.fit(blocks, CrowdSettings.of(16))
    scores = crowd.scores([crowd.taste(NOBODY.with_feedback([0, 1], []))])[0]
    assert scores[:8].min() > 0.1
    assert scores[8:].max() < 0.01


def test_the_same_factors_are_read_over_another_span_in_another_way(crowd: Crowd) -> None:
    other = crowd.read_as("neighbours", 2, 0.5)
    assert other.item_factors is crowd.item_factors
    assert (other.settings.mode, other.settings.newest, other.settings.decay) == ("neighbours", 2, 0.5)
    assert (other.settings.factors, other.settings.alpha) == (2, 2.0)
    assert other.taste(stranger([5, 6, 7])).weights.tolist() == [0.5, 1]
    assert crowd.settings == FOLD_IN


def test_the_newest_events_decay_and_a_dislike_speaks_against() -> None:
    taste = newest(stranger([5, 6, 7], disliked=[8]), 3, 0.5)
    assert (taste.rows.tolist(), taste.weights.tolist()) == ([6, 7, 8], [0.25, 0.5, -1])
    assert len(newest(NOBODY, 3, 0.5)) == 0


def test_the_very_newest_may_be_skipped() -> None:
    history = stranger([5, 6, 7], disliked=[8])
    taste = newest(history, 2, 0.5, skip=1)
    assert (taste.rows.tolist(), taste.weights.tolist()) == ([6, 7], [0.5, 1])
    assert newest(history, 2, 0.5, skip=3).rows.tolist() == [5]
    assert len(newest(history, 2, 0.5, skip=4)) == len(newest(history, 2, 0.5, skip=9)) == 0


def test_events_are_a_row_a_person() -> None:
    tastes = [newest(stranger([3, 1]), 9, 0.5), newest(NOBODY, 9, 0.5), newest(stranger([0]), 9, 0.5)]
    assert events_matrix(tastes, 4).toarray().tolist() == [[0, 1, 0, 0.5], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert events_matrix([], 4).shape == (0, 4)
