"""`duetto eval rank`: an index of the training part of a log, and how well it ranks what was held out.

The index is what `duetto build` makes. A run that was killed goes on where it was, unless anything it depends on changed.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from langchain_core.embeddings import Embeddings

from duetto.errors import BadInput, NotReady
from duetto.evals import sections
from duetto.evals.ranking import Played, play
from duetto.evals.report import require, write_report
from duetto.evals.resumed import code, pieces
from duetto.evals.split import Case, Split, cases, leave_one_out, temporal
from duetto.evals.subject import Subject, subject_of, unrefitted
from duetto.evals.summary import summarise
from duetto.evals.systems import DEFAULT, SYSTEMS
from duetto.evals.timing import Stages
from duetto.limits import Limits
from duetto.tools import index as indexes
from duetto.tools.catalogue import kind_of
from duetto.tools.index import Index
from duetto.tools.indexing import make_index
from duetto.tools.practice import Messages
from duetto.tools.progress import Progress, Silence
from duetto.version import VERSION

PROTOCOLS: dict[str, Callable[[pl.DataFrame], Split]] = {"leave-one-out": leave_one_out, "temporal": temporal}
WORK = "work"  # what a run keeps to go on from, beside the report
OTHER_FIT = ("als", "crowd", "adaptive", "learned")


@dataclass(frozen=True)
class Task:
    """What is evaluated; the tables are as `duetto.tools.reading.tables` reads them. `users` None means all."""

    dataset: str
    items: pl.DataFrame
    log: pl.DataFrame
    descriptions: pl.DataFrame | None
    embedder_name: str
    embedder: Embeddings | None
    limits: Limits
    protocol: str = "leave-one-out"
    refit: bool = True
    users: int | None = None
    systems: tuple[str, ...] = DEFAULT
    requests: pl.DataFrame | None = None
    recordings: tuple[dict[str, Any], ...] = ()
    brief: bool = False  # the main table only

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise BadInput(f"there is no protocol {self.protocol!r}: choose one of {', '.join(PROTOCOLS)}")
        if strange := [name for name in self.systems if name not in SYSTEMS]:
            raise BadInput(f"there is no system {strange[0]!r}: choose among {', '.join(SYSTEMS)}")
        if not self.systems or len(set(self.systems)) < len(self.systems):
            raise BadInput("cannot evaluate: name each system once, and at least one")

    @cached_property
    def fingerprint(self) -> str:
        """Of everything a result depends on."""
        told = [VERSION, self.embedder_name, self.protocol, self.refit, self.users, self.systems, asdict(self.limits)]
        digest = hashlib.sha256(json.dumps([told, self.recordings], default=str).encode())
        digest.update(code(".", "tools", "evals"))
        for table in (self.items, self.log, self.descriptions, self.requests):
            digest.update(b"none" if table is None else table.write_json().encode())
        return digest.hexdigest()


def evaluate(task: Task, out: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Writes report.json, report.html and cases.parquet into `out`, and returns the report.

    Raises BadInput for input that cannot be evaluated, NotReady when the folder cannot be written.
    """
    require()
    try:
        return _evaluated(task, out, progress or Silence())
    except OSError as error:
        raise NotReady(f"could not write to {out}: {error.strerror or error}; name another folder with --out") from error


def _evaluated(task: Task, out: Path, progress: Progress) -> dict[str, Any]:
    stages = Stages()
    split = PROTOCOLS[task.protocol](task.log)
    known = split.labels["item_id"].cast(pl.String).is_in(task.items["item_id"].cast(pl.String).implode())
    if not known.any():
        raise BadInput("cannot evaluate: no interaction with an item of the catalogue is left to predict; give a longer log")
    parts = pieces(task.fingerprint, out / WORK)
    asked = None if task.requests is None else sections.requests_of(task.requests)
    with stages.stage("build"):
        index = _index(task, split, asked, out, progress)
    subject = subject_of(index, task.embedder, task.limits)
    if not task.refit:
        subject = unrefitted(subject)
    found = _sampled(cases(task.log, split, index.catalogue), task.users)
    if not found:
        raise BadInput("cannot evaluate: no interaction is left to predict; give a log whose people have two or more")
    with stages.stage("rank"):
        advance = progress.stage("ranking", len(found))
        table = play(subject, Played(found), task.systems, parts / "main", advance)
    report: dict[str, Any] = {"dataset": task.dataset, "protocol": _protocol(task), "facts": _facts(task, index, table)}
    report |= summarise(table, len(index.catalogue), _liked(subject), len(index.histories), index.vectors, ours=task.systems[-1])
    told: list[dict[str, Any]] = []
    if task.protocol == "leave-one-out" and not task.brief:
        with stages.stage("other fit of the crowd"):
            other = unrefitted(subject) if task.refit else subject_of(index, task.embedder, task.limits)
            told.append(sections.other_fit(other, found, task.refit, _among(task, OTHER_FIT), parts, progress))
        with stages.stage("cold start and noise"):
            told += sections.hardships(subject, found, _among(task, sections.HARD), parts, progress)
    elif task.protocol == "temporal":
        told += sections.strangers(table)
    if task.recordings and task.protocol == "leave-one-out" and not task.brief:
        with stages.stage("recordings"):
            told += sections.recorded(subject, found, task.recordings, index.catalogue)
    if asked is not None and not task.brief:
        with stages.stage("requests"):
            told += sections.asked(subject, found, asked, index.catalogue, parts, progress)
            told += _harder(task, split, asked, found, out, parts / "without-descriptions", progress)
    report |= {"sections": told, "stages": stages.told}
    table.write_parquet(out / "cases.parquet")
    write_report(out, report)
    return report


def _index(task: Task, split: Split, asked: sections.Asked | None, out: Path, progress: Progress) -> Index:
    """The index of the training part, read where a run before this one wrote it."""
    return _kept(task, out / WORK / "index", partial(_made, task, split, asked, task.descriptions, progress))


def _kept(task: Task, root: Path, make: Callable[[Index | None], Index]) -> Index:
    """The index this very task has written there, else a new one; vectors of an older one are used again."""
    mark = root / "task"
    try:
        old = indexes.load(root)
    except NotReady:
        old = None
    if old is not None and mark.is_file() and mark.read_text(encoding="utf-8") == task.fingerprint:
        return old
    mark.unlink(missing_ok=True)
    made = indexes.write(root, make(old if task.embedder is not None else None))
    mark.write_text(task.fingerprint, encoding="utf-8")
    return made


def _made(
    task: Task, split: Split, asked: sections.Asked | None, descriptions: pl.DataFrame | None, progress: Progress,
    previous: Index | None,
) -> Index:  # fmt: skip
    messages: Messages | None = None
    items = task.items
    if asked is not None:
        items = items.select(name for name in items.columns if kind_of(items[name]) != "queries")
        rows = {str(item): row for row, item in enumerate(task.items["item_id"].to_list())}
        messages = {rows[item]: text for item, text in asked.practice.items() if item in rows}
        descriptions = None if descriptions is None else descriptions.with_columns(pl.lit(None).alias("queries"))
    return make_index(
        items, split.training, descriptions, embedder_name=task.embedder_name, embedder=task.embedder,
        previous=previous, limits=task.limits, progress=progress, messages=messages,
    )  # fmt: skip


def _harder(
    task: Task, split: Split, asked: sections.Asked, found: list[Case], out: Path, parts: Path, progress: Progress
) -> list[dict[str, Any]]:
    """The requests again, over items that have no description."""
    if task.descriptions is None:
        return []
    index = _kept(task, out / WORK / "index-without-descriptions", partial(_made, task, split, asked, None, progress))
    told = sections.asked(subject_of(index, task.embedder, task.limits), found, asked, index.catalogue, parts, progress)
    return [{**section, "title": f"{section['title']}, items without descriptions"} for section in told]


def _sampled(found: list[Case], users: int | None) -> list[Case]:
    """The cases of a seeded sample of people."""
    if users is None:
        return found
    people = sorted({case.user for case in found})
    kept = {people[place] for place in np.random.default_rng(0).permutation(len(people))[:users]}
    return [case for case in found if case.user in kept]


def _among(task: Task, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name in task.systems) or task.systems[-1:]


def _liked(subject: Subject) -> "np.ndarray[Any, np.dtype[np.int64]]":
    return subject.box.crowd.standing.liked.astype(np.int64)


def _protocol(task: Task) -> str:
    if task.protocol == "temporal":
        return "temporal, full ranking of the catalogue, fitted on the first 80% of the log's time"
    fit = "the crowd refitted on all but the labels" if task.refit else "the crowd fitted without labels and validation"
    return f"{task.protocol}, full ranking of the catalogue, {fit}"


def _facts(task: Task, index: Index, table: pl.DataFrame) -> dict[str, Any]:
    first = table.filter(pl.col("system") == table["system"][0])
    counts = index.manifest.counts
    return {
        "items": counts["items"],
        "users": counts["users"],
        "training interactions": counts["interactions"],
        "cases": first.height,
        "embedder": task.embedder_name,
        "candidates before the fusion": round(float(first["candidates"].mean()), 1),  # type: ignore[arg-type]
        "recall of the candidates": round(float(first["recalled"].mean()), 4),  # type: ignore[arg-type]
        "learned ranker": index.manifest.fusion["no_ranker"] or index.no_ranker or "fitted",
        "held-out likes learned from": json.dumps(index.manifest.fusion["fitted_on"]),
        "duetto": VERSION,
    }
