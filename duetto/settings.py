"""The only reader of the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

import platformdirs
from pydantic import SecretStr

from duetto.errors import BadInput
from duetto.limits import Limits
from duetto.version import VERSION

Method = Literal["json_schema", "function_calling", "json_mode"]


@dataclass(frozen=True)
class Settings:
    """Where things are and which model speaks; `limits` holds every cap and knob.

    Environment: DUETTO_MODEL (unset: no language model), OPENAI_API_KEY, OPENAI_BASE_URL, DUETTO_METHOD,
    DUETTO_PRICE ("input,output" per million tokens), DUETTO_CACHE and DUETTO_DATA (folders), DUETTO_DATABASE_URL
    (postgresql://user:password@host/database keeps conversations and profiles in place of SQLite in DUETTO_DATA),
    DUETTO_EMBEDDER (what an index must have been built with), DUETTO_TRACE_TEXT
    ("off": traces carry no text of items or messages), DUETTO_INDEX (what `langgraph dev` serves), and
    DUETTO_<NAME OF A LIMIT>, e.g. DUETTO_MODEL_CALLS=4.
    """

    model: str | None = None
    base_url: str | None = None
    api_key: SecretStr | None = None
    method: Method = "json_schema"
    price: tuple[float, float] | None = None
    embedder: str | None = None
    index: str = "sample"
    trace_text: bool = True
    database_url: SecretStr | None = None
    cache: Path = field(default_factory=lambda: Path(platformdirs.user_cache_dir("duetto")))
    data: Path = field(default_factory=lambda: Path(platformdirs.user_data_dir("duetto")))
    limits: Limits = Limits()

    @property
    def sample(self) -> Path:
        """Where the embedded sample's index lives."""
        return self.cache / f"sample-{VERSION}"

    @property
    def answers(self) -> Path:
        """The SQLite file of cached answers of the chat model."""
        return self.cache / "answers.sqlite"

    @property
    def threads(self) -> Path:
        """The SQLite file of conversations."""
        return self.data / "threads.sqlite"

    @property
    def keeps(self) -> bool:
        """Whether anything may be known of people already."""
        return self.database_url is not None or self.threads.exists()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Raises BadInput naming the variable whose value cannot be read."""
        env = os.environ if environment is None else environment
        base = cls(limits=_limits(env))
        method = env.get("DUETTO_METHOD", base.method)
        if method not in get_args(Method):
            raise BadInput(f"cannot use DUETTO_METHOD={method!r}: it is one of {', '.join(get_args(Method))}")
        if (trace_text := env.get("DUETTO_TRACE_TEXT", "on")) not in ("on", "off"):
            raise BadInput(f"cannot use DUETTO_TRACE_TEXT={trace_text!r}: it is on or off")
        key = env.get("OPENAI_API_KEY")
        return replace(
            base,
            model=env.get("DUETTO_MODEL") or None,
            base_url=env.get("OPENAI_BASE_URL") or None,
            api_key=SecretStr(key) if key else None,
            method=cast(Method, method),
            price=_price(env.get("DUETTO_PRICE")),
            embedder=env.get("DUETTO_EMBEDDER") or None,
            index=env.get("DUETTO_INDEX") or base.index,
            trace_text=trace_text == "on",
            database_url=_database(env.get("DUETTO_DATABASE_URL")),
            cache=Path(env["DUETTO_CACHE"]) if env.get("DUETTO_CACHE") else base.cache,
            data=Path(env["DUETTO_DATA"]) if env.get("DUETTO_DATA") else base.data,
        )


def _limits(env: Mapping[str, str]) -> Limits:
    limits = Limits()
    for limit in fields(Limits):
        raw = env.get(f"DUETTO_{limit.name.upper()}")
        if raw is None:
            continue
        kind = type(getattr(limits, limit.name))
        try:
            value = kind(raw)
            least = 1e-6 if limit.name in _NEEDED else 0
            if kind is not str and not least <= value < float("inf"):
                raise ValueError(raw)
        except ValueError as error:
            raise BadInput(f"cannot use DUETTO_{limit.name.upper()}={raw!r}: it needs {_wanted(kind, limit.name)}") from error
        limits = replace(limits, **{limit.name: value})
    return limits


# Where 0 would divide, or leave nothing to do at all.
_NEEDED = {"attention_heads", "attention_temperature", "embed_batch", "max_top_k", "top_k", "message_chars", "moments_sample",
           "candidates", "neighbours", "held_out", "tuning_least", "ranker_negatives", "ranker_trees",
           "ranker_rate", "database_connections", "database_connect_seconds", "database_checkout_seconds", "database_seconds",
           "call_seconds", "turn_seconds", "embed_seconds", "texts_remembered",
           "turns_at_once", "turns_at_once_plain", "requests_a_minute", "served_seconds", "body_seconds",
           "alive_seconds", "computing_at_once"}  # fmt: skip


def _wanted(kind: type, name: str) -> str:
    least = "more than 0" if name in _NEEDED else "0 or more"
    return {int: f"a whole number, {least}", float: f"a number, {least}"}.get(kind, "text")


def _database(raw: str | None) -> SecretStr | None:
    if not raw:
        return None
    try:
        url = urlsplit(raw)
        fits = url.scheme in ("postgresql", "postgres") and url.netloc + url.query != "" and (url.port or 1) > 0
    except ValueError:
        fits = False
    if not fits:  # not `from` the error and not with the value: both may quote the password
        raise BadInput(
            "cannot use DUETTO_DATABASE_URL: it needs postgresql://user:password@host:port/database, "
            "with %-codes for special characters in the password"
        )
    return SecretStr(raw)


def _price(raw: str | None) -> tuple[float, float] | None:
    if not raw:
        return None
    try:
        given, taken = (float(part) for part in raw.split(","))
    except ValueError as error:
        raise BadInput(f"cannot use DUETTO_PRICE={raw!r}: give two prices per million tokens, e.g. 0.15,0.60") from error
    return given, taken
