"""What to give up where nothing satisfies every limit: each limit alone, moved as little as brings something, else any two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, floor, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duetto.tools.catalogue import Catalogue
from duetto.tools.constraints import SAID
from duetto.tools.predicate import ORDER, And, Compare, Operator, Predicate, from_json

MOST = 3
ENOUGH = 10  # items that a moved limit should let in
LOOSER: dict[Operator, Operator] = {"lt": "le", "gt": "ge"}


@dataclass(frozen=True)
class Relaxation:
    """`gives_up` are words of limits that go, `now` what holds instead (None: nothing), `count` how many items fit then."""

    gives_up: tuple[str, ...]
    now: str | None
    count: int

    def __str__(self) -> str:
        items = f"{self.count:,} item{'s' if self.count != 1 else ''}"
        return f"{items} {self.now}" if self.now else f"{items} without “{'” and “'.join(self.gives_up)}”"


def relaxations(catalogue: Catalogue, constraints: Sequence[Mapping[str, Any]], keep: NDArray[np.bool_]) -> list[Relaxation]:
    """At most a few, each counted over the whole catalogue; `keep` (items,) are those that may be recommended at all."""
    masks = [catalogue.mask(from_json(c["where"])) & keep for c in constraints]
    found = []
    for i, constraint in enumerate(constraints):
        others = _all([*masks[:i], *masks[i + 1 :]], keep)
        if (count := int(others.sum())) and (moved := _moved(catalogue, constraint, others)) is not None:
            found.append(moved)
        elif count:
            found.append(Relaxation((constraint["said"],), None, count))
    if not found:
        for i, j in combinations(range(len(constraints)), 2):
            others = _all([mask for n, mask in enumerate(masks) if n not in (i, j)], keep)
            if count := int(others.sum()):
                found.append(Relaxation((constraints[i]["said"], constraints[j]["said"]), None, count))
    return sorted(found, key=lambda r: (len(r.gives_up), r.now is None, r.count))[:MOST]


def _all(masks: list[NDArray[np.bool_]], keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(np.logical_and.reduce([keep, *masks]))


def _moved(catalogue: Catalogue, constraint: Mapping[str, Any], others: NDArray[np.bool_]) -> Relaxation | None:
    """The nearest end of a range that lets in enough, rounded; None for what is no range of numbers."""
    predicate = from_json(constraint["where"])
    ends = predicate.parts if isinstance(predicate, And) else (predicate,)
    moves: list[tuple[float, Relaxation]] = []
    for end in ends:
        if not isinstance(end, Compare) or end.operator not in ORDER or isinstance(end.value, str | bool | tuple):
            return None
        values = catalogue.table[end.column].filter(others).drop_nulls().to_numpy().astype(np.float64)
        rest = [other for other in ends if other is not end]
        above = end.operator in ("lt", "le")
        beyond = np.sort(values[values >= end.value] if above else values[values <= end.value])
        if not len(beyond):
            continue
        reached = beyond[min(ENOUGH, len(beyond)) - 1] if above else beyond[-min(ENOUGH, len(beyond))]
        bound = _round(float(reached), float(end.value), above)
        looser = LOOSER.get(end.operator, end.operator)
        moved = Compare(end.column, looser, bound)
        both: Predicate = And((moved, *rest)) if rest else moved
        count = int((catalogue.mask(both) & others).sum())
        if count:
            unit = f"{end.column} " if end.column != "price" else ""
            now = f"with {unit}{SAID[looser] if looser != 'ge' else 'from'} {bound:g}" if unit else f"{SAID[looser]} {bound:g}"
            moves.append((abs(bound - float(end.value)), Relaxation((constraint["said"],), now, count)))
    return min(moves, key=lambda move: move[0])[1] if moves else None


def _round(value: float, was: float, up: bool) -> float:
    """Outwards to a round number of the distance's size."""
    distance = abs(value - was) or 1.0
    step = 10.0 ** floor(log10(distance))
    step = step if step <= 1 or distance / step >= 5 else step / 2
    rounded = ceil(value / step) * step if up else floor(value / step) * step
    return round(rounded, 6)
