"""An answer as the page shows it: a card an item, and what is said around the list."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duetto.server.markdown import around
from duetto.server.playing import Play
from duetto.server.rendering import percent, web
from duetto.tools.catalogue import LINKS, Catalogue
from duetto.tools.predicate import SEPARATOR
from duetto.tools.profiles import Kind, Profile

NAMED = 3  # items that an older list is called by
EVIDENCE = 5
Opinions = Mapping[str, Kind]


@dataclass(frozen=True)
class Card:
    """An item of a list. What is not known before its reason is there is empty; `language` and `crowd` are percent."""

    rank: int
    item_id: Any
    title: str
    url: str | None
    image: str | None
    year: Any
    facts: tuple[str, ...]
    about: str
    opinion: Kind | None
    is_new: bool = False
    reason: str | None = None
    reason_by: str | None = None
    language: int = 0
    crowd: int = 0
    evidence: tuple[dict[str, Any], ...] = ()
    queries: tuple[dict[str, Any], ...] = ()
    preferences: tuple[dict[str, Any], ...] = ()
    steps: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Turn:
    """A turn on the page: answered, or with a `failure`, or running. `whole` has cards, else the list is folded up."""

    id: str
    message: str | None
    answer: dict[str, Any] | None = None
    cards: tuple[Card, ...] = ()
    before: tuple[str, ...] = ()
    whole: bool = True
    failure: str | None = None

    @property
    def runs(self) -> bool:
        return self.answer is None and self.failure is None

    @property
    def names(self) -> str:
        """What an older list is called by."""
        more = len(self.cards) - NAMED
        return ", ".join(card.title for card in self.cards[:NAMED]) + (f" and {more} more" if more > 0 else "")


def opinions_of(profile: Profile | None) -> Opinions:
    return {} if profile is None else {str(one.item_id): one.kind for one in profile.opinions}


def answered(answer: dict[str, Any], message: str | None, catalogue: Catalogue, opinions: Opinions, whole: bool = True) -> Turn:
    before, _ = around(answer)
    new = {str(item["item_id"]) for item in (answer["changes"] or {"entered": []})["entered"]}
    cards = tuple(_explained(r, catalogue, opinions, new) for r in answer["recommendations"])
    return Turn(answer["run_id"] or f"turn-{answer['turn']}", message, answer, cards, tuple(before), whole)


def running(play: Play) -> Turn:
    return Turn(play.run_id, play.asked.message)


def failed(turn_id: str, message: str | None, why: str) -> Turn:
    return Turn(turn_id, message, failure=why)


def listed(ranking: dict[str, Any], catalogue: Catalogue, opinions: Opinions) -> tuple[Card, ...]:
    """The cards of a ranking for which no words have been found yet."""
    return tuple(_card(r, _facts(catalogue, r["item_id"]), catalogue, opinions) for r in ranking["recommendations"])


def _facts(catalogue: Catalogue, item_id: object) -> dict[str, Any]:
    row = catalogue.row(item_id)
    return {} if row is None else catalogue.facts_of(row)


def _card(r: dict[str, Any], attributes: dict[str, Any], catalogue: Catalogue, opinions: Opinions, **known: Any) -> Card:
    kinds = catalogue.kinds
    texts = [str(value) for column, value in attributes.items() if kinds.get(column) == "text"]
    small = [(c, v) for c, v in attributes.items() if kinds.get(c) != "text" and c not in (*LINKS, "year")]
    return Card(
        r["rank"], r["item_id"], r["title"], web(attributes.get("url", "")), web(attributes.get("image", ""), "https"),
        attributes.get("year"), tuple(text for c, v in small if (text := _fact(c, v, kinds.get(c, "category")))),
        "\n".join(texts), opinions.get(str(r["item_id"])), **known,
    )  # fmt: skip


def _fact(column: str, value: Any, kind: str) -> str:
    if kind == "flag":
        return column if value else ""
    if kind in ("number", "year", "date"):
        figure = f"{value:g}" if isinstance(value, float) else str(value)
        return f"{figure} {column}" if column.endswith("s") else f"{column} {figure}"  # 90 minutes, price 12.5
    return str(value).replace(SEPARATOR, ", ").replace("|", ", ")


def _explained(r: dict[str, Any], catalogue: Catalogue, opinions: Opinions, new: set[str]) -> Card:
    shares = {str(item["item_id"]): item["share"] for item in r["found_by"]["history"]}
    items = [*r["cites"], *r["found_by"]["history"]]
    once = {str(item["item_id"]): item["title"] for item in items}
    language = percent(r["weights"].get("language", 0.0))
    return _card(
        r, r["attributes"], catalogue, opinions,
        is_new=str(r["item_id"]) in new, reason=r["reason"], reason_by=r["reason_by"],
        language=language, crowd=100 - language if r["weights"] else 0,
        evidence=tuple({"title": title, "share": shares.get(item)} for item, title in list(once.items())[:EVIDENCE]),
        queries=tuple(r["found_by"]["queries"]), preferences=tuple(r["preferences"]), steps=tuple(r["steps"]),
    )  # fmt: skip
