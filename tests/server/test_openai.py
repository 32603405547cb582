"""What clients made for OpenAI ask for: with the client itself, as chat interfaces use it."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import openai
import pytest

from tests.serving import Body, Served

WISH = "something dark and clever, but no horror"
LIMIT = "nothing longer than 100 minutes"


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


def said(*messages: str, system: str | None = None) -> Any:
    """A conversation as such clients send it: all of it, with an assistant's answers in between."""
    told: list[Body] = [{"role": "system", "content": system}] if system else []
    for message in messages:
        told += [{"role": "user", "content": message}, {"role": "assistant", "content": "1. **Something**"}]
    return told[:-1]


def answer(client: openai.OpenAI, *messages: str, **how: Any) -> Body:
    """The turn behind a chat completion."""
    completion: Any = client.chat.completions.create(model="duetto", messages=said(*messages), **how)
    turn: Body = completion.duetto
    return turn


def constraints(turn: Body) -> list[str]:
    return [constraint["said"] for constraint in turn["constraints"]]


def new() -> str:
    """A beginning that no other test's conversation has."""
    return f"{WISH} ({uuid4().hex[:8]})"


def test_a_completion_reads_well_and_holds_the_turn(client: openai.OpenAI) -> None:
    completion: Any = client.chat.completions.create(model="duetto", messages=said(new()), user="p042")
    (choice,) = completion.choices
    turn = completion.duetto
    first = turn["recommendations"][0]
    assert (completion.object, completion.model, choice.finish_reason) == ("chat.completion", "duetto", "stop")
    assert f"1. **{first['title']}** ({first['attributes']['year']}) – " in choice.message.content
    assert choice.message.content.count("\n") >= 9
    assert (turn["user"], constraints(turn)) == ("p042", ["no horror"])
    assert completion.usage.total_tokens == 0


def test_a_streamed_completion_says_the_same(client: openai.OpenAI) -> None:
    stream: Any = client.chat.completions.create(
        model="duetto", messages=said(new()), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    (turn,) = [chunk.duetto for chunk in chunks if getattr(chunk, "duetto", None)]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [0]
    assert all(f"{r['rank']}. **{r['title']}**" in text for r in turn["recommendations"][:3])
    assert len({chunk.id for chunk in chunks}) == 1


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["duetto"]
    assert client.models.retrieve("duetto").id == "duetto"
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-5' here"):
        client.models.retrieve("gpt-5")


def test_a_conversation_is_found_by_how_it_began(client: openai.OpenAI) -> None:
    begins = new()
    first, second = answer(client, begins), answer(client, begins, LIMIT)
    assert (second["thread"], second["turn"]) == (first["thread"], 2)
    assert constraints(second) == ["no horror", LIMIT]


def test_people_do_not_share_a_conversation_that_began_alike(client: openai.OpenAI) -> None:
    begins = new()
    mine, theirs = answer(client, begins, user="p001"), answer(client, begins, user="p002")
    assert mine["thread"] != theirs["thread"]
    assert answer(client, begins, LIMIT, user="p001")["thread"] == mine["thread"]


def test_two_chats_that_begin_alike_stay_apart(server: Served, client: openai.OpenAI) -> None:
    begins = new()
    threads = {answer(client, begins)["thread"], answer(client, begins)["thread"]}
    one = answer(client, begins, "from the 1990s")
    other = answer(client, begins, "from the 1970s")
    assert {one["thread"], other["thread"]} == threads
    assert constraints(answer(client, begins, "from the 1990s", LIMIT)) == ["no horror", "from the 1990s", LIMIT]
    assert server.told(other["thread"]) == [begins, "from the 1970s"]


def test_an_answer_that_is_asked_for_again_takes_the_place_of_the_last(server: Served, client: openai.OpenAI) -> None:
    begins = new()
    for _ in range(3):
        answer(client, begins)
    answer(client, begins, "from the 1990s")
    again = answer(client, begins, "from the 1990s")
    assert (again["turn"], constraints(again)) == (2, ["no horror", "from the 1990s"])
    assert server.told(again["thread"]) == [begins, "from the 1990s"]


def test_an_earlier_message_that_was_edited_takes_the_place_of_what_followed(client: openai.OpenAI) -> None:
    begins = new()
    for messages in ((begins,), (begins, "from the 1990s"), (begins, "from the 1990s", LIMIT)):
        answer(client, *messages)
    edited = answer(client, begins, "from the 1970s")
    assert (edited["turn"], constraints(edited)) == (2, ["no horror", "from the 1970s"])


def test_what_was_said_elsewhere_is_read_first(server: Served, client: openai.OpenAI) -> None:
    begins = new()
    turn = answer(client, begins, "from the 1990s", LIMIT)
    assert (turn["turn"], constraints(turn)) == (3, ["no horror", "from the 1990s", LIMIT])
    assert server.told(turn["thread"]) == [begins, "from the 1990s", LIMIT]


def test_a_message_that_was_refused_does_not_end_a_chat(client: openai.OpenAI) -> None:
    begins, long = new(), "x" * 4_001
    answer(client, begins)
    with pytest.raises(openai.BadRequestError, match="the most is 4,000"):
        answer(client, begins, long)
    assert constraints(answer(client, begins, long, LIMIT)) == ["no horror", LIMIT]
    again = answer(client, begins, long, LIMIT, "from the 1990s")
    assert (again["turn"], constraints(again)) == (4, ["no horror", LIMIT, "from the 1990s"])


def test_a_thread_can_be_named(server: Served, client: openai.OpenAI) -> None:
    named = {"X-Duetto-Thread": "named"}
    for message in (WISH, LIMIT):  # a caller need not tell what was said before
        turn = answer(client, message, extra_headers=named)
    assert (turn["thread"], turn["turn"], constraints(turn)) == ("named", 2, ["no horror", LIMIT])
    assert answer(client, LIMIT, "from the 1990s", extra_headers=named)["turn"] == 3  # nor all of it
    assert constraints(answer(client, WISH, LIMIT, "from the 1970s", extra_headers=named))[-1] == "from the 1970s"
    edited = answer(client, "a western", LIMIT, extra_headers=named)
    assert (edited["turn"], constraints(edited)) == (2, [LIMIT])
    assert server.told("named") == ["a western", LIMIT]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": [{"type": "text", "text": "a western"}, {"type": "image_url", "image_url": {"url": "x"}}]}],
        said("a western", system="You are helpful. " * 1_000),
        [{"role": "user", "content": "a western", "name": "zoe", "extra": {"a": [1]}}],
        [{"role": "developer", "content": "be kind"}, {"role": "user", "content": " a western\n"}],
        [{"role": "user", "content": ""}, {"role": "assistant", "content": None}, {"role": "user", "content": "a western"}],
        [{"role": "tool", "content": "5", "tool_call_id": "x"}, {"role": "user", "content": "a western"}],
    ],
)
def test_what_chat_interfaces_send_is_understood(client: openai.OpenAI, messages: Any) -> None:
    more = {"temperature": 0.7, "tools": [], "chat_id": "x", "metadata": {"a": 1}, "max_tokens": 5, "n": 1, "stop": None}
    completion: Any = client.chat.completions.create(model="duetto", messages=messages, extra_body=more)
    assert len(completion.duetto["recommendations"]) == 10
    assert {r["attributes"]["genres"] is not None for r in completion.duetto["recommendations"]} == {True}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"messages": [{"role": "user", "content": " "}]}, "cannot answer an empty message"),
        ({"messages": []}, "messages: "),
        ({"messages": [{"role": "assistant", "content": "hello"}]}, "last message is not the user's"),
        ({"messages": [{"role": "king", "content": "hello"}]}, "role"),
        ({"messages": [{"role": "user", "content": "x"}] * 201}, "the most is 200"),
        ({"messages": [{"role": "user", "content": "x"}], "user": ""}, "user"),
        ({"messages": [{"role": "user", "content": "x"}], "extra_headers": {"X-Duetto-Thread": "a/b"}}, "x-duetto-thread"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_request_is_one_to_openai_s_client_too(client: openai.OpenAI, asked: Any, told: str, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError, match=told) as failed:
        client.chat.completions.create(model="duetto", stream=stream, **asked)
    assert (failed.value.type, failed.value.code) == ("invalid_request_error", "bad_input")


def test_a_body_that_is_too_large_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError, match="the most is 1,000,000 bytes") as failed:
        client.chat.completions.create(model="duetto", messages=said("x" * 1_000_001))
    assert failed.value.status_code == 413
