"""One turn through the front door, without a model: what comes in, what comes out, what stays."""

import asyncio
import json
import logging
import sqlite3
import uuid
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from duetto.errors import BadInput
from duetto.graph.answer import Answer
from duetto.graph.carried import CARRIED
from duetto.graph.state import Context, State, TurnInput
from duetto.limits import Limits
from duetto.settings import Settings
from duetto.tools.fusion import STRATEGIES
from duetto.tools.index import Index
from duetto.tools.predicate import from_json
from duetto.tools.threads import EitherSqliteSaver
from duetto.wiring import Graph, open_graph

MESSAGE = "a slow science fiction film from the 1970s, not horror"
SCHEMA = Path(__file__).parents[2] / "docs" / "turn.schema.json"
THREAD: RunnableConfig = {"configurable": {"thread_id": "t1"}}
MANY = ("p001", "p017", "p042", "p333", "p600", "nobody knows me", None)


def ask(graph: Graph, turn: TurnInput, config: RunnableConfig | None = None, context: Context | None = None) -> Answer:
    return Answer.model_validate(graph.invoke(turn, config, context=context)["answer"])


def ids(answer: Answer) -> list[str | int]:
    return [r.item_id for r in answer.recommendations]


def seen(index: Index, user: str) -> set[str | int]:
    return {index.catalogue.ids[row] for row in index.histories.of_user(user).rows}


@pytest.fixture(params=["memory", "sqlite"])
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> BaseCheckpointSaver[Any]:
    return InMemorySaver() if request.param == "memory" else EitherSqliteSaver.open(tmp_path / "threads.sqlite")


# a turn without a thread


def test_a_turn_gives_an_answer_that_validates(graph: Graph) -> None:
    answer = ask(graph, {"user": "p001", "message": MESSAGE})
    assert (answer.user, answer.known, answer.intent, answer.turn) == ("p001", True, "recommend", 1)
    assert [r.rank for r in answer.recommendations] == list(range(1, 11))
    assert all(r.attributes["year"] // 10 == 197 for r in answer.recommendations)
    assert not answer.degraded


def test_invoke_and_ainvoke_rank_alike(graph: Graph) -> None:
    turn: TurnInput = {"user": "p001", "message": MESSAGE}
    later = asyncio.run(graph.ainvoke(turn))["answer"]
    assert later["recommendations"] == graph.invoke(turn)["answer"]["recommendations"]


def test_a_stranger_is_a_cold_start_and_no_error(graph: Graph) -> None:
    answer = ask(graph, {"user": "nobody knows me", "message": "a western"})
    assert (answer.known, answer.preferences) == (False, [])
    assert "Western" in answer.recommendations[0].attributes["genres"]
    assert set(answer.recommendations[0].parts) == {"language"}


def test_a_silent_visitor_with_a_history_gets_both_voices(graph: Graph) -> None:
    answer = ask(graph, {"user": "p001"})
    assert answer.queries == []
    assert set(answer.recommendations[0].parts) == {"language", "crowd"}


def test_a_silent_stranger_gets_what_is_well_liked_in_each_region_of_the_catalogue(graph: Graph, sample_index: Index) -> None:
    answer = ask(graph, {}, context=Context(k=3))
    most = np.argsort(-sample_index.crowd.standing.liked, kind="stable")[:120]
    assert set(ids(answer)) < {sample_index.catalogue.ids[row] for row in most}
    assert ids(answer)[0] == sample_index.catalogue.ids[most[0]]
    vectors = sample_index.vectors[sample_index.catalogue.rows(ids(answer))]
    assert (vectors @ vectors.T)[np.triu_indices(3, 1)].max() < 0.5
    assert "most people chose" in str(answer.recommendations[0].reason)


def test_the_user_may_come_from_the_context_and_the_input_wins(graph: Graph) -> None:
    assert ask(graph, {"message": "funny"}, context=Context(user="p002")).user == "p002"
    assert ask(graph, {"user": "p001", "message": "funny"}, context=Context(user="p002")).user == "p001"


def test_small_talk_recommends_nothing(graph: Graph) -> None:
    answer = ask(graph, {"user": "p001", "message": "Hello there!"})
    assert (answer.intent, answer.recommendations) == ("small_talk", [])
    assert answer.reply.startswith("Hello!")


def test_an_example_is_not_recommended_back(graph: Graph) -> None:
    answer = ask(graph, {"message": "something like Alien"})
    assert answer.queries[0].serves == "like Alien"
    assert "Alien" not in [r.title for r in answer.recommendations]


def test_what_the_catalogue_does_not_have_is_said_and_not_replaced(graph: Graph) -> None:
    answer = ask(graph, {"user": "p001", "message": "a film from 1850"})
    assert answer.recommendations == []
    assert answer.reply.startswith("Nothing in the whole catalogue is within your limits (from 1850).")
    assert [(r.gives_up, r.now) for r in answer.relaxations] == [(["from 1850"], None)]


def test_a_diverse_list_of_nothing_is_empty_too(settings: Settings) -> None:
    diverse = open_graph("sample", settings=replace(settings, limits=Limits(diversity=0.5)))
    assert ask(diverse, {"message": "a film from 1850"}).recommendations == []
    assert len(ask(diverse, {"message": "a funny film"}).recommendations) == 10


@pytest.mark.parametrize("user", MANY)
def test_what_a_person_has_is_never_recommended(graph: Graph, sample_index: Index, user: str | None) -> None:
    for message in (None, "something funny"):
        answer = ask(graph, {"user": user, "message": message}, context=Context(k=100))
        assert len(set(ids(answer))) == 100
        assert not set(ids(answer)) & (seen(sample_index, user) if user else set())


@pytest.mark.parametrize(
    "message", ["a comedy under 90 minutes", "not horror, before 1960", "only westerns", "between 1990 and 1995"]
)
def test_a_hard_constraint_holds_for_every_item(graph: Graph, sample_index: Index, message: str) -> None:
    answer = ask(graph, {"user": "p001", "message": message}, context=Context(k=100))
    assert answer.constraints
    for constraint in answer.constraints:
        kept = sample_index.catalogue.mask(from_json(constraint.where))
        assert all(kept[sample_index.catalogue.row(item)] for item in ids(answer))


@pytest.mark.parametrize("fusion", STRATEGIES)
@pytest.mark.parametrize("user", MANY)
def test_the_parts_sum_to_the_score_and_the_weights_to_one(settings: Settings, fusion: str, user: str | None) -> None:
    graph = open_graph("sample", settings=replace(settings, limits=Limits(fusion=fusion)))
    for message in (None, "something funny"):
        for r in ask(graph, {"user": user, "message": message}, context=Context(k=50)).recommendations:
            assert sum(value for parts in r.parts.values() for value in parts.values()) == pytest.approx(r.score, abs=1e-3)
            assert sum(r.weights.values()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("user", ["p001", "p017", "p333"])
def test_all_evidence_is_in_the_history(graph: Graph, sample_index: Index, user: str) -> None:
    answer = ask(graph, {"user": user, "message": "something funny"})
    mine = seen(sample_index, user)
    assert answer.preferences
    assert {cited.item_id for p in answer.preferences for cited in p.evidence} <= mine
    assert {hit.item_id for r in answer.recommendations for hit in r.found_by.history} <= mine
    assert {cited.item_id for r in answer.recommendations for cited in r.cites} <= mine


def test_every_preference_of_an_item_shares_its_attention(graph: Graph) -> None:
    answer = ask(graph, {"user": "p001", "message": MESSAGE})
    for r in answer.recommendations:
        assert {p.preference for p in r.preferences} == {p.preference for p in answer.preferences}
        assert sum(p.attention for p in r.preferences) == pytest.approx(1, abs=1e-3)


# what comes out


def test_the_json_of_a_turn_has_every_field(graph: Graph) -> None:
    answer = graph.invoke({"user": "p001", "message": MESSAGE})["answer"]
    assert set(answer) == {
        "schema", "thread", "turn", "run_id", "user", "known", "index", "intent", "language", "constraints", "soft", "question",
        "items", "facts", "changes", "relaxations", "preferences", "queries", "recommendations", "reply", "degraded", "prompts",
        "usage", "timings_ms",
    }  # fmt: skip
    assert answer["schema"] == 1
    assert set(answer["constraints"][0]) == {"said", "where"}
    assert set(answer["preferences"][0]) == {"preference", "weight", "evidence"}
    assert set(answer["preferences"][0]["evidence"][0]) == {"item_id", "title"}
    assert set(answer["queries"][0]) == {"query", "serves"}
    assert answer["usage"] == {"calls": 0, "input_tokens": 0, "output_tokens": 0, "cost": None}
    assert set(answer["timings_ms"]) == {
        "extract_preferences", "retrieve", "collaborate", "rerank", "explain", "total",
    }  # fmt: skip


def test_the_json_of_a_recommendation_has_every_field(graph: Graph) -> None:
    first = graph.invoke({"user": "p001", "message": MESSAGE})["answer"]["recommendations"][0]
    assert set(first) == {
        "rank", "item_id", "title", "attributes", "score", "parts", "weights", "found_by", "preferences", "reason",
        "reason_by", "cites", "steps",
    }  # fmt: skip
    assert set(first["found_by"]) == {"queries", "history"}
    assert set(first["found_by"]["queries"][0]) == {"query", "cosine"}
    assert set(first["found_by"]["history"][0]) == {"item_id", "title", "share"}
    assert set(first["steps"][0]) == {"preference", "why", "fitness", "likelihood"}


def test_an_answer_is_plain_json(graph: Graph) -> None:
    answer = graph.invoke({"user": "p001", "message": MESSAGE})["answer"]
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


def test_the_published_schema_is_the_answer_s() -> None:
    # To write it anew:  python -c "import json; from duetto.graph.answer import Answer; \
    #   print(json.dumps(Answer.model_json_schema(by_alias=True), indent=1))" > docs/turn.schema.json
    assert SCHEMA.read_text(encoding="utf-8") == json.dumps(Answer.model_json_schema(by_alias=True), indent=1) + "\n"


def test_the_run_and_the_thread_are_named_in_the_answer(settings: Settings) -> None:
    run = uuid.uuid4()
    graph = open_graph("sample", InMemorySaver(), settings=settings)
    answer = ask(graph, {"message": "funny"}, {**THREAD, "run_id": run})
    assert (answer.run_id, answer.thread) == (str(run), "t1")


# what a caller may ask


def test_k_and_reasons_come_from_the_context(graph: Graph) -> None:
    answer = ask(graph, {"user": "p001"}, context=Context(k=3, reasons="none"))
    assert [r.reason for r in answer.recommendations] == [None] * 3
    answer = ask(graph, {"user": "p001"}, context=Context(k=2, reasons="plain"))
    assert [r.reason_by for r in answer.recommendations] == ["plain"] * 2


def test_a_context_may_be_a_dict_as_servers_send_it(graph: Graph) -> None:
    sent: Any = {"user": "p001", "k": 4}
    answer = Answer.model_validate(graph.invoke({}, context=sent)["answer"])
    assert (answer.user, len(answer.recommendations)) == ("p001", 4)


def test_reasons_by_a_model_that_is_not_there_are_plain_and_say_so(graph: Graph) -> None:
    answer = ask(graph, {"user": "p001"}, context=Context(reasons="model"))
    assert answer.degraded == ["reasons are plain: no chat model is configured (set DUETTO_MODEL)"]
    assert answer.recommendations[0].reason_by == "plain"


@pytest.mark.parametrize(
    ("turn", "context", "told"),
    [
        ({"message": ""}, None, "cannot answer an empty message"),
        ({"message": " \n\t "}, None, "cannot answer an empty message"),
        ({"messages": [HumanMessage("  ")]}, None, "cannot answer an empty message"),
        ({"message": "a" * 4001}, None, "cannot read a message of 4,001 characters: the most is 4,000"),
        ({"message": 5}, None, "cannot read a message of type int"),
        ({"message": ["funny"]}, None, "cannot read a message of type list"),
        ({"user": True}, None, "cannot take True for a user"),
        ({"user": 1.5}, None, "cannot take 1.5 for a user"),
        ({}, Context(user=False), "cannot take False for a user"),
        ({}, Context(k=0), "cannot recommend 0 items: k is a whole number from 1 to 100"),
        ({}, Context(k=101), "cannot recommend 101 items"),
        ({}, Context(k=True), "cannot recommend True items"),
        ({}, Context(k="3"), "cannot recommend '3' items"),  # type: ignore[arg-type]
        ({"message": "hello"}, Context(k=-1), "cannot recommend -1 items"),
        ({}, Context(reasons="loud"), "cannot give reasons 'loud': choose one of none, plain, model"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_sentence(graph: Graph, turn: TurnInput, context: Context | None, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        graph.invoke(turn, context=context)
    assert str(refused.value).startswith(told)
    assert "\n" not in str(refused.value)


def test_a_message_of_the_longest_length_is_read(graph: Graph) -> None:
    assert ask(graph, {"message": "a western " * 400}).recommendations


# LangChain messages


def test_the_last_human_message_is_the_turn(graph: Graph) -> None:
    talk: list[AnyMessage] = [HumanMessage("a musical"), AIMessage("Here."), HumanMessage("a western")]
    out = graph.invoke({"messages": talk})
    assert [q["query"] for q in out["answer"]["queries"]] == ["western"]
    assert [m.type for m in out["messages"]] == ["human", "ai", "human", "ai"]
    assert out["messages"][-1].text == out["answer"]["reply"]


def test_a_message_of_blocks_is_read_as_its_text(graph: Graph) -> None:
    out = graph.invoke({"messages": [HumanMessage([{"type": "text", "text": "a western"}])]})
    assert out["answer"]["queries"][0]["query"] == "western"


def test_a_trailing_ai_message_means_silence(graph: Graph) -> None:
    silent = graph.invoke({"user": "p001"})["answer"]
    answer = graph.invoke({"user": "p001", "messages": [HumanMessage("a western"), AIMessage("Here.")]})["answer"]
    assert answer["queries"] == []
    assert answer["recommendations"] == silent["recommendations"]


def test_a_message_becomes_a_human_and_an_ai_message(graph: Graph) -> None:
    out = graph.invoke({"message": " a western "})
    assert [(m.type, m.text) for m in out["messages"]] == [("human", "a western"), ("ai", out["answer"]["reply"])]


# a thread


@pytest.mark.parametrize("way", ["message", "messages"])
def test_after_a_turn_no_message_is_silence_and_no_repeat(settings: Settings, saver: BaseCheckpointSaver[Any], way: str) -> None:
    graph = open_graph("sample", saver, settings=settings)
    turn: TurnInput = {"message": "a western"} if way == "message" else {"messages": [HumanMessage("a western")]}
    assert ask(graph, {"user": "p001", **turn}, THREAD).queries
    silent = ask(graph, {"user": "p001"}, THREAD)
    assert silent.queries == []
    assert (silent.turn, ids(silent)) == (2, ids(ask(open_graph("sample", settings=settings), {"user": "p001"})))


def test_what_persists_holds_in_the_next_turn(settings: Settings, sample_index: Index, saver: BaseCheckpointSaver[Any]) -> None:
    graph = open_graph("sample", saver, settings=settings)
    ask(graph, {"user": "p001", "message": "I hated Alien. I loved The Thing. A film from the 1980s"}, THREAD)
    second = ask(graph, {"user": "p001", "message": "under 120 minutes"}, THREAD, Context(k=50))
    assert [c.said for c in second.constraints] == ["from the 1980s", "under 120 minutes"]
    assert not {"Alien", "The Thing"} & {r.title for r in second.recommendations}
    kept = graph.get_state(THREAD).values
    assert (titled(sample_index, kept["liked"]), titled(sample_index, kept["disliked"])) == (["The Thing"], ["Alien"])


def titled(index: Index, items: list[str | int]) -> list[str]:
    return [index.catalogue.titles[row] for row in index.catalogue.rows(items)]


def test_what_was_disliked_is_not_recommended_now_nor_next(settings: Settings, saver: BaseCheckpointSaver[Any]) -> None:
    graph = open_graph("sample", saver, settings=settings)
    best = ask(open_graph("sample", settings=settings), {"message": "a western"}).recommendations[0].title
    for message in (f"I hated {best}. a western", "a western"):
        assert best not in [r.title for r in ask(graph, {"message": message}, THREAD, Context(k=100)).recommendations]


def test_a_change_of_mind_is_kept_once(settings: Settings, sample_index: Index) -> None:
    graph = open_graph("sample", InMemorySaver(), settings=settings)
    for message in ("I loved Alien", "I hated Alien"):
        ask(graph, {"message": message}, THREAD)
    kept = graph.get_state(THREAD).values
    assert (kept["liked"], titled(sample_index, kept["disliked"])) == ([], ["Alien"])


def test_starting_over_clears_the_constraints(settings: Settings) -> None:
    graph = open_graph("sample", InMemorySaver(), settings=settings)
    ask(graph, {"message": "a film from the 1980s"}, THREAD)
    assert ask(graph, {"message": "start over"}, THREAD).constraints == []


def test_threads_do_not_hear_each_other(settings: Settings) -> None:
    graph = open_graph("sample", InMemorySaver(), settings=settings)
    ask(graph, {"message": "a film from the 1980s"}, THREAD)
    other = ask(graph, {"message": "funny"}, {"configurable": {"thread_id": "t2"}})
    assert (other.turn, other.constraints) == (1, [])


def test_without_a_checkpointer_nothing_persists(graph: Graph) -> None:
    ask(graph, {"message": "a film from the 1980s"}, THREAD)
    assert ask(graph, {"message": "funny"}, THREAD).constraints == []


def test_a_thread_survives_a_restart(settings: Settings, tmp_path: Path) -> None:
    for turn, message in enumerate(("I hated Alien. A film from the 1980s", "funny"), start=1):
        saver = EitherSqliteSaver.open(tmp_path / "threads.sqlite")
        answer = ask(open_graph("sample", saver, settings=settings), {"message": message}, THREAD)
        saver.close()
        assert (answer.turn, [c.said for c in answer.constraints]) == (turn, ["from the 1980s"])


def test_sync_and_async_turns_share_a_thread(settings: Settings, saver: BaseCheckpointSaver[Any]) -> None:
    graph = open_graph("sample", saver, settings=settings)
    ask(graph, {"message": "a film from the 1980s"}, THREAD)
    second = Answer.model_validate(asyncio.run(graph.ainvoke({"message": "funny"}, THREAD))["answer"])
    assert (second.turn, [c.said for c in second.constraints]) == (2, ["from the 1980s"])
    assert ask(graph, {"message": "short"}, THREAD).turn == 3


def test_a_catalogue_rebuilt_without_a_column_lets_go_of_its_constraint(settings: Settings) -> None:
    graph = open_graph("sample", InMemorySaver(), settings=settings)
    where = {"column": "price", "operator": "lt", "value": 5}
    graph.update_state(THREAD, {"constraints": [{"said": "under $5", "where": where}]}, as_node="answer")
    answer = ask(graph, {"message": "funny"}, THREAD)
    assert answer.constraints == []
    assert answer.degraded[0].startswith("“under $5” was not applied: cannot filter by 'price'")


def test_a_refused_turn_changes_nothing_that_persists(settings: Settings) -> None:
    graph = open_graph("sample", InMemorySaver(), settings=settings)
    ask(graph, {"message": "a film from the 1980s"}, THREAD)
    before = graph.get_state(THREAD).values
    with pytest.raises(BadInput):
        graph.invoke({"message": " "}, THREAD)
    assert graph.get_state(THREAD).values == before
    assert ask(graph, {"message": "funny"}, THREAD).turn == 2


# what is written


def test_one_checkpoint_is_written_a_turn(settings: Settings, saver: BaseCheckpointSaver[Any]) -> None:
    graph = open_graph("sample", saver, settings=settings)
    for turn in range(1, 4):
        ask(graph, {"user": "p001", "message": "funny"}, THREAD)
        assert len(list(saver.list(THREAD))) == turn
    asyncio.run(graph.ainvoke({"user": "p001"}, THREAD))
    assert len(list(saver.list(THREAD))) == 4


def test_the_scratch_of_a_turn_is_not_kept(settings: Settings, saver: BaseCheckpointSaver[Any]) -> None:
    graph = open_graph("sample", saver, settings=settings)
    ask(graph, {"user": "p001", "message": "funny"}, THREAD)
    written = saver.get_tuple(THREAD)
    assert written is not None
    persists = {*CARRIED, "messages", "answer"}
    assert set(written.checkpoint["channel_values"]) & {f.name for f in fields(State)} == persists
    assert not written.pending_writes


def test_a_thread_stays_small(settings: Settings, tmp_path: Path) -> None:
    saver = EitherSqliteSaver.open(tmp_path / "threads.sqlite")
    graph = open_graph("sample", saver, settings=settings)
    for message in ("funny", "slow", "sad", "short", "old"):
        ask(graph, {"user": "p001", "message": f"a {message} film"}, THREAD)
    with sqlite3.connect(tmp_path / "threads.sqlite") as file:
        (written,) = file.execute("select sum(length(checkpoint) + length(metadata)) from checkpoints").fetchone()
        (writes,) = file.execute("select count(*) from writes").fetchone()
    file.close()
    assert writes == 0
    assert written < 5 * 42_000


def test_strict_serialisation_gives_back_what_was_put_in(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graph = open_graph("sample", EitherSqliteSaver.open(tmp_path / "threads.sqlite"), settings=settings)
    with caplog.at_level(logging.WARNING):
        out = graph.invoke({"user": "p001", "message": "I hated Alien. I loved The Thing. A film from the 1980s"}, THREAD)
        kept = open_graph("sample", EitherSqliteSaver.open(tmp_path / "threads.sqlite"), settings=settings).get_state(THREAD)
    assert (kept.values["answer"], kept.values["messages"]) == (out["answer"], out["messages"])
    assert (type(kept.values["liked"]), type(kept.values["constraints"])) == (list, list)
    assert not caplog.records
