"""Conversations, and what is known of people across them, in PostgreSQL. Importing this needs the extra `postgres`."""

import logging
import math
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import Any, ClassVar, Self, TypeVar

import psycopg
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.store.postgres import PostgresStore
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from duetto.errors import BadInput, StorageFailed
from duetto.limits import Limits
from duetto.tools.either import HALF_A_CHARACTER, EitherSaver, EitherStore

logging.getLogger("psycopg").addHandler(logging.NullHandler())  # else each failed attempt is printed beside our sentence
T = TypeVar("T")
SETTING_UP = 4_276_401  # an advisory lock, so that processes that start together do not create tables twice


class Patient(psycopg.Connection[DictRow]):
    """For so many seconds: a network that has gone silent never tells."""

    patience = 600.0

    def wait(self, gen: Generator[Any, Any, T], *how: Any, **more: Any) -> T:
        try:
            return super().wait(_until(time.monotonic() + self.patience, gen), *how, **more)
        except TimeoutError as error:
            self.close()
            raise psycopg.OperationalError("the database does not answer") from error


class Pool(ConnectionPool[Patient]):
    """Of one database in this process: shared by all who opened it, and closed with the last of them."""

    shared: ClassVar[dict[tuple[str, Limits], "Pool"]] = {}
    sharing: ClassVar[Lock] = Lock()

    def __init__(self, url: str, limits: Limits) -> None:
        self.key, self.users, self.limits = (url, limits), set[object](), limits
        super().__init__(
            url,
            connection_class=Patient,
            kwargs=_how(limits),
            min_size=1,
            max_size=limits.database_connections,
            timeout=limits.database_checkout_seconds,
            reconnect_timeout=limits.database_checkout_seconds / 2,  # who comes later waits for the next attempt no longer
            configure=self.bound,
            check=self.fresh,
            open=True,
        )

    def bound(self, connection: Patient) -> None:
        connection.patience = self.limits.database_connect_seconds
        milliseconds = math.ceil(self.limits.database_seconds * 1000)
        connection.execute("SELECT set_config('statement_timeout', %s, false)", (str(milliseconds),))

    def fresh(self, connection: Patient) -> None:
        """One connection that was cut means that all were: trying them one by one would take longer than anybody waits."""
        connection.patience = self.limits.database_checkout_seconds
        try:
            self.check_connection(connection)
        except psycopg.Error:
            self.drain()
            raise
        connection.patience = self.limits.database_seconds + 1  # the database's own word comes first

    @classmethod
    def of(cls, url: str, limits: Limits) -> "Pool":
        if (url, limits) not in cls.shared:
            set_up(url, limits)
            cls.shared[url, limits] = cls(url, limits)
        return cls.shared[url, limits]

    def leave(self, user: object) -> None:
        with self.sharing:
            self.users.discard(user)
            if self.users or self.closed:
                return
            del self.shared[self.key]
        self.close()


class _Pooled:
    conn: Any

    @classmethod
    def open(cls, url: str, limits: Limits) -> Self:
        """Raises StorageFailed when the database cannot be reached or set up, BadInput for an address that is none."""
        with Pool.sharing:
            opened = cls(Pool.of(url, limits))  # type: ignore[call-arg]
            opened.conn.users.add(opened)
        return opened

    @contextmanager
    def telling(self, doing: str) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            raise BadInput(f"could not {doing}: {HALF_A_CHARACTER}") from error
        except psycopg.DataError as error:  # SQLite keeps it
            raise BadInput(f"could not {doing}: PostgreSQL keeps no text with a NUL character in it") from error
        except psycopg.Error as error:
            raise StorageFailed(f"could not {doing}: {_why(error)}; try again") from error

    def close(self) -> None:
        self.conn.leave(self)


class EitherPostgresSaver(_Pooled, EitherSaver, PostgresSaver):
    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)  # type: ignore[arg-type]
        self.lock = nullcontext()  # type: ignore[assignment]  # a connection has one user at a time already


class EitherPostgresStore(_Pooled, EitherStore, PostgresStore):
    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)  # type: ignore[arg-type]
        self.lock = nullcontext()  # type: ignore[assignment]


def _how(limits: Limits) -> dict[str, Any]:
    seconds = max(2, math.ceil(limits.database_connect_seconds))  # fewer are two to libpq
    return {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row, "connect_timeout": seconds}


def set_up(url: str, limits: Limits) -> None:
    """Makes what is missing of the tables. Raises StorageFailed, and BadInput for an address that is none."""
    try:
        with Patient.connect(url, **_how(limits)) as connection:
            # Not the lock that waits: what waits has a snapshot, and indexes that are made concurrently wait for it.
            while not _first(connection, "SELECT pg_try_advisory_lock(%s) AS got"):
                time.sleep(0.1)
            PostgresSaver(connection).setup()
            PostgresStore(connection).setup()
            _first(connection, "SELECT pg_advisory_unlock(%s) AS gone")
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:
            raise _unopened(error) from error
        # What psycopg says of an address may quote its password.
        raise BadInput("cannot use DUETTO_DATABASE_URL: it is no postgresql://user:password@host/database") from None
    except psycopg.Error as error:
        raise _unopened(error) from error


def _first(connection: Patient, query: str) -> bool:
    row = connection.execute(query, (SETTING_UP,)).fetchone()
    return row is not None and all(row.values())


def _unopened(error: psycopg.Error) -> StorageFailed:
    said = str(error).strip().split("\n")[0]
    return StorageFailed(f"could not open the database of DUETTO_DATABASE_URL: {said}; see that it runs and lets you in")


def _why(error: psycopg.Error) -> str:
    """Without the database's own words: they may quote what people said."""
    if error.sqlstate is None or error.sqlstate.startswith(("08", "57P")):
        return "the database is not reachable"
    return f"the database answered {type(error).__name__}"


def _until(deadline: float, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """What a connection waits for; raises TimeoutError past the deadline."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if time.monotonic() > deadline:
                raise TimeoutError
            wanted = gen.send(ready)
    except StopIteration as done:
        value: T = done.value
        return value
