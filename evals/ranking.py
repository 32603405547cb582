"""How well the whole catalogue is ranked: every case, every system, written as it comes.

The batches go through the functions that a turn of the graph goes through, so that what is measured is what is served.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from duetto.evals.metrics import label_ranks
from duetto.evals.split import Case
from duetto.evals.subject import Subject
from duetto.evals.systems import SYSTEMS, Batch
from duetto.tools.practice import Queries
from duetto.tools.progress import Advance
from duetto.tools.single_thread import single_thread

BATCH_FLOATS = 24_000_000  # of z-scores a worker holds
WORKERS = 2


@dataclass(frozen=True)
class Played:
    """Cases as they are played: `queries[i]` are searched for the i-th person, who asked for them or did not."""

    cases: list[Case]
    queries: list[Queries] | None = None
    asked: bool = True


def play(
    subject: Subject, played: Played, systems: tuple[str, ...], parts: Path | None = None, advance: Advance | None = None
) -> pl.DataFrame:
    """A row per system and case (see `duetto.evals.summary.summarise`), with how many candidates there were before the
    fusion (`candidates`) and whether the label was among them (`recalled`).

    Batches run two at a time, each in one thread, and are kept in the folder `parts`; one that is there already is read.
    """
    size = max(1, min(500, BATCH_FLOATS // (len(subject.box.crowd.sources) * len(subject.box.catalogue))))
    if parts is not None:
        parts.mkdir(parents=True, exist_ok=True)

    def batch(span: slice) -> pl.DataFrame:
        path = parts / f"{span.start:08d}.parquet" if parts is not None else None
        if path is not None and path.is_file():
            return pl.read_parquet(path)
        table = _batch(subject, played, systems, span)
        if path is not None:
            table.write_parquet(path.with_suffix(".writing"))
            path.with_suffix(".writing").replace(path)
        return table

    _batch(subject, replace(played, cases=played.cases[:1]), systems, slice(0, 1))  # fits the baselines before the workers start
    tables = []
    with single_thread(), ThreadPoolExecutor(WORKERS) as pool:
        for table in pool.map(batch, _batches(len(played.cases), size)):
            tables.append(table)
            if advance is not None:
                advance(table.height // len(systems))
    return pl.concat(tables)


def _batch(subject: Subject, played: Played, systems: tuple[str, ...], span: slice) -> pl.DataFrame:
    some = played.cases[span]
    histories, labels = [case.history for case in some], np.array([case.label for case in some], dtype=np.int64)
    queries = None if played.queries is None else played.queries[span]
    together = Batch(subject, histories, queries, played.asked)
    about = {
        "case": np.arange(span.start, span.start + len(some)),
        "user": [case.user for case in some],
        "label": labels,
        "history": [len(history) for history in histories],
        "seen": subject.box.crowd.standing.liked[labels].astype(np.int64),
        "candidates": [len(rows) for rows, _ in together.evidence],
        "recalled": [bool((rows == label).any()) for label, (rows, _) in zip(labels, together.evidence, strict=True)],
    }
    frames = []
    for system in systems:
        ranks, top = label_ranks(SYSTEMS[system](together), histories, labels)
        ranked = {"rank": ranks, "top": pl.Series([rows.tolist() for rows in top], dtype=pl.List(pl.Int32))}
        frames.append(pl.DataFrame({"system": [system] * len(some), **about, **ranked}))
    return pl.concat(frames)


def _batches(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(count, start + size))
