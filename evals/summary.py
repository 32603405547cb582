"""From the ranks of many cases to what a report shows: intervals, comparisons and groups of cases."""

from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from duetto.errors import BadInput
from duetto.evals.metrics import METRICS, coverage, diversity, novelty, popularity, shown
from duetto.evals.statistics import RESAMPLES, holm, interval, mcnemar, paired_t, sums

COMPARED = {"hr@10": mcnemar, "ndcg@10": paired_t, "log_rank": paired_t}
GROUPED = ("hr@10", "ndcg@10")
GROUPS = {"history": ("history", (0, 1, 6, 11, 21, 51, 201)), "popularity": ("seen", (0, 1, 2, 6, 21, 101, 501))}
Columns = dict[str, NDArray[np.float64]]


def summarise(
    cases: pl.DataFrame, catalogue_items: int, counts: NDArray[np.integer], users: int, vectors: NDArray[np.floating],
    ours: str | None = None, resamples: int = RESAMPLES, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """What `duetto.evals.report` takes as "systems", "comparisons" and "groups"; JSON-able.

    `cases` has a row per system and case: `system`, `case`, `user`, `rank` (0-based), `history` (events), `seen` (the label's
    interactions in the training log) and `top` (item rows, best first). `counts` (items,) are interactions in the training
    log, `vectors` (items, d) are unit. `ours` (default: the last system in table order) is compared with each of the others,
    and Holm's family is all of those comparisons. Raises BadInput unless each system has the same cases, each once.
    """
    tables = _tables(cases)
    ours = ours or list(tables)[-1]
    if ours not in tables:
        raise BadInput(f"cannot compare {ours!r} with the others: the systems are {', '.join(tables)}")
    people = tables[ours]["user"].rank("dense").to_numpy().astype(np.int64) - 1
    lists = {name: shown(table["top"]) for name, table in tables.items()}
    measured: dict[str, Columns] = {
        name: {metric: of(table["rank"].to_numpy()) for metric, of in METRICS.items()}
        | {
            "novelty@10": novelty(lists[name], counts, users),
            "diversity@10": diversity(lists[name], vectors),
            "popularity@10": popularity(lists[name], counts),
        }
        for name, table in tables.items()
    }
    return {
        "systems": {
            name: _estimates(columns, people, resamples, seed) | {"coverage@10": {"mean": coverage(lists[name], catalogue_items)}}
            for name, columns in measured.items()
        },
        "comparisons": _comparisons(measured, ours, people, resamples, seed),
        "groups": {group: _groups(tables[ours][column].to_numpy(), edges, measured) for group, (column, edges) in GROUPS.items()},
    }


def _tables(cases: pl.DataFrame) -> dict[str, pl.DataFrame]:
    tables = {str(name): table.sort("case") for (name,), table in cases.partition_by("system", as_dict=True).items()}
    if not tables:
        raise BadInput("cannot summarise an evaluation without cases: give a log with held-out interactions")
    first, *others = (table["case"] for table in tables.values())
    if first.is_duplicated().any() or not all(first.equals(other) for other in others):
        raise BadInput("cannot compare systems on different cases: each system must rank the same cases, each once")
    return tables


def _estimates(columns: Columns, people: NDArray[np.int64], resamples: int, seed: int) -> dict[str, dict[str, float]]:
    found = interval(np.column_stack(list(columns.values())), resamples, seed, people)
    return {
        metric: {"mean": float(mean), "low": float(low), "high": float(high)}
        for metric, mean, low, high in zip(columns, *found, strict=True)
    }


def _comparisons(
    measured: dict[str, Columns], ours: str, people: NDArray[np.int64], resamples: int, seed: int
) -> list[dict[str, Any]]:
    """People with several cases are compared by their sums, on which McNemar's test of hits does not apply."""
    pairs = [(metric, other) for other in measured if other != ours for metric in COMPARED]
    if not pairs:
        return []
    differences = np.column_stack([measured[ours][metric] - measured[other][metric] for metric, other in pairs])
    if len(np.unique(people)) < len(people):
        p_values = [paired_t(summed, np.zeros(len(summed))) for summed in sums(differences, people).T]
    else:
        p_values = [COMPARED[metric](measured[ours][metric], measured[other][metric]) for metric, other in pairs]
    found = interval(differences, resamples, seed, people)
    return [
        {"system": ours, "against": other, "metric": metric, "difference": float(difference), "low": float(low),
         "high": float(high), "p": p, "p_holm": corrected}
        for (metric, other), difference, low, high, p, corrected in zip(pairs, *found, p_values, holm(p_values), strict=True)
    ]  # fmt: skip


def _groups(values: NDArray[np.integer], edges: tuple[int, ...], measured: dict[str, Columns]) -> list[dict[str, Any]]:
    """Means by group of cases; a group goes from one edge up to the next, the last one has no end."""
    places = np.searchsorted(edges, values, side="right") - 1
    names = [str(low) if low == end - 1 else f"{low}-{end - 1}" for low, end in pairwise(edges)] + [f"{edges[-1]}+"]
    return [
        {
            "group": names[place],
            "cases": int((places == place).sum()),
            "systems": {
                name: {metric: float(columns[metric][places == place].mean()) for metric in GROUPED}
                for name, columns in measured.items()
            },
        }
        for place in np.unique(places)
    ]
