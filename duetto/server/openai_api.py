"""What clients made for OpenAI ask for: `/v1/chat/completions` and `/v1/models`.

Such clients send the whole conversation each time and name no thread. It is found by the `X-Duetto-Thread` header, else by
who asks and how the conversation began; where an earlier message was changed or an answer is asked for again, it goes on
from the turn before that; and what was said elsewhere is read first, by the plain reader.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from duetto.errors import BadInput
from duetto.graph.input import the_message
from duetto.graph.state import ItemId
from duetto.server.api import THREAD, Here, Who, failures
from duetto.server.doors import NotThere, Visitor
from duetto.server.house import House
from duetto.server.markdown import Lines, markdown
from duetto.server.playing import Play
from duetto.server.streaming import answered, events
from duetto.server.turn import Asked

MODEL = "duetto"
router = APIRouter(prefix="/v1", tags=["openai"])


class Part(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: str
    text: str | None = None


class Message(BaseModel):
    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    def said(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text" and part.text)
        return self.content or ""


class StreamOptions(BaseModel):
    include_usage: bool | None = None


class ChatAsked(BaseModel):
    """Of what OpenAI knows, what has a meaning here; the rest is let pass."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(MODEL, examples=[MODEL])
    messages: list[Message] = Field(min_length=1, examples=[[{"role": "user", "content": "a warm comedy about friendship"}]])
    user: str | None = Field(None, min_length=1, max_length=200, description="the person's id in the log", examples=["p042"])
    stream: bool | None = None
    stream_options: StreamOptions | None = None


@router.get("/models", responses=failures())
def list_models(here: Here, who: Who) -> dict[str, Any]:
    """The one there is."""
    return {"object": "list", "data": [_model()]}


@router.get("/models/{model}", responses=failures())
def read_model(model: str, here: Here, who: Who) -> dict[str, Any]:
    _check(model)
    return _model()


@router.post("/chat/completions", responses={**failures(504), 200: {"content": {"text/event-stream": {}}}})
async def complete_chat(
    asked: ChatAsked, request: Request, here: Here, who: Who,
    x_duetto_thread: Annotated[str | None, Header(pattern=THREAD)] = None,
) -> Response:  # fmt: skip
    """One turn, as a chat completion in Markdown; `duetto` holds the answer itself."""
    _check(asked.model)
    heard = [message.said() for message in asked.messages if message.role == "user"]
    if not heard or asked.messages[-1].role != "user":
        raise BadInput("cannot answer a conversation whose last message is not the user's")
    if len(asked.messages) > here.settings.limits.messages_read:
        raise BadInput(f"cannot read {len(asked.messages)} messages: the most is {here.settings.limits.messages_read}")
    the_message(heard[-1], [], here.settings.limits.message_chars)
    user = who.speaks_for(asked.user)
    here.playing.check_room()  # before a conversation is begun for it
    turn = await asyncio.to_thread(_turn, here, who, x_duetto_thread, user, heard)
    play = here.playing.start(turn)
    if asked.stream:
        wants_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        return events(_chunks(play, here, wants_usage))
    answer = await answered(play, request)
    message = {"role": "assistant", "content": markdown(answer)}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    told = {**_head("chat.completion"), "choices": [choice], "usage": _usage(answer), "duetto": answer}
    return Response(json.dumps(told, ensure_ascii=False), media_type="application/json")


def _turn(here: House, who: Visitor, thread: str | None, user: ItemId | None, heard: list[str]) -> Asked:
    talks, most = here.talks(), here.settings.limits.message_chars
    *before, last = [cut for text in heard if (cut := text.strip()[:most].strip())]  # one too long was refused once, and is told
    if thread is not None:
        talks.check(who, thread, new=True)
        checkpoint, seen = talks.going_on_from(thread, before)
    elif before:
        thread, checkpoint, seen = talks.found(_name(who.scope, user, before[0]), before)
    else:  # an answer that is asked for again begins anew too
        thread, checkpoint, seen = talks.begun(_name(who.scope, user, last)), None, 0
    check = partial(talks.check, who, thread, new=True)
    return Asked(thread, user, last, checkpoint=checkpoint, unseen=tuple(before[seen:]), check=check)


async def _chunks(play: Play, here: House, usage: bool) -> AsyncIterator[str]:
    """The list as soon as it stands, each reason as it comes, and in the end whatever else there is to say."""
    head = _head("chat.completion.chunk")
    lines = Lines()

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        told = {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}], **more}
        return f"data: {json.dumps(told, ensure_ascii=False)}\n\n"

    try:
        yield chunk({"role": "assistant", "content": ""})
        async for event in play.listen(here.settings.limits.alive_seconds):
            if event is None:
                yield ":\n\n"
            elif text := lines.of(event):
                yield chunk({"content": text})
            if event is not None and event.name == "answer":
                yield chunk({}, "stop", duetto=event.data)
                if usage:
                    told = {**head, "choices": [], "usage": _usage(event.data)}
                    yield f"data: {json.dumps(told)}\n\n"
    except Exception as error:
        yield f"data: {json.dumps({'error': _told(here, error)}, ensure_ascii=False)}\n\n"
    finally:
        if not play.ended:
            play.stop()
    yield "data: [DONE]\n\n"


def is_for(path: str) -> bool:
    """Whether a client made for OpenAI asks."""
    return path.startswith(("/v1/chat/", "/v1/models"))


def failure(kind: str, message: str, request: str) -> dict[str, Any]:
    """What went wrong, in OpenAI's shape."""
    ours = kind in ("failed", "not_ready", "too_long")
    whose = "server_error" if ours else "invalid_request_error"
    return {"message": message, "type": whose, "param": None, "code": kind, "request_id": request}


def _told(here: House, error: Exception) -> dict[str, Any]:
    told = here.told(error)
    return failure(told["type"], told["message"], told["request_id"])


def _head(kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid4().hex}", "object": kind, "created": int(time.time()), "model": MODEL}


def _usage(answer: dict[str, Any]) -> dict[str, int]:
    """What the chat model behind the turn took: nothing, where there is none."""
    given, taken = answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]
    return {"prompt_tokens": given, "completion_tokens": taken, "total_tokens": given + taken}


def _name(scope: str, user: ItemId | None, first: str) -> str:
    """Of conversations that began alike."""
    told = json.dumps([scope, None if user is None else str(user), first])
    return f"chat-{hashlib.sha256(told.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _check(model: str) -> None:
    if model != MODEL:
        raise NotThere(f"there is no model {model[:80]!r} here: the one there is is called {MODEL!r}")


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "duetto"}
