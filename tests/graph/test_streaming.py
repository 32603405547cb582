"""What a caller sees while a turn runs."""

import asyncio
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from duetto.graph.state import Context, TurnInput
from duetto.tools.index import Index
from duetto.wiring import Graph
from tests.graph.parts import graph_over, scripted

TURN: TurnInput = {"user": "p001", "message": "something funny"}
ANSWERS: dict[str, dict[str, Any]] = {
    "ExtractAnswer": {"intent": "recommend", "request": "something funny"},
    "QueriesAnswer": {"queries": [{"query": "a warm comedy", "serves": 0}]},
    "ExplainAnswer": {"reason": "It is funny."},
}


def obedient(messages: list[BaseMessage], schema: str) -> dict[str, Any]:
    return ANSWERS[schema]


@pytest.fixture
def spoken(sample_index: Index) -> Graph:
    """A graph whose model answers as asked."""
    return graph_over(sample_index, model=scripted(obedient)[0])


def streamed(graph: Graph, *modes: Any, context: Context | None = None) -> list[tuple[str, Any]]:
    return [(mode, data) for mode, data in graph.stream(TURN, stream_mode=list(modes), context=context)]


async def parts_of(graph: Graph) -> list[tuple[str, Any]]:
    modes: Any = ["updates", "custom", "messages"]
    return [(part["type"], part["data"]) async for part in graph.astream(TURN, stream_mode=modes, version="v2")]


def test_every_node_reports_when_it_is_done(graph: Graph) -> None:
    done = [node for mode, update in streamed(graph, "updates", "custom") if mode == "updates" for node in update]
    assert (done[0], done[-3:]) == ("extract_preferences", ["rerank", "explain", "answer"])


@pytest.mark.parametrize("speaker", ["graph", "spoken"])
def test_the_ranking_comes_first_and_then_one_reason_a_pick(request: pytest.FixtureRequest, speaker: str) -> None:
    graph: Graph = request.getfixturevalue(speaker)
    events = [data for mode, data in streamed(graph, "updates", "custom") if mode == "custom"]
    assert [event["event"] for event in events] == ["ranking", *["reason"] * 10]
    assert sorted(event["rank"] for event in events[1:]) == list(range(1, 11))


@pytest.mark.parametrize("speaker", ["graph", "spoken"])
def test_the_events_say_what_the_answer_says(request: pytest.FixtureRequest, speaker: str) -> None:
    seen = streamed(request.getfixturevalue(speaker), "values", "custom")
    events = [data for mode, data in seen if mode == "custom"]
    answer = seen[-1][1]["answer"]
    ranking, reasons = events[0]["recommendations"], {event["rank"]: event for event in events[1:]}
    for r in answer["recommendations"]:
        assert (ranking[r["rank"] - 1]["item_id"], ranking[r["rank"] - 1]["title"]) == (r["item_id"], r["title"])
        assert (reasons[r["rank"]]["reason"], reasons[r["rank"]]["by"]) == (r["reason"], r["reason_by"])


def test_where_no_reasons_are_wanted_none_are_sent(graph: Graph) -> None:
    events = streamed(graph, "custom", context=Context(reasons="none"))
    assert [data["event"] for _, data in events] == ["ranking"]


def test_an_empty_ranking_is_sent_too(graph: Graph) -> None:
    events = list(graph.stream({"message": "a film from 1850"}, stream_mode="custom"))
    assert events == [{"event": "ranking", "recommendations": []}]


def test_an_async_caller_gets_the_same_in_typed_parts(spoken: Graph) -> None:
    parts = asyncio.run(parts_of(spoken))
    kinds = [data["event"] for kind, data in parts if kind == "custom"]
    assert kinds == ["ranking", *["reason"] * 10]
    assert {node for kind, update in parts if kind == "updates" for node in update} >= {"rerank", "answer"}


def test_the_messages_are_the_conversation_and_no_structured_answers(spoken: Graph) -> None:
    told = [data[0] for kind, data in asyncio.run(parts_of(spoken)) if kind == "messages"]
    assert [message.type for message in told] == ["human", "ai"]
    assert told[1].text.startswith("Here is what I found:")
