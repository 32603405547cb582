"""Writes the search queries of the language voice. Writes `written`."""

import json
import time
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from duetto import prompts
from duetto.errors import ModelMisbehaved
from duetto.graph.state import Outcome, State, Understood, Written, since
from duetto.tools.agent_tools import Toolbox
from duetto.tools.chat.budget import remaining
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.language import REQUEST, SearchQuery
from duetto.tools.plain.queries import queries as plain_queries


class QueryAnswer(BaseModel):
    query: str
    serves: int = 0


class QueriesAnswer(BaseModel):
    """What the model answers; see prompts/write_queries.md."""

    queries: list[QueryAnswer]


@dataclass(frozen=True)
class WriteQueries:
    box: Toolbox
    model: LanguageModel | None

    def __call__(self, state: State) -> dict[str, Any]:
        started = time.perf_counter()
        understood = state.understood
        most = self.box.limits.queries
        plain = plain_queries(understood.meaning, understood.preferences, self.box.catalogue, most)
        written = Written(plain)
        if self.model is not None and (understood.preferences or understood.meaning.wish):
            written = self._ask(self.model, understood, state, plain)
        return {"written": replace(written, outcome=replace(written.outcome, ms=since(started)))}

    def _ask(self, model: LanguageModel, understood: Understood, state: State, plain: tuple[SearchQuery, ...]) -> Written:
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
        wish = understood.meaning.wish
        unknown = sum(not 0 <= entry.serves <= len(understood.preferences) for entry in answer.queries)
        note = f"queries of the model that name no known preference, taken to serve the request: {unknown}"
        found = [SearchQuery(wish, REQUEST)] if wish else []  # the person's own words always search too
        for entry in answer.queries:
            text = entry.query.strip()[:300]
            served = understood.preferences[entry.serves - 1].text if self._known(entry.serves, understood) else REQUEST
            if text and text.lower() not in {query.text.lower() for query in found}:
                found.append(SearchQuery(text, served))
        degraded = (note,) if unknown else ()
        return Written(tuple(found[: limits.queries]), Outcome.of(budget, used, *degraded))

    def _known(self, number: int, understood: Understood) -> bool:
        return 1 <= number <= len(understood.preferences)
