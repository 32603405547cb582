"""The two voices' branches: `retrieve` writes `found`, `collaborate` writes `gathered`.

Each runs its tool over the whole catalogue. A tool that fails leaves its branch empty and says so: the other voice
then answers alone.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any

from langchain_core.tools import BaseTool

from duetto.errors import BadInput
from duetto.graph.carried import known_to
from duetto.graph.state import Found, Gathered, Outcome, State, since
from duetto.tools.agent_tools import artifact

log = logging.getLogger("duetto")


@dataclass(frozen=True)
class Retrieve:
    search_catalogue: BaseTool

    def __call__(self, state: State) -> dict[str, Any]:
        started = time.perf_counter()
        queries = [query.text for query in state.queries]
        heard, degraded = _run(self.search_catalogue, "the vector search", state, queries=queries)
        if heard is not None and heard.unheard:
            unknown = "; ".join(f"“{query[:80]}”" for query in heard.unheard)
            degraded += (f"no word of {unknown} occurs in the catalogue, so it was not searched for",)
        return {"found": Found(heard, Outcome(since(started), degraded=degraded))}


@dataclass(frozen=True)
class Collaborate:
    recommend_from_history: BaseTool

    def __call__(self, state: State) -> dict[str, Any]:
        started = time.perf_counter()
        chosen, degraded = _run(self.recommend_from_history, "the collaborative filter", state)
        return {"gathered": Gathered(chosen, Outcome(since(started), degraded=degraded))}


def _run(tool: BaseTool, name: str, state: State, **arguments: Any) -> tuple[Any, tuple[str, ...]]:
    understood = state.understood
    try:
        return artifact(
            tool, f"{tool.name}-{state.turn}", user=understood.user, liked=known_to(vars(state)), disliked=state.disliked,
            hidden=list(understood.hidden), where=understood.where, **arguments,
        ), ()  # fmt: skip
    except BadInput:
        raise
    except Exception as error:  # whatever a store or a model raises, the other branch must still answer
        log.info("%s failed", name, exc_info=True)
        return None, (f"{name} failed ({type(error).__name__}), so the other voice answers alone",)
