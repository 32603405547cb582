"""Which items a text names: titles that stand alone, not those inside a longer title it may name."""

import polars as pl
import pytest

from duetto.tools.catalogue import Catalogue
from duetto.tools.grounding import strangers

TITLES = (
    "It", "It Happened One Night", "Mad Max 2", "Mad Max 2: The Road Warrior", "Alien", "The Manor", "Night Train", "Night Train",
)  # fmt: skip
CATALOGUE = Catalogue.of(pl.DataFrame({"item_id": range(len(TITLES)), "title": TITLES}))


@pytest.mark.parametrize(
    ("text", "allowed", "named"),
    [
        ("You liked It, so take It Happened One Night.", {0}, ["It Happened One Night"]),
        ("Mad Max 2: The Road Warrior is loud.", {3}, []),
        ("Mad Max 2: The Road Warrior is louder than Mad Max 2 was.", {3}, ["Mad Max 2"]),
        ("Mad Max 2: The Road Warrior is loud.", {2}, ["Mad Max 2: The Road Warrior"]),
        ("It is as slow as Alien.", set(), []),  # one word may be any word
        ("mad max 2 in lower case may be words too", set(), []),
        ("Take (Night Train)!", {6}, []),  # two items of one name cannot be told apart
        ("Take the Night Trainer.", set(), []),
        ("", {0}, []),
    ],
)
def test_a_text_names_strangers_by_whole_titles(text: str, allowed: set[int], named: list[str]) -> None:
    assert [TITLES[row] for row in strangers(text, allowed, CATALOGUE)] == named
