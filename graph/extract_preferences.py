"""Understands the turn: who speaks, what they want, like and rule out. Writes `understood` and what persists."""

import json
import time
from dataclasses import dataclass, replace
from typing import Any

from langgraph.runtime import Runtime
from pydantic import BaseModel

from duetto import prompts
from duetto.errors import ModelMisbehaved
from duetto.graph.input import the_message, the_user, wanted_k, wanted_reasons
from duetto.graph.state import Carried, ConstraintInForce, Context, Outcome, State, Understood, since
from duetto.tools.agent_tools import Toolbox
from duetto.tools.chat.budget import Usage, remaining
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.constraints import checked, in_force, where
from duetto.tools.features import Features
from duetto.tools.histories import History
from duetto.tools.language import Constraint, Intent, Preference, Understanding
from duetto.tools.plain.preferences import preferences as plain_preferences
from duetto.tools.plain.understand import PlainReader
from duetto.tools.predicate import Compare, Operator, from_json, to_json


class PreferenceAnswer(BaseModel):
    preference: str
    evidence: list[str | int] = []
    weight: float


class ConstraintAnswer(BaseModel):
    said: str
    column: str
    operator: Operator
    values: list[str | int | float | bool]


class ExtractAnswer(BaseModel):
    """What the model answers; see prompts/extract_preferences.md."""

    intent: Intent
    request: str = ""
    preferences: list[PreferenceAnswer] = []
    liked: list[str | int] = []
    disliked: list[str | int] = []
    alike: list[str | int] = []
    constraints_set: list[ConstraintAnswer] = []
    constraints_clear: list[str] = []


@dataclass(frozen=True)
class ExtractPreferences:
    box: Toolbox
    features: Features
    reader: PlainReader
    model: LanguageModel | None

    def __call__(self, state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        started = time.perf_counter()
        limits, catalogue = self.box.limits, self.box.catalogue
        deadline = time.monotonic() + limits.turn_seconds
        message = the_message(state.message, state.messages, limits.message_chars)
        user = self.box.histories.own_id(the_user(state.user, runtime.context))
        k = wanted_k(runtime.context, limits.top_k, limits.max_top_k)
        reasons = wanted_reasons(runtime.context, self.model is not None)
        history = self.box.history(user, state.liked, state.disliked)
        meaning = self.reader.read(message)
        outcome = Outcome()
        worth_asking = meaning.intent == "recommend" and (message or len(history))
        if self.model is not None and worth_asking:
            meaning, outcome = self._ask(self.model, message, meaning, history, state.constraints, deadline)
        meaning, refused = checked(meaning, catalogue)
        history = history.with_feedback(list(meaning.liked), list(meaning.disliked))
        if not meaning.preferences and meaning.intent == "recommend":
            meaning = replace(meaning, preferences=plain_preferences(history, self.features, limits.preferences))
        kept, lost = self._checkable(state.constraints)
        constraints = in_force(kept, meaning)
        degraded = outcome.degraded + refused + lost
        if meaning.dropped:
            degraded += (f"references of the model that matched no item it may name, dropped: {meaning.dropped}",)
        outcome = replace(outcome, ms=since(started), degraded=degraded)
        filters = where([*constraints, *self._examples(meaning.alike)])
        before: Carried = {
            "turn": state.turn, "constraints": state.constraints, "liked": state.liked, "disliked": state.disliked,
        }  # fmt: skip
        understood = Understood(user, message, history, meaning, filters, k, reasons, deadline, outcome, before)
        return {
            "understood": understood,
            "turn": state.turn + 1,
            "constraints": constraints,
            "liked": self._merged(state.liked, meaning.liked, meaning.disliked),
            "disliked": self._merged(state.disliked, meaning.disliked, meaning.liked),
        }

    def _checkable(self, kept: list[ConstraintInForce]) -> tuple[list[ConstraintInForce], tuple[str, ...]]:
        """Earlier constraints that the catalogue, perhaps rebuilt since, can check; a sentence for each other one."""
        parsed = Understanding(set=tuple(Constraint(c["said"], from_json(c["where"])) for c in kept))
        still, lost = checked(parsed, self.box.catalogue)
        return [{"said": c.said, "where": to_json(c.predicate)} for c in still.set], lost

    def _examples(self, rows: tuple[int, ...]) -> list[dict[str, Any]]:
        """Whoever asks for something like an item does not ask for that item."""
        ids = tuple(self.box.catalogue.ids[row] for row in rows)
        return [{"where": to_json(Compare("item_id", "not_in", ids))}] if ids else []

    def _merged(self, kept: list[str | int], new: tuple[int, ...], opposite: tuple[int, ...]) -> list[str | int]:
        """Feedback so far with this turn's; what was taken back by its opposite is gone."""
        gone = {str(self.box.catalogue.ids[row]) for row in opposite}
        merged = {str(item_id): item_id for item_id in kept if str(item_id) not in gone}
        merged.update({str(self.box.catalogue.ids[row]): self.box.catalogue.ids[row] for row in new})
        return list(merged.values())

    def _ask(
        self, model: LanguageModel, message: str, plain: Understanding, history: History,
        constraints: list[ConstraintInForce], deadline: float,
    ) -> tuple[Understanding, Outcome]:  # fmt: skip
        limits, catalogue = self.box.limits, self.box.catalogue
        shown = history.liked_rows(limits.history_shown)
        turn = {
            "message": message,
            "history_oldest_first": [{"id": catalogue.ids[row], "title": catalogue.titles[row]} for row in shown],
            "constraints_in_force": constraints,
            "columns": {c: kind for c, kind in catalogue.kinds.items() if kind in ("number", "year", "date", "flag", "category")},
        }
        most = str(limits.preferences)
        prompt = prompts.render("extract_preferences", least="3", most=most, turn=json.dumps(turn, ensure_ascii=False))
        budget = remaining(limits, Usage(), deadline)
        used = (prompt.name, prompt.version)
        try:
            answer = model.ask(prompt, ExtractAnswer, budget)
        except ModelMisbehaved as error:
            note = f"preferences are plain: {error}"
            return plain, Outcome.of(budget, used, note)
        return self._understanding(answer, message, history, limits.preferences), Outcome.of(budget, used)

    def _understanding(self, answer: ExtractAnswer, message: str, history: History, most: int) -> Understanding:
        """The model's answer with every reference resolved, or dropped and counted."""
        mine, dropped = set(history.rows.tolist()), 0
        found = []
        for wanted in answer.preferences[:most]:
            rows = [self.box.catalogue.resolve(reference) for reference in wanted.evidence]
            evidence = tuple(dict.fromkeys(row for row in rows if row is not None and row in mine))
            dropped += sum(row is None or row not in mine for row in rows)
            if wanted.preference.strip():
                found.append(Preference(wanted.preference.strip()[:200], min(1.0, max(0.05, wanted.weight)), evidence))
        named = [answer.liked, answer.disliked, answer.alike]
        liked, disliked, alike = (tuple(row for row in map(self._named, group) if row is not None) for group in named)
        dropped += sum(map(len, named)) - len(liked) - len(disliked) - len(alike)
        constraints = tuple(
            Constraint(c.said, Compare(c.column, c.operator, _value(c))) for c in answer.constraints_set if c.values
        )
        return Understanding(
            answer.intent if message else "recommend", answer.request.strip() if message else "", tuple(found),
            liked, disliked, alike, constraints, tuple(answer.constraints_clear), dropped,
        )  # fmt: skip

    def _named(self, reference: str | int) -> int | None:
        row = self.box.catalogue.resolve(reference)
        return row if row is not None else self.reader.title(str(reference))


def _value(constraint: ConstraintAnswer) -> Any:
    several = constraint.operator in ("in", "not_in")
    return tuple(constraint.values) if several else constraint.values[0]
