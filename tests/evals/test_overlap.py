"""Rank-biased overlap: values worked out by hand, and what must hold of any two rankings."""

from collections.abc import Hashable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto.evals.overlap import PERSISTENCE, overlap

rankings = st.lists(st.integers(0, 15), unique=True, max_size=12)
persistence = st.floats(0.05, 0.99)
steady = settings(deadline=None, derandomize=True, max_examples=60, database=None)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("", "", 1),
        ("a", "", 0),
        ("a", "a", 1),
        ("a", "b", 0),
        ("ab", "ba", 0.9),  # agreement 0 and 1: 1/9 (0 + 0.81) + 0.81
        ("ab", "ac", 0.55),  # 1 and 1/2: 1/9 (0.9 + 0.405) + 0.405
        ("ab", "cb", 0.45),  # 0 and 1/2: 1/9 (0 + 0.405) + 0.405
        ("abc", "acb", 0.955),  # 1, 1/2 and 1: 1/9 (0.9 + 0.405 + 0.729) + 0.729
        ("abc", "bca", 0.855),  # 0, 1/2 and 1: 1/9 (0 + 0.405 + 0.729) + 0.729
        ("a", "ab", 1),  # what the shorter does not tell is taken to agree as far as what it told
        ("b", "ab", 0.45),  # 0, 1/2: 1/9 (0 + 0.405) + 0.405
        ("ab", "acb", 0.82),  # 1, 1/2, (2 + 1/2)/3: 1/9 (0.9 + 0.405 + 0.6075) + 0.6075
    ],
)
def test_the_overlap_is_what_its_formula_says(ours: str, theirs: str, expected: float) -> None:
    assert overlap(ours, theirs) == pytest.approx(expected)


def by_agreement(ours: Sequence[Hashable], theirs: Sequence[Hashable], p: float) -> float:
    """The share two rankings have in common at each depth, each depth weighing p as much as the one above it.

    The shorter is taken to go on agreeing as it did, and what is agreed at the end is agreed for ever.
    """
    short, long = sorted((ours, theirs), key=len)
    told = len({*short} & {*long[: len(short)]}) / len(short)
    agreed = [
        (len({*short[:depth]} & {*long[:depth]}) + told * max(0, depth - len(short))) / depth for depth in range(1, len(long) + 1)
    ]
    return sum((1 - p) * p**n * share for n, share in enumerate(agreed)) + p ** len(long) * agreed[-1]


@steady
@given(rankings.filter(bool), rankings.filter(bool), persistence)
def test_it_is_the_weighted_mean_of_the_agreement_at_each_depth(ours: list[int], theirs: list[int], p: float) -> None:
    assert overlap(ours, theirs, p) == pytest.approx(by_agreement(ours, theirs, p))


@steady
@given(rankings, rankings, persistence)
def test_it_lies_between_0_and_1_and_has_no_sides(ours: list[int], theirs: list[int], p: float) -> None:
    assert -1e-9 <= overlap(ours, theirs, p) <= 1 + 1e-9
    assert overlap(ours, theirs, p) == overlap(theirs, ours, p)


@steady
@given(rankings, persistence)
def test_the_same_ranking_overlaps_wholly_and_strangers_not_at_all(ranking: list[int], p: float) -> None:
    assert overlap(ranking, ranking, p) == pytest.approx(1)
    assert overlap(ranking, [item + 100 for item in ranking], p) == (not ranking)


@steady
@given(rankings, rankings)
def test_only_which_items_are_the_same_matters(ours: list[int], theirs: list[int]) -> None:
    assert overlap([f"item {n}" for n in ours], [f"item {n}" for n in theirs]) == overlap(ours, theirs)


def test_the_higher_the_places_that_change_the_lower_the_overlap() -> None:
    ranking = list(range(10))
    swapped = [[*ranking[:n], ranking[n + 1], ranking[n], *ranking[n + 2 :]] for n in range(9)]
    found = [overlap(ranking, other) for other in swapped]
    assert found == sorted(found)
    assert len(set(found)) == 9


def test_the_first_ten_places_weigh_as_much_as_the_paper_says() -> None:
    """Webber, Moffat and Zobel (2010), 4.3: 86% at a persistence of 0.9."""
    assert PERSISTENCE == 0.9
    assert overlap(range(300), [*range(10), *range(1000, 1290)]) == pytest.approx(0.8556, abs=5e-4)


def test_numbers_and_texts_are_other_items() -> None:
    assert overlap([1, 2], ["1", "2"]) == 0
