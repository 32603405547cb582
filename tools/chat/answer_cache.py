"""Answers of a chat model, kept in one SQLite file: asking the same again costs nothing, also after a restart."""

import hashlib
import sqlite3
from contextlib import suppress
from typing import Any

from langchain_community.cache import FullLLMCache, SQLiteCache
from langchain_core.caches import RETURN_VAL_TYPE
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration
from pydantic import ValidationError
from sqlalchemy import bindparam, event, insert, select
from sqlalchemy.exc import SQLAlchemyError

_TABLE = FullLLMCache.__table__
_FOUND = select(_TABLE.c.response).where(
    _TABLE.c.prompt == bindparam("question"), _TABLE.c.llm == bindparam("model"), _TABLE.c.idx == 0
)
_KEPT = insert(_TABLE).prefix_with("OR REPLACE")


class AnswerCache(SQLiteCache):
    """langchain-community's cache and table; rows are plain messages, found by a digest of the question.

    Its own rows are revived by LangChain's loader, which builds any core class a row names and warns at every hit; and
    its keys hold the server's address, credentials included. A file that cannot be read or written is a miss, never a
    failed turn.
    """

    def __init__(self, database_path: str) -> None:
        super().__init__(database_path)
        event.listen(self.engine, "connect", _in_one_go)

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        try:
            with self.engine.connect() as connection:  # a Session would take four times as long, for one row
                text = connection.execute(_FOUND, {"question": _digest(prompt), "model": _digest(llm_string)}).scalar()
            return None if text is None else [ChatGeneration(message=AIMessage.model_validate_json(text))]
        except (SQLAlchemyError, ValidationError):
            return None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        for answer in return_val:
            if isinstance(answer, ChatGeneration):
                text = answer.message.model_dump_json()
                row = {"prompt": _digest(prompt), "llm": _digest(llm_string), "idx": 0, "response": text}
                with suppress(SQLAlchemyError), self.engine.begin() as connection:
                    connection.execute(_KEPT, row)
                return


def _in_one_go(connection: Any, record: object) -> None:
    """Without a wait for the disk at every answer: what a power cut loses is asked again."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
