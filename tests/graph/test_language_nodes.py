"""The three language nodes in whole turns, over real HTTP to a server that obeys or misbehaves on request."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import SecretStr

from duetto import prompts
from duetto.graph.answer import Answer
from duetto.graph.state import Context, TurnInput
from duetto.limits import Limits
from duetto.settings import Settings
from duetto.tools.chat.language_model import Method, open_chat
from duetto.tools.index import Index
from duetto.wiring import Graph, open_graph
from tests.loopback import Answer as Reply
from tests.loopback import Body, Loopback, Script, fails, refuses, says

METHODS: tuple[Method, ...] = get_args(Method)
SCHEMAS = ("ExtractAnswer", "QueriesAnswer", "ExplainAnswer")
TURN: TurnInput = {"user": "p001", "message": "a warm comedy, nothing from the 1950s"}
LIMITS = Limits(call_seconds=10)
KEY = SecretStr("sk-Very5ecret")

every_method = pytest.mark.parametrize("method", METHODS)
every_schema = pytest.mark.parametrize("schema", SCHEMAS)


def schema_of(body: Body) -> str:
    """Which node asks: every method carries the schema's name, in a place of its own."""
    text = json.dumps(body)
    return next(schema for schema in SCHEMAS if schema in text)


def turn_of(body: Body) -> Body:
    turn: Body = json.loads(body["messages"][1]["content"])
    return turn


def good(schema: str, turn: Body) -> Body:
    """What an obedient model says, made from nothing but what it was sent."""
    if schema == "ExtractAnswer":
        newest = [str(item["id"]) for item in turn["history_oldest_first"]]
        return {
            "intent": "recommend",
            "request": "a warm comedy",
            "preferences": [
                {"preference": "comedies with a heart", "evidence": newest[:2], "weight": 0.9},
                {"preference": "films about families", "evidence": newest[2:3], "weight": 0.4},
            ],
            "liked": [],
            "disliked": [],
            "alike": [],
            "constraints_set": [{"said": "nothing from the 1950s", "column": "year", "operator": "ge", "values": [1960]}],
            "constraints_clear": [],
        }
    if schema == "QueriesAnswer":
        return {"queries": [{"query": "kind and funny", "serves": 0}, {"query": "a family comes together", "serves": 2}]}
    step = {"preference": 1, "why": "you keep coming back to them", "fitness": 0.8, "likelihood": "high"}
    cited = [item["id"] for item in turn["history"][:1]]
    return {"steps": [step], "reason": f"{turn['item']['title']} is as warm as what you like.", "evidence": cited}


def obedient(body: Body, n: int) -> Reply:
    return says(good(schema_of(body), turn_of(body)))


def at(schema: str, fault: Callable[[Body], Reply]) -> Script:
    """Obedient, except to one node."""
    return lambda body, n: fault(turn_of(body)) if schema_of(body) == schema else obedient(body, n)


def open_at(
    settings: Settings, server: Loopback, limits: Limits = LIMITS, method: Method = "json_schema", **kwargs: Any
) -> Graph:
    model = open_chat("some-model", base_url=server.base_url, api_key=KEY, method=method, limits=limits, **kwargs)
    return open_graph("sample", model=model, settings=replace(settings, limits=limits))


def answered(graph: Graph, turn: TurnInput = TURN, context: Context | None = None) -> Answer:
    return Answer.model_validate(graph.invoke(turn, context=context)["answer"])


# good answers


@every_method
def test_good_answers_are_used_in_all_three_nodes(settings: Settings, sample_index: Index, method: Method) -> None:
    with Loopback(obedient) as server:
        answer = answered(open_at(settings, server, method=method))
    mine = sample_index.histories.of_user("p001").liked_rows(LIMITS.history_shown)
    shown = [sample_index.catalogue.ids[row] for row in mine]
    assert [(p.preference, p.weight) for p in answer.preferences] == [
        ("comedies with a heart", 0.9),
        ("films about families", 0.4),
    ]
    assert [[c.item_id for c in p.evidence] for p in answer.preferences] == [shown[:2], shown[2:3]]
    assert [(q.query, q.serves) for q in answer.queries] == [
        ("a warm comedy", "request"),
        ("kind and funny", "request"),
        ("a family comes together", "films about families"),
    ]
    assert [c.said for c in answer.constraints] == ["nothing from the 1950s"]
    assert [r.reason_by for r in answer.recommendations] == ["model"] * 3 + ["plain"] * 7
    assert all(r.title in str(r.reason) and r.cites and r.steps for r in answer.recommendations[:3])
    assert answer.degraded == []
    assert (answer.usage.calls, len(server.chats)) == (5, 5)


@every_method
def test_the_versions_of_the_prompts_are_in_the_answer(settings: Settings, method: Method) -> None:
    with Loopback(obedient) as server:
        answer = answered(open_at(settings, server, method=method))
    names = ("extract_preferences", "write_queries", "explain_item")
    assert answer.prompts == {name: prompts.version(name) for name in names}


def test_reasons_are_streamed_as_they_arrive_and_no_request_is_a_streamed_one(settings: Settings) -> None:
    with Loopback(obedient) as server:
        parts: list[Any] = list(open_at(settings, server).stream(TURN, stream_mode=["custom", "messages"]))
    events = [data for mode, data in parts if mode == "custom"]
    told = [data[0] for mode, data in parts if mode == "messages"]
    assert [event["event"] for event in events] == ["ranking", *["reason"] * 10]
    assert [event["by"] for event in events[1:]] == ["model"] * 3 + ["plain"] * 7
    assert [message.type for message in told] == ["human", "ai"]
    assert not any(seen.body.get("stream") for seen in server.chats)


def test_a_silent_visitor_is_read_from_the_history_alone(settings: Settings) -> None:
    with Loopback(obedient) as server:
        answer = answered(open_at(settings, server), {"user": "p001"})
    assert [q.query for q in answer.queries] == ["kind and funny", "a family comes together"]
    assert answer.preferences[0].preference == "comedies with a heart"


def test_a_silent_stranger_costs_no_call_before_the_reasons(settings: Settings) -> None:
    with Loopback(obedient) as server:
        answer = answered(open_at(settings, server), {}, Context(reasons="plain"))
    assert (answer.usage.calls, len(server.chats), len(answer.recommendations)) == (0, 0, 10)


def test_small_talk_costs_no_call(settings: Settings) -> None:
    with Loopback(obedient) as server:
        assert answered(open_at(settings, server), {"user": "p001", "message": "hello!"}).usage.calls == 0
    assert server.requests == []


@pytest.mark.parametrize(("reasons", "calls"), [("none", 2), ("plain", 2), ("model", 5)])
def test_reasons_by_the_model_are_asked_for_only_where_wanted(settings: Settings, reasons: str, calls: int) -> None:
    with Loopback(obedient) as server:
        assert answered(open_at(settings, server), context=Context(reasons=reasons)).usage.calls == len(server.chats) == calls


def test_no_more_reasons_are_asked_for_than_there_are_items(settings: Settings) -> None:
    with Loopback(obedient) as server:
        assert answered(open_at(settings, server), context=Context(k=2)).usage.calls == len(server.chats) == 4


def test_a_model_that_is_to_give_no_reasons_gives_none(settings: Settings) -> None:
    with Loopback(obedient) as server:
        answer = answered(open_at(settings, server, replace(LIMITS, reasons_by_model=0)))
    assert {r.reason_by for r in answer.recommendations} == {"plain"}
    assert "explain_item" not in answer.prompts


# references


def decorated(schema: str, turn: Body) -> Body:
    """Good answers, their references written as models write them."""
    answer = good(schema, turn)
    if schema == "ExtractAnswer":
        first, second = answer["preferences"][0]["evidence"]
        answer["preferences"][0]["evidence"] = [f"[{first}]", f'"{second}"']
        answer["preferences"][1]["evidence"] = [turn["history_oldest_first"][2]["title"]]
    elif schema == "QueriesAnswer":
        answer["queries"][1]["serves"] = "2"
    else:
        answer["evidence"] = [f"item {reference}" for reference in answer["evidence"]]
    return answer


def unknown(schema: str, turn: Body) -> Body:
    """Good answers with one reference more, to something that does not exist."""
    answer = good(schema, turn)
    if schema == "ExtractAnswer":
        answer["preferences"][0]["evidence"].append("no-such-item")
    elif schema == "QueriesAnswer":
        answer["queries"][1]["serves"] = 99
    else:
        answer["evidence"].append(987654)
    return answer


@every_schema
@every_method
def test_references_in_brackets_and_quotes_are_understood(settings: Settings, schema: str, method: Method) -> None:
    with Loopback(obedient) as server:
        plainly = answered(open_at(settings, server, method=method))
    with Loopback(at(schema, lambda turn: says(decorated(schema, turn)))) as server:
        answer = answered(open_at(settings, server, method=method))
    assert answer.degraded == []
    assert answer.preferences == plainly.preferences
    assert answer.queries == plainly.queries
    assert answer.recommendations == plainly.recommendations


UNKNOWN = {
    "ExtractAnswer": ["references of the model that matched no item it may name, dropped: 1"],
    "QueriesAnswer": ["queries of the model that name no known preference, taken to serve the request: 1"],
    "ExplainAnswer": [f"reason {n}: references of the model that rest on no evidence, dropped: 1" for n in (1, 2, 3)],
}


@every_schema
def test_a_reference_to_nothing_is_dropped_and_said(settings: Settings, sample_index: Index, schema: str) -> None:
    with Loopback(at(schema, lambda turn: says(unknown(schema, turn)))) as server:
        answer = answered(open_at(settings, server))
    assert answer.degraded == UNKNOWN[schema]
    assert answer.recommendations[0].reason_by == "model"
    mine = {sample_index.catalogue.ids[row] for row in sample_index.histories.of_user("p001").rows}
    assert {c.item_id for p in answer.preferences for c in p.evidence} <= mine
    assert {c.item_id for r in answer.recommendations for c in r.cites} <= mine


# faults

FAULTS: dict[str, tuple[Reply, str, int]] = {  # what the server does, what is told of it, requests for one answer
    "malformed JSON": (says('{"reason": "x", '), "answered with malformed JSON twice", 2),
    "the wrong shape": (says({"queries": 3, "intent": "dance"}), "answered with JSON of the wrong shape twice", 2),
    "a refusal": (refuses(), "refused", 1),
    "429": (fails(429, retry_after="0"), "answered 429 (rate limit) twice", 2),
    "429 for long": (fails(429, retry_after="3600"), "answered 429 (rate limit) and is not to be asked again for 3.6e+03 s", 1),
    "500": (fails(500), "answered 500 (server error) twice", 2),
    "a hang": (Reply(hang=True), "did not answer within 0.6 s twice", 2),
    "a dropped connection": (says("{}", drop=True), "could not be reached, or hung up twice", 2),
}
TOLD = {
    "ExtractAnswer": ["preferences are plain: the chat model {}"],
    "QueriesAnswer": ["queries are plain: the chat model {}"],
    "ExplainAnswer": [f"reason {n} is plain: the chat model {{}}" for n in (1, 2, 3)],
}


@every_schema
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_one_node_leaves_an_answer_that_says_so(settings: Settings, schema: str, fault: str) -> None:
    reply, words, requests = FAULTS[fault]
    limits = replace(LIMITS, call_seconds=0.6) if fault == "a hang" else LIMITS
    with Loopback(at(schema, lambda turn: reply)) as server:
        answer = answered(open_at(settings, server, limits))
        calls = len(server.chats)
    told = [note.format(words) for note in TOLD[schema]]
    asked = sum(schema_of(seen.body) == schema for seen in server.chats)
    assert len(answer.recommendations) == 10
    assert all(r.reason for r in answer.recommendations)
    assert set(told) <= set(answer.degraded)
    assert fault == "a hang" or answer.degraded == told  # so little patience may also meet a busy machine
    assert asked == requests * len(told)
    assert calls == answer.usage.calls <= limits.model_calls


@every_schema
def test_a_fault_leaves_the_other_nodes_to_the_model(settings: Settings, schema: str) -> None:
    with Loopback(at(schema, lambda turn: refuses())) as server:
        answer = answered(open_at(settings, server))
    assert (answer.preferences[0].preference == "comedies with a heart") == (schema != "ExtractAnswer")
    assert ("kind and funny" in [q.query for q in answer.queries]) == (schema != "QueriesAnswer")
    assert (answer.recommendations[0].reason_by == "model") == (schema != "ExplainAnswer")


def test_an_answer_that_is_mended_when_asked_again_is_used(settings: Settings) -> None:
    def mends(body: Body, n: int) -> Reply:
        return says("{") if len(body["messages"]) == 2 else obedient(body, n)

    with Loopback(mends) as server:
        answer = answered(open_at(settings, server, replace(LIMITS, model_calls=10)))
    assert (answer.degraded, answer.usage.calls, len(server.chats)) == ([], 10, 10)


def test_a_model_that_always_fails_leaves_the_plain_turn(settings: Settings, graph: Graph) -> None:
    with Loopback(fails(500)) as server:
        answer = answered(open_at(settings, server))
    plain = answered(graph)
    assert answer.recommendations == plain.recommendations
    assert answer.constraints == plain.constraints
    assert answer.usage.calls == len(server.chats) <= LIMITS.model_calls


def test_a_server_that_is_not_there_leaves_the_plain_turn(settings: Settings, graph: Graph) -> None:
    with Loopback(obedient) as server:
        spoken = open_at(settings, server, replace(LIMITS, call_retries=0))
    answer = answered(spoken)
    assert answer.recommendations == answered(graph).recommendations
    assert answer.degraded[0] == "preferences are plain: the chat model could not be reached, or hung up"


def test_the_key_is_nowhere_in_an_answer(settings: Settings) -> None:
    with Loopback(fails(401, message=f"bad key {KEY.get_secret_value()}")) as server:
        out = open_at(settings, server).invoke(TURN)
    assert "Very5ecret" not in repr(out)


# constraints and feedback of the model


def saying(**extracted: Any) -> Script:
    return at("ExtractAnswer", lambda turn: says(good("ExtractAnswer", turn) | extracted))


def test_a_constraint_of_the_model_holds_for_every_item(settings: Settings) -> None:
    with Loopback(obedient) as server:
        answer = answered(open_at(settings, server), context=Context(k=100, reasons="none"))
    assert min(r.attributes["year"] for r in answer.recommendations) >= 1960


def test_a_constraint_no_column_can_check_is_said_and_left_out(settings: Settings) -> None:
    price = {"said": "under $5", "column": "price", "operator": "lt", "values": [5]}
    with Loopback(saying(constraints_set=[price])) as server:
        answer = answered(open_at(settings, server))
    assert answer.constraints == []
    assert answer.degraded[0].startswith("“under $5” was not applied: cannot filter by 'price'")


def test_titles_the_person_named_become_feedback_and_examples(settings: Settings) -> None:
    with Loopback(saying(liked=["The Thing"], disliked=["alien"], alike=["Paddington 2"])) as server:
        answer = answered(open_at(settings, server), {"message": "I loved The Thing, hated Alien"}, Context(k=100))
    assert not {"The Thing", "Alien"} & {r.title for r in answer.recommendations}


# caps


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        (0, ["preferences", "queries", "reason 1", "reason 2", "reason 3"]),
        (1, ["queries", "reason 1", "reason 2", "reason 3"]),
        (2, ["reason 1", "reason 2", "reason 3"]),
    ],
)
def test_the_cap_on_calls_holds_for_the_whole_turn(settings: Settings, calls: int, told: list[str]) -> None:
    with Loopback(obedient) as server:
        answer = answered(open_at(settings, server, replace(LIMITS, model_calls=calls)))
    assert answer.usage.calls == len(server.chats) == calls
    assert [note.split(" is plain")[0].split(" are plain")[0] for note in answer.degraded] == told
    assert all(note.endswith("no call to the chat model is left in this turn") for note in answer.degraded)
    assert len(answer.recommendations) == 10


def test_the_cap_on_calls_holds_while_every_answer_is_bad(settings: Settings) -> None:
    with Loopback(says("{")) as server:
        answer = answered(open_at(settings, server, replace(LIMITS, model_calls=7)))
    assert answer.usage.calls == len(server.chats) == 7


@pytest.mark.parametrize("tokens", [0, 100])
def test_a_tiny_cap_on_tokens_allows_no_request(settings: Settings, tokens: int) -> None:
    with Loopback(obedient) as server:
        answer = answered(open_at(settings, server, replace(LIMITS, model_tokens=tokens)))
    assert (answer.usage.calls, server.requests) == (0, [])
    assert f"tokens and {tokens} are left in this turn" in answer.degraded[0]


def test_tokens_that_were_spent_leave_fewer_for_the_reasons(settings: Settings) -> None:
    greedy = at("QueriesAnswer", lambda turn: says(good("QueriesAnswer", turn), usage=(20_000, 9_000)))
    with Loopback(greedy) as server:
        answer = answered(open_at(settings, server))
    assert (answer.usage.calls, answer.usage.input_tokens) == (2, 20_020)
    assert len(answer.degraded) == 3


def test_a_turn_without_time_asks_nothing(settings: Settings) -> None:
    with Loopback(obedient) as server:
        answer = answered(open_at(settings, server, replace(LIMITS, turn_seconds=0)))
    assert (answer.usage.calls, server.requests) == (0, [])
    assert answer.degraded[0] == "preferences are plain: no time is left for the chat model in this turn"


def test_one_hang_that_takes_all_the_time_leaves_the_rest_plain(settings: Settings) -> None:
    with Loopback(Reply(hang=True)) as server:
        answer = answered(open_at(settings, server, replace(LIMITS, turn_seconds=0.5)))
        calls = len(server.chats)
    assert calls == answer.usage.calls == 1
    assert answer.degraded[1] == "queries are plain: no time is left for the chat model in this turn"
    assert len(answer.recommendations) == 10


# what it costs


def test_a_turn_has_a_cost_where_there_is_a_price(settings: Settings) -> None:
    with Loopback(obedient) as server:
        answer = answered(open_at(settings, server, price=(1.0, 2.0)))
    assert (answer.usage.calls, answer.usage.input_tokens, answer.usage.output_tokens) == (5, 100, 50)
    assert answer.usage.cost == pytest.approx(0.0002)


def test_the_same_turn_asked_again_costs_nothing_also_after_a_restart(
    settings: Settings, sample_path: Path, tmp_path: Path
) -> None:
    with Loopback(obedient) as server:
        spoken = replace(settings, model="m", base_url=server.base_url, api_key=KEY, cache=tmp_path, price=(1.0, 2.0))
        first, second, third = (answered(open_graph(sample_path, settings=spoken)) for _ in range(3))
    assert (first.usage.calls, len(server.chats)) == (5, 5)
    assert (second.usage.calls, second.usage.cost, third.usage.calls) == (0, 0.0, 0)
    assert second.recommendations == third.recommendations == first.recommendations
