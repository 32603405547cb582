"""Conversations, and what is known of people across them, in one SQLite file, for sync and async callers alike.

LangGraph's SqliteSaver and SqliteStore have no async methods and their async twins refuse sync calls from their own
thread; these serve both, the async methods by handing the sync ones to a thread.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.store.base import Op, Result
from langgraph.store.sqlite import SqliteStore

from duetto.errors import BadInput, NotReady


class EitherSqliteSaver(SqliteSaver):
    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotReady when the file cannot be opened or is no SQLite file."""
        with _opening(path):
            saver = cls(_connected(path))
            saver.setup()
        return saver

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        if "thread_id" not in config.get("configurable", {}):
            raise BadInput('cannot keep this turn: name its conversation, config={"configurable": {"thread_id": "..."}}')
        return super().get_tuple(config)

    def close(self) -> None:
        self.conn.close()

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await asyncio.to_thread(self.get_tuple, config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        found = await asyncio.to_thread(lambda: list(self.list(config, filter=filter, before=before, limit=limit)))
        for entry in found:
            yield entry

    async def adelete_thread(self, thread_id: str) -> None:
        await asyncio.to_thread(self.delete_thread, thread_id)


class EitherSqliteStore(SqliteStore):
    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotReady when the file cannot be opened or is no SQLite file."""
        with _opening(path):
            store = cls(_connected(path, isolation_level=None))
            store.setup()
        return store

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return await asyncio.to_thread(self.batch, list(ops))

    def close(self) -> None:
        self.conn.close()


def _connected(path: Path, **how: Any) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection: sqlite3.Connection = sqlite3.connect(path, check_same_thread=False, timeout=30, **how)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise NotReady(
            f"could not open the conversations in {path}: {error}; set DUETTO_DATA to a folder that can be written"
        ) from error
