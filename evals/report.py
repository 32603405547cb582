"""A report of an evaluation: report.json, one self-contained report.html, and a table for the terminal.

A report is {"dataset", "protocol", "facts": {name: text or number}} with "systems", "comparisons" and "groups" as
`duetto.evals.summary.summarise` makes them, "stages": [{"stage", "seconds", "peak_mb"}] and
"sections": [{"title", "text", "columns": [...], "rows": [[...]]}]. A part that is missing is not shown.
"""

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from duetto.errors import NotReady

COLUMNS = {
    "hr@1": ("HR@1", ".4f"), "hr@10": ("HR@10", ".4f"), "ndcg@10": ("NDCG@10", ".4f"), "mrr@10": ("MRR@10", ".4f"),
    "log_rank": ("ln rank", ".3f"), "coverage@10": ("coverage", ".3f"), "novelty@10": ("novelty", ".2f"),
    "diversity@10": ("diversity", ".3f"), "popularity@10": ("popularity", ",.0f"),
}  # fmt: skip
TERMINAL = ("hr@1", "hr@10", "ndcg@10", "mrr@10", "coverage@10", "novelty@10", "diversity@10")
PLOTTED = ("hr@10", "ndcg@10")
NOTHING = "–"
MINUS = str.maketrans("-", "\N{MINUS SIGN}")


def write_report(folder: Path, report: dict[str, Any], page: dict[str, Any] | None = None) -> None:
    """Writes report.json, then report.html, of `page` where the page tells less.

    Raises NotReady without the extra `evals`; report.json is there all the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    _write(folder / "report.html", html(page or report))


def require() -> None:
    """Raises NotReady where the page cannot be made."""
    if any(find_spec(package) is None for package in ("jinja2", "matplotlib")):
        raise NotReady("writing report.html needs Jinja2 and matplotlib: run `pip install 'duetto[evals]'`")


def html(report: dict[str, Any]) -> str:
    """The page; every value in it is escaped."""
    require()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["number"] = number
    environment.filters["estimate"] = estimate
    optional: dict[str, Any] = {"facts": {}, "systems": {}, "comparisons": [], "groups": {}, "stages": [], "sections": []}
    return environment.get_template("report.html.j2").render(optional | report, columns=COLUMNS, plots=_plots(report))


def terminal_table(report: dict[str, Any]) -> Table:
    """The systems by the metrics that fit in a terminal."""
    numbers = [Column(COLUMNS[metric][0], justify="right", no_wrap=True) for metric in TERMINAL]
    table = Table(Column("system", overflow="fold"), *numbers, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name, found in report.get("systems", {}).items():
        table.add_row(escape(name), *[number(found.get(metric, {}).get("mean"), COLUMNS[metric][1]) for metric in TERMINAL])
    return table


def number(value: object, form: str | None = None) -> str:
    """A value as a reader wants it: 1,234 or 0.1235; texts as they are, nothing as a dash."""
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return format(value, form or ("," if isinstance(value, int) else ",.4g")).translate(MINUS)


def estimate(found: dict[str, float] | None, form: str) -> str:
    """The interval of an estimate, empty when it has none."""
    return f"{number(found['low'], form)} to {number(found['high'], form)}" if found and "low" in found else ""


def _plots(report: dict[str, Any]) -> dict[str, list[tuple[str, Any]]]:
    """Titles and SVGs by the part of the report that they belong to."""
    from markupsafe import Markup

    from duetto.evals import plots

    systems, groups = report.get("systems", {}), report.get("groups", {}).get("history", [])
    drawn = {
        "systems": [
            (title, plots.dots(title, estimates))
            for metric in PLOTTED
            if (estimates := {name: found[metric] for name, found in systems.items() if metric in found})
            for title in [f"{COLUMNS[metric][0]} with 95% intervals"]
        ],
        "history": [],
    }
    if groups:
        title = "NDCG@10 by length of history"
        series = {name: [group["systems"][name]["ndcg@10"] for group in groups] for name in groups[0]["systems"]}
        drawn["history"].append((title, plots.lines(title, [group["group"] for group in groups], series)))
    return {part: [(title, Markup(svg)) for title, svg in those] for part, those in drawn.items()}  # noqa: S704  # our own SVG


def _write(path: Path, text: str) -> None:
    """All of it or nothing: a reader never sees half a report."""
    part = path.with_name(f".{path.name}-{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
