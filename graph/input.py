"""What a caller may ask of a turn: each function takes it or raises BadInput, before anything is spent."""

import re
from typing import Literal, cast, get_args

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage

from duetto.errors import BadInput
from duetto.graph.state import Context, State

_LIST = re.compile(r"^\s*1\. ", re.MULTILINE)
Reasons = Literal["none", "plain", "model"]


class BadTurn(BadInput, ValueError):
    """A ValueError too, because LangGraph's server tells its clients the sentences of Python's own errors alone."""


def the_message(message: str | None, messages: list[AnyMessage], most: int) -> str:
    """The turn's text: `message`, else the last of `messages` if a human said it, else "" for a silent visitor.

    Raises BadInput when something was said but it is empty, too long, or not text.
    """
    said: object = message
    if said is None and messages and isinstance(messages[-1], HumanMessage):
        said = str(messages[-1].text)
    if said is None:
        return ""
    if not isinstance(said, str):
        raise BadTurn(f"cannot read a message of type {type(said).__name__}: send text")
    if not said.strip():
        raise BadTurn("cannot answer an empty message: say what you look for, or send no message at all")
    if len(said) > most:
        raise BadTurn(f"cannot read a message of {len(said):,} characters: the most is {most:,}, so shorten it")
    # Half a character, as a broken terminal sends it, could neither be sent to a model nor written down.
    return said.strip().encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def told_by_others(state: State) -> str | None:
    """What somebody in our place said since our last turn, such as a person who took over; None where nobody did.

    A numbered list is no talk, but perhaps one of ours that a caller hands back.
    """
    told = [message for message in state.messages[-2:] if isinstance(message, AIMessage)]
    if not told or (text := str(told[-1].text)) == state.answer.get("reply") or _LIST.search(text):
        return None
    return text


def the_user(user: object, context: Context | None) -> str | int | None:
    """The input's user, else the context's, else nobody."""
    chosen = user if user is not None else context.user if context else None
    if chosen is None or (isinstance(chosen, str | int) and not isinstance(chosen, bool)):
        return chosen
    raise BadTurn(f"cannot take {chosen!r} for a user: give the user's id as text or as a whole number")


def wanted_k(context: Context | None, default: int, most: int) -> int:
    k = default if context is None or context.k is None else context.k
    if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= most:
        raise BadTurn(f"cannot recommend {k!r} items: k is a whole number from 1 to {most}")
    return k


def wanted_reasons(context: Context | None, model: bool) -> Reasons:
    wanted = context.reasons if context else None
    if wanted is None:
        return "model" if model else "plain"
    if wanted not in get_args(Reasons):
        raise BadTurn(f"cannot give reasons {wanted!r}: choose one of {', '.join(get_args(Reasons))}")
    return cast(Reasons, wanted)
