"""The port to the chat model, over real HTTP to a server that misbehaves on request."""

import email.utils
import json
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import openai
import pytest
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.graph import START, StateGraph
from pydantic import BaseModel, Field, SecretStr
from sqlalchemy import create_engine, text
from typing_extensions import TypedDict

from duetto.errors import BudgetSpent, ModelMisbehaved, NotReady
from duetto.limits import Limits
from duetto.prompts import Prompt
from duetto.tools.chat.budget import Budget, Usage
from duetto.tools.chat.language_model import LanguageModel, Method, open_chat
from duetto.tools.chat.scripted import ScriptedChat
from tests.loopback import Answer, Loopback, Script, fails, in_turn, refuses, says

KEY = "sk-Very5ecret"
METHODS: tuple[Method, ...] = get_args(Method)
PROMPT = Prompt("read_turn", "0123abcd", "You read turns.", "A short film, please.")
LIMITS = Limits(call_seconds=5, output_tokens=77)
IMPATIENT = replace(LIMITS, call_seconds=0.3)


class Taste(BaseModel):
    """One taste."""

    text: str = Field(description="a phrase")
    weight: float = 0.5


class Reading(BaseModel):
    """A turn as read."""

    wish: str
    tastes: list[Taste] = []
    year: int | None = None


GOOD = Reading(wish="short film", tastes=[Taste(text="brevity", weight=0.9)], year=1999)
every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(autouse=True)
def no_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing here speaks TLS, and reading the machine's certificates costs each client 25 ms."""
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


def open_at(server: Loopback, method: Method = "json_schema", limits: Limits = LIMITS, **kwargs: Any) -> LanguageModel:
    return open_chat("some-model", base_url=server.base_url, api_key=SecretStr(KEY), method=method, limits=limits, **kwargs)


def plenty(calls: int = 8, tokens: int = 30_000, seconds: float = 30) -> Budget:
    return Budget(calls, tokens, time.monotonic() + seconds)


@every_method
def test_an_answer_is_an_object_of_the_schema(method: Method) -> None:
    budget = plenty()
    with Loopback(says(GOOD)) as server:
        assert open_at(server, method).ask(PROMPT, Reading, budget) == GOOD
    assert budget.usage == Usage(1, 20, 10)


@every_method
def test_a_request_caps_its_output_is_not_streamed_and_carries_the_schema(method: Method) -> None:
    with Loopback(says(GOOD)) as server:
        open_at(server, method).ask(PROMPT, Reading, plenty())
        body = server.chats[0].body
    assert (body["max_completion_tokens"], body["temperature"], body.get("stream", False)) == (77, 0, False)
    asked = {
        "json_schema": lambda: body["response_format"]["json_schema"],
        "function_calling": lambda: body["tools"][0]["function"],
        "json_mode": lambda: body["messages"][0]["content"],
    }
    assert "a phrase" in json.dumps(asked[method]())


TWICE: dict[str, tuple[Answer, str]] = {
    "malformed": (says('{"wish": "x", "tastes": [}'), "answered with malformed JSON twice"),
    "unfinished": (says('{"wish": "x"'), "answered with malformed JSON twice"),
    "wrong shape": (says({"wish": 3}), "answered with JSON of the wrong shape twice"),
    "empty": (says(""), "gave an empty answer twice"),
    "cut": (says('{"wish": "x', finish="length"), "was cut off at the output limit twice"),
    "429": (fails(429), "answered 429 (rate limit) twice"),
    "429 with a code": (fails(429, code="insufficient_quota"), "answered 429 (insufficient_quota) twice"),
    "500": (fails(500), "answered 500 (server error) twice"),
    "hang-up": (says(GOOD, drop=True), "could not be reached, or hung up twice"),
}
ONCE: dict[str, tuple[Answer, str]] = {
    "refusal": (refuses(), "refused"),
    "filter": (says("", finish="content_filter"), "refused"),
    "400": (fails(400), "answered 400 (bad request)"),
    "401": (fails(401), "answered 401 (the key was refused)"),
    "403": (fails(403), "answered 403 (forbidden)"),
    "404": (fails(404), "answered 404 (not found)"),
    "redirect": (fails(307), "answered 307 (not accepted)"),
    "html": (
        Answer(body=b"<p>", headers={"Content-Type": "text/html"}),
        "sent something that is not a chat completion",
    ),
    "not json": (Answer(body=b"{nope"), "sent something that is not a chat completion"),
    "no choices": (Answer(body=b'{"choices": []}'), "sent something that is not a chat completion"),
    "error in a 200": (Answer(body=b'{"error": {"message": "x"}}'), "sent something that is not a chat completion"),
}
LATE: dict[str, Answer] = {"hang": Answer(hang=True), "trickle": says(GOOD, trickle=0.05)}


def told_by_each(server: Loopback, limits: Limits = LIMITS) -> list[tuple[str, int]]:
    """What each method, all at the same time, says of the fault, and how many calls its budget counts."""

    model = open_at(server, limits=limits)

    def told(method: Method) -> tuple[str, int]:
        budget = plenty()
        with pytest.raises(ModelMisbehaved) as caught:
            replace(model, method=method).ask(PROMPT, Reading, budget)
        return str(caught.value), budget.usage.calls

    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(told, METHODS))


@pytest.mark.parametrize("fault", TWICE)
def test_a_passing_or_mendable_fault_is_tried_once_more(fault: str) -> None:
    answer, sentence = TWICE[fault]
    with Loopback(answer) as server:
        assert told_by_each(server) == [(f"the chat model {sentence}", 2)] * 3
        assert len(server.chats) == 6


@pytest.mark.parametrize("fault", ONCE)
def test_a_lasting_fault_is_told_at_once(fault: str) -> None:
    answer, sentence = ONCE[fault]
    with Loopback(answer) as server:
        assert told_by_each(server) == [(f"the chat model {sentence}", 1)] * 3
        assert len(server.chats) == 3


@pytest.mark.parametrize("fault", LATE)
def test_an_answer_that_does_not_end_in_time_is_left(fault: str) -> None:
    with Loopback(LATE[fault]) as server:
        started = time.monotonic()
        assert told_by_each(server, IMPATIENT) == [("the chat model did not answer within 0.3 s twice", 2)] * 3
        assert time.monotonic() - started < 1.5
        assert len(server.chats) == 6


@pytest.mark.parametrize("fault", LATE)
def test_a_late_server_holds_no_thread_longer_than_the_caller_waits(fault: str) -> None:
    with Loopback(LATE[fault]) as server:
        with pytest.raises(ModelMisbehaved):
            open_at(server).ask(PROMPT, Reading, plenty(seconds=0.3))
        until = time.monotonic() + 1
        while any(thread.name == "chat model" for thread in threading.enumerate()):
            assert time.monotonic() < until
            time.sleep(0.02)


def test_nobody_listening_is_told() -> None:
    with Loopback(says(GOOD)) as server:
        model = open_at(server, limits=replace(LIMITS, call_retries=0))
    with pytest.raises(ModelMisbehaved, match="could not be reached"):
        model.ask(PROMPT, Reading, plenty())


def test_the_turn_s_deadline_cuts_a_call_short() -> None:
    with Loopback(Answer(hang=True)) as server:
        started = time.monotonic()
        with pytest.raises(ModelMisbehaved, match=r"did not answer within 0\.[123]\d* s$"):
            open_at(server).ask(PROMPT, Reading, plenty(seconds=0.3))
        assert time.monotonic() - started < 1
        assert len(server.chats) == 1


@pytest.mark.parametrize("status", [429, 502])
def test_a_second_try_may_succeed(status: int) -> None:
    budget = plenty()
    with Loopback(in_turn(fails(status), says(GOOD))) as server:
        assert open_at(server).ask(PROMPT, Reading, budget) == GOOD
        assert len(server.chats) == budget.usage.calls == 2


@every_method
@pytest.mark.parametrize("first", ["{", "", '{"wish": 3}'])
def test_a_repair_may_succeed(method: Method, first: str) -> None:
    budget = plenty()
    with Loopback(in_turn(says(first), says(GOOD))) as server:
        assert open_at(server, method).ask(PROMPT, Reading, budget) == GOOD
        assert len(server.chats) == budget.usage.calls == 2


@every_method
def test_a_repair_shows_the_model_its_answer_and_what_is_wrong(method: Method) -> None:
    with Loopback(in_turn(says({"wish": 3}), says(GOOD))) as server:
        open_at(server, method).ask(PROMPT, Reading, plenty())
        first, second = (seen.body["messages"] for seen in server.chats)
    assert second[:2] == first
    assert [message["role"] for message in second] == ["system", "user", "assistant", "user"]
    assert json.loads(second[2]["content"]) == {"wish": 3}
    assert "wish: Input should be a valid string" in second[3]["content"]


def test_retries_and_the_repair_are_counted_apart() -> None:
    script = in_turn(fails(500), says("{"), says("{"), says(GOOD))
    with Loopback(script) as server:
        with pytest.raises(ModelMisbehaved, match=r"answered 500 .*, then answered with malformed JSON twice"):
            open_at(server).ask(PROMPT, Reading, plenty())
        assert len(server.chats) == 3


def test_an_answer_in_a_markdown_fence_is_read() -> None:
    with Loopback(says(f"```json\n{GOOD.model_dump_json()}\n```")) as server:
        assert open_at(server, "json_mode").ask(PROMPT, Reading, plenty()) == GOOD


def test_a_dict_field_is_a_mistake_of_the_schema() -> None:
    class Open(BaseModel):
        weights: dict[str, float]

    with pytest.raises(TypeError, match="Open has a dict field"):
        scripted([]).ask(PROMPT, Open, plenty())


def in_seconds(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize(("header", "least"), [("0.4", 0.4), ("Sat, 21 Nov 2015 08:00:00 GMT", 0.0), ("soon", 0.2)])
def test_a_wait_the_server_asks_for_is_kept(header: str, least: float) -> None:
    with Loopback(in_turn(fails(429, header), says(GOOD))) as server:
        started = time.monotonic()
        assert open_at(server).ask(PROMPT, Reading, plenty()) == GOOD
        assert least <= time.monotonic() - started < least + 0.8


def test_a_wait_that_does_not_fit_the_turn_is_not_begun() -> None:
    for header in ("60", in_seconds(60)):
        with Loopback(fails(429, header)) as server:
            started = time.monotonic()
            with pytest.raises(ModelMisbehaved, match=r"429 \(rate limit\) and is not to be asked again for (60|5\d)"):
                open_at(server).ask(PROMPT, Reading, plenty(seconds=10))
            assert time.monotonic() - started < 1
            assert len(server.chats) == 1


def test_the_cap_on_calls_holds_for_retries_and_repairs() -> None:
    for answer in (says("{"), fails(500)):
        with Loopback(answer) as server:
            with pytest.raises(BudgetSpent, match=r"^the chat model answered .*, and no call to the chat model is left"):
                open_at(server).ask(PROMPT, Reading, plenty(calls=1))
            assert len(server.chats) == 1


def test_nothing_is_sent_without_a_call_or_tokens_or_time_left() -> None:
    with Loopback(says(GOOD)) as server:
        for budget in (plenty(calls=0), plenty(tokens=100), plenty(seconds=-1)):
            with pytest.raises(BudgetSpent):
                open_at(server).ask(PROMPT, Reading, budget)
        assert server.requests == []


@pytest.mark.parametrize("caps", [{"calls": 4}, {"tokens": 1500}], ids=str)
def test_parallel_calls_cannot_pass_a_cap(caps: dict[str, int]) -> None:
    budget = plenty(**caps)
    with Loopback(says(GOOD, delay=0.2, usage=(200, 77))) as server, ThreadPoolExecutor(10) as pool:
        model = open_at(server)
        results = [pool.submit(model.ask, PROMPT, Reading, budget) for _ in range(10)]
        spent = sum(isinstance(result.exception(), BudgetSpent) for result in results)
        assert len(server.chats) == budget.usage.calls == 10 - spent
    assert 1 < budget.usage.calls <= caps.get("calls", 10)
    assert budget.usage.tokens <= caps.get("tokens", 30_000)


def test_tokens_are_estimated_when_the_server_does_not_count_them() -> None:
    budget = plenty()
    with Loopback(says(GOOD, usage=None)) as server:
        open_at(server).ask(PROMPT, Reading, budget)
    assert budget.usage.input_tokens > 100
    assert budget.usage.output_tokens == len(GOOD.model_dump_json()) // 4


@every_method
def test_asking_the_same_again_is_free_also_after_a_restart(method: Method, tmp_path: Path) -> None:
    cache = tmp_path / "deep" / "answers.sqlite"
    with Loopback(says(GOOD)) as server:
        open_at(server, method, cache=cache).ask(PROMPT, Reading, plenty())
        budget = plenty(calls=0)
        again = open_at(server, method, cache=cache)
        assert [again.ask(PROMPT, Reading, budget) for _ in range(2)] == [GOOD, GOOD]
        assert len(server.chats) == 1
    assert budget.usage == Usage()


@every_method
def test_another_prompt_or_another_schema_is_another_question(method: Method, tmp_path: Path) -> None:
    class Changed(Reading):
        mood: str = "calm"

    Changed.__name__, Changed.__qualname__ = Reading.__name__, Reading.__qualname__
    with Loopback(says(GOOD)) as server:
        model = open_at(server, method, cache=tmp_path / "answers.sqlite")
        model.ask(PROMPT, Reading, plenty())
        model.ask(replace(PROMPT, user="A long film."), Reading, plenty())
        model.ask(PROMPT, Changed, plenty())
        assert len(server.chats) == 3


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    with Loopback(in_turn(fails(401), says(GOOD))) as server:
        model = open_at(server, cache=tmp_path / "answers.sqlite")
        with pytest.raises(ModelMisbehaved):
            model.ask(PROMPT, Reading, plenty())
        assert model.ask(PROMPT, Reading, plenty()) == GOOD


@pytest.mark.parametrize("harm", ["drop table full_llm_cache", "update full_llm_cache set response = '{'"])
def test_a_damaged_cache_is_a_miss(harm: str, tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    with Loopback(says(GOOD)) as server:
        model = open_at(server, cache=cache)
        model.ask(PROMPT, Reading, plenty())
        with create_engine(f"sqlite:///{cache}").begin() as database:
            database.execute(text(harm))
        assert model.ask(PROMPT, Reading, plenty()) == GOOD
        assert len(server.chats) == 2


def test_a_file_that_is_no_cache_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but a long enough text " * 50)
    for place in (tmp_path / "notes.txt", tmp_path / "notes.txt" / "below.sqlite"):
        with pytest.raises(NotReady, match=r"cannot keep answers in .*notes\.txt"):
            open_chat("some-model", api_key=SecretStr(KEY), cache=place)


@pytest.mark.parametrize("answer", [fails(status, message=KEY, code=KEY) for status in (400, 401, 403, 404, 500)])
def test_the_key_shows_up_nowhere(answer: Answer, tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    with Loopback(in_turn(says(GOOD), answer)) as server:
        model = open_at(server, cache=cache, limits=replace(LIMITS, call_retries=0))
        model.ask(PROMPT, Reading, plenty())
        assert server.chats[0].headers["authorization"] == f"Bearer {KEY}"
        with pytest.raises(ModelMisbehaved) as caught:
            model.ask(replace(PROMPT, user="Another."), Reading, plenty())
    assert caught.value.__context__ is None
    told = "".join(traceback.format_exception(caught.value))
    assert not [shown for shown in (told, repr(caught.value), repr(model), repr(model.chat)) if KEY in shown]
    assert KEY.encode() not in cache.read_bytes()


def test_a_key_that_is_no_header_is_not_quoted() -> None:
    with Loopback(says(GOOD)) as server:
        once = replace(LIMITS, call_retries=0)
        model = open_chat("some-model", base_url=server.base_url, api_key=SecretStr(f"{KEY}\n"), limits=once)
        with pytest.raises(ModelMisbehaved) as caught:
            model.ask(PROMPT, Reading, plenty())
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_credentials_in_the_address_show_up_nowhere(tmp_path: Path) -> None:
    cache = tmp_path / "answers.sqlite"
    with Loopback(in_turn(says(GOOD), fails(400))) as server:
        address = server.base_url.replace("http://", f"http://me:{KEY}@")
        model = open_chat("some-model", base_url=address, cache=cache)
        model.ask(PROMPT, Reading, plenty())
        with pytest.raises(ModelMisbehaved) as caught:
            model.ask(replace(PROMPT, user="Another."), Reading, plenty())
    assert KEY not in "".join(traceback.format_exception(caught.value)) + repr(model)
    assert KEY.encode() not in cache.read_bytes()


def test_a_key_of_the_environment_is_not_sent_to_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Loopback(says(GOOD)) as server:
        open_chat("some-model", base_url=server.base_url).ask(PROMPT, Reading, plenty())
        assert server.chats[0].headers["authorization"] == "Bearer not-needed"


def test_a_model_without_key_and_address_is_not_ready() -> None:
    with pytest.raises(NotReady, match="needs an API key, or the base URL"):
        open_chat("some-model")


class Notes(TypedDict):
    messages: list[AnyMessage]


def test_a_streamed_graph_neither_streams_the_request_nor_leaks_its_json() -> None:
    def node(state: Notes) -> Notes:
        return {"messages": [AIMessage(model.ask(PROMPT, Reading, plenty()).wish)]}

    with Loopback(says(GOOD)) as server:
        model = open_at(server)
        graph = StateGraph(Notes).add_node("node", node).add_edge(START, "node").compile()
        streamed = graph.stream({"messages": []}, stream_mode="messages")
        assert [part[0].content for part in streamed if isinstance(part, tuple)] == ["short film"]
        assert not server.chats[0].body["stream"]


def scripted(script: Any, method: Method = "json_schema", limits: Limits = LIMITS, **kwargs: Any) -> LanguageModel:
    return LanguageModel(ScriptedChat(script=script, **kwargs), "scripted", method, limits)


@every_method
def test_a_scripted_chat_says_its_answers_in_turn(method: Method) -> None:
    model = scripted([GOOD, GOOD.model_dump(), "{", GOOD.model_dump_json()], method)
    budget = plenty()
    assert [model.ask(PROMPT, Reading, budget) for _ in range(3)] == [GOOD] * 3
    assert budget.usage.calls == 4
    assert budget.usage.input_tokens > 0
    with pytest.raises(RuntimeError, match="the script has 4 answers"):
        model.ask(PROMPT, Reading, budget)


def test_a_scripted_chat_answers_by_function_and_records_its_calls() -> None:
    chat = ScriptedChat(script=lambda messages, schema: {"wish": f"{schema}: {messages[-1].text}"})
    model = LanguageModel(chat, "scripted", "function_calling")
    assert model.ask(PROMPT, Reading, plenty()).wish == "Reading: A short film, please."
    assert [(call.schema_name, call.method, len(call.messages)) for call in chat.calls] == [("Reading", "function_calling", 2)]


FAULTY: dict[str, tuple[Callable[[], Any], str]] = {
    "malformed": (lambda: ["{", "{"], "answered with malformed JSON twice"),
    "empty": (lambda: ["", ""], "gave an empty answer twice"),
    "refusal": (lambda: [AIMessage("", additional_kwargs={"refusal": "no"})], "refused"),
    "no answer": (lambda: [TimeoutError(), TimeoutError()], "did not answer within 5 s twice"),
    "no connection": (lambda: [ConnectionError(), ConnectionError()], "could not be reached, or hung up twice"),
    "openai's": (lambda: [openai.OpenAIError("x")], "sent something that is not a chat completion"),
}


@every_method
@pytest.mark.parametrize("fault", FAULTY)
def test_a_scripted_chat_can_misbehave(method: Method, fault: str) -> None:
    script, sentence = FAULTY[fault]
    with pytest.raises(ModelMisbehaved) as caught:
        scripted(script(), method).ask(PROMPT, Reading, plenty())
    assert str(caught.value) == f"the chat model {sentence}"


def test_a_scripted_chat_can_be_too_slow() -> None:
    with pytest.raises(ModelMisbehaved, match=r"did not answer within 0\.3 s$"):
        scripted([GOOD], limits=replace(IMPATIENT, call_retries=0), delay=0.5).ask(PROMPT, Reading, plenty())


@every_method
def test_a_scripted_chat_gives_structure_as_a_real_one(method: Method) -> None:
    chat = ScriptedChat(script=[GOOD, "{", GOOD, GOOD])
    with_raw = chat.with_structured_output(Reading, method=method, include_raw=True)
    good, bad = with_raw.invoke("x"), with_raw.invoke("x")
    assert isinstance(good, dict)
    assert isinstance(bad, dict)
    assert (good["parsed"], good["parsing_error"]) == (GOOD, None)
    assert bad["parsed"] is None
    assert isinstance(bad["parsing_error"], ValueError)
    assert chat.with_structured_output(Reading, method=method).invoke("x") == GOOD
    shape = Reading.model_json_schema()
    assert chat.with_structured_output(shape, method=method).invoke("x") == GOOD.model_dump()


def test_the_loopback_embeds_alike_texts_alike_and_lists_its_models() -> None:
    with Loopback(says(GOOD)) as server, openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        near, same, far = (d.embedding for d in client.embeddings.create(model="m", input=["a b c", "a b d", "x y"]).data)
        plain = client.embeddings.create(model="m", input="a b c", encoding_format="float").data[0].embedding
        assert [model.id for model in client.models.list()] == ["loopback"]
        assert [seen.body.get("encoding_format") for seen in server.requests] == ["base64", "float", None]
    assert near == pytest.approx(plain)
    assert _dot(near, same) > _dot(near, far)


def _dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_the_loopback_refuses_what_the_real_one_refuses() -> None:
    open_object = {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}, "required": ["a"]}
    formats: list[Any] = [
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": open_object}},
    ]
    with Loopback(says(GOOD)) as server, openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        for wanted in formats:
            with pytest.raises(openai.BadRequestError):
                client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], response_format=wanted)


def test_a_script_sees_each_request_and_its_number() -> None:
    script: Script = lambda body, n: says({"wish": f"{body['model']} {n}"})  # noqa: E731
    with Loopback(script) as server:
        wishes = [open_at(server).ask(PROMPT, Reading, plenty()).wish for _ in range(2)]
    assert wishes == ["some-model 1", "some-model 2"]
