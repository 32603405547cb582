"""`make eval`: every figure of the README's evidence table, from the real data, as JSON and as the table itself."""

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from duetto import jobs, show
from duetto.errors import DuettoError, NotReady
from duetto.settings import Settings

FEW = ("als", "co-occurrence", "language", "crowd", "adaptive", "learned")
FILES = (
    ("items.parquet", "interactions.parquet"),
    ("movies.dat", "ratings.dat"),
    ("movies.csv", "ratings.csv"),
    ("meta_Beauty.json.gz", "reviews_Beauty_5.json.gz"),
)
TOLD = ("popularity", "als", "ease", "co-occurrence", "star", "language", "crowd", "adaptive", "learned")
FIGURES = ("hr@1", "hr@10", "ndcg@10", "coverage@10", "novelty@10", "diversity@10")

REQUESTS = (
    "Requests",
    "Requests with somebody else's history",
    "Requests, items without descriptions",
    "Requests with somebody else's history, items without descriptions",
)


@dataclass(frozen=True)
class Run:
    """One call of `duetto eval rank`; `data` and `recorded` are folders beside each other under the data's root."""

    name: str
    data: str
    embedder: str
    systems: tuple[str, ...] = ()
    protocol: str = "leave-one-out"
    ignore: tuple[str, ...] = ()
    recordings: str | None = None
    descriptions: str | None = None


RUNS = (
    Run("ml-1m", "ml-1m", "minilm", recordings="ml-1m-users.jsonl", descriptions="ml-1m-descriptions.jsonl"),
    Run("ml-1m-lsa", "ml-1m", "lsa", FEW, descriptions="ml-1m-descriptions.jsonl"),
    Run("amazon-beauty", "amazon-beauty", "minilm", ignore=("sales_rank",), recordings="amazon-beauty-users.jsonl"),
    Run("amazon-beauty-lsa", "amazon-beauty", "lsa", FEW, ignore=("sales_rank",)),
    # tags were written after the split too, and the ids of other sites are no amounts
    Run("ml-latest-small", "ml-latest-small", "minilm", protocol="temporal", ignore=("tags", "imdbId", "tmdbId")),
)


def run(one: Run, data: Path, recordings: Path, out: Path) -> dict[str, Any]:
    """Raises NotReady when the data is not there."""
    folder = data / one.data
    found = [(folder / items, folder / log) for items, log in FILES if (folder / items).is_file() and (folder / log).is_file()]
    if not found:
        named = " or ".join(f"{items} and {log}" for items, log in FILES)
        raise NotReady(f"there is no data at {folder}: put {named} there, or name the folder above it with DATA=")
    items, interactions = found[0]

    def recorded(name: str | None) -> Path | None:
        return recordings / name if name is not None and (recordings / name).is_file() else None

    described = recorded(one.descriptions)
    with show.Bars(Console(stderr=True)) as bars:
        return jobs.evaluate_ranking(
            items, interactions, out / one.name, embedder=one.embedder, descriptions=described, protocol=one.protocol,
            refit=True, users=None, systems=one.systems, recordings=recorded(one.recordings), requests=described,
            ignore=one.ignore if items.suffix == ".parquet" else (), brief=bool(one.systems),
            settings=Settings.from_environment(), progress=bars,
        )  # fmt: skip


def tables(reports: dict[str, dict[str, Any]]) -> str:
    """The README's tables, as Markdown; the reports tell the other systems too, with intervals and tests."""
    lines = [f"| data, embedder | system | {' | '.join(FIGURES)} |", "|" + "---|" * (len(FIGURES) + 2)]
    for name, report in reports.items():
        for system in (system for system in TOLD if system in report["systems"]):
            measured = report["systems"][system]
            figures = " | ".join(f"{measured[figure]['mean']:.3f}" for figure in FIGURES)
            lines.append(f"| {name.removesuffix('-lsa')}, {report['facts']['embedder']} | {system} | {figures} |")
    for report in reports.values():
        asked = {s["title"]: {row[0]: row[1:3] for row in s["rows"]} for s in report["sections"] if s["title"] in REQUESTS}
        if asked:
            lines += ["", f"| request, HR@1 / HR@10 | {' | '.join(asked)} |", "|---|" + "---|" * len(asked)]
            for system in next(iter(asked.values())):
                figures = " | ".join(f"{rows[system][0]:.3f} / {rows[system][1]:.3f}" for rows in asked.values())
                lines.append(f"| {system} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `duetto` does
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--recordings", type=Path, default=Path("../shared/recordings"))
    parser.add_argument("--out", type=Path, default=Path("eval"))
    parser.add_argument("--only", choices=[one.name for one in RUNS], action="append")
    given = parser.parse_args()
    try:
        chosen = [one for one in RUNS if not given.only or one.name in given.only]
        reports = {one.name: run(one, given.data, given.recordings, given.out) for one in chosen}
    except DuettoError as error:
        print(f"duetto: {error}", file=sys.stderr)
        sys.exit(2)
    (given.out / "evidence.json").write_text(json.dumps(reports, ensure_ascii=False, indent=1), encoding="utf-8")
    print(tables(reports))


if __name__ == "__main__":
    main()
