"""The picture: the nodes of a turn and the edges between them, and nothing else."""

from collections.abc import Callable
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.types import Checkpointer

from duetto.graph.state import Context, State, TurnInput, TurnOutput
from duetto.tools.language import LOOKED_UP, RANKED

Node = Callable[..., dict[str, Any]]
OF_ITEMS = ("about", "why", "why_not", "compare")


def by_intent(state: State) -> list[str]:
    """A request for recommendations wakes both voices; nothing else pays for them."""
    meaning = state.understood.meaning
    nothing_to_tell = meaning.intent in OF_ITEMS and not meaning.items
    if meaning.question is not None or nothing_to_tell:
        return ["answer"]
    if meaning.intent in LOOKED_UP or state.understood.barred:
        return ["look_up"]
    if meaning.intent not in RANKED:
        return ["answer"]
    return ["collaborate", "write_queries" if state.understood.queries is None else "retrieve"]


def by_fit(state: State) -> str:
    """What does not fit the request is looked for again, once; what was ranked for nobody to see is not explained."""
    if state.ranking.unfit:
        return "repair"
    return "answer" if state.ranking.place is not None else "explain"


def build(
    *,
    extract_preferences: Node,
    write_queries: Node,
    retrieve: Node,
    collaborate: Node,
    rerank: Node,
    repair: Node,
    explain: Node,
    look_up: Node,
    answer: Node,
    record: Node | None = None,
    checkpointer: Checkpointer = None,
    store: BaseStore | None = None,
) -> CompiledStateGraph[State, Context, TurnInput, TurnOutput]:
    graph = StateGraph(State, context_schema=Context, input_schema=TurnInput, output_schema=TurnOutput)
    graph.add_node("extract_preferences", extract_preferences)
    graph.add_node("write_queries", write_queries)
    graph.add_node("retrieve", retrieve)
    graph.add_node("collaborate", collaborate)
    graph.add_node("rerank", rerank, defer=True)
    graph.add_node("repair", repair)
    graph.add_node("explain", explain)
    graph.add_node("look_up", look_up)
    graph.add_node("answer", answer)

    graph.add_edge(START, "extract_preferences")
    graph.add_conditional_edges(
        "extract_preferences", by_intent, ["write_queries", "retrieve", "collaborate", "look_up", "answer"]
    )
    graph.add_edge("write_queries", "retrieve")
    graph.add_edge("retrieve", "rerank")
    graph.add_edge("collaborate", "rerank")
    graph.add_conditional_edges("rerank", by_fit, ["repair", "explain", "answer"])
    graph.add_edge("repair", "retrieve")
    graph.add_edge("explain", "answer")
    graph.add_edge("look_up", "answer")
    if record is None:
        graph.add_edge("answer", END)
    else:
        graph.add_node("record", record)
        graph.add_edge("answer", "record")
        graph.add_edge("record", END)
    return graph.compile(checkpointer=checkpointer, store=store, name="duetto")
