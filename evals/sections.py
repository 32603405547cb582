"""What a report tells beside its main table: the other fit, cold start, noise, requests and recordings."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from duetto.evals.metrics import METRICS
from duetto.evals.ranking import Played, play
from duetto.evals.split import Case
from duetto.evals.statistics import interval
from duetto.evals.subject import Subject, with_crowd
from duetto.tools.catalogue import Catalogue
from duetto.tools.histories import Histories, History
from duetto.tools.practice import Queries
from duetto.tools.progress import Progress

Section = dict[str, Any]
HARD = ("popularity", "als", "semantic", "co-occurrence", "crowd", "adaptive", "learned")
SAMPLE = 2_000  # people of a section
SHORT = (1, 2, 3, 5)
NOISE = 0.1
HIDDEN = 300  # items whose interactions are taken from the log
SHOWN = ("hr@1", "hr@10", "ndcg@10")
ASKED = ("retrieval", "language", "crowd", "rrf", "fixed", "adaptive", "learned")
RECORDED = ("crowd", "fixed", "adaptive", "learned")
DIFFERENCES = ("log_rank", "mrr@20", "hr@10", "hr@20")


def other_fit(
    subject: Subject, found: list[Case], refit: bool, systems: tuple[str, ...], parts: Path, progress: Progress
) -> Section:
    """The same cases with the crowd's statistics fitted the other way (see `--refit`)."""
    table = play(subject, Played(found), systems, parts / "other-fit", progress.stage("ranking, the other fit", len(found)))
    how = "without the validation items too" if refit else "refitted on all but the labels"
    return _section(f"The crowd fitted {how}", table, f"Histories still hold the validation items. {len(found):,} cases.")


def hardships(subject: Subject, found: list[Case], systems: tuple[str, ...], parts: Path, progress: Progress) -> list[Section]:
    """Short histories, items nobody or one person had, and noise."""
    rng = np.random.default_rng(0)
    some = [found[i] for i in np.sort(rng.permutation(len(found))[:SAMPLE])]
    told = []
    long = [case for case in some if len(case.history) >= max(SHORT)]
    rows: list[list[Any]] = []
    for events in SHORT if long else ():
        cut = [replace(case, history=_newest(case.history, events)) for case in long]
        table = play(subject, Played(cut), systems, parts / f"short-{events}", progress.stage(f"{events} events", len(cut)))
        rows += [[events, *row] for row in _rows(table)]
    if rows:
        text = f"{len(long):,} people with {max(SHORT)} or more events, of whom only the newest are known."
        told.append({"title": "People with few items", "text": text, "columns": ["events", "system", *SHOWN], "rows": rows})
    noisy = [replace(case, history=_noisy(case, len(subject.box.catalogue), rng)) for case in some]
    table = play(subject, Played(noisy), systems, parts / "noise", progress.stage("noise", len(noisy)))
    clean = play(subject, Played(some), systems, parts / "clean", progress.stage("the same people without noise", len(some)))
    rows = [["none", *row] for row in _rows(clean)] + [["10%", *row] for row in _rows(table)]
    text = f"A tenth of each history, at least one item, is replaced by random items, for {len(some):,} people."
    told.append({"title": "Noise in histories", "text": text, "columns": ["noise", "system", *SHOWN], "rows": rows})
    return [*told, _cold_items(subject, found, systems, parts, progress)]


def _cold_items(subject: Subject, found: list[Case], systems: tuple[str, ...], parts: Path, progress: Progress) -> Section:
    labels = np.unique([case.label for case in found])
    hidden = np.random.default_rng(0).permutation(labels)[:HIDDEN]
    those = [case for case in found if case.label in set(hidden.tolist())]
    rows: list[list[Any]] = []
    for left in (0, 1):
        without = with_crowd(subject, _hide(subject.baselines.histories, hidden, left))
        advance = progress.stage(f"items with {left} interactions", len(those))
        rows += [[left, *row] for row in _rows(play(without, Played(those), systems, parts / f"items-{left}", advance))]
    text = (
        f"{len(hidden)} items lose their interactions in the log the crowd is fitted on, all or all but one; "
        f"{len(those):,} cases whose label is one of them. Weights and ranker are those of the whole log."
    )
    return {"title": "Items nobody knows", "text": text, "columns": ["interactions", "system", *SHOWN], "rows": rows}


def _hide(histories: Histories, rows: "np.ndarray[Any, np.dtype[np.int64]]", left: int) -> Histories:
    """Without all but `left` of the interactions of these items."""
    hidden = np.flatnonzero(np.isin(histories.rows, rows))
    if left:
        hidden = np.setdiff1d(hidden, hidden[np.unique(histories.rows[hidden], return_index=True)[1]])
    kept = np.ones(len(histories.rows), dtype=bool)
    kept[hidden] = False
    person = np.repeat(np.arange(len(histories)), np.diff(histories.indptr))
    counts = np.bincount(person[kept], minlength=len(histories))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Histories(histories.users, indptr, histories.rows[kept], histories.disliked[kept])


def _newest(history: History, events: int) -> History:
    return History(history.rows[-events:], history.disliked[-events:], history.known)


def _noisy(case: Case, items: int, rng: np.random.Generator) -> History:
    rows = case.history.rows.copy()
    places = rng.permutation(len(rows))[: max(1, round(NOISE * len(rows)))]
    free = np.setdiff1d(rng.integers(items, size=4 * len(places) + 4), [*rows, case.label])
    rows[places[: len(free)]] = rng.permutation(free)[: len(places)]
    return History(rows, case.history.disliked, case.history.known)


def strangers(table: pl.DataFrame) -> list[Section]:
    """The temporal split's cases by whether the person and the item were in the training log."""
    rows: list[list[Any]] = []
    for name, some in (
        ("no events before the label", pl.col("history") == 0),
        ("1 to 5 events", pl.col("history").is_between(1, 5)),
        ("item new to the log", pl.col("seen") == 0),
        ("item known to the log", pl.col("seen") > 0),
    ):
        part = table.filter(some)
        count = part["case"].n_unique()
        rows += [[name, count, *row] for row in _rows(part)] if count else []
    text = "Histories grow with the events after the split; what is fitted does not."
    return [{"title": "Cold users and cold items", "text": text, "columns": ["cases of", "n", "system", *SHOWN], "rows": rows}]


@dataclass(frozen=True)
class Asked:
    """For each item (by `str(id)`) what people ask for in evaluation, and another thing they say in practice."""

    evaluated: dict[str, str]
    practice: dict[str, str]


def requests_of(described: pl.DataFrame, seed: int = 0) -> Asked:
    """One of each item's queries, drawn at random, is evaluated; another, where there is one, is practised on."""
    rng = np.random.default_rng(seed)
    evaluated, practice = {}, {}
    for item, queries in described.select(pl.col("item_id").cast(pl.String), "queries").iter_rows():
        order = rng.permutation(len(queries or []))
        if len(order):
            evaluated[item] = queries[order[0]]
        if len(order) > 1:
            practice[item] = queries[order[1]]
    never = set(evaluated.values())
    return Asked(evaluated, {item: text for item, text in practice.items() if text not in never})


def asked(
    subject: Subject, found: list[Case], wanted: Asked, catalogue: Catalogue, parts: Path, progress: Progress
) -> list[Section]:
    """A request and a history; then the same requests with the histories of others, who have not had the item."""
    own = [case for case in found if str(catalogue.ids[case.label]) in wanted.evaluated]
    rng = np.random.default_rng(0)
    some = [own[i] for i in np.sort(rng.permutation(len(own))[:SAMPLE])]
    queries: list[Queries] = [(wanted.evaluated[str(catalogue.ids[case.label])],) for case in some]
    others = [_stranger(case, found, rng) for case in some]
    swapped = [replace(case, history=other) for case, other in zip(some, others, strict=True) if other is not None]
    theirs = [query for query, other in zip(queries, others, strict=True) if other is not None]
    told = []
    for title, folder, cases, wishes in (
        ("Requests", "requests", some, queries),
        ("Requests with somebody else's history", "requests-swapped", swapped, theirs),
    ):
        if not cases:
            continue
        table = play(subject, Played(cases, wishes), ASKED, parts / folder, progress.stage(title.lower(), len(cases)))
        text = f"{len(cases):,} people; the message is one query written for the label, whose text does not hold it."
        told.append(_section(title, table, text))
    return told


def _stranger(case: Case, others: list[Case], rng: np.random.Generator) -> History | None:
    """The history of somebody else who has not had the item, nor takes it next; None when a hundred draws find nobody."""
    for place in rng.integers(len(others), size=100):
        other = others[int(place)]
        if other.user != case.user and other.label != case.label and case.label not in other.history.rows:
            return other.history
    return None


def recorded(subject: Subject, found: list[Case], recordings: tuple[dict[str, Any], ...], catalogue: Catalogue) -> list[Section]:
    """The recorded queries of a language model that saw the history, silent: with them against without them, paired."""
    by_user = {case.user: case for case in found}
    pairs = [(by_user[str(r["user_id"])], tuple(r["queries"])) for r in recordings if str(r["user_id"]) in by_user]
    if not pairs:
        return []
    cases = [case for case, _ in pairs]
    without = play(subject, Played(cases), RECORDED)
    with_them = play(subject, Played(cases, [queries for _, queries in pairs], asked=False), ("retrieval", *RECORDED))
    rows: list[list[Any]] = []
    lengths = np.array([len(case.history) for case in cases])
    groups = {"all": lengths >= 0, "1-10": lengths <= 10, "11-50": (lengths > 10) & (lengths <= 50), "51+": lengths > 50}
    for system in RECORDED:
        before, after = (t.filter(pl.col("system") == system).sort("case")["rank"].to_numpy() for t in (without, with_them))
        for group, chosen in groups.items():
            for metric in DIFFERENCES if chosen.any() else ():
                of = METRICS[metric]
                difference = interval((of(after[chosen]) - of(before[chosen]))[:, None])
                told = [float(x[0]) for x in (difference.mean, difference.low, difference.high)]
                rows.append([system, group, int(chosen.sum()), metric, float(of(before[chosen]).mean()), *told])
    columns = ["system", "history", "n", "metric", "without", "difference", "low", "high"]
    text = f"{len(pairs)} people with a recorded language voice, next item, no message; differences are with minus without."
    if unknown := len(recordings) - len(pairs):
        text += f" {unknown} recorded people are not among those evaluated."
    return [
        _section("Recorded queries", with_them, "Each system with the recorded queries."),
        {"title": "What the recorded language voice changes", "text": text, "columns": columns, "rows": rows},
    ]


def _section(title: str, table: pl.DataFrame, text: str) -> Section:
    return {"title": title, "text": text, "columns": ["system", *SHOWN], "rows": _rows(table)}


def _rows(table: pl.DataFrame) -> list[list[Any]]:
    """Means by system, in the table's order."""
    rows = []
    for name in table["system"].unique(maintain_order=True):
        ranks = table.filter(pl.col("system") == name)["rank"].to_numpy()
        rows.append([name, *(round(float(METRICS[metric](ranks).mean()), 4) for metric in SHOWN)])
    return rows
