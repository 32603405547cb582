"""One recommended item with all that explains it, before words are found for it."""

from dataclasses import dataclass

from duetto.tools.language import SearchQuery


@dataclass(frozen=True)
class Fit:
    """How one of the person's preferences bears on an item.

    `attention` is its share among the preferences for this item (they sum to 1). `fitness` in 0..1 is the share of
    the preference's features that the item has; for a preference in a model's words, the share of the catalogue whose
    text is less like it than this item's is.
    """

    preference: int
    attention: float
    fitness: float


@dataclass(frozen=True)
class Pick:
    """`parts` sum to `score`; `weights` are each voice's share of the summed absolute parts.

    `queries` are those that found the item, with cosines; `history` are (row, share) of the history items that speak
    for it in the crowd's view; `resembles` are history rows its text is nearest to; `support` are the history rows
    without which its score would lose more than without most, and what it would lose (see `duetto.tools.support`).
    """

    row: int
    score: float
    parts: dict[str, float]
    weights: dict[str, float]
    queries: tuple[tuple[SearchQuery, float], ...] = ()
    history: tuple[tuple[int, float], ...] = ()
    resembles: tuple[tuple[int, float], ...] = ()
    fits: tuple[Fit, ...] = ()
    support: tuple[tuple[int, float], ...] = ()
