"""Another way to say a request that found nothing fitting."""

import re

from rapidfuzz import fuzz, process
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from duetto.tools.language import REQUEST, SearchQuery
from duetto.tools.words import Words

ALIKE = 80.0  # of 100, from which an unknown word is a known one with a typo


def other_queries(wish: str, words: Words, most: int) -> tuple[tuple[SearchQuery, ...], str]:
    """The request with its unknown words read as known ones, and what was read; else each of its known words alone."""
    read: dict[str, str] = {}
    for word in re.findall(r"\w+", wish):
        known = _known(word, words)
        if known is not None:
            read[word] = known
    if read:
        corrected = re.sub(r"\w+", lambda match: read.get(match.group(0), match.group(0)), wish)
        told = ", ".join(f"“{word}” as “{known}”" for word, known in read.items())
        return (SearchQuery(corrected, REQUEST),), f"I read {told}."
    single = [word for word in re.findall(r"\w+", wish.lower()) if word in words.vocabulary and word not in ENGLISH_STOP_WORDS]
    return tuple(SearchQuery(word, REQUEST) for word in dict.fromkeys(single))[:most] if len(single) > 1 else (), ""


def _known(word: str, words: Words) -> str | None:
    """What an unknown word may be a misspelling of."""
    lower = word.lower()
    if len(lower) < 4 or lower in words.vocabulary or lower in ENGLISH_STOP_WORDS:
        return None
    best = process.extractOne(lower, list(words.vocabulary), scorer=fuzz.ratio, score_cutoff=ALIKE)
    return str(best[0]) if best else None
