"""Folds the turn into one reply: an `Answer` and a message. Writes `answer` and `messages`."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.tracers import Run
from langgraph.runtime import Runtime
from pydantic import BaseModel

from duetto.graph.state import Context, ItemId, Outcome, State
from duetto.tools.catalogue import Catalogue
from duetto.tools.chat.budget import Usage, cost
from duetto.tools.fusion import PARTS
from duetto.tools.journal import Pseudonyms
from duetto.tools.language import Reason
from duetto.tools.pick import Pick
from duetto.tools.tracing import describe_turn, turn_runs


class Cited(BaseModel):
    item_id: ItemId
    title: str


class ConstraintShown(BaseModel):
    said: str
    where: dict[str, Any]


class PreferenceShown(BaseModel):
    preference: str
    weight: float
    evidence: list[Cited]


class QueryShown(BaseModel):
    query: str
    serves: str


class QueryHit(BaseModel):
    query: str
    cosine: float


class HistoryHit(BaseModel):
    item_id: ItemId
    title: str
    share: float


class FoundBy(BaseModel):
    """Which queries found the item, and which history items speak for it in the crowd's view."""

    queries: list[QueryHit]
    history: list[HistoryHit]


class StepShown(BaseModel):
    preference: str
    why: str
    fitness: float
    likelihood: Literal["low", "medium", "high"]


class PreferenceWeight(BaseModel):
    preference: str
    attention: float
    fitness: float


class Recommendation(BaseModel):
    """`parts[voice][part]` sum to `score`; `weights` are each voice's share of the summed absolute parts."""

    rank: int
    item_id: ItemId
    title: str
    attributes: dict[str, Any]
    score: float
    parts: dict[str, dict[str, float]]
    weights: dict[str, float]
    found_by: FoundBy
    preferences: list[PreferenceWeight]
    reason: str | None
    reason_by: Literal["plain", "model"] | None
    cites: list[Cited]
    steps: list[StepShown]


class UsageShown(BaseModel):
    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None


class Answer(BaseModel):
    """One turn's answer, the object `duetto ask --json` prints. `cost` is null without a price table."""

    schema_: Literal[1] = 1
    thread: str | None
    turn: int
    run_id: str | None
    user: ItemId | None
    known: bool
    index: str
    intent: str
    constraints: list[ConstraintShown]
    preferences: list[PreferenceShown]
    queries: list[QueryShown]
    recommendations: list[Recommendation]
    reply: str
    degraded: list[str]
    prompts: dict[str, str]
    usage: UsageShown
    timings_ms: dict[str, float]

    model_config = {"alias_generator": lambda name: "schema" if name == "schema_" else name, "populate_by_name": True}


def wordless(note: str) -> str:
    """A note of what degraded, without anything it quotes."""
    return re.split("[“\"':(]", note)[0].strip()


NODES = ("extract_preferences", "write_queries", "retrieve", "collaborate", "rerank", "explain")


@dataclass(frozen=True)
class Reply:
    catalogue: Catalogue
    index: str
    price: tuple[float, float] | None
    pseudonyms: Pseudonyms | None = None

    def __call__(self, state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        understood = state.understood
        told = dict(zip(NODES, outcomes(state), strict=True))
        ran = {node: outcome for node, outcome in told.items() if outcome.ms}
        spent = sum((outcome.usage for outcome in told.values()), Usage())
        info, runs = runtime.execution_info, turn_runs()
        recommendations = [
            self._shown(n, pick, state.explained.reasons[n - 1], state) for n, pick in enumerate(state.ranking.picks, start=1)
        ]
        answer = Answer(
            thread=info.thread_id if info else None,
            turn=state.turn,
            run_id=_run_id(info.run_id if info else None, runs),
            user=understood.user,
            known=understood.history.known,
            index=self.index,
            intent=understood.meaning.intent,
            constraints=[ConstraintShown(**constraint) for constraint in state.constraints],
            preferences=[
                PreferenceShown(preference=p.text, weight=p.weight, evidence=[self._cited(row) for row in p.evidence])
                for p in understood.preferences
            ],
            queries=[QueryShown(query=query.text, serves=query.serves) for query in state.written.queries],
            recommendations=recommendations,
            reply=self._reply(state, recommendations),
            degraded=[note for outcome in told.values() for note in outcome.degraded],
            prompts=dict(outcome.prompt for outcome in told.values() if outcome.prompt),
            usage=UsageShown(
                calls=spent.calls,
                input_tokens=spent.input_tokens,
                output_tokens=spent.output_tokens,
                cost=cost(spent, self.price),
            ),
            timings_ms={**{node: outcome.ms for node, outcome in ran.items()}, "total": _total(ran)},
        )
        if runs:
            self._trace(runs, answer)
        said: list[AnyMessage] = [HumanMessage(understood.message)] if state.message is not None else []
        return {
            "answer": answer.model_dump(mode="json", by_alias=True),
            "messages": [*said, AIMessage(answer.reply)],
        }

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
        return Cited(item_id=self.catalogue.ids[row], title=self.catalogue.titles[row])

    def _shown(self, rank: int, pick: Pick, reason: Reason | None, state: State) -> Recommendation:
        parts: dict[str, dict[str, float]] = {}
        for part, value in pick.parts.items():
            parts.setdefault(PARTS[part], {})[part] = value
        preferences = state.understood.preferences
        steps = [] if reason is None else [StepShown(**vars(step)) for step in reason.steps]
        return Recommendation(
            rank=rank,
            item_id=self.catalogue.ids[pick.row],
            title=self.catalogue.titles[pick.row],
            attributes=self.catalogue.facts_of(pick.row),
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

    def _reply(self, state: State, recommendations: list[Recommendation]) -> str:
        if state.understood.meaning.intent == "small_talk":
            return "Hello! Tell me what you are in the mood for, or name something you liked."
        limited = "; ".join(constraint["said"] for constraint in state.constraints)
        if not recommendations and (state.found.heard is None or state.ranking.outcome.degraded):
            return "I could not search the catalogue just now, so I have nothing to recommend; please ask again."
        if not recommendations:
            why = f" ({limited})" if limited else ""
            return f"I found nothing in the catalogue{why} that you do not have already."
        opening = f"Here is what I found ({limited}):" if limited else "Here is what I found:"
        lines = [f"{r.rank}. {r.title}{_year(r)}" + (f" - {r.reason}" if r.reason else "") for r in recommendations]
        return "\n".join([opening, *lines])


def _year(recommendation: Recommendation) -> str:
    year = recommendation.attributes.get("year")
    return f" ({year})" if year else ""


def outcomes(state: State) -> tuple[Outcome, ...]:
    return (
        state.understood.outcome, state.written.outcome, state.found.outcome,
        state.gathered.outcome, state.ranking.outcome, state.explained.outcome,
    )  # fmt: skip


def _run_id(given: object, traced: list[Run]) -> str | None:
    """The caller's, else that of the trace."""
    return str(given) if given else str(traced[0].id) if traced else None


def _total(ran: dict[str, Outcome]) -> float:
    """What the person waited for: parallel nodes count once, by the slower."""
    together = max((ran[node].ms for node in ("write_queries", "collaborate") if node in ran), default=0.0)
    alone = sum(outcome.ms for node, outcome in ran.items() if node not in ("write_queries", "collaborate"))
    return round(together + alone, 2)
