"""Hard constraints from turn to turn: deltas applied, predicates checked against the catalogue."""

from dataclasses import replace
from typing import Any

from duetto.errors import BadInput
from duetto.tools.catalogue import Catalogue
from duetto.tools.language import Constraint, Understanding
from duetto.tools.predicate import And, Compare, Not, Or, Predicate, from_json, to_json


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
    up. Whatever is not named stays: "under 40" after "from brand X" keeps X.
    """
    if "*" in meaning.clear:
        kept = []
    kept = [c for c in kept if not columns(from_json(c["where"])) & set(meaning.clear)]
    for constraint in meaning.set:
        new = {"said": constraint.said, "where": to_json(constraint.predicate)}
        kept = [c for c in kept if not _replaced(from_json(c["where"]), constraint.predicate)] + [new]
    return kept


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
    return old == new or (not excluding and columns(old) == columns(new))
