"""The graph is what its picture says."""

import re
from pathlib import Path

from langgraph.graph import END, START

from duetto.wiring import Graph

README = Path(__file__).parents[2] / "README.md"
NODES = [
    "extract_preferences", "write_queries", "retrieve", "collaborate", "rerank", "repair", "explain", "look_up", "answer",
]  # fmt: skip
ASKED = [node for node in NODES if node not in ("write_queries", "repair", "look_up")]  # without a model


def test_the_nodes_are_those_of_the_design(graph: Graph) -> None:
    assert list(graph.get_graph().nodes) == [START, *NODES, END]


def test_the_edges_are_those_of_the_design(graph: Graph) -> None:
    edges = {(edge.source, edge.target, edge.conditional) for edge in graph.get_graph().edges}
    assert edges == {
        (START, "extract_preferences", False),
        ("extract_preferences", "write_queries", True),
        ("extract_preferences", "retrieve", True),
        ("extract_preferences", "collaborate", True),
        ("extract_preferences", "look_up", True),
        ("extract_preferences", "answer", True),
        ("write_queries", "retrieve", False),
        ("retrieve", "rerank", False),
        ("collaborate", "rerank", False),
        ("rerank", "repair", True),
        ("rerank", "explain", True),
        ("rerank", "answer", True),
        ("repair", "retrieve", False),
        ("look_up", "answer", False),
        ("explain", "answer", False),
        ("answer", END, False),
    }


def nodes_run(graph: Graph, message: str | None) -> list[str]:
    return [node for update in graph.stream({"user": "p001", "message": message}, stream_mode="updates") for node in update]


def test_a_request_wakes_both_voices_and_joins_them_once(graph: Graph) -> None:
    ran = nodes_run(graph, "a western")
    assert sorted(ran) == sorted(ASKED)
    assert ran.index("rerank") > max(ran.index("retrieve"), ran.index("collaborate"))


def test_small_talk_wakes_no_voice(graph: Graph) -> None:
    assert nodes_run(graph, "hello!") == ["extract_preferences", "answer"]


def test_a_silent_visitor_wakes_both_voices(graph: Graph) -> None:
    assert sorted(nodes_run(graph, None)) == sorted(ASKED)


def test_the_readme_shows_the_graph_as_it_is(graph: Graph) -> None:
    # To mend it: paste `open_graph("sample").get_graph().draw_mermaid()` between the fences.
    shown = re.search(r"```mermaid\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None, "README.md has no mermaid block"
    assert shown[1].strip() == graph.get_graph().draw_mermaid().strip()
