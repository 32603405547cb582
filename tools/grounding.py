"""What a reason may name: the item it explains and the evidence it was given."""

import re

from duetto.tools.catalogue import Catalogue


def strangers(text: str, allowed: set[int], catalogue: Catalogue) -> list[int]:
    """Rows of items that the text names by title though they are not allowed.

    Only titles that can hardly be ordinary words count: two words or more, eight letters or more, cased as written.
    A title inside a longer allowed one ("Mad Max 2" in "Mad Max 2: The Road Warrior") is not a stranger.
    """
    known = [span for row in allowed for span in _places(catalogue.titles[row], text)]
    named = [row for row, title in enumerate(catalogue.titles) if title in text and row not in allowed and _telling(title)]
    return [row for row in named if any(not _within(span, known) for span in _places(catalogue.titles[row], text))]


def _telling(title: str) -> bool:
    return len(title) >= 8 and re.search(r"\w\W+\w", title) is not None


def _places(title: str, text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(rf"(?<!\w){re.escape(title)}(?!\w)", text)]


def _within(span: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in others)
