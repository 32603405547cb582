"""What a chat model said, whichever way it was asked for structure, and what of it can be used."""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import openai
from langchain_core.messages import AIMessage
from pydantic import BaseModel, ValidationError

from duetto.tools.chat.budget import Usage

T = TypeVar("T", bound=BaseModel)
_FENCED = re.compile(r"\s*```(?:json)?\s*(.*?)\s*```\s*", re.DOTALL)


class Unusable(Exception):
    """`what` the model did, for people; `detail` for the model, which may mend it."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(what)
        self.what = what
        self.detail = detail


@dataclass(frozen=True)
class Said:
    """`used` is None when the server did not count tokens; `cut` means the answer met the cap on output tokens."""

    text: str
    used: Usage | None = None
    cut: bool = False
    refused: bool = False


def heard(message: AIMessage) -> Said:
    """Reads a raw message: the arguments of its tool call if it made one, else its text."""
    if message.tool_calls:
        text = json.dumps(message.tool_calls[0]["args"], ensure_ascii=False)
    elif message.invalid_tool_calls:
        text = message.invalid_tool_calls[0]["args"] or ""
    else:
        text = str(message.text)
    counted = message.usage_metadata
    used = Usage(0, counted["input_tokens"], counted["output_tokens"]) if counted else None
    finish = message.response_metadata.get("finish_reason")
    refused = bool(message.additional_kwargs.get("refusal")) or finish == "content_filter"
    return Said(text, used, finish == "length", refused)


def heard_cut(error: openai.LengthFinishReasonError) -> Said:
    """The openai client raises instead of answering when structured output met the cap."""
    counted = error.completion.usage
    used = Usage(0, counted.prompt_tokens, counted.completion_tokens) if counted else None
    return Said(error.completion.choices[0].message.content or "", used, cut=True)


def parse(said: Said, schema: type[T]) -> T:
    """Raises Unusable. LangChain's own parsers differ by method, and one mends cut JSON silently; this one does not."""
    text = fenced[1] if (fenced := _FENCED.fullmatch(said.text)) else said.text
    if not text.strip():
        raise Unusable("gave an empty answer", "The answer was empty.")
    try:
        return schema.model_validate_json(text)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    if said.cut:
        raise Unusable("was cut off at the output limit", "The answer was cut off: it must be much shorter.")
    detail = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'the answer'}: {p['msg']}" for p in problems[:8])
    if any(p["type"] == "json_invalid" for p in problems):
        raise Unusable("answered with malformed JSON", detail)
    raise Unusable("answered with JSON of the wrong shape", detail)


@cache
def json_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """In the dialect strict mode accepts: closed objects, every property required, `title` the name of the schema.

    Raises TypeError on a dict field: LangChain would close it silently, and the model could only answer {}.
    """
    parameters = openai.pydantic_function_tool(schema)["function"]["parameters"]
    if re.search(r'"additionalProperties": (?!false)', json.dumps(parameters)):
        raise TypeError(f"{schema.__name__} has a dict field: use a list of names and values")
    return {**parameters, "title": schema.__name__}
