"""Folds the turn into one reply: an `Answer` and a message. Writes `answer`, `messages`, and what the next turn may point at."""

import time
from dataclasses import dataclass, replace
from typing import Any, cast

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.tracers import Run
from langgraph.runtime import Runtime

from duetto.graph.answer import (
    NODES,
    Answer,
    ChangesShown,
    Cited,
    ConstraintShown,
    FoundBy,
    HistoryHit,
    ItemTold,
    PreferenceShown,
    PreferenceWeight,
    QueryHit,
    QueryShown,
    QuestionShown,
    Recommendation,
    RelaxationShown,
    SoftShown,
    StepShown,
    UsageShown,
    outcomes,
    wordless,
)
from duetto.graph.carried import question_kept
from duetto.graph.saying import changes, opening, question_of, relaxed
from duetto.graph.state import Context, ItemId, ItemShown, Outcome, State, since
from duetto.graph.translate import translated
from duetto.tools.agent_tools import Toolbox
from duetto.tools.chat.budget import Usage, cost, remaining
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.fusion import PARTS
from duetto.tools.journal import Pseudonyms
from duetto.tools.language import Reason
from duetto.tools.pick import Pick
from duetto.tools.tracing import describe_turn, turn_runs


@dataclass(frozen=True)
class Reply:
    box: Toolbox
    index: str
    model: LanguageModel | None
    pseudonyms: Pseudonyms | None = None

    def __call__(self, state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        understood, box = state.understood, self.box
        meaning = understood.meaning
        moved, loosened = changes(state, box), relaxed(state, box)
        question = question_of(state)
        picks = state.ranking.picks if state.ranking.place is None else ()
        lines = opening(state, box, moved, loosened)
        lines, asked, reasons, outcome = self._in_their_language(state, lines, question.text if question else "", picks)
        recommendations = [self._shown(n, pick, reasons[n - 1], state) for n, pick in enumerate(picks, start=1)]
        told = dict(zip(NODES, (*outcomes(state)[:-1], outcome), strict=True))
        ran = {node: one for node, one in told.items() if one.ms}
        spent = sum((one.usage for one in told.values()), Usage())
        info, runs = runtime.execution_info, turn_runs()
        answer = Answer(
            thread=info.thread_id if info else None,
            turn=state.turn,
            run_id=_run_id(info.run_id if info else None, runs),
            user=understood.user,
            known=understood.history.known,
            index=self.index,
            intent=meaning.intent,
            language=meaning.language,
            constraints=[ConstraintShown(**constraint) for constraint in state.constraints],
            soft=SoftShown(
                leanings=[leaning.said for leaning in meaning.leanings],
                avoid=list(meaning.avoid),
                unchecked=list(meaning.unchecked),
            ),
            question=None if question is None else QuestionShown(text=asked, options=[o.label for o in question.options]),
            items=[
                ItemTold(**self._cited(row).model_dump(), attributes=box.catalogue.facts_of(row))
                for row in state.looked.rows or meaning.items
            ],
            facts=state.looked.facts,
            changes=None
            if moved is None
            else ChangesShown(
                because=list(moved.because),
                entered=[self._cited(row) for row in moved.entered],
                left=[self._cited(row) for row in moved.left],
            ),
            relaxations=[RelaxationShown(gives_up=list(r.gives_up), now=r.now, count=r.count) for r in loosened],
            preferences=[
                PreferenceShown(preference=p.text, weight=p.weight, evidence=[self._cited(row) for row in p.evidence])
                for p in understood.preferences
            ],
            queries=[QueryShown(query=query.text, serves=query.serves) for query in state.queries],
            recommendations=recommendations,
            reply="\n".join([*lines, *map(_listed, recommendations), *([asked] if asked else [])]),
            degraded=[note for one in told.values() for note in one.degraded],
            prompts=dict(one.prompt for one in told.values() if one.prompt),
            usage=UsageShown(
                calls=spent.calls,
                input_tokens=spent.input_tokens,
                output_tokens=spent.output_tokens,
                cost=cost(spent, self.model.price if self.model else None),
            ),
            timings_ms={**{node: one.ms for node, one in ran.items()}, "total": _total(ran)},
        )
        if runs:
            self._trace(runs, answer)
        said: list[AnyMessage] = [HumanMessage(understood.message)] if state.message is not None else []
        return {
            "answer": answer.model_dump(mode="json", by_alias=True),
            "messages": [*said, AIMessage(answer.reply)],
            "shown": self._lists(state, recommendations),
            "focus": self._focus(state),
            "question": question_kept(question, box.catalogue),
            "spoken": outcome,
        }

    def _lists(self, state: State, recommendations: list[Recommendation]) -> list[list[ItemShown]]:
        """The lists that can be pointed at, with this turn's; the steps behind reasons are kept of the newest alone."""
        before = state.understood.before["shown"]
        shown: list[ItemShown] = [
            {"item_id": r.item_id, "reason": r.reason, "weights": r.weights, "steps": [step.model_dump() for step in r.steps]}
            for r in recommendations
        ]
        if not shown:
            return before
        older: list[list[ItemShown]] = [[{**item, "steps": []} for item in items] for items in before]
        return [*older, shown][-self.box.limits.lists_kept :]

    def _focus(self, state: State) -> list[ItemId]:
        """What "it" means in the next turn: what this one was about, unless it showed a list."""
        if state.ranking.picks and state.ranking.place is None:
            return []
        rows = state.looked.rows or state.understood.meaning.items
        return [self.box.catalogue.ids[row] for row in rows] or state.understood.before["focus"]

    def _in_their_language(
        self, state: State, lines: list[str], asked: str, picks: tuple[Pick, ...]
    ) -> tuple[list[str], str, list[Reason | None], Outcome]:
        """The sentences, the question and the plain reasons; by the chat model, where the person does not write English."""
        started = time.perf_counter()
        reasons = list(state.explained.reasons)
        understood = state.understood
        if self.model is None or understood.meaning.language.lower() in ("english", "en", ""):
            return lines, asked, reasons, Outcome()
        plain = [place for place, reason in enumerate(reasons) if reason is not None and reason.by == "plain"]
        sentences = [*lines, *([asked] if asked else []), *(reasons[place].text for place in plain)]  # type: ignore[union-attr]
        spent = sum((outcome.usage for outcome in outcomes(state)), Usage())
        budget = remaining(self.box.limits, spent, understood.deadline)
        titles = [self.box.catalogue.titles[pick.row] for pick in picks]
        new, outcome = translated(self.model, sentences, understood.meaning.language, titles, budget)
        for place, text in zip(plain, new[len(sentences) - len(plain) :], strict=True):
            reasons[place] = replace(cast(Reason, reasons[place]), text=text)
        question = new[len(lines)] if asked else ""
        return new[: len(lines)], question, reasons, replace(outcome, ms=since(started))

    def _trace(self, runs: list[Run], answer: Answer) -> None:
        """What is known of a turn only at its end; who spoke is a pseudonym."""
        shares = [r.weights for r in answer.recommendations]
        weights = {voice: round(sum(s[voice] for s in shares) / len(shares), 3) for voice in (shares[0] if shares else ())}
        describe_turn(
            runs,
            {
                "thread": self.pseudonyms.of(answer.thread) if self.pseudonyms else None,
                "user": self.pseudonyms.of(answer.user) if self.pseudonyms else None,
                "known": answer.known,
                "index": answer.index,
                "prompts": answer.prompts,
                "weights": weights,
                "degraded": [wordless(note) for note in answer.degraded],
                "model_calls": answer.usage.calls,
            },
            ["duetto", answer.intent, *(["degraded"] if answer.degraded else [])],
        )

    def _cited(self, row: int) -> Cited:
        return Cited(item_id=self.box.catalogue.ids[row], title=self.box.catalogue.titles[row])

    def _shown(self, rank: int, pick: Pick, reason: Reason | None, state: State) -> Recommendation:
        parts: dict[str, dict[str, float]] = {}
        for part, value in pick.parts.items():
            parts.setdefault(PARTS[part], {})[part] = value
        preferences = state.understood.preferences
        steps = [] if reason is None else [StepShown(**vars(step)) for step in reason.steps]
        return Recommendation(
            rank=rank,
            item_id=self.box.catalogue.ids[pick.row],
            title=self.box.catalogue.titles[pick.row],
            attributes=self.box.catalogue.facts_of(pick.row),
            score=round(pick.score, 5),
            parts=parts,
            weights=pick.weights,
            found_by=FoundBy(
                queries=[QueryHit(query=query.text, cosine=cosine) for query, cosine in pick.queries],
                history=[HistoryHit(**self._cited(row).model_dump(), share=share) for row, share in pick.history],
            ),
            preferences=[
                PreferenceWeight(preference=preferences[f.preference].text, attention=f.attention, fitness=f.fitness)
                for f in pick.fits
            ],
            reason=None if reason is None else reason.text,
            reason_by=None if reason is None else reason.by,
            cites=[] if reason is None else [self._cited(row) for row in reason.cited],
            steps=steps,
        )


def _listed(r: Recommendation) -> str:
    return f"{r.rank}. {r.title}{_year(r)}" + (f" - {r.reason}" if r.reason else "")


def _year(recommendation: Recommendation) -> str:
    year = recommendation.attributes.get("year")
    return f" ({year})" if year else ""


def _run_id(given: object, traced: list[Run]) -> str | None:
    """The caller's, else that of the trace."""
    return str(given) if given else str(traced[0].id) if traced else None


def _total(ran: dict[str, Outcome]) -> float:
    """What the person waited for: parallel nodes count once, by the slower."""
    parallel = ("write_queries" if "write_queries" in ran else "retrieve", "collaborate")
    together = max((ran[node].ms for node in parallel if node in ran), default=0.0)
    alone = sum(outcome.ms for node, outcome in ran.items() if node not in parallel)
    return round(together + alone, 2)
