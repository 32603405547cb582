"""Finds words for each pick, after the ranking was sent. Writes `explained` and streams reasons one by one."""

import json
import time
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from typing import Any, Literal

from langchain_core.runnables.config import ContextThreadPoolExecutor
from langgraph.runtime import Runtime
from pydantic import BaseModel

from duetto import prompts
from duetto.errors import ModelMisbehaved
from duetto.graph.state import Context, Explained, Outcome, State, since
from duetto.tools.agent_tools import Toolbox
from duetto.tools.chat.budget import Budget, remaining
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.grounding import strangers
from duetto.tools.language import Reason, Step
from duetto.tools.pick import Pick
from duetto.tools.plain.reasons import reason as plain_reason
from duetto.tools.turnstile import waiting


class StepAnswer(BaseModel):
    preference: int
    why: str
    fitness: float
    likelihood: Literal["low", "medium", "high"]


class ExplainAnswer(BaseModel):
    """What the model answers; see prompts/explain_item.md."""

    steps: list[StepAnswer] = []
    reason: str
    evidence: list[str | int] = []


@dataclass(frozen=True)
class Explain:
    box: Toolbox
    model: LanguageModel | None

    def __call__(self, state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        started = time.perf_counter()
        mode, picks = state.understood.reasons, state.ranking.picks
        if mode == "none" or not picks:
            return {"explained": Explained((None,) * len(picks), Outcome(since(started)))}
        wish = state.understood.meaning.wish
        preferences = state.understood.preferences
        reasons = [plain_reason(pick, preferences, wish, self.box.catalogue) for pick in picks]
        outcome = Outcome()
        by_model: list[int] = []
        if mode == "model" and self.model is not None:
            by_model = list(range(min(self.box.limits.reasons_by_model, len(picks))))
            outcome = self._ask(self.model, state, reasons, by_model, runtime) if by_model else outcome
        elif mode == "model":
            outcome = Outcome(degraded=("reasons are plain: no chat model is configured (set DUETTO_MODEL)",))
        for place, pick in enumerate(picks):
            if place not in by_model:
                self._send(runtime, place, pick, reasons[place])
        return {"explained": Explained(tuple(reasons), replace(outcome, ms=since(started)))}

    def _ask(
        self, model: LanguageModel, state: State, reasons: list[Reason], places: list[int], runtime: Runtime[Context]
    ) -> Outcome:
        """Replaces the reasons at these places by the model's, in parallel; each is sent as it arrives."""
        spent = state.understood.outcome.usage + state.written.outcome.usage
        budget = remaining(self.box.limits, spent, state.understood.deadline)
        degraded: list[str] = []
        one = self.box.turnstile.guarding(self._one, first=False)
        with waiting(), ContextThreadPoolExecutor(max_workers=len(places)) as pool:
            asked = {pool.submit(one, model, state, place, budget): place for place in places}
            for done in as_completed(asked):
                place = asked[done]
                try:
                    reasons[place], dropped = done.result()
                    note = f"reason {place + 1}: references of the model that rest on no evidence, dropped: {dropped}"
                    degraded += [note] if dropped else []
                except ModelMisbehaved as error:
                    degraded.append(f"reason {place + 1} is plain: {error}")
                self._send(runtime, place, state.ranking.picks[place], reasons[place])
        used = ("explain_item", prompts.version("explain_item"))
        return Outcome.of(budget, used, *sorted(degraded))

    def _one(self, model: LanguageModel, state: State, place: int, budget: Budget) -> tuple[Reason, int]:
        pick, catalogue, understood = state.ranking.picks[place], self.box.catalogue, state.understood
        citable = [row for row, _ in (*pick.history, *pick.resembles)]
        citable += [row for fit in pick.fits for row in understood.preferences[fit.preference].evidence]
        rests_on = {row for row, _ in pick.support}
        citable = [row for row in dict.fromkeys(citable) if row in rests_on]
        turn = {
            "message": understood.message,
            "language": understood.meaning.language,
            "preferences": [
                {
                    "number": fit.preference + 1,
                    "preference": understood.preferences[fit.preference].text,
                    "weight_for_this_item": fit.attention,
                    "evidence": [
                        str(catalogue.ids[row]) for row in understood.preferences[fit.preference].evidence if row in citable
                    ],
                }
                for fit in pick.fits
            ],
            "item": {
                "id": str(catalogue.ids[pick.row]),
                "title": catalogue.titles[pick.row],
                **_plain(catalogue.facts_of(pick.row)),
            },
            "history": [{"id": str(catalogue.ids[row]), "title": catalogue.titles[row]} for row in citable],
            "ranking": {
                "share_of_each_voice": pick.weights,
                "found_by": [{"query": query.text, "cosine": cosine} for query, cosine in pick.queries],
                "history_items_behind_the_crowd": [str(catalogue.ids[row]) for row, _ in pick.history],
            },
        }
        prompt = prompts.render("explain_item", turn=json.dumps(turn, ensure_ascii=False))
        answer = model.ask(prompt, ExplainAnswer, budget, about=str(catalogue.ids[pick.row]))
        return self._grounded(answer, pick, state, citable)

    def _grounded(self, answer: ExplainAnswer, pick: Pick, state: State, citable: list[int]) -> tuple[Reason, int]:
        """The model's reason without what the evidence does not hold, and how many of its references that were.

        Raises ModelMisbehaved when nothing is left.
        """
        catalogue, preferences = self.box.catalogue, state.understood.preferences
        cited = [catalogue.resolve(reference) for reference in answer.evidence]
        kept = [row for row in cited if row is not None and row in citable]
        allowed = {pick.row, *citable}
        if not answer.reason.strip() or strangers(answer.reason, allowed, catalogue):
            raise ModelMisbehaved("the chat model named items that are not among the evidence")
        steps = tuple(
            Step(preferences[s.preference - 1].text, s.why, min(1.0, max(0.0, s.fitness)), s.likelihood)
            for s in answer.steps
            if 1 <= s.preference <= len(preferences) and not strangers(s.why, allowed, catalogue)
        )
        dropped = len(cited) - len(kept) + len(answer.steps) - len(steps)
        return Reason(answer.reason.strip(), steps, tuple(dict.fromkeys(kept)), "model"), dropped

    def _send(self, runtime: Runtime[Context], place: int, pick: Pick, reason: Reason) -> None:
        item_id = self.box.catalogue.ids[pick.row]
        runtime.stream_writer({"event": "reason", "rank": place + 1, "item_id": item_id, "reason": reason.text, "by": reason.by})


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, int | float | bool) else str(value) for name, value in values.items()}
