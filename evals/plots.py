"""Plots as inline SVG: the same bytes each time, colours of the page they stand in, texts as texts."""

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Stand-ins that become the page's own colours, light or dark.
INK, GRID = "#010203", "#040506"
SERIES = ("#0a0101", "#0a0102", "#0a0103", "#0a0104", "#0a0105", "#0a0106", "#0a0107", "#0a0108")
PAINT = {INK: "currentColor", GRID: "var(--line)"} | {colour: f"var(--series-{n})" for n, colour in enumerate(SERIES)}
MARKERS = "osD^vPX<>"
STYLE: dict[str, Any] = {
    "svg.hashsalt": "duetto", "svg.fonttype": "none", "text.parse_math": False, "font.size": 9, "text.color": INK,
    "axes.edgecolor": GRID, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "grid.color": GRID,
    "axes.grid": True, "axes.grid.axis": "y", "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False,
}  # fmt: skip


def dots(title: str, estimates: dict[str, dict[str, float]]) -> str:
    """A dot with its interval for each system, the first on top; estimates have "mean" and perhaps "low" and "high"."""

    def draw(axes: Axes) -> None:
        for place, (name, found) in enumerate(estimates.items()):
            colour = SERIES[place % len(SERIES)]
            axes.plot([found.get("low", found["mean"]), found.get("high", found["mean"])], [place, place], color=colour, lw=2)
            axes.plot(found["mean"], place, MARKERS[place % len(MARKERS)], color=colour, label=name)
        axes.set_yticks(range(len(estimates)), list(estimates))
        axes.set_ylim(len(estimates) - 0.5, -0.5)
        axes.grid(axis="x")

    return _svg(title, draw, 1.0 + 0.28 * len(estimates))


def lines(title: str, groups: list[str], series: dict[str, list[float]]) -> str:
    """A line for each system over groups of cases, in their order."""

    def draw(axes: Axes) -> None:
        for place, (name, values) in enumerate(series.items()):
            colour, marker = SERIES[place % len(SERIES)], MARKERS[place % len(MARKERS)]
            axes.plot(range(len(groups)), values, marker=marker, markersize=5, color=colour, label=name)
        axes.set_xticks(range(len(groups)), groups)
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.1), ncols=2)

    return _svg(title, draw, 2.8 + 0.11 * len(series))


def _svg(title: str, draw: Callable[[Axes], None], height: float) -> str:
    """`height` is in inches, the width is always 4.6, so that letters keep their size on a phone."""
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph")  # the reader's browser has the letters that this font lacks
        figure = Figure(figsize=(4.6, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title, loc="left", fontsize=10)
        draw(axes)
        written = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) xmlns:xlink="[^"]*"([^>]*?) xmlns="[^"]*"', r"\1\2", svg, count=1)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # the same in every plot, where a page may have an id only once
    return re.sub("|".join(PAINT), lambda colour: PAINT[colour.group()], svg)
