"""What a reason may name: the item it explains and the evidence it was given."""

import re

from duetto.tools.catalogue import Catalogue


def strangers(text: str, allowed: set[int], catalogue: Catalogue) -> list[int]:
    """Rows of items that the text names by title though they are not allowed.

    Only titles that can hardly be ordinary words count: two words or more, eight letters or more, cased as written.
    A title inside a longer allowed one ("Alien" in "Alien Resurrection") is not a stranger.
    """
    for row in allowed:
        text = text.replace(catalogue.titles[row], " ")
    return [row for title, row in _telling(catalogue) if title in text and row not in allowed]


def _telling(catalogue: Catalogue) -> list[tuple[str, int]]:
    return [(t, r) for r, t in enumerate(catalogue.titles) if len(t) >= 8 and re.search(r"\w\W+\w", t)]
