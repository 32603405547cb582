"""Answers of a chat model, kept in one SQLite file: asking the same again costs nothing, also after a restart."""

import hashlib
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from langchain_community.cache import FullLLMCache, SQLiteCache
from sqlalchemy import bindparam, event, insert, select
from sqlalchemy.exc import SQLAlchemyError

_TABLE = FullLLMCache.__table__
_FOUND = select(_TABLE.c.response).where(
    _TABLE.c.prompt == bindparam("question"), _TABLE.c.llm == bindparam("asked"), _TABLE.c.idx == 0
)
_KEPT = insert(_TABLE).prefix_with("OR REPLACE")


class Answers:
    """langchain-community's table, read and written by ourselves: its rows are revived by LangChain's loader, which builds
    any core class a row names, and to know a question again LangChain spends a third of what asking it costs.

    A file that cannot be read or written is a miss, never a failed turn. Whom was `asked` is kept as a digest: the address
    of a server may hold credentials.
    """

    def __init__(self, file: Path, asked: str = "") -> None:
        self._asked = hashlib.sha256(asked.encode()).hexdigest()
        self._cache = SQLiteCache(str(file))
        event.listen(self._cache.engine, "connect", _in_one_go)

    def said(self, question: str) -> str | None:
        """To the question of this digest."""
        try:
            with self._cache.engine.connect() as connection:  # a Session would take four times as long, for one row
                text = connection.execute(_FOUND, {"question": question, "asked": self._asked}).scalar()
        except SQLAlchemyError:
            return None
        return text

    def keep(self, question: str, text: str) -> None:
        row = {"prompt": question, "llm": self._asked, "idx": 0, "response": text}
        with suppress(SQLAlchemyError), self._cache.engine.begin() as connection:
            connection.execute(_KEPT, row)

    def clear(self) -> None:
        self._cache.clear()


def _in_one_go(connection: Any, record: object) -> None:
    """Without a wait for the disk at every answer: what a power cut loses is asked again."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
