"""What LangSmith is told of a turn: runs that carry no arrays, no text where it is to stay here, and the turn's own facts.

Nothing here traces by itself: LangChain does, where LANGSMITH_TRACING asks for it.
"""

import atexit
import dataclasses
import logging
import os
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import numpy as np
from langchain_core.callbacks import CallbackManager
from langchain_core.documents import Document
from langchain_core.runnables.config import ensure_config, get_callback_manager_for_config
from langchain_core.tracers import LangChainTracer, Run
from langsmith import Client, configure
from langsmith.utils import LangSmithError, LangSmithWarning, get_env_var, tracing_is_enabled
from pydantic import BaseModel, ValidationError
from urllib3.util.retry import Retry

from duetto.errors import NotReady
from duetto.tools.journal import Pseudonyms

log = logging.getLogger("duetto")
DEPTH, LENGTH = 6, 200
HIDDEN = "(hidden)"
NAMES = {"user", "person", "thread", "thread_id"}  # of people, or what may be named after them
CONNECT_MS, READ_MS = 1_000, 4_000
EXIT_SECONDS = 1.5
_open: dict[bool, Client] = {}


def is_traced() -> bool:
    """Whether LANGSMITH_TRACING asks for it."""
    return tracing_is_enabled() is True


class _Discreet(Client):
    """langsmith has a hook for inputs, outputs and metadata; for errors only one that takes everything else apart first."""

    text = True

    def _hide_run_error(self, error: Any) -> Any:
        return error if self.text or error is None else str(error).split("(", 1)[0][:60]


def bound_traces(text: bool, pseudonyms: Pseudonyms) -> None:
    """Makes the client of all traces from now on. Without `text` no words leave this machine.

    People and conversations, which may be named after them, are told by pseudonyms. It sends once, and waits for a server
    only so long (see `finish`).
    """
    if text in _open:
        return

    def told(values: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = plain(values, text, pseudonyms=pseudonyms)
        return found

    def named(metadata: dict[str, Any]) -> dict[str, Any]:
        return {name: pseudonyms.of(value) if name == "thread_id" else value for name, value in metadata.items()}

    # Only its environment tells langsmith that its threads must not hold up the end of the process; `finish` does, for a while.
    os.environ.setdefault("LANGSMITH_USE_DAEMON", "true")
    _hush()
    client = _Discreet(
        timeout_ms=(CONNECT_MS, READ_MS), retry_config=Retry(total=0), hide_inputs=told, hide_outputs=told,
        hide_metadata=named, tracing_error_callback=_unsent,
    )  # fmt: skip
    client.text = text
    configure(client=client)
    _open[text] = client
    atexit.register(finish)


def _hush() -> None:
    """langsmith logs a part of the key with every failure; ours are told without it."""
    logging.getLogger("langsmith").setLevel(logging.CRITICAL)


def _unsent(error: Exception) -> None:
    log.warning("a trace could not be sent to LangSmith (%s)", type(error).__name__)


def has_key() -> bool:
    """Whether LangSmith would let us in."""
    return bool(get_env_var("API_KEY"))


class _Frank(Client):
    """Keeps the first failure, of which langsmith's own threads would say nothing, and then tries nothing more."""

    failure: Exception | None = None

    def request_with_retries(self, *args: Any, **kwargs: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        try:
            return super().request_with_retries(*args, **kwargs | {"stop_after_attempt": 1})
        except Exception as error:
            self.failure = error
            raise


@contextmanager
def single_requests(what: str = "reached", retries: int = 0) -> Iterator[Client]:
    """A client for single requests: bounded, and without a word of the key in the log. A run's inputs are not sent.

    Raises NotReady, saying that LangSmith could not be `what`.
    """
    _hush()
    again = Retry(total=retries, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504), allowed_methods=None)
    client = _Frank(timeout_ms=(CONNECT_MS, READ_MS), retry_config=again, auto_batch_tracing=False, hide_inputs=True)
    try:
        yield client
        if client.failure is not None:
            raise client.failure
    except (LangSmithError, OSError, ValidationError) as error:
        why = type(error).__name__  # its text may hold the key
        raise NotReady(f"LangSmith could not be {what} ({why}): check LANGSMITH_ENDPOINT and LANGSMITH_API_KEY") from error
    finally:
        client.close(timeout=0)


def send_feedback(run_id: UUID, good: bool, comment: str | None) -> None:
    """A person's verdict on a traced turn. Raises NotReady when LangSmith cannot be told."""
    with single_requests("told") as client, warnings.catch_warnings():
        # It would rather be told the project too, which costs another request.
        warnings.simplefilter("ignore", LangSmithWarning)
        client.create_feedback(run_id, "person", score=float(good), comment=comment, stop_after_attempt=1)


def finish(seconds: float = EXIT_SECONDS) -> None:
    """Sends what is left, for at most so long; call it before the process ends."""
    until = time.monotonic() + seconds
    while _open:
        _, client = _open.popitem()
        closing = threading.Thread(target=client.close, kwargs={"timeout": max(0.0, until - time.monotonic())}, daemon=True)
        closing.start()
        closing.join(max(0.0, until - time.monotonic()))


def plain(value: Any, text: bool = True, depth: int = DEPTH, pseudonyms: Pseudonyms | None = None) -> Any:
    """JSON-able, short: arrays by their shape, texts hidden unless `text`, and people by pseudonyms where there are any."""

    def inner(one: Any, deeper: int = 1) -> Any:
        return plain(one, text, depth - deeper, pseudonyms)

    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if text else HIDDEN
    if isinstance(value, bytes | bytearray):
        return HIDDEN
    if isinstance(value, np.generic):
        own = value.item()
        return inner(own, 0) if isinstance(own, bool | int | float | str | bytes) else str(own) if text else HIDDEN
    if isinstance(value, np.ndarray):
        return f"array of {value.dtype}, shape {value.shape}"
    if depth == 0:
        return type(value).__name__
    if isinstance(value, BaseModel):
        return inner(value.model_dump(), 0)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return inner(fields, 0)
    if isinstance(value, Mapping):
        return {
            str(name): pseudonyms.of(one) if pseudonyms and name in NAMES and isinstance(one, str | int) else inner(one)
            for name, one in list(value.items())[:LENGTH]
        }
    if isinstance(value, Sequence | set | frozenset):
        return [inner(one) for one in list(value)[:LENGTH]]
    return type(value).__name__


def _callbacks() -> CallbackManager:
    return get_callback_manager_for_config(ensure_config())


@contextmanager
def retrieving(query: str) -> Iterator[list[Document] | None]:
    """A retriever run of the documents that are put into the list; None where nobody listens."""
    manager = _callbacks()
    if not manager.handlers:
        yield None
        return
    found: list[Document] = []
    run = manager.on_retriever_start({"name": "vector search"}, query, name="vector search")
    try:
        yield found
    except BaseException as error:
        run.on_retriever_error(error)
        raise
    run.on_retriever_end(found)


def turn_runs() -> list[Run]:
    """The traced runs of the whole turn, one a tracer, seen from inside one of its nodes."""
    manager, found = _callbacks(), []
    for tracer in manager.handlers:
        if isinstance(tracer, LangChainTracer) and (node := tracer.run_map.get(str(manager.parent_run_id))) is not None:
            run = tracer.run_map.get(str(node.parent_run_id))
            found += [run] if run is not None else []
    return found


def describe_turn(runs: list[Run], metadata: dict[str, Any], tags: list[str]) -> None:
    """Adds to the runs of a whole turn."""
    for run in runs:
        run.extra.setdefault("metadata", {}).update(metadata)
        run.tags = [*(run.tags or []), *(tag for tag in tags if tag not in (run.tags or []))]
