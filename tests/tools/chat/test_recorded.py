"""What is told of each request at the model port, and the model that says it again."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, get_args

import openai
import pytest
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from duetto.errors import BudgetSpent, ModelMisbehaved
from duetto.limits import Limits
from duetto.prompts import Prompt
from duetto.tools.chat.budget import Budget, Call, Usage
from duetto.tools.chat.language_model import LanguageModel, Method
from duetto.tools.chat.recorded import Match, RecordedModel, Tape, recorded_model
from duetto.tools.chat.scripted import ScriptedChat
from tests.loopback import Loopback, fails, in_turn, says
from tests.tools.chat.test_language_model import GOOD, LIMITS, PROMPT, Reading, every_method, open_at, plenty

METHODS: tuple[Method, ...] = get_args(Method)
LONG = replace(PROMPT, user="A long film, please.")


def scripted(script: Any, method: Method = "json_schema", limits: Limits = LIMITS, **kwargs: Any) -> LanguageModel:
    return LanguageModel(ScriptedChat(script=script, **kwargs), "scripted", method, limits)


def made(model: LanguageModel, prompt: Prompt = PROMPT, budget: Budget | None = None, about: str = "") -> tuple[Call, ...]:
    """The requests of one question, whatever came of it."""
    budget = budget or plenty()
    told(model, prompt, budget, about)
    return budget.calls


def told(model: LanguageModel, prompt: Prompt, budget: Budget, about: str = "") -> BaseModel | str:
    try:
        return model.ask(prompt, Reading, budget, about)
    except (ModelMisbehaved, BudgetSpent) as error:
        return str(error)


def saying(*calls: Call, method: Method = "json_schema", limits: Limits = LIMITS) -> RecordedModel:
    model = recorded_model("some-model", method, limits)
    model.tape.load(calls)
    return model


def bare(call: Call) -> Call:
    return replace(call, ms=0.0)


# what is told of a request


@every_method
def test_a_request_is_told_whole(method: Method) -> None:
    with Loopback(says(GOOD)) as server:
        (call,) = made(open_at(server, method), about="item 7")
        sent = [message["content"] for message in server.chats[0].body["messages"]]
    assert (call.prompt, call.about, call.model) == ("read_turn", "item 7", "some-model")
    assert [content for _, content in call.messages] == sent
    assert [kind for kind, _ in call.messages] == ["system", "human"]
    assert Reading.model_validate_json(str(call.text)) == GOOD
    assert (call.failed, call.again, call.cut, call.usage) == ("", False, False, Usage(1, 20, 10))
    assert call.ms > 0


def test_the_hash_is_of_all_that_was_sent_and_of_nothing_else() -> None:
    class Other(BaseModel):
        wish: str

    def sent(prompt: Prompt = PROMPT, method: Method = "json_schema", schema: type[BaseModel] = Reading, **kwargs: str) -> str:
        budget = plenty()
        model = replace(scripted([GOOD], method), **kwargs)  # type: ignore[arg-type]
        model.ask(prompt, schema, budget)
        return budget.calls[0].hash

    assert sent() == sent(replace(PROMPT, name="another", version="ffff0000")) == sent(name="another model")
    others = [sent(LONG), sent(replace(PROMPT, system="You read.")), sent(schema=Other), *(sent(method=m) for m in METHODS[1:])]
    assert len({sent(), *others}) == 6


def test_every_try_and_every_repair_is_told_in_its_order() -> None:
    with Loopback(in_turn(fails(429, "0"), says("{"), says(GOOD))) as server:
        calls = made(open_at(server))
    told_of = [(call.text, call.failed, call.again) for call in calls[:2]]
    assert told_of == [(None, "answered 429 (rate limit)", True), ("{", "", False)]
    assert calls[2].text == GOOD.model_dump_json()
    assert calls[0].hash == calls[1].hash != calls[2].hash
    assert [len(call.messages) for call in calls] == [2, 2, 4]


def test_an_answer_of_the_cache_is_told_and_cost_nothing(tmp_path: Any) -> None:
    with Loopback(says(GOOD)) as server:
        model = open_at(server, cache=tmp_path / "answers.sqlite")
        (first,), (second,) = made(model), made(model)
    assert (first.usage, second.usage) == (Usage(1, 20, 10), Usage())
    assert bare(replace(second, usage=first.usage)) == bare(first)


CAPS: dict[str, tuple[dict[str, Any], str]] = {
    "calls": ({"calls": 0}, "no call to the chat model is left in this turn"),
    "tokens": ({"tokens": 9}, "tokens and 9 are left in this turn"),
    "time": ({"seconds": -1}, "no time is left for the chat model in this turn"),
}


@pytest.mark.parametrize("cap", CAPS)
def test_a_request_a_cap_forbids_is_told_of_as_refused(cap: str) -> None:
    given, sentence = CAPS[cap]
    budget, model = plenty(**given), scripted([GOOD])
    with pytest.raises(BudgetSpent) as spent:
        model.ask(PROMPT, Reading, budget)
    (call,) = budget.calls
    assert call.failed == str(spent.value)
    assert call.failed.endswith(sentence)
    assert (call.refused, call.text, call.again, call.usage, call.ms) == (True, None, False, Usage(), 0.0)
    (allowed,) = made(scripted([GOOD]))
    assert (call.hash, call.messages, allowed.refused) == (allowed.hash, allowed.messages, False)


def test_calls_made_at_once_are_told_in_one_order() -> None:
    budget = plenty()
    model = scripted(lambda messages, schema: GOOD, delay=0.02)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: model.ask(PROMPT, Reading, budget, about=str(n)), (3, 1, 2, 0)))
    assert [call.about for call in budget.calls] == ["0", "1", "2", "3"]


def test_a_stripped_call_keeps_its_figures_and_no_word() -> None:
    (call,) = made(scripted([GOOD]))
    stripped = call.stripped()
    assert (stripped.messages, stripped.text, stripped.hash) == ((), None, "")
    assert "film" not in repr(stripped)
    assert replace(stripped, messages=call.messages, text=call.text, hash=call.hash) == call


# the tape


def asked(hash_: str, prompt: str = "p", about: str = "", text: str | None = None) -> Call:
    return Call(prompt, about, hash_, (), "m", text)


def taken(tape: Tape, call: Call) -> str | None:
    found = tape.take(call)
    return None if found is None else found.text


def test_the_call_that_was_sent_exactly_this_is_taken_first() -> None:
    tape = Tape()
    tape.load([asked("a", text="1"), asked("b", text="2"), asked("b", text="3")])
    assert [taken(tape, asked("b")) for _ in range(4)] == ["2", "3", "1", None]
    assert [match for *_, match in tape.heard] == ["none", "other", "same", "same"]


def test_a_call_of_another_prompt_or_about_something_else_is_not_taken() -> None:
    tape = Tape()
    tape.load([asked("a", "p", "1", "x")])
    assert taken(tape, asked("a", "q", "1")) is None
    assert taken(tape, asked("a", "p", "2")) is None
    assert taken(tape, asked("a", "p", "1")) == "x"
    assert tape.heard == [("p", "1", "same"), ("p", "2", "none"), ("q", "1", "none")]


def test_a_tape_loaded_anew_forgets_the_turn_before() -> None:
    tape = Tape()
    tape.load([asked("a", text="1")])
    tape.take(asked("b"))
    tape.load([asked("a", text="2")])
    assert tape.heard == []
    assert [taken(tape, asked("a")) for _ in range(2)] == ["2", None]


def test_what_is_asked_at_once_is_each_given_its_own() -> None:
    tape = Tape()
    tape.load([asked("h", about=str(n), text=str(n)) for n in range(40)])
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: taken(tape, asked("h", about=str(n))), range(40))) == [str(n) for n in range(40)]
    assert {match for *_, match in tape.heard} == {"same"}


# the model that says it again

SCRIPTS: dict[str, Callable[[], list[Any]]] = {
    "good": lambda: [GOOD],
    "mended": lambda: ["{", GOOD],
    "mended after an empty answer": lambda: ["", GOOD],
    "malformed twice": lambda: ["{", '{"wish": 3}'],
    "refused": lambda: [AIMessage("", additional_kwargs={"refusal": "no"})],
    "no connection, then an answer": lambda: [ConnectionError(), GOOD],
    "no connection twice": lambda: [ConnectionError(), ConnectionError()],
    "too slow, then malformed, then an answer": lambda: [TimeoutError(), "{", GOOD],
    "garbled": lambda: [openai.OpenAIError("x")],
    "cut": lambda: [AIMessage('{"wish": "x', response_metadata={"finish_reason": "length"}), GOOD],
    "cut twice": lambda: [AIMessage('{"wish": "x', response_metadata={"finish_reason": "length"}) for _ in range(2)],
    "in a fence": lambda: [f"```json\n{GOOD.model_dump_json()}\n```"],
}


@every_method
@pytest.mark.parametrize("case", SCRIPTS)
def test_what_was_recorded_is_said_again(case: str, method: Method) -> None:
    first, again = plenty(), plenty()
    said = told(scripted(SCRIPTS[case](), method), PROMPT, first)
    model = saying(*first.calls, method=method)
    assert told(model, PROMPT, again) == said
    assert again.usage == first.usage
    assert [replace(call, model="scripted", ms=0.0) for call in again.calls] == [bare(call) for call in first.calls]
    assert {match for *_, match in model.tape.heard} == {"same"}


@pytest.mark.parametrize("status", [401, 429, 500])
def test_what_a_server_did_is_done_again_without_it(status: int) -> None:
    first, again = plenty(), plenty()
    with Loopback(fails(status, "0.01")) as server:
        said = told(open_at(server), PROMPT, first)
    assert told(saying(*first.calls), PROMPT, again) == said
    assert (again.usage, len(again.calls)) == (first.usage, len(first.calls))


def test_nobody_is_spared_by_waiting_again() -> None:
    calls = made(scripted([GOOD]))
    failed = replace(calls[0], text=None, failed="answered 429 (rate limit)", again=True, wait=20.0)
    started = time.monotonic()
    assert saying(failed, *calls).ask(PROMPT, Reading, plenty()) == GOOD
    assert time.monotonic() - started < 1


def test_a_prompt_that_reads_otherwise_is_answered_as_recorded_and_told() -> None:
    model = saying(*made(scripted([GOOD])))
    assert model.ask(LONG, Reading, plenty()) == GOOD
    assert model.tape.heard == [("read_turn", "", "other")]


def test_what_was_never_recorded_is_no_answer_and_costs_nothing() -> None:
    budget, model = plenty(), saying()
    with pytest.raises(ModelMisbehaved, match=r"^the chat model was not recorded answering this$"):
        model.ask(PROMPT, Reading, budget)
    assert (budget.usage, model.tape.heard) == (Usage(), [("read_turn", "", "none")])


@pytest.mark.parametrize("script", ["good", "malformed twice", "no connection twice"])
@pytest.mark.parametrize("cap", [{"calls": 0}, {"calls": 1}, {"tokens": 9}, {"tokens": 500}, {"seconds": -1}])
def test_what_a_cap_forbade_is_forbidden_again_and_is_as_recorded(script: str, cap: dict[str, Any]) -> None:
    first, again = plenty(**cap), plenty(**cap)
    said = told(scripted(SCRIPTS[script]()), PROMPT, first)
    model = saying(*first.calls)
    assert told(model, PROMPT, again) == said
    assert again.usage == first.usage
    assert [replace(call, model="scripted", ms=0.0) for call in again.calls] == [bare(call) for call in first.calls]
    assert {match for *_, match in model.tape.heard} <= {"same"}


def test_what_a_cap_forbade_is_forbidden_also_where_the_cap_is_higher_now() -> None:
    model = saying(*made(scripted([GOOD]), budget=plenty(calls=0)))
    with pytest.raises(BudgetSpent, match=r"^no call to the chat model is left in this turn$"):
        model.ask(PROMPT, Reading, plenty())
    assert model.tape.heard == [("read_turn", "", "same")]


def test_the_caps_hold_as_they_did() -> None:
    first, second = made(scripted(["{", GOOD]))
    greedy = replace(first, usage=Usage(1, 1900, 50))
    for budget in (plenty(calls=1), plenty(tokens=2000)):
        with pytest.raises(BudgetSpent, match="answered with malformed JSON, and "):
            saying(greedy, second).ask(PROMPT, Reading, budget)
        assert budget.usage.calls == 1


def test_a_turn_without_time_asks_nothing() -> None:
    model = saying(*made(scripted([GOOD])))
    with pytest.raises(BudgetSpent, match="no time is left"):
        model.ask(PROMPT, Reading, plenty(seconds=-1))
    assert model.tape.heard == list[tuple[str, str, Match]]()


def test_a_free_answer_is_free_again() -> None:
    (call,) = made(scripted([GOOD]))
    budget = plenty(calls=0)
    assert saying(replace(call, usage=Usage())).ask(PROMPT, Reading, budget) == GOOD
    assert budget.usage == Usage()
