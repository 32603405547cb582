"""What a person said of their own tastes, over what was read of them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from duetto.tools.language import Preference, Understanding


def same(text: str) -> str:
    """Equal for two ways to write one taste."""
    return " ".join(text.split()).casefold()


def corrected(read: tuple[Preference, ...], said: Iterable[tuple[str, float]], most: int) -> tuple[Preference, ...]:
    """At most `most`, strongest first; where there is no room for all, the person's own stay.

    `said` are texts with the weights the person gave them: 0 takes a preference out, and one that was not read is added.
    """
    weights = {same(text): (text, weight) for text, weight in said}
    if not weights:
        return read
    known = {same(preference.text): preference for preference in read}
    own = [_weighing(known.get(key, Preference(text, 0.0, ())), weight) for key, (text, weight) in weights.items() if weight > 0]
    kept = [*_strongest_first(own), *(p for key, p in known.items() if key not in weights)]
    return tuple(_strongest_first(kept[:most]))


def with_own(meaning: Understanding, said: Sequence[tuple[str, float]], most: int) -> Understanding:
    """With the preferences corrected, and without the queries that served what is no preference any more."""
    if not said:
        return meaning
    preferences = corrected(meaning.preferences, said, most)
    served = {preference.text for preference in preferences}
    queries = tuple(query for query in meaning.queries if query.asked or query.serves in served)
    return replace(meaning, preferences=preferences, queries=queries)


def _weighing(preference: Preference, weight: float) -> Preference:
    was = preference.weight - preference.moved
    return replace(preference, weight=weight, moved=round(weight - was, 3))


def _strongest_first(preferences: list[Preference]) -> list[Preference]:
    return sorted(preferences, key=lambda preference: -preference.weight)
