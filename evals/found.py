"""What `duetto eval dialogue` found, as a report."""

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from duetto.evals.dialogue import OURS, SHOWN
from duetto.evals.metrics import hr, mrr
from duetto.evals.moments import Counts
from duetto.evals.statistics import RESAMPLES, interval

METRICS = {**{f"recall@{k}": partial(hr, k=k) for k in (1, 10, SHOWN)}, "mrr": partial(mrr, k=SHOWN)}
PROTOCOL = "human conversations, the graph in the recommender's place; whole catalogue ranked but for what was mentioned before"
TEXT = (
    "Share of the films that are among the first 1, 10 and 50, and the mean of 1 / place among the first 50, with 95% bootstrap "
    "intervals over conversations. Co-occurrence is the summed cosine, in the log, of the films mentioned before; what a system "
    "knows nothing of stands in order of popularity."
)
GROUPS = {"turn": ("turn", (1, 2, 3, 4, 5, 6)), "mentioned": ("mentioned", (0, 1, 2, 3, 5))}


def report_of(table: pl.DataFrame, counts: Counts, resamples: int = RESAMPLES) -> dict[str, Any]:
    """JSON-able: each system with intervals, ours against each of the others, and groups of targets."""
    tables = {str(name): part for (name,), part in table.partition_by("system", as_dict=True, maintain_order=True).items()}
    ours = tables[OURS]
    dialogues = ours["dialogue"].rank("dense").to_numpy().astype(np.int64) - 1
    measured = {name: np.column_stack([of(part["rank"].to_numpy()) for of in METRICS.values()]) for name, part in tables.items()}
    return {
        "facts": _facts(ours, counts),
        "systems": {name: _estimates(values, dialogues, resamples) for name, values in measured.items()},
        "comparisons": _comparisons(measured, dialogues, resamples),
        "groups": {name: _groups(ours[column].to_numpy(), edges, measured) for name, (column, edges) in GROUPS.items()},
    }


def _facts(ours: pl.DataFrame, counts: Counts) -> dict[str, Any]:
    turns = ours.unique(["dialogue", "turn"], maintain_order=True)
    intents = turns["intent"].value_counts(sort=True)
    return {
        "conversations": ours["dialogue"].n_unique(),
        "recommender turns": turns.height,
        "films to be found": ours.height,
        "share of mentions linked": round(counts.linked / counts.mentions, 4),
        "share of films linked": round(counts.known / counts.films, 4),
        "rejected by the seeker, not looked for": counts.rejected,
        "turns that recommended nothing": int((turns["listed"] == 0).sum()),
        "turns that told of something left out": int(turns["degraded"].sum()),
        "intents": ", ".join(f"{intent} {count:,}" for intent, count in intents.iter_rows()),
    }


def _estimates(values: NDArray[np.float64], dialogues: NDArray[np.int64], resamples: int) -> dict[str, dict[str, float]]:
    found = interval(values, resamples, people=dialogues)
    return {
        metric: {"mean": float(mean), "low": float(low), "high": float(high)}
        for metric, mean, low, high in zip(METRICS, *found, strict=True)
    }


def _comparisons(measured: dict[str, NDArray[np.float64]], dialogues: NDArray[np.int64], resamples: int) -> list[dict[str, Any]]:
    """Ours less the other, over the same targets; conversations are drawn whole."""
    return [
        {"system": OURS, "against": other, "metric": metric, "difference": found.pop("mean"), **found}
        for other, values in measured.items()
        if other != OURS
        for metric, found in _estimates(measured[OURS] - values, dialogues, resamples).items()
    ]


def _groups(values: NDArray[np.int64], edges: tuple[int, ...], measured: dict[str, NDArray[np.float64]]) -> list[dict[str, Any]]:
    """Means by group of targets; a group goes from one edge up to the next, the last one has no end."""
    places = np.searchsorted(edges, values, side="right") - 1
    names = [str(low) if low == end - 1 else f"{low}-{end - 1}" for low, end in pairwise(edges)] + [f"{edges[-1]}+"]
    return [
        {
            "group": names[place],
            "targets": int((places == place).sum()),
            "systems": {
                name: dict(zip(METRICS, values[places == place].mean(axis=0).tolist(), strict=True))
                for name, values in measured.items()
            },
        }
        for place in np.unique(places)
    ]


def page(report: dict[str, Any]) -> dict[str, Any]:
    """The report as `duetto.evals.report` shows it."""
    systems = [[name, *(_told(found[metric]) for metric in METRICS)] for name, found in report["systems"].items()]
    against = [[row["against"], row["metric"], _told(row | {"mean": row["difference"]}, "+")] for row in report["comparisons"]]
    sections = [
        {"title": "Systems", "text": TEXT, "columns": ["system", *METRICS], "rows": systems},
        {"title": f"{OURS} less the others", "text": "Over the same films; conversations are drawn whole.",
         "columns": ["against", "metric", "difference and 95% interval"], "rows": against},
    ]  # fmt: skip
    for group, title in (("turn", "By the recommender's turn"), ("mentioned", "By how many films were mentioned before")):
        found = report["groups"][group]
        names = list(report["systems"])
        for metric in (f"recall@{k}" for k in (10, SHOWN)):
            rows = [[row["group"], row["targets"], *(round(row["systems"][name][metric], 4) for name in names)] for row in found]
            sections.append({"title": f"{title}: {metric}", "columns": [group, "films", *names], "rows": rows})
    return {"dataset": report["dataset"], "protocol": PROTOCOL, "facts": report["facts"], "stages": report["stages"],
            "sections": sections}  # fmt: skip


def _told(found: dict[str, float], sign: str = "") -> str:
    return f"{found['mean']:{sign}.4f} ({found['low']:{sign}.4f} to {found['high']:{sign}.4f})"
