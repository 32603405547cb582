"""Answers what needs no ranking: about items, why they were recommended, how they differ, facts of the catalogue, and what is
known of the person. Writes `looked`."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.tools import BaseTool
from pydantic import BaseModel

from duetto import prompts
from duetto.errors import BadInput, ModelMisbehaved
from duetto.graph.state import ItemShown, Looked, Outcome, State, since
from duetto.tools.agent_tools import Toolbox, artifact
from duetto.tools.chat.budget import remaining
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.grounding import strangers
from duetto.tools.plain.telling import about, compare, shown
from duetto.tools.predicate import to_json
from duetto.tools.profiles import KINDS, SAID

MOST = 4  # items told of at once


class AboutAnswer(BaseModel):
    """What the model answers; see prompts/answer_about.md."""

    answer: str
    quotes: list[str] = []


@dataclass(frozen=True)
class LookUp:
    box: Toolbox
    catalogue_facts: BaseTool
    model: LanguageModel | None

    def __call__(self, state: State) -> dict[str, Any]:
        started = time.perf_counter()
        looked: dict[str, Callable[[State], Looked]] = {
            "about": self._about, "why": self._why, "why_not": self._why_not, "compare": self._compare, "facts": self._facts,
            "profile": self._profile,
        }  # fmt: skip
        found = looked[state.understood.meaning.intent](state)
        return {"looked": replace(found, outcome=replace(found.outcome, ms=since(started)))}

    def _about(self, state: State) -> Looked:
        rows = state.understood.meaning.items[:MOST]
        lines = tuple(about(self.box.catalogue, row) for row in rows)
        return self._said_by_model(state, Looked(lines, rows)) if self.model is not None and rows else Looked(lines, rows)

    def _why(self, state: State) -> Looked:
        rows = state.understood.meaning.items[:MOST]
        lines = []
        for row in rows:
            title = self.box.catalogue.titles[row]
            item = _shown(state, str(self.box.catalogue.ids[row]))
            if item is None:
                lines.append(f"I did not recommend {title} in this conversation.")
                continue
            lines += told_why(title, item["reason"], item["weights"], item["steps"])
        return Looked(tuple(lines), rows)

    def _why_not(self, state: State) -> Looked:
        return Looked(state.understood.barred, state.understood.meaning.items)

    def _compare(self, state: State) -> Looked:
        rows = state.understood.meaning.items[:MOST]
        lines, facts = compare(self.box.catalogue, rows)
        found = Looked(tuple(lines), rows, facts)
        return self._said_by_model(state, found) if self.model is not None and rows else found

    def _facts(self, state: State) -> Looked:
        fact, catalogue = state.understood.meaning.fact, self.box.catalogue
        if fact is None:
            return Looked(
                (f"The catalogue has {len(catalogue):,} items. Ask for a count, or for the oldest, newest or cheapest.",)
            )
        where = None if fact.where is None else to_json(fact.where)
        try:
            told = artifact(
                self.catalogue_facts, f"catalogue_facts-{state.turn}", where=where, column=fact.column, order=fact.order, k=3
            )
        except BadInput as error:
            return Looked((str(error),))
        of = "" if where is None else f" of {told['of']:,}"
        if fact.column is None:
            return Looked((f"{told['count']:,}{of} items in the catalogue: {fact.said or 'all of them'}.",), facts=told)
        extreme = told[fact.order]
        if not extreme:
            return Looked((f"No item of the catalogue fits “{fact.said}” and has a {fact.column}.",), facts=told)
        first = extreme[0][fact.column]
        best = [item for item in extreme if item[fact.column] == first]
        titles = " and ".join(item["title"] for item in best[:2]) + (" and others" if len(best) > 2 else "")
        line = f"{fact.said}: {titles} ({fact.column} {shown(first)}), of {told['count']:,} items."
        rows = tuple(catalogue.rows(item["item_id"] for item in best))
        return Looked((line[0].upper() + line[1:],), rows, told)

    def _profile(self, state: State) -> Looked:
        catalogue, understood = self.box.catalogue, state.understood
        lines = []
        history = understood.history.liked_rows()
        if understood.history.known:
            newest = ", ".join(catalogue.titles[row] for row in history[-3:])
            lines.append(f"Your history has {len(understood.history):,} items; the newest you liked: {newest}.")
        said = {kind: [catalogue.titles[row] for row in catalogue.rows(getattr(state, kind))] for kind in KINDS}
        lines += [f"{SAID[kind].capitalize()}: {', '.join(titles)}." for kind, titles in said.items() if titles]
        if tastes := [f"{p.text} ({p.weight:.2f})" for p in understood.preferences]:
            lines.append(f"Your tastes, as I see them: {'; '.join(tastes)}.")
        if limits := [c["said"] for c in state.constraints]:
            lines.append(f"Limits in force: {'; '.join(limits)}.")
        return Looked(tuple(lines) or ("I know nothing about you yet. Tell me what you liked.",))

    def _said_by_model(self, state: State, plain: Looked) -> Looked:
        """The model's answer where it rests on quotes that are there; else the plain one."""
        assert self.model is not None
        catalogue, understood = self.box.catalogue, state.understood
        items = [{"id": catalogue.ids[r], "title": catalogue.titles[r], **catalogue.facts_of(r)} for r in plain.rows]
        turn = {"message": understood.message, "language": understood.meaning.language, "items": items}
        prompt = prompts.render("answer_about", turn=json.dumps(turn, ensure_ascii=False, default=str))
        budget = remaining(self.box.limits, understood.outcome.usage, understood.deadline)
        used = (prompt.name, prompt.version)
        try:
            answer = self.model.ask(prompt, AboutAnswer, budget)
        except ModelMisbehaved as error:
            return replace(plain, outcome=Outcome.of(budget, used, f"the answer is plain: {error}"))
        data = " ".join(str(value) for item in items for value in item.values()).casefold()
        invented = [quote for quote in answer.quotes if quote.strip().casefold() not in data]
        if invented or not answer.answer.strip():
            note = "the answer is plain: the model's rested on words that the catalogue does not have"
            return replace(plain, outcome=Outcome.of(budget, used, note))
        text = answer.answer.strip()
        if strangers(text, set(plain.rows), catalogue):
            note = "the answer is plain: the model's named another item"
            return replace(plain, outcome=Outcome.of(budget, used, note))
        return replace(plain, lines=(text,), outcome=Outcome.of(budget, used))


def told_why(title: str, reason: str | None, weights: dict[str, float], steps: list[dict[str, Any]]) -> list[str]:
    """Why it was recommended, as it was said then, and the steps behind it."""
    shares = ", ".join(f"{voice} {share:.0%}" for voice, share in weights.items())
    return [
        f"{title}: {reason or 'no reason was asked for.'} Its score: {shares}.",
        *(
            f"{step['preference']}: {step['why']}; fitness {step['fitness']:.2f}, so the likelihood is {step['likelihood']}."
            for step in steps
        ),
    ]


def _shown(state: State, item: str) -> ItemShown | None:
    """An item as it was last shown."""
    found = [one for items in reversed(state.shown) for one in items if str(one["item_id"]) == item]
    return found[0] if found else None
