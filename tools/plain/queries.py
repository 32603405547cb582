"""Search queries without a language model: the wish, the examples, and a vague wish seen through the person's tastes."""

import re

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from duetto.tools.language import LIKE, REQUEST, SearchQuery, Understanding
from duetto.tools.plain.columns import Columns

TASTES = 2
# Words; a longer wish says by itself what it wants, and tastes in the query cost it 5 points of HR@10. So does one that
# names a kind: with tastes, "a dark thriller" would find a family its cartoons.
VAGUE = 2


def queries(understood: Understanding, columns: Columns, most: int) -> tuple[SearchQuery, ...]:
    """At most `most`; for a silent visitor, whose history speaks by itself, only the tastes that they made weightier."""
    found, catalogue = [], columns.catalogue
    if understood.wish:
        found.append(SearchQuery(understood.wish, REQUEST))
    examples = understood.alike or (() if understood.wish else understood.liked)
    found += [SearchQuery(catalogue.document(row), LIKE + catalogue.titles[row]) for row in examples]
    words = [w for w in re.findall(r"\w+", understood.wish.lower()) if w not in ENGLISH_STOP_WORDS]
    if 0 < len(words) <= VAGUE and not any(columns.value(words[start:]) for start in range(len(words))):
        found += [SearchQuery(f"{understood.wish}, {p.text}", p.text) for p in understood.preferences[:TASTES]]
    if not found:
        found = [SearchQuery(p.text, p.text) for p in understood.preferences[:TASTES] if p.moved > 0]
    return tuple(found[:most])
