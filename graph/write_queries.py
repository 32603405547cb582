"""Asks the model for the search queries of the language voice, where the reading did not bring them. Writes `written`."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from duetto import prompts
from duetto.errors import ModelMisbehaved
from duetto.graph.model_reading import QueryAnswer, as_queries
from duetto.graph.state import Outcome, State, Understood, Written, since
from duetto.tools.agent_tools import Toolbox
from duetto.tools.chat.budget import remaining
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.language import REQUEST, SearchQuery, Understanding
from duetto.tools.plain.columns import Columns
from duetto.tools.plain.queries import queries as plain_queries


class QueriesAnswer(BaseModel):
    """What the model answers; see prompts/write_queries.md."""

    queries: list[QueryAnswer]


@dataclass(frozen=True)
class WriteQueries:
    box: Toolbox
    columns: Columns
    model: LanguageModel | None

    def __call__(self, state: State) -> dict[str, Any]:
        started = time.perf_counter()
        plain = plain_queries(state.understood.meaning, self.columns, self.box.limits.queries)
        written = Written(plain) if self.model is None else self._ask(self.model, state.understood, state, plain)
        return {"written": replace(written, outcome=replace(written.outcome, ms=since(started)))}

    def again(self, state: State) -> Written | None:
        """Queries for a second look, by the model; None without one."""
        if self.model is None or not state.understood.meaning.wish:
            return None
        found = state.found.heard.found[:1] if state.found.heard else ()
        missed = [self.box.catalogue.titles[row] for first in found for row, _ in first[:5]]
        return self._ask(self.model, state.understood, state, state.queries, missed)

    def _ask(
        self, model: LanguageModel, understood: Understood, state: State, plain: tuple[SearchQuery, ...],
        missed: Sequence[str] = (),
    ) -> Written:  # fmt: skip
        limits, catalogue = self.box.limits, self.box.catalogue
        newest = understood.history.liked_rows(limits.history_shown)[-6:]
        turn = {
            "message": understood.message,
            "request": understood.meaning.wish,
            "like": [catalogue.titles[row] for row in understood.meaning.alike],
            "constraints": [c["said"] for c in state.constraints],
            "preferences": [
                {"number": n, "preference": p.text, "weight": p.weight} for n, p in enumerate(understood.preferences, start=1)
            ],
            "avoid": understood.meaning.avoid,
            **({"found_but_unfit": list(missed)} if missed else {}),
            "newest_items": [catalogue.titles[row] for row in newest],
        }
        prompt = prompts.render("write_queries", most=str(limits.queries), turn=json.dumps(turn, ensure_ascii=False))
        budget = remaining(limits, understood.outcome.usage, understood.deadline)
        used = (prompt.name, prompt.version)
        try:
            answer = model.ask(prompt, QueriesAnswer, budget)
        except ModelMisbehaved as error:
            note = f"queries are plain: {error}"
            return Written(plain, Outcome.of(budget, used, note))
        unknown = sum(not 0 <= entry.serves <= len(understood.preferences) for entry in answer.queries)
        note = f"queries of the model that name no known preference, taken to serve the request: {unknown}"
        degraded = (note,) if unknown else ()
        written = with_wish(understood.meaning, as_queries(answer.queries, understood.preferences), limits.queries)
        return Written(written, Outcome.of(budget, used, *degraded))


def at_hand(
    meaning: Understanding, columns: Columns, most: int, model: LanguageModel | None, tried: bool
) -> tuple[SearchQuery, ...] | None:
    """The queries where there is nothing to ask a model; None where it is to be asked.

    A later turn makes at most one call before its ranking: the one that read it could have brought queries (`tried`).
    """
    if meaning.queries:
        return with_wish(meaning, list(meaning.queries), most)
    if model is not None and not tried and (meaning.preferences or meaning.wish):
        return None
    return plain_queries(meaning, columns, most)


def with_wish(meaning: Understanding, queries: list[SearchQuery], most: int) -> tuple[SearchQuery, ...]:
    """At most so many, none twice; the person's own words always search too."""
    found = [SearchQuery(meaning.wish, REQUEST)] if meaning.wish else []
    for query in queries:
        if query.text.lower() not in {other.text.lower() for other in found}:
            found.append(query)
    return tuple(found[:most])
