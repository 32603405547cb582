"""Reasons without a language model: every clause states something the turn's own evidence shows."""

import re
from typing import Literal

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from duetto.tools.catalogue import Catalogue
from duetto.tools.fusion import CROWD
from duetto.tools.language import LIKE, Preference, Reason, Step
from duetto.tools.pick import Fit, Pick
from duetto.tools.plain.telling import listed

FITS = 0.8  # a preference is called met above this share of the catalogue
CITED_SHARE = 0.1  # a history item is named from this share of the crowd's score on


def reason(pick: Pick, preferences: tuple[Preference, ...], wish: str, catalogue: Catalogue, filtered: bool = True) -> Reason:
    """One to three sentences, LANE's steps for the preferences that bear on the item, and the history rows cited.

    Only evidence that the item's place rests on is cited; not `filtered`, whatever speaks for it is.
    """
    matters = [row for row, _ in pick.support]

    def citable(rows: list[int]) -> list[int]:
        return sorted((row for row in rows if row in matters), key=matters.index)[:2] if filtered else rows[:2]

    clauses: list[str] = []
    cited: list[int] = []
    asked = "queries" in pick.parts
    if asked and pick.parts["queries"] > 0 and pick.queries:
        clauses.append(_match(pick, wish, catalogue))
    history = citable([row for row, share in pick.history if share >= CITED_SHARE])
    near = citable([row for row, _ in pick.resembles])
    if history and sum(pick.parts.get(part, 0.0) for part in CROWD) > 0:
        clauses.append(f"Other people's histories link it with {_titles(history, catalogue)} from yours.")
        cited += history
    elif near and pick.parts.get("taste", 0.0) > 0 and not (clauses and pick.queries[0][0].serves.startswith(LIKE)):
        clauses.append(f"Its text is close to that of {_titles(near, catalogue)} from your history.")
        cited += near
    met = next((fit for fit in pick.fits if fit.fitness >= FITS), None)
    if met is not None:
        preference = preferences[met.preference]
        clauses.append(f"It fits your taste for {preference.text}.")
        cited += citable(list(preference.evidence))
    if asked and pick.parts["queries"] <= 0 and (wish or any(query.asked for query, _ in pick.queries)):
        clauses.append("Its text does not match your request; it is here for your history.")
    if set(pick.parts) == {"popularity"}:
        clauses.append("I know nothing of your taste yet: it is among the items most people chose.")
    if not clauses:
        clauses.append("It ranks here by a little of everything; no single piece of evidence stands out.")
    steps = tuple(_step(fit, preferences[fit.preference], catalogue) for fit in pick.fits[:3])
    return Reason(" ".join(clauses), steps, tuple(dict.fromkeys(cited)))


def _match(pick: Pick, wish: str, catalogue: Catalogue) -> str:
    query, cosine = pick.queries[0]
    if query.serves.startswith(LIKE):
        return f"Its text is close to that of {query.serves.removeprefix(LIKE)} (cosine {cosine:.2f})."
    words = shared_words(wish, catalogue.document(pick.row))
    if words:
        return f"You asked for “{wish}”: its text speaks of {listed(words[:4])}."
    return f"Its text is close to “{query.text}” (cosine {cosine:.2f})."


def shared_words(wish: str, text: str) -> list[str]:
    """The words of a wish, as written, that the text has too, plural endings aside."""
    there = {form for word in re.findall(r"\w+", text.lower()) for form in _forms(word)}
    wished = dict.fromkeys(re.findall(r"\w+", wish.lower()))
    return [word for word in wished if word not in ENGLISH_STOP_WORDS and len(word) > 2 and _forms(word) & there]


def _forms(word: str) -> set[str]:
    """A word and what it may be the plural of."""
    if len(word) < 4 or not word.endswith("s") or word.endswith("ss"):
        return {word}
    return {word, word[:-1], word[:-3] + "y"} if word.endswith("ies") else {word, word[:-1]}


def _step(fit: Fit, preference: Preference, catalogue: Catalogue) -> Step:
    why = f"you have {_titles(preference.evidence[:2], catalogue)}" if preference.evidence else "you said so"
    return Step(preference.text, why, round(fit.fitness, 3), likelihood(fit.fitness, fit.attention))


def likelihood(fitness: float, attention: float) -> Literal["low", "medium", "high"]:
    """LANE's third step: fitness and the preference's weight for this item, combined."""
    if fitness >= FITS and attention >= 0.2:
        return "high"
    return "medium" if fitness >= 0.5 else "low"


def _titles(rows: tuple[int, ...] | list[int], catalogue: Catalogue) -> str:
    return listed([catalogue.titles[row] for row in rows])
