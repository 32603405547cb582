"""Search queries without a language model: the wish, the examples, and the wish seen through the person's tastes."""

from duetto.tools.catalogue import Catalogue
from duetto.tools.language import REQUEST, Preference, SearchQuery, Understanding

TASTES = 2  # more would only repeat the wish


def queries(
    understood: Understanding, preferences: tuple[Preference, ...], catalogue: Catalogue, most: int
) -> tuple[SearchQuery, ...]:
    """At most `most`; none for a silent visitor, whose history then speaks by itself."""
    found = []
    if understood.wish:
        found.append(SearchQuery(understood.wish, REQUEST))
    for row in understood.alike or (() if understood.wish else understood.liked):
        found.append(SearchQuery(catalogue.document(row), f"like {catalogue.titles[row]}"))
    if understood.wish:
        found += [SearchQuery(f"{understood.wish}, {p.text}", p.text) for p in preferences[:TASTES]]
    return tuple(found[:most])
