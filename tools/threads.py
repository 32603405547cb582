"""Conversations, and what is known of people across them, in one SQLite file, for sync and async callers alike."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.store.sqlite import SqliteStore

from duetto.errors import BadInput, NotReady, StorageFailed
from duetto.tools.either import HALF_A_CHARACTER, EitherSaver, EitherStore


class _File:
    conn: sqlite3.Connection

    @contextmanager
    def telling(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            cause = error.__cause__ or error  # SqliteStore tells a read that failed as a ValueError, with what was asked
            if isinstance(cause, sqlite3.Error):
                raise StorageFailed(f"could not {doing}: {_why(cause)}, and try again") from cause
            if isinstance(cause, UnicodeEncodeError):
                raise BadInput(f"could not {doing}: {HALF_A_CHARACTER}") from cause
            raise

    def close(self) -> None:
        self.conn.close()


class EitherSqliteSaver(_File, EitherSaver, SqliteSaver):
    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotReady when the file cannot be opened or is no SQLite file."""
        with _opening(path) as connection:
            saver = cls(connection)
            saver.setup()
        return saver

    @contextmanager
    def cursor(self, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        """LangGraph's own commits what failed half-way; this one rolls it back."""
        with self.lock:
            self.setup()
            with self.conn, closing(self.conn.cursor()) as cursor:
                yield cursor


class EitherSqliteStore(_File, EitherStore, SqliteStore):
    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotReady when the file cannot be opened or is no SQLite file."""
        with _opening(path, isolation_level=None) as connection:
            store = cls(connection)
            store.setup()
        return store

    @contextmanager
    def _cursor(self, *, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        """LangGraph's own leaves the transaction open where the disk is full, and no other can begin."""
        with self.lock, self.conn, closing(self.conn.cursor()) as cursor:
            if transaction:
                cursor.execute("BEGIN")
            yield cursor


@contextmanager
def _opening(path: Path, **how: Any) -> Iterator[sqlite3.Connection]:
    connection: sqlite3.Connection | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_name(f"{path.name}-setup")):
            connection = sqlite3.connect(path, check_same_thread=False, timeout=30, **how)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            yield connection
    except (OSError, sqlite3.Error) as error:
        if connection is not None:
            connection.close()
        raise NotReady(
            f"could not open the conversations in {path}: {error}; "
            "set DUETTO_DATA to a folder that can be written and has space left"
        ) from error


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """LangGraph's setup makes tables twice, and fails, where two begin at once; SQLite's own lock holds on every system."""
    with closing(sqlite3.connect(lock, timeout=30, isolation_level=None)) as held:
        held.execute("PRAGMA journal_mode=MEMORY")  # a full disk has no room for a journal, and a lock needs none
        held.execute("BEGIN EXCLUSIVE")
        yield


def _why(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full; free some space where DUETTO_DATA is"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another process keeps the database busy; wait a moment"
    return f"the database failed ({error}); see that DUETTO_DATA can be read and written"
