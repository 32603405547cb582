"""Hard constraints from turn to turn: deltas applied, predicates checked against the catalogue."""

from dataclasses import replace
from typing import Any

from duetto.errors import BadInput
from duetto.tools.catalogue import Catalogue
from duetto.tools.language import Constraint, Understanding
from duetto.tools.predicate import ORDER, And, Compare, Not, Or, Predicate, from_json, to_json

SAID = {"lt": "under", "le": "up to", "gt": "over", "ge": "from"}


def checked(meaning: Understanding, catalogue: Catalogue) -> tuple[Understanding, tuple[str, ...]]:
    """Without the constraints no column can check; a sentence for each that was left out."""
    good: list[Constraint] = []
    refused: list[str] = []
    for constraint in meaning.set:
        try:
            catalogue.mask(constraint.predicate)
            good.append(constraint)
        except BadInput as error:
            refused.append(f"“{constraint.said}” was not applied: {error}")
    return replace(meaning, set=tuple(good)), tuple(refused)


def in_force(kept: list[Any], meaning: Understanding) -> list[Any]:
    """The constraints after this turn's delta.

    A new one replaces an older one on the same columns, so that "under 60" after "under 30" means 60; exclusions add
    up, and the two ends of a range stand beside each other unless nothing could lie between them. Whatever is not named
    stays: "under 40" after "from brand X" keeps X.
    """
    if "*" in meaning.clear:
        kept = []
    kept = [c for c in kept if c["said"] not in meaning.clear and not columns(from_json(c["where"])) & set(meaning.clear)]
    for constraint in meaning.set:
        kept = [c for old in kept for c in _beside(old, constraint.predicate)] + [kept_of(constraint)]
    return kept


def kept_of(constraint: Constraint) -> Any:
    """A constraint as it is kept between turns: its words, and the predicate as JSON."""
    return {"said": constraint.said, "where": to_json(constraint.predicate)}


def parsed(kept: list[Any]) -> tuple[Constraint, ...]:
    """The inverse of `kept_of`, for each."""
    return tuple(Constraint(c["said"], from_json(c["where"])) for c in kept)


def _beside(old: Any, new: Predicate) -> list[Any]:
    """What is left of an older constraint beside a new one."""
    was = from_json(old["where"])
    if not _replaced(was, new):
        return [old]
    ends, others = _ends(new), _ends(was)
    if ends is None or others is None or len(ends) != 1:
        return []
    (bound,) = ends
    rest = [end for end in others if _upper(end) != _upper(bound) and _between(end, bound)]
    if len(others) == 1:
        return [old] if rest else []
    return [kept_of(Constraint(f"{end.column} {SAID[end.operator]} {end.value}", end)) for end in rest[:1]]


def _ends(predicate: Predicate) -> list[Compare] | None:
    """The ends of a range; None for what is no range."""
    parts = predicate.parts if isinstance(predicate, And) else (predicate,)
    ends = [part for part in parts if isinstance(part, Compare) and part.operator in ORDER]
    return ends if ends and len(ends) == len(parts) else None


def _upper(end: Compare) -> bool:
    return end.operator in ("lt", "le")


def _between(one: Compare, other: Compare) -> bool:
    """Whether something may lie between a lower and an upper end."""
    high, low = (one, other) if _upper(one) else (other, one)
    try:
        return bool(low.value < high.value)  # type: ignore[operator]
    except TypeError:
        return False


def where(kept: list[Any]) -> dict[str, Any] | None:
    """All constraints in force as one predicate in JSON; None when there are none."""
    return {"and": [c["where"] for c in kept]} if kept else None


def columns(predicate: Predicate) -> set[str]:
    match predicate:
        case Compare(column):
            return {column}
        case Not(part):
            return columns(part)
        case And(parts) | Or(parts):
            return {column for part in parts for column in columns(part)}


def _replaced(old: Predicate, new: Predicate) -> bool:
    excluding = isinstance(old, Not) or isinstance(new, Not)
    if Not(old) == new or old == Not(new):  # "only horror" after "no horror"
        return True
    return old == new or (not excluding and columns(old) == columns(new))
