"""For somebody of whom nothing is known: what is well liked in each region of the catalogue, and the question whose answer
would tell most."""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from duetto.tools.catalogue import Catalogue
from duetto.tools.embedding import Vectors
from duetto.tools.fusion import Array
from duetto.tools.language import Option, Question
from duetto.tools.plain.telling import listed
from duetto.tools.predicate import And, Compare, Predicate, parts_of

POOL = 40  # of the most liked items, for each one that is shown
OPTIONS = 3
LEAST = 0.03  # of the items, that an answer must keep


def spread(liked: Array, vectors: Vectors, k: int) -> list[int]:
    """Places of the most liked item of each of k regions, most liked first; all arguments (items, ...) of one pool."""
    if len(liked) <= k:
        return [int(place) for place in np.argsort(-liked, kind="stable")]
    distinct = len({vector.tobytes() for vector in vectors})  # KMeans warns where it finds fewer than it was asked for
    regions = KMeans(min(k, distinct), n_init=1, random_state=0).fit_predict(vectors)
    order = np.argsort(-liked, kind="stable")
    best: dict[int, int] = {}
    for place in order.tolist():
        best.setdefault(int(regions[place]), place)
    chosen = set(best.values())
    chosen |= set([place for place in order.tolist() if place not in chosen][: k - len(chosen)])
    return [place for place in order.tolist() if place in chosen]


def question(catalogue: Catalogue, keep: NDArray[np.bool_], limited: set[str]) -> Question | None:
    """About the column, not one `limited` already, whose three commonest answers split the kept items most evenly; None where
    no column splits them."""
    asked = [_of_category(catalogue, column, keep) for column in catalogue.columns("category") if column not in limited]
    asked += [_of_range(catalogue, column, keep) for column in catalogue.columns("year", "number") if column not in limited]
    found = [one for one in asked if one is not None]
    return max(found, key=lambda one: one[0])[1] if found else None


def _of_category(catalogue: Catalogue, column: str, keep: NDArray[np.bool_]) -> tuple[float, Question] | None:
    table = catalogue.table.filter(keep)
    counts = table.select(parts_of(column).alias("v")).explode("v").drop_nulls()["v"].value_counts(sort=True)
    options: list[Option] = []
    shares: list[float] = []
    for value, count in counts.head(OPTIONS + 2).iter_rows():
        share = count / max(1, table.height)
        if LEAST <= share <= 1 - LEAST and value and len(options) < OPTIONS:
            options.append(Option(value, predicate=Compare(column, "eq", value)))
            shares.append(share)
    return _asked(f"Which {column.replace('_', ' ')} would you like most", options, shares)


def _of_range(catalogue: Catalogue, column: str, keep: NDArray[np.bool_]) -> tuple[float, Question] | None:
    values = catalogue.table[column].filter(keep).drop_nulls().to_numpy().astype(np.float64)
    if len(values) < 10 or (
        catalogue.kinds[column] == "number" and "price" not in column.lower() and "minute" not in column.lower()
    ):
        return None
    ends = [
        float(f"{end:.2g}") if catalogue.kinds[column] == "number" else float(end // 10 * 10)
        for end in np.quantile(values, [1 / 3, 2 / 3])
    ]
    low, high = ends
    if low >= high:
        return None
    parts: list[tuple[str, Predicate, float]] = [
        (f"under {low:g}", Compare(column, "lt", low), float((values < low).mean())),
        (
            f"{low:g} to {high:g}",
            And((Compare(column, "ge", low), Compare(column, "le", high))),
            float(((values >= low) & (values <= high)).mean()),
        ),
        (f"over {high:g}", Compare(column, "gt", high), float((values > high).mean())),
    ]
    kept = [part for part in parts if LEAST <= part[2] <= 1 - LEAST]
    options = [Option(label, predicate=predicate) for label, predicate, _ in kept]
    return _asked(f"Which {column.replace('_', ' ')} do you have in mind", options, [share for _, _, share in kept])


def _asked(text: str, options: list[Option], shares: list[float]) -> tuple[float, Question] | None:
    """With what an answer tells on average, in bits: the binary entropy of each option."""
    if len(options) < 2:
        return None
    p = np.array(shares)
    bits = float((-(p * np.log2(p) + (1 - p) * np.log2(1 - p))).mean())
    return bits, Question(f"{text}: {listed([option.label for option in options], 'or')}?", tuple(options))
