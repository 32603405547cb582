"""One request to a chat model: paid for before it is sent, ended by a deadline, its faults told in one phrase."""

import email.utils
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any, Literal

import openai
from langchain_core.exceptions import LangChainException, ModelConnectionError, ModelTimeoutError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig

from duetto.tools.chat.bounded_http import DEADLINE
from duetto.tools.chat.budget import Budget, Usage
from duetto.tools.chat.model_answer import Said, heard, heard_cut
from duetto.tools.turnstile import waiting

Method = Literal["json_schema", "function_calling", "json_mode"]
PAUSE = 0.25  # seconds before another try, when the server asked for none
_WORDS = {400: "bad request", 401: "the key was refused", 403: "forbidden", 404: "not found", 429: "rate limit"}

# What a server that is not quite OpenAI's provokes: HTML, no choices, an error in a 200.
_GARBLED = (openai.OpenAIError, LangChainException, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class Failure:
    """`what` the model did, after "the chat model"; `wait` are the seconds before `again` makes sense."""

    what: str
    again: bool = False
    wait: float = 0.0


def request(
    chat: BaseChatModel,
    messages: list[BaseMessage],
    schema: dict[str, Any],
    method: Method,
    budget: Budget,
    seconds: float,
    output_tokens: int,
) -> tuple[Said | Failure, Usage]:
    """Pays for one request, sends it, and waits at most `seconds`, or until the turn ends. Raises BudgetSpent."""
    patience = budget.patience(seconds)
    read = estimate(messages, schema)
    if chat.disable_streaming is not True:  # a caller that streams the graph would make every request a streamed one
        chat = chat.model_copy(update={"disable_streaming": True})
    need, spent = read + output_tokens, Usage(0, read, 0)
    budget.take(need)
    answer: Said | Failure
    try:
        answer = _heard(chat, messages, schema, method, patience)
        spent = answer.used or replace(spent, output_tokens=len(answer.text.encode()) // 4)
        if answer.refused:
            answer = Failure("refused")
    except (TimeoutError, openai.APITimeoutError, ModelTimeoutError):
        answer = Failure(f"did not answer within {patience:.3g} s", again=patience == seconds)
    except (openai.APIConnectionError, ModelConnectionError, OSError):
        answer = Failure("could not be reached, or hung up", again=True, wait=PAUSE)
    except openai.APIStatusError as error:
        answer, spent = _status(error), Usage()
    except _GARBLED:
        answer = Failure("sent something that is not a chat completion")
    budget.settle(need, spent)
    return answer, Usage(calls=1) + spent


def _heard(chat: BaseChatModel, messages: list[BaseMessage], schema: dict[str, Any], method: Method, seconds: float) -> Said:
    try:
        return heard(_within(seconds, lambda: _asked(chat, messages, schema, method)))
    except openai.LengthFinishReasonError as error:
        return heard_cut(error)
    except openai.ContentFilterFinishReasonError:
        return Said("", refused=True)


def _asked(chat: BaseChatModel, messages: list[BaseMessage], schema: dict[str, Any], method: Method) -> AIMessage:
    config: RunnableConfig = {"tags": ["nostream"]}
    if method == "json_schema" and getattr(chat, "use_responses_api", None) is False:
        # The same request, but the openai client neither walks through the schema nor parses the answer: it would spend
        # more time on that, at every call, than a turn on all its arithmetic.
        shape = {"name": schema["title"], "strict": True, "schema": {k: v for k, v in schema.items() if k != "title"}}
        return chat.invoke(messages, config, extra_body={"response_format": {"type": "json_schema", "json_schema": shape}})
    strict = {"strict": True} if method == "json_schema" else {}
    structured: Any = chat.with_structured_output(schema, method=method, include_raw=True, **strict)
    raw: AIMessage = structured.invoke(messages, config)["raw"]
    return raw


def estimate(messages: list[BaseMessage], schema: dict[str, Any]) -> int:
    """Tokens that a server will read, about."""
    return sum(len(str(part).encode()) for part in (schema, *(m.content for m in messages))) // 4


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """The result of `call`, run in a thread that is left behind (a daemon) when time is up: TimeoutError."""
    future: Future[Any] = Future()
    context = copy_context()
    context.run(DEADLINE.set, time.monotonic() + seconds)

    def run() -> None:
        try:
            future.set_result(context.run(call))
        except BaseException as error:  # handed to the caller, who sorts it
            future.set_exception(error)

    threading.Thread(target=run, name="chat model", daemon=True).start()
    with waiting():
        return future.result(seconds)


def _status(error: openai.APIStatusError) -> Failure:
    """Only the status and a code made of letters are told: a server's own words may quote the key."""
    status = error.status_code
    code = error.code if error.code and re.fullmatch("[a-z_]{3,40}", error.code) else None
    words = code or _WORDS.get(status) or ("server error" if status >= 500 else "not accepted")
    again = status in (408, 429) or status >= 500
    return Failure(f"answered {status} ({words})", again, _retry_after(error.response.headers.get("retry-after")))


def _retry_after(header: str | None) -> float:
    """Seconds, or an HTTP date; RFC 9110, 10.2.3."""
    if header is None:
        return PAUSE
    if re.fullmatch(r"\d+(\.\d+)?", header.strip()):
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return PAUSE
