"""What one item says of another, worked out by hand; and that order matters."""

import numpy as np
import pytest
import scipy.sparse as sp

from duetto.limits import Limits
from duetto.tools.histories import Histories
from duetto.tools.relations import AUTOREGRESSIONS, Relations, fit_relations, strongest

TWO, THREE, SIX = np.sqrt(2), np.sqrt(3), np.sqrt(6)
ALL = ("together", "next", "next_rare", "soon", "step_1", "step_2", "step_3", "before", "around")


def people(*histories: list[int], disliked: set[tuple[int, int]] | None = None) -> Histories:
    """Everybody's item rows, oldest first; `disliked` are (person, row)."""
    rows = np.array([row for own in histories for row in own], dtype=np.int32)
    against = [(person, row) in (disliked or set()) for person, own in enumerate(histories) for row in own]
    indptr = np.concatenate([[0], np.cumsum([len(own) for own in histories])]).astype(np.int64)
    return Histories([f"p{n}" for n in range(len(histories))], indptr, rows, np.array(against, dtype=np.bool_))


def fitted(log: Histories, items: int = 4, limits: Limits | None = None) -> Relations:
    return fit_relations(log, items, limits or Limits())


# item 0 is had by two people, 1 by three, 2 by two, 3 by nobody
TINY = people([0, 1, 2], [0, 1], [2, 1])


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ("together", {(0, 1): 2 / SIX, (1, 0): 2 / SIX, (0, 2): 1 / 2, (2, 0): 1 / 2, (1, 2): 2 / SIX, (2, 1): 2 / SIX}),
        ("next", {(0, 1): 2 / TWO, (0, 2): 0.8 / TWO, (1, 2): 1 / THREE, (2, 1): 1 / TWO}),
        ("next_rare", {(0, 1): 2 / SIX, (0, 2): 0.8 / 2, (1, 2): 1 / SIX, (2, 1): 1 / SIX}),
        ("soon", {(0, 1): 2 / TWO, (0, 2): 0.5 / TWO, (1, 2): 1 / THREE, (2, 1): 1 / TWO}),
        ("step_1", {(0, 1): 2 / TWO, (1, 2): 1 / THREE, (2, 1): 1 / TWO}),
        ("step_2", {(0, 2): 1 / TWO}),
        ("step_3", {}),
        ("before", {(1, 0): 2 / SIX, (2, 0): 0.8 / 2, (2, 1): 1 / SIX, (1, 2): 1 / SIX}),
        (
            "around",
            {
                (0, 1): 2 / TWO, (0, 2): 0.8 / TWO, (1, 2): 1.5 / THREE, (2, 1): 1.5 / TWO,
                (1, 0): 0.5 * 2 / THREE, (2, 0): 0.5 * 0.8 / TWO,
            },
        ),
    ],
)  # fmt: skip
def test_a_tiny_log_s_relations_are_those_worked_out_by_hand(relation: str, expected: dict[tuple[int, int], float]) -> None:
    found = fitted(TINY)[relation].todok()
    assert {(int(row), int(column)): value for (row, column), value in found.items()} == pytest.approx(expected, abs=1e-6)


def test_what_comes_after_does_not_come_before() -> None:
    found = fitted(people([0, 1], [0, 1], [0, 1]))
    for relation in ("next", "next_rare", "soon", "step_1"):
        assert found[relation][0, 1] > 0
        assert found[relation][1, 0] == 0
    assert (found["before"][1, 0] > 0, found["before"][0, 1]) == (True, 0)
    assert found["linear"][0, 1] > 0
    assert abs(found["linear"][1, 0]) < found["linear"][0, 1] / 2
    assert found["together"][0, 1] == found["together"][1, 0]


def test_one_person_s_last_item_is_not_followed_by_the_next_person_s_first() -> None:
    found = fitted(people([0], [1], [2]))
    assert {name: found[name].nnz for name in ALL} == dict.fromkeys(ALL, 0)


def test_dislikes_relate_nothing_and_are_stepped_over() -> None:
    found = fitted(people([0, 3, 1], disliked={(0, 3)}))
    assert found["soon"][0, 1] == 1
    assert not any(relation[3].nnz or relation[:, 3].nnz for relation in found.values())


def test_items_more_than_twenty_steps_apart_do_not_follow_each_other() -> None:
    found = fitted(people(list(range(25))), items=25)
    assert found["next"][0, 20] == pytest.approx(0.8**19)
    assert found["next"][0, 21] == 0
    assert (found["soon"][0, 3] > 0, found["soon"][0, 4]) == (True, 0)
    for step in (1, 2, 3):
        assert np.flatnonzero(found[f"step_{step}"][0].toarray()).tolist() == [step]
    assert found["together"][0, 24] == 1


def test_a_log_of_single_events_and_one_without_any_relate_nothing() -> None:
    for log in (people([0], [0]), people([]), people()):
        assert all(relation.shape == (4, 4) and relation.nnz == 0 for relation in fitted(log).values())


def test_every_row_keeps_its_strongest_entries_whatever_their_sign() -> None:
    matrix = sp.csr_matrix(np.array([[1, -9, 3, 2], [0, 0, 5, 0], [0, 0, 0, 0]], dtype=np.float64))
    assert strongest(matrix, 2).toarray().tolist() == [[0, -9, 3, 0], [0, 0, 5, 0], [0, 0, 0, 0]]
    assert matrix.nnz == 5


def test_relations_are_cut_to_the_limit_s_neighbours() -> None:
    rng = np.random.default_rng(0)
    log = people(*(rng.permutation(30)[:12].tolist() for _ in range(60)))
    whole, cut = (fitted(log, 30, Limits(neighbours=n)) for n in (30, 5))
    for name, relation in cut.items():
        kept, full = relation.toarray(), whole[name].toarray()
        assert (kept[kept != 0] == full[kept != 0]).all()
        for row in range(30):
            left_out = np.abs(full[row][kept[row] == 0])
            assert left_out.max() <= np.abs(kept[row][kept[row] != 0]).min()
    assert np.diff(cut["linear"].indptr).tolist() == [5] * 30


def test_a_catalogue_too_large_for_a_dense_matrix_goes_without_the_autoregressions() -> None:
    assert set(fitted(TINY, limits=Limits(linear_items=3))) == set(ALL)
    assert set(fitted(TINY, limits=Limits(linear_items=4))) == {*ALL, *AUTOREGRESSIONS}


@pytest.fixture(scope="module")
def chain() -> Histories:
    """Three long walks over eight items, along transitions of their own."""
    rng = np.random.default_rng(0)
    likely = rng.dirichlet(np.full(8, 0.5), size=8).cumsum(axis=1)
    walks = []
    for dice in rng.random((3, 15_000)):
        walk = [0]
        for chance in dice:
            walk.append(min(7, int(np.searchsorted(likely[walk[-1]], chance))))
        walks.append(walk)
    return people(*walks)


@pytest.mark.parametrize(("name", "most"), [("linear", 0.01), ("linear_long", 0.1)])
def test_an_autoregression_is_a_ridge_regression_on_decayed_inputs(chain: Histories, name: str, most: float) -> None:
    """`most`: of the largest coefficient; the closed form leaves out what is more than twenty steps ago."""
    decay, ridge = AUTOREGRESSIONS[name]
    gram, target = ridge * np.eye(8), np.zeros((8, 8))
    for person in range(len(chain)):
        inputs = np.zeros(8)
        for row in chain.at(person).rows:
            gram += np.outer(inputs, inputs)
            target[:, row] += inputs
            inputs *= decay
            inputs[row] += 1
    explicit = np.linalg.solve(gram, target)
    found = fitted(chain, 8)[name].toarray()
    assert np.abs(found - explicit).max() < most * np.abs(explicit).max()
