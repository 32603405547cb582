"""What the tests of the page share: a catalogue that means harm, a model that takes its time, and a browser."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from duetto.settings import Settings
from tests.loopback import Answer, Body, says
from tests.serving import Served

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WISH = "something dark and clever, but no horror"
RUNS = "<script>window.ran = 1</script>"
TITLE = f"{RUNS} \"Heat\" & 'Co' <img src=x onerror=window.ran=1>"
GENRE = '"><svg onload=window.ran=1>'


class Tags(HTMLParser):
    """All elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, attribute: str) -> list[str]:
        """All values of an attribute, whatever it is on."""
        return [value for _, attributes in self.found if (value := attributes.get(attribute))]


def hostile_index(folder: Path, settings: Settings) -> Path:
    """Twelve items; the texts of one would run, or lead where nobody wants to go, if a page believed them."""
    from duetto.jobs import build_index
    from duetto.tools.progress import Silence

    with (folder / "items.csv").open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(("item_id", "title", "year", "genre", "description", "url", "image"))
        rows.writerow(("x<b>&", TITLE, 1995, GENRE, f"a robbery {RUNS}", "javascript:window.ran=1", 'https://x.invalid/"a.png'))
        for n in range(1, 12):
            rows.writerow((f"i{n}", f"Quiet film {n}", 1990 + n, "Drama", "a robbery", f"https://films.invalid/{n}", ""))
    with (folder / "log.csv").open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(("user_id", "item_id", "position"))
        rows.writerows((f"u{person}", f"i{1 + (person + n) % 11}", n) for person in range(8) for n in range(4))
    build_index(
        folder / "items.csv", folder / "log.csv", folder / "index", embedder="lsa", descriptions=None, strict=False,
        settings=settings, progress=Silence(),
    )  # fmt: skip
    return folder / "index"


def taking_its_time(seconds: float) -> Any:
    """A chat model that reads at once, and finds words slowly."""

    def script(body: Body, n: int) -> Answer:
        asked = json.dumps(body["messages"])
        if "fitness" in asked:
            return says({"reason": "It has what you asked for.", "steps": [], "evidence": []}, delay=seconds)
        return says({"intent": "recommend", "request": "a western", "queries": [{"query": "a western"}]})

    return script


def said(server: Served, message: str, thread: str, person: str = "p001", **how: Any) -> Any:
    """A turn as a browser without scripts sends it."""
    return server.ask("POST", f"/c/{thread}", data={"user": person, "message": message}, **how)


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
