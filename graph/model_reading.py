"""A turn as a language model reads it: what it is told, what it answers, and that answer with every reference resolved."""

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel

from duetto.graph.state import Carried
from duetto.tools.agent_tools import Toolbox
from duetto.tools.conversation import Conversation
from duetto.tools.histories import History
from duetto.tools.language import (
    LOOKED_UP,
    REQUEST,
    Constraint,
    Fact,
    Intent,
    Leaning,
    Preference,
    SearchQuery,
    Understanding,
)
from duetto.tools.plain.references import MOST_ASKED, Referent
from duetto.tools.plain.understand import PlainReader
from duetto.tools.predicate import And, Compare, Not, Operator, Predicate

Reference = str | int


class PreferenceAnswer(BaseModel):
    preference: str
    evidence: list[Reference] = []
    weight: float


class LimitAnswer(BaseModel):
    said: str
    column: str
    operator: Operator
    values: list[str | int | float | bool]
    always: bool = False


class LeaningAnswer(BaseModel):
    said: str
    column: str
    order: Literal["highest", "lowest"]
    than: Reference | None = None


class FactAnswer(BaseModel):
    column: str | None = None
    order: Literal["highest", "lowest"] = "highest"
    where: list[LimitAnswer] = []


class QueryAnswer(BaseModel):
    query: str
    serves: int = 0


class ExtractAnswer(BaseModel):
    """What the model answers; see prompts/extract_preferences.md."""

    intent: Intent
    request: str = ""
    same_topic: bool = False
    preferences: list[PreferenceAnswer] = []
    liked: list[Reference] = []
    disliked: list[Reference] = []
    seen: list[Reference] = []
    uninterested: list[Reference] = []
    alike: list[Reference] = []
    items: list[Reference] = []
    ambiguous: list[Reference] = []
    ambiguous_as: Literal["", "liked", "disliked", "seen", "uninterested", "alike"] = ""
    avoid: list[str] = []
    leanings: list[LeaningAnswer] = []
    constraints_set: list[LimitAnswer] = []
    constraints_clear: list[str] = []
    unchecked: list[str] = []
    fact: FactAnswer | None = None
    language: str = "English"
    queries: list[QueryAnswer] = []


@dataclass(frozen=True)
class ModelReading:
    box: Toolbox
    reader: PlainReader

    def told(
        self, message: str, history: History, before: Carried, said: Conversation, known: tuple[Preference, ...], changed: bool
    ) -> dict[str, Any]:
        """What the model is told of the turn, as JSON."""
        limits, catalogue = self.box.limits, self.box.catalogue
        kinds = ("number", "year", "date", "flag", "category")
        lists = [[{"number": n, **self._item(row)} for n, row in enumerate(rows, start=1)] for rows in reversed(said.lists)]
        turn: dict[str, Any] = {
            "message": message,
            "history_oldest_first": [self._item(row) for row in history.liked_rows(limits.history_shown)],
            "constraints_in_force": before["constraints"],
            "wanted_so_far": {**before["topic"], "alike": [catalogue.titles[row] for row in said.topic.alike]},
            "shown": lists[: limits.lists_told],
            "talked_about": [self._item(row) for row in said.focus],
            "columns": {c: kind for c, kind in catalogue.kinds.items() if kind in kinds},
        }
        if before["question"] is not None:
            asked = before["question"]
            role = "limit" if any(option["where"] for option in asked["options"]) else asked["role"]
            options = [option["label"] for option in asked["options"]]
            turn["you_asked"] = {"question": asked["text"], "options": options, "intent": asked["intent"], "role": role}
        if known:
            turn["known_preferences"] = [{"number": n, "preference": p.text} for n, p in enumerate(known, start=1)]
            turn["history_changed"] = changed
        return turn

    def _item(self, row: int) -> dict[str, Any]:
        return {"id": self.box.catalogue.ids[row], "title": self.box.catalogue.titles[row]}

    def understood(
        self, answer: ExtractAnswer, message: str, plain: Understanding, history: History, said: Conversation,
        known: tuple[Preference, ...],
    ) -> Understanding:  # fmt: skip
        """The model's answer; what resolves to nothing is dropped and counted. `plain` fills in items it did not name."""
        mine = set(history.rows.tolist())
        lost = _Lost()
        found = [p for wanted in answer.preferences if (p := self._preference(wanted, mine, lost)) is not None]
        preferences = tuple(found[: self.box.limits.preferences]) or known
        groups = ("liked", "disliked", "seen", "uninterested", "alike", "items")
        rows = {name: self._rows(getattr(answer, name), said, lost) for name in groups}
        if answer.intent in (*LOOKED_UP, "why_not") and not rows["items"] and plain.intent == answer.intent:
            rows["items"] = plain.items
        several = self._rows(answer.ambiguous, said, lost)[:MOST_ASKED]
        question = plain.question if plain.intent == answer.intent and not any(rows.values()) else None
        if len(several) > 1:
            asked = self.reader.ask(Referent(message[:80], among=several), answer.intent)
            question = replace(asked, role=answer.ambiguous_as)
        set_, unchecked = self._limits(answer.constraints_set)
        leanings, relative = self._leanings(answer.leanings, said, lost)
        return Understanding(
            answer.intent if message else "recommend",
            wish=answer.request.strip() if message else "",
            preferences=preferences,
            besides=(*rows["alike"], *plain.besides),
            set=(*set_, *relative),
            clear=tuple(answer.constraints_clear),
            standing=any(limit.always for limit in answer.constraints_set),
            avoid=tuple(text.strip() for text in answer.avoid if text.strip()),
            leanings=leanings,
            unchecked=(*(text.strip() for text in answer.unchecked if text.strip()), *unchecked),
            named=tuple(row for row in plain.named if row not in {row for some in rows.values() for row in some}),
            same_topic=answer.same_topic and bool(message),
            fact=self._fact(answer.fact) or plain.fact,
            question=question,
            notes=plain.notes if plain.intent == answer.intent and not rows["items"] else (),
            queries=tuple(as_queries(answer.queries, preferences)) if known else (),
            language=answer.language.strip() or "English",
            dropped=lost.count,
            **rows,  # type: ignore[arg-type]
        )

    def _preference(self, wanted: PreferenceAnswer, mine: set[int], lost: "_Lost") -> Preference | None:
        rows = [self.box.catalogue.resolve(reference) for reference in wanted.evidence]
        evidence = tuple(dict.fromkeys(row for row in rows if row is not None and row in mine))
        lost.count += sum(row is None or row not in mine for row in rows)
        text = wanted.preference.strip()[:200]
        return Preference(text, min(1.0, max(0.05, wanted.weight)), evidence) if text else None

    def _rows(self, references: list[Reference], said: Conversation, lost: "_Lost") -> tuple[int, ...]:
        rows = [self._named(reference, said) for reference in references]
        lost.count += rows.count(None)
        return tuple(dict.fromkeys(row for row in rows if row is not None))

    def _named(self, reference: Reference, said: Conversation) -> int | None:
        """By id, by title, or as "#2" by its place in the last list."""
        place = re.fullmatch(r"\W*#\s*(\d+)\W*", str(reference))
        if place and 1 <= int(place[1]) <= len(said.last):
            return said.last[int(place[1]) - 1]
        row = self.box.catalogue.resolve(reference)
        return row if row is not None else self.reader.title(str(reference))

    def _leanings(
        self, answers: list[LeaningAnswer], said: Conversation, lost: "_Lost"
    ) -> tuple[tuple[Leaning, ...], tuple[Constraint, ...]]:
        """Those that compare with an item are limits, by what the item has."""
        leanings: list[Leaning] = []
        limits: list[Constraint] = []
        for one in answers:
            if one.column not in self.box.catalogue.columns("number", "year", "date"):
                continue
            rows = self._rows([one.than], said, lost) if one.than is not None else ()
            limit = self.reader.columns.beyond(one.said, one.column, one.order, rows[0]) if rows else None
            if limit is not None:
                limits.append(limit)
            else:
                leanings.append(Leaning(one.said, one.column, one.order))
        return tuple(leanings), tuple(limits)

    def _limits(self, answers: list[LimitAnswer]) -> tuple[tuple[Constraint, ...], tuple[str, ...]]:
        """Limits by the values that the columns hold, one for the same words; and the words of those that no value can check."""
        found: dict[str, list[Predicate]] = {}
        unchecked: list[str] = []
        for answer in answers:
            if not answer.values:
                continue
            predicate = self._limit(answer)
            if predicate is None:
                unchecked.append(answer.said)
            else:
                found.setdefault(answer.said, []).append(predicate)
        limits = [Constraint(said, parts[0] if len(parts) == 1 else And(tuple(parts))) for said, parts in found.items()]
        return tuple(limits), tuple(unchecked)

    def _limit(self, answer: LimitAnswer) -> Predicate | None:
        column, values, operator = answer.column, answer.values, answer.operator
        if self.box.catalogue.kinds.get(column) == "category" and operator in ("eq", "ne", "in", "not_in"):
            known = [self.reader.columns.spelled(column, str(value)) for value in values]
            values = [value for value in known if value is not None]
            if not values:
                return None
        if operator in ("ne", "not_in"):  # exclusions add up, and are told by Not
            return Not(Compare(column, "eq", values[0]) if len(values) == 1 else Compare(column, "in", tuple(values)))
        return Compare(column, operator, tuple(values) if operator == "in" else values[0])

    def _fact(self, answer: FactAnswer | None) -> Fact | None:
        if answer is None or (answer.column is not None and answer.column not in self.box.catalogue.kinds):
            return None
        parts = tuple(c.predicate for c in self._limits(answer.where)[0])
        said = ", ".join(limit.said for limit in answer.where)
        return Fact(said, And(parts) if parts else None, answer.column, answer.order)


def as_queries(answers: list[QueryAnswer], preferences: tuple[Preference, ...]) -> list[SearchQuery]:
    """Each with the preference it serves; one that names no preference serves the request."""
    found = []
    for entry in answers:
        served = preferences[entry.serves - 1].text if 1 <= entry.serves <= len(preferences) else REQUEST
        if text := entry.query.strip()[:300]:
            found.append(SearchQuery(text, served))
    return found


@dataclass
class _Lost:
    """References that resolved to nothing."""

    count: int = 0
