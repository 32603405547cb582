"""Search queries without a language model: the wish, the examples, and a vague wish seen through the person's tastes."""

import re

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from duetto.tools.catalogue import Catalogue
from duetto.tools.language import LIKE, REQUEST, SearchQuery, Understanding

TASTES = 2
VAGUE = 2  # words; a longer wish says by itself what it wants, and tastes in the query cost it 5 points of HR@10


def queries(understood: Understanding, catalogue: Catalogue, most: int) -> tuple[SearchQuery, ...]:
    """At most `most`; none for a silent visitor, whose history then speaks by itself."""
    found = []
    if understood.wish:
        found.append(SearchQuery(understood.wish, REQUEST))
    examples = understood.alike or (() if understood.wish else understood.liked)
    found += [SearchQuery(catalogue.document(row), LIKE + catalogue.titles[row]) for row in examples]
    words = [w for w in re.findall(r"\w+", understood.wish.lower()) if w not in ENGLISH_STOP_WORDS]
    if 0 < len(words) <= VAGUE:
        found += [SearchQuery(f"{understood.wish}, {p.text}", p.text) for p in understood.preferences[:TASTES]]
    return tuple(found[:most])
