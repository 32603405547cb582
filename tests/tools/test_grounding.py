"""Titles in a text that the evidence does not hold."""

import polars as pl
import pytest

from duetto.tools.catalogue import Catalogue
from duetto.tools.grounding import strangers

TITLES = [
    "Mad Max 2",
    "Mad Max 2: The Road Warrior",
    "Toy Story",
    "Toy Story 2",
    "Heat",
    "Up (and down)",
    "The Thing",
    "Seven Men",
]
CATALOGUE = Catalogue.of(pl.DataFrame({"item_id": range(len(TITLES)), "title": TITLES}))


@pytest.mark.parametrize(
    ("text", "allowed", "found"),
    [
        ("You liked Toy Story.", {2}, []),
        ("You liked Toy Story.", {4}, [2]),
        ("You liked Toy Story 2.", {3}, []),
        ("You liked Toy Story 2.", {2}, [3]),
        ("Like Mad Max 2: The Road Warrior, it is loud.", {1}, []),
        ("Like Mad Max 2: The Road Warrior, and like Mad Max 2.", {1}, [0]),
        ("As in Toy Story and The Thing", {2}, [6]),
        ("Toy Story, Toy Story and Toy Story", {2}, []),
        ("a toy story of sorts", {4}, []),
        ("the heat of the day", set(), []),
        ("Heat is on", set(), []),
        ("“Up (and down)” has it all", set(), [5]),
        ("Seven Mentors", set(), []),
        ("", set(), []),
    ],
)
def test_items_named_without_evidence_are_found(text: str, allowed: set[int], found: list[int]) -> None:
    assert strangers(text, allowed, CATALOGUE) == found
