"""The port to a chat model: a prompt and a schema go in, an object of that schema comes out, or one clear sentence."""

import hashlib
import json
import time
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import SecretStr

from duetto.errors import BudgetSpent, ModelMisbehaved, NotReady
from duetto.limits import Limits
from duetto.prompts import Prompt
from duetto.tools.chat.bounded_http import BoundedClient
from duetto.tools.chat.budget import Budget, Call, Usage
from duetto.tools.chat.model_answer import Said, T, Unusable, json_schema, parse
from duetto.tools.chat.model_call import PAUSE, Failure, Method, request

if TYPE_CHECKING:
    from duetto.tools.chat.answers import Answers

__all__ = ["LanguageModel", "Method", "open_chat"]

_LIMITS = Limits()


@dataclass(frozen=True)
class LanguageModel:
    """`chat` must not retry by itself (`max_retries=0`) and must cap its output at `limits.output_tokens`.

    `price` is currency per million input and output tokens. What is in `answers` costs nothing, and no call.
    """

    chat: BaseChatModel = field(repr=False)  # its repr holds the server's address
    name: str
    method: Method = "json_schema"
    limits: Limits = _LIMITS
    price: tuple[float, float] | None = None
    answers: "Answers | None" = None

    def ask(self, prompt: Prompt, schema: type[T], budget: Budget, about: str = "") -> T:
        """Raises ModelMisbehaved (BudgetSpent when a cap forbids a request), each with a sentence fit for a reply.

        `about` tells apart what one turn asks with one prompt several times. The budget is told of every request.

        A request that fails in passing (429, 5xx, no answer, no connection) is made again `limits.call_retries` times;
        an answer that cannot be used is shown to the model once, with what is wrong. So at most `call_retries + 2`
        requests, each paid for by the budget before it is sent.
        """
        shape = json_schema(schema)
        messages = _opening(prompt, shape, self.method)
        retries, repairs = self.limits.call_retries, 1
        failures: list[str] = []
        while True:
            try:
                answer = self._request(prompt, about, messages, shape, budget)
            except BudgetSpent as spent:
                raise BudgetSpent(f"{_told(failures)}, and {spent}" if failures else str(spent)) from None
            if isinstance(answer, Failure):
                failures.append(answer.what)
                if not answer.again or retries == 0:
                    break
                if answer.wait > max(PAUSE, budget.seconds_left()):
                    failures[-1] += f" and is not to be asked again for {answer.wait:.3g} s"
                    break
                retries -= 1
                self.pause(answer.wait)
                continue
            try:
                return parse(answer, schema)
            except Unusable as bad:
                failures.append(bad.what)
                if repairs == 0:
                    break
                repairs -= 1
                messages = [*messages, *_repair(answer.text, bad.detail)]
        raise ModelMisbehaved(_told(failures))

    def _request(
        self, prompt: Prompt, about: str, messages: list[BaseMessage], shape: dict[str, Any], budget: Budget
    ) -> Said | Failure:
        started = time.perf_counter()
        sent = tuple((message.type, str(message.text)) for message in messages)
        told = json.dumps([sent, shape, self.method], ensure_ascii=False).encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(told).hexdigest()
        asked = Call(prompt.name, about, digest[:16], sent, self.name, None)
        if self.answers is not None and (kept := self.answers.said(digest)) is not None:
            budget.tell(replace(asked, text=kept, ms=_since(started)))
            return Said(kept)
        try:
            answer, usage = self.send(asked, messages, shape, budget)
        except BudgetSpent as spent:
            budget.tell(replace(asked, failed=str(spent), refused=True))
            raise
        made = replace(asked, usage=usage, ms=_since(started))
        if isinstance(answer, Failure):
            budget.tell(replace(made, failed=answer.what, again=answer.again, wait=answer.wait))
        else:
            budget.tell(replace(made, text=answer.text, cut=answer.cut))
            if self.answers is not None and not answer.cut:
                self.answers.keep(digest, answer.text)
        return answer

    def send(
        self, asked: Call, messages: list[BaseMessage], shape: dict[str, Any], budget: Budget
    ) -> tuple[Said | Failure, Usage]:
        """One request and what it cost. Raises BudgetSpent."""
        limits = self.limits
        return request(self.chat, messages, shape, self.method, budget, limits.call_seconds, limits.output_tokens)

    def pause(self, seconds: float) -> None:
        """Before a request is made again."""
        time.sleep(seconds)


def _opening(prompt: Prompt, shape: dict[str, object], method: Method) -> list[BaseMessage]:
    system = prompt.system
    if method == "json_mode":  # the API does not see the schema, and insists on the word JSON
        text = json.dumps(shape, ensure_ascii=False)
        system += f"\n\nAnswer with one JSON object that satisfies this JSON Schema, and nothing else:\n{text}"
    return [SystemMessage(system), HumanMessage(prompt.user)]


def _repair(said: str, wrong: str) -> list[BaseMessage]:
    return [
        AIMessage(said.strip() or "(nothing)"),  # some servers refuse an empty message
        HumanMessage(f"That answer cannot be used. {wrong}\nAnswer again, as JSON in the form asked for."),
    ]


def _since(started: float) -> float:
    """Milliseconds."""
    return round((time.perf_counter() - started) * 1000, 2)


def _told(failures: list[str]) -> str:
    times = {1: "", 2: " twice"}
    told = [(what, len(list(same))) for what, same in groupby(failures)]
    return "the chat model " + ", then ".join(what + times.get(n, f" {n} times") for what, n in told)


def open_chat(
    model: str,
    *,
    base_url: str | None = None,
    api_key: SecretStr | None = None,
    method: Method = "json_schema",
    cache: Path | None = None,
    limits: Limits = _LIMITS,
    price: tuple[float, float] | None = None,
) -> LanguageModel:
    """OpenAI, or any server that speaks its protocol at `base_url`. Sends nothing. `cache` is a SQLite file.

    A server at `base_url` never gets a key of the environment. Raises NotReady.
    """
    if api_key is None and base_url is None:
        raise NotReady(f"cannot use the chat model {model!r}: it needs an API key, or the base URL of your own server")
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(
        model=model,
        base_url=base_url,
        api_key=api_key or SecretStr("not-needed"),
        temperature=0,
        max_retries=0,
        timeout=limits.call_seconds,
        max_completion_tokens=limits.output_tokens,
        http_client=BoundedClient(limits.call_seconds),
        use_responses_api=None if base_url is None else False,
        disable_streaming=True,
        cache=False,  # `answers` is asked before it
    )
    asked = json.dumps([model, base_url, limits.output_tokens])
    return LanguageModel(chat, model, method, limits, price, None if cache is None else _answers(cache, asked))


def _answers(file: Path, asked: str) -> "Answers":
    from sqlalchemy.exc import SQLAlchemyError

    from duetto.tools.chat.answers import Answers

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return Answers(file, asked)
    except (OSError, SQLAlchemyError):
        raise NotReady(f"cannot keep answers in {file}: it is not a SQLite file that can be written; move it") from None
