"""Plays recorded turns over a graph of today."""

import uuid
from collections.abc import Callable
from typing import Any, cast

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Checkpointer
from langsmith import tracing_context
from pydantic import BaseModel

from duetto.errors import NotReady
from duetto.evals.replay import call_of
from duetto.graph.record import Keeper, Recorded
from duetto.graph.state import Context
from duetto.limits import Limits
from duetto.tools.chat.language_model import LanguageModel, Method
from duetto.tools.chat.recorded import RecordedModel, recorded_model

Graph = Any  # a compiled graph whose turns end at the keeper
MakeGraph = Callable[[LanguageModel | None, Keeper, Checkpointer], Graph]


class Player:
    """`live` is the model that answers; without it the recorded one does where `recorded`, else the plain twins do."""

    def __init__(self, make: MakeGraph, live: LanguageModel | None, limits: Limits, recorded: bool) -> None:
        self._make, self._live, self._limits, self._recorded = make, live, limits, recorded
        self._graphs: dict[str | None, tuple[Graph, RecordedModel | None]] = {}
        self._threads = InMemorySaver()
        self._kept: list[Recorded] = []

    def append(self, name: str, line: BaseModel) -> None:
        """Keeps what the graph records."""
        self._kept.append(cast(Recorded, line))

    def play(self, turn: Recorded) -> tuple[Recorded, list[tuple[str, str, str]]]:
        """The turn as it goes today, and (prompt, about, match) of what it asked the recorded model."""
        graph, model = self._graph(turn)
        if model is not None:
            model.tape.load([call_of(call) for call in turn.calls])
        thread = str(uuid.uuid4())
        config = {"configurable": {"thread_id": thread}, "run_name": "replay"}
        given: dict[str, Any] = {"user": turn.answer.user, "message": turn.message}
        if turn.told is not None:
            said = [HumanMessage(turn.message)] if turn.message else []
            given = {"user": turn.answer.user, "messages": [AIMessage(turn.told), *said]}
        context = Context(k=turn.k, reasons=turn.reasons)
        try:
            with tracing_context(enabled=False):
                graph.update_state(config, turn.before.model_dump(), as_node="answer")
                graph.invoke(given, config, context=context)
        finally:
            self._threads.delete_thread(thread)
        if not self._kept:
            raise NotReady("the turn could not be written down")
        heard = model.tape.heard if model is not None else []
        return self._kept.pop(), [(prompt, about, str(match)) for prompt, about, match in heard]

    def _graph(self, turn: Recorded) -> tuple[Graph, RecordedModel | None]:
        """One for each way in which recorded models were asked, one for the plain twins."""
        method = turn.setup.method if self._recorded else None
        if method not in self._graphs:
            taped = None if method is None else recorded_model(turn.setup.model or "", cast(Method, method), self._limits)
            self._graphs[method] = self._make(taped or self._live, self, self._threads), taped
        return self._graphs[method]
