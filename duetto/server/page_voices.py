"""The two voices side by side."""

from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response

from duetto.server.api import Here, Who
from duetto.server.doors import NotThere
from duetto.server.page_doors import by_htmx, page_router
from duetto.server.rendering import html
from duetto.server.turn import talk
from duetto.server.voices import alone
from duetto.tools.catalogue import Catalogue

VOICES = ("language", "both", "crowd")
router = page_router()


@dataclass(frozen=True)
class Placed:
    """An item of one of the lists; `places` are where it stands in the others, None where it does not."""

    rank: int
    title: str
    year: Any
    places: dict[str, int | None]


@router.get("/c/{thread}/voices/{turn}")
def two_voices(thread: str, turn: int, request: Request, here: Here, who: Who) -> Response:
    """What the language voice alone would have listed in that turn, what the crowd alone would, and what was listed."""
    talks = here.talks()
    talks.check(who, thread)
    told = next((one for one in talks.told(thread) if one.answer["turn"] == turn and one.answer["recommendations"]), None)
    if told is None:
        raise NotThere("this turn listed nothing")
    opened = here.opened()
    values = opened.graph.get_state(talk(thread, told.checkpoint)).values
    together = [r["item_id"] for r in told.answer["recommendations"]]
    lists = {**alone(opened, values), "both": together}
    catalogue = opened.index.catalogue
    names = {str(item): _name(catalogue, item) for voice in ("language", "crowd") for item in lists[voice]}
    names |= {str(r["item_id"]): (r["title"], r["attributes"].get("year")) for r in told.answer["recommendations"]}
    ranks = {voice: {str(item): n for n, item in enumerate(items, start=1)} for voice, items in lists.items()}
    columns = {
        voice: [
            Placed(n, *names[item], {other: ranks[other].get(item) for other in VOICES if other != voice})
            for item, n in ranks[voice].items()
        ]
        for voice in VOICES
    }
    return html("voices.html" if by_htmx(request) else "voices_page.html", message=told.message, thread=thread, columns=columns)


def _name(catalogue: Catalogue, item: object) -> tuple[str, Any]:
    row = catalogue.row(item)
    assert row is not None  # a voice lists what is there
    return catalogue.titles[row], catalogue.facts_of(row).get("year")
