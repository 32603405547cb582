"""The picture: the nodes of a turn and the edges between them, and nothing else."""

from collections.abc import Callable
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from duetto.graph.state import Context, State, TurnInput, TurnOutput

Node = Callable[..., dict[str, Any]]


def by_intent(state: State) -> list[str]:
    """A request for recommendations wakes both voices; small talk pays for neither."""
    return ["answer"] if state.understood.meaning.intent == "small_talk" else ["write_queries", "collaborate"]


def build(
    *,
    extract_preferences: Node,
    write_queries: Node,
    retrieve: Node,
    collaborate: Node,
    rerank: Node,
    explain: Node,
    answer: Node,
    record: Node | None = None,
    checkpointer: Checkpointer = None,
) -> CompiledStateGraph[State, Context, TurnInput, TurnOutput]:
    graph = StateGraph(State, context_schema=Context, input_schema=TurnInput, output_schema=TurnOutput)
    graph.add_node("extract_preferences", extract_preferences)
    graph.add_node("write_queries", write_queries)
    graph.add_node("retrieve", retrieve)
    graph.add_node("collaborate", collaborate)
    graph.add_node("rerank", rerank, defer=True)
    graph.add_node("explain", explain)
    graph.add_node("answer", answer)

    graph.add_edge(START, "extract_preferences")
    graph.add_conditional_edges("extract_preferences", by_intent, ["write_queries", "collaborate", "answer"])
    graph.add_edge("write_queries", "retrieve")
    graph.add_edge("retrieve", "rerank")
    graph.add_edge("collaborate", "rerank")
    graph.add_edge("rerank", "explain")
    graph.add_edge("explain", "answer")
    if record is None:
        graph.add_edge("answer", END)
    else:
        graph.add_node("record", record)
        graph.add_edge("answer", "record")
        graph.add_edge("record", END)
    return graph.compile(checkpointer=checkpointer, name="duetto")
