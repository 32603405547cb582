"""A chat model that says what a script tells it to: for demonstrations and tests, without a network."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers.openai_tools import make_invalid_tool_call, parse_tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough
from pydantic import BaseModel, PrivateAttr, SkipValidation

from duetto.tools.chat.model_answer import heard

Answer = str | BaseModel | dict[str, Any] | AIMessage | Exception
Script = Callable[[list[BaseMessage], str], Answer]


@dataclass(frozen=True)
class Call:
    """`schema_name` is "" for a call that asked for no structure."""

    messages: tuple[BaseMessage, ...]
    schema_name: str
    method: str


class ScriptedChat(BaseChatModel):
    """`script` is a function of the messages and the schema's name, or the answers in turn (then RuntimeError).

    Text is said as it is, also when it is no JSON; an exception is raised; an AIMessage passes whole (refusals).
    """

    script: SkipValidation[Script | Sequence[Answer]]
    delay: float = 0.0  # seconds before each answer

    _calls: list[Call] = PrivateAttr(default_factory=list)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def calls(self) -> list[Call]:
        with self._lock:
            return list(self._calls)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        schema_name: str = "",
        method: str = "",
        **kwargs: Any,
    ) -> ChatResult:
        with self._lock:
            self._calls.append(Call(tuple(messages), schema_name, method))
            n = len(self._calls)
        time.sleep(self.delay)
        answer = self._answer(messages, schema_name, n)
        if isinstance(answer, Exception):
            raise answer
        message = answer if isinstance(answer, AIMessage) else _message(answer, schema_name, method, n)
        if message.usage_metadata is None:
            read, wrote = sum(len(m.text) for m in messages) // 4, len(heard(message).text) // 4
            counted = {"input_tokens": read, "output_tokens": wrote, "total_tokens": read + wrote}
            message = message.model_copy(update={"usage_metadata": counted})
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _answer(self, messages: list[BaseMessage], schema_name: str, n: int) -> Answer:
        if callable(self.script):
            return self.script(messages, schema_name)
        if n > len(self.script):
            raise RuntimeError(f"the script has {len(self.script)} answers and was asked for one more")
        return self.script[n - 1]

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: str = "json_schema",
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """As a real one's: with `include_raw`, {"raw", "parsed", "parsing_error"}; `kwargs` are ignored."""
        name = schema["title"] if isinstance(schema, dict) else schema.__name__

        def parse(message: AIMessage) -> Any:
            text = heard(message).text
            if isinstance(schema, type) and issubclass(schema, BaseModel):
                return schema.model_validate_json(text)
            return json.loads(text)

        asked = self.bind(schema_name=name, method=method)
        if not include_raw:
            return asked | RunnableLambda(parse)
        parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | RunnableLambda(parse), parsing_error=_nothing)
        failed = RunnablePassthrough.assign(parsed=_nothing)
        return RunnableMap(raw=asked) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _nothing(_: Any) -> None:
    return None


def _message(answer: str | BaseModel | dict[str, Any], schema_name: str, method: str, n: int) -> AIMessage:
    if isinstance(answer, BaseModel):
        answer = answer.model_dump_json()
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    if method != "function_calling" or not text:
        return AIMessage(text)
    call = {"id": f"call_{n}", "function": {"name": schema_name, "arguments": text}}
    try:
        parsed = parse_tool_call(call, return_id=True)
    except OutputParserException as error:
        return AIMessage("", invalid_tool_calls=[make_invalid_tool_call(call, str(error))])
    return AIMessage("", tool_calls=[parsed] if parsed else [])
