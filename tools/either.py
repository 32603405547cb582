"""LangGraph's savers and stores for callers that wait and for callers that await.

Its sync classes have no async methods, and its async ones refuse sync calls from their own thread: here the async
methods hand the sync ones to a thread. A database that fails is told as StorageFailed.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.store.base import BaseStore, Op, Result

from duetto.errors import BadInput

HALF_A_CHARACTER = "a name in it has half a character, which no database keeps"
PAGE = 10  # checkpoints of a history that are read at once


class EitherSaver(BaseCheckpointSaver[str]):
    """Stands before a sync saver in a class's bases."""

    def telling(self, doing: str) -> AbstractContextManager[None]:
        """Tells the database's own errors as StorageFailed."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        if "thread_id" not in config.get("configurable", {}):
            raise BadInput('cannot keep this turn: name its conversation, config={"configurable": {"thread_id": "..."}}')
        with self.telling("read this conversation"):
            return super().get_tuple(config)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        for page in self._pages(config, filter, before, limit):
            yield from page

    def _pages(
        self, config: RunnableConfig | None, filter: dict[str, Any] | None, before: RunnableConfig | None, limit: int | None
    ) -> Iterator[Sequence[CheckpointTuple]]:
        """Newest first. The database is let go of between pages: who reads slowly, or asks more on the way, stops nobody."""
        left = sys.maxsize if limit is None else limit
        while left > 0:
            with self.telling("read this conversation"):
                page = [*super().list(config, filter=filter, before=before, limit=min(PAGE, left))]
            yield page
            if len(page) < PAGE:
                return
            left, before = left - len(page), page[-1].config

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        with self.telling("keep this conversation"):
            return super().put(config, checkpoint, metadata, new_versions)

    def put_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        with self.telling("keep this conversation"):
            super().put_writes(config, writes, task_id, task_path)

    def delete_thread(self, thread_id: str) -> None:
        with self.telling("remove this conversation"):
            super().delete_thread(thread_id)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await asyncio.to_thread(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        pages = self._pages(config, filter, before, limit)
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            for entry in page:
                yield entry

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

    async def adelete_thread(self, thread_id: str) -> None:
        await asyncio.to_thread(self.delete_thread, thread_id)


class EitherStore(BaseStore):
    """Stands before a sync store in a class's bases."""

    def telling(self, doing: str) -> AbstractContextManager[None]:
        """Tells the database's own errors as StorageFailed."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        with self.telling("read or keep what is known of a person"):
            return super().batch(ops)  # type: ignore[safe-super]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return await asyncio.to_thread(self.batch, [*ops])
