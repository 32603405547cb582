"""The report as files, as a page and in a terminal."""

import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from duetto.errors import NotReady
from duetto.evals.report import html, number, terminal_table, write_report
from duetto.evals.summary import summarise
from tests.evals.cases import COUNTS, ITEMS, USERS, VECTORS, cases

EVIL = "<script>alert(1)</script>"


def report(**parts: Any) -> dict[str, Any]:
    made = summarise(cases(), ITEMS, COUNTS, USERS, VECTORS, resamples=50)
    return {"dataset": "Films", "protocol": "Leave the last out.", "facts": {"items": 12345, "split": "by time"}} | made | parts


@pytest.fixture(scope="module")
def page() -> str:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    stages = [{"stage": "fit the crowd", "seconds": 12.34, "peak_mb": 1234.5}, {"stage": "rank", "seconds": 1}]
    sections = [
        {"title": "Settings", "text": "As chosen.", "columns": ["name", "value"], "rows": [["decay", 0.123456], ["mode", None]]},
        {"title": "Limits", "text": "One log."},
    ]
    return html(report(stages=stages, sections=sections))


class Words(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


# the page


def test_the_page_shows_every_part(page: str) -> None:
    text = Words(page).text
    for words in (
        "Films", "Leave the last out.", "12,345", "by time", "duetto", "0.6667", "HR@10", "coverage", "Comparisons", "p (Holm)",
        "By length of history", "201+", "By the label's interactions", "501+", "Stages", "fit the crowd", "12.3", "1,234",
        "Settings", "As chosen.", "0.1235", "Limits", "One log.",
    ):  # fmt: skip
        assert words in text, words
    assert page.count("<svg") == 3


def test_the_page_needs_nothing_from_outside_and_no_script(page: str) -> None:
    read = Words(page)
    assert not {"script", "link", "iframe", "img", "object"} & set(read.tags)
    assert "://" not in page
    assert "@import" not in page
    assert all((value or "").startswith("#") for name, value in read.attributes if name in ("href", "xlink:href", "src"))
    assert all(inside.startswith("#") for inside in re.findall(r"url\(([^)]*)", page))


def test_every_mark_of_a_plot_is_in_a_colour_of_the_page(page: str) -> None:
    plots = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", plots)) == {
        "none", "currentColor", "var(--line)", "var(--series-0)", "var(--series-1)",
    }  # fmt: skip
    assert "prefers-color-scheme: dark" in page


def test_the_same_report_is_the_same_page() -> None:
    pytest.importorskip("matplotlib")
    assert html(report()) == html(report())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [EVIL, "--><script>", '"><script>', "a $x$ & $\\frac$", "映画 𝔉"])
def test_names_are_text_wherever_they_stand(name: str) -> None:
    pytest.importorskip("matplotlib")
    given = report(protocol=name, facts={name: name}, stages=[{"stage": name, "seconds": 1, "peak_mb": 1}])
    given |= {"dataset": name, "sections": [{"title": name, "text": name, "columns": [name], "rows": [[name]]}]}
    written = html(json.loads(json.dumps(given).replace('"duetto"', json.dumps(name))))
    read = Words(written)
    assert "script" not in read.tags
    assert read.text.count(name) >= 19
    if "<" in name:
        assert name not in written


def test_a_report_may_lack_everything_but_its_name() -> None:
    pytest.importorskip("matplotlib")
    text = Words(html({"dataset": "Films", "protocol": "None yet."})).text
    assert "None yet." in text
    assert "Systems" not in text


def test_more_systems_than_colours_can_be_drawn() -> None:
    pytest.importorskip("matplotlib")
    given = report()
    for n in range(12):
        given["systems"][f"s{n}"] = given["systems"]["duetto"]
    assert "s11" in html(given)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (1234567, "1,234,567"), (0.123456, "0.1235"), (-0.5, "−0.5"), ("a-b", "a-b"), (True, "True"), (1e-9, "1e−09")],
)
def test_numbers_are_as_a_reader_wants_them(value: object, shown: str) -> None:
    assert number(value) == shown


# the files


def test_both_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    given = report()
    for _ in range(2):
        write_report(tmp_path / "new" / "folder", given)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["report.html", "report.json"]
    assert json.loads((tmp_path / "new" / "folder" / "report.json").read_text(encoding="utf-8")) == given


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_without_the_extra_the_numbers_are_kept_and_the_command_is_named(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(NotReady, match=re.escape("pip install 'duetto[evals]'")):
        write_report(tmp_path, report())
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_number_that_is_none_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_report(tmp_path, {"dataset": "Films", "protocol": "", "facts": {"loss": float("nan")}})
    assert list(tmp_path.iterdir()) == []


# the terminal


def test_the_terminal_shows_a_row_a_system_in_eighty_columns() -> None:
    given = report()
    given["systems"]["[bold]odd[/bold]"] = {"hr@1": {"mean": 0.5}}
    written = io.StringIO()
    Console(file=written, width=80).print(terminal_table(given))
    lines = written.getvalue().splitlines()
    assert lines[0].split() == ["system", "HR@1", "HR@10", "NDCG@10", "MRR@10", "coverage", "novelty", "diversity"]
    assert next(line for line in lines if "duetto" in line).split()[1:3] == ["0.3333", "0.6667"]
    assert next(line for line in lines if "[bold]odd[/bold]" in line).split()[1:3] == ["0.5000", "–"]
