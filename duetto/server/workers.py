"""Processes that play turns, a core each; see `duetto.server.worker`."""

import asyncio
import json
import logging
import math
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field
from typing import Any

from duetto import errors
from duetto.errors import DuettoError, NotReady
from duetto.server import turn
from duetto.server.playing import Play
from duetto.server.turn import Event
from duetto.server.worker import asked_for

log = logging.getLogger("duetto.server")
LINE_BYTES = 2**26
ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # or every library wants them all


class Broken(NotReady):
    """A worker ended in the middle of a turn."""


@dataclass
class _Running:
    process: Process
    plays: dict[str, tuple[Play, asyncio.Future[None]]] = field(default_factory=dict)

    def tell(self, **what: Any) -> None:
        if self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write(json.dumps(what).encode() + b"\n")


class Workers:
    """Gives each turn to the process that has the fewest; one that ends is started anew."""

    def __init__(self, many: int, at_once: int, opens: dict[str, Any], pause: float) -> None:
        """`pause` are the seconds before one that could not be started is tried again."""
        self._many, self.at_once, self._pause = many, at_once, pause
        self._opens = {**opens, "at_once": math.ceil(at_once / many)}
        self._workers: list[_Running] = []
        self._readers: set[asyncio.Task[None]] = set()
        self._closing = False

    async def start(self) -> None:
        """Raises what keeps them from opening."""
        started = await asyncio.gather(*(self._started() for _ in range(self._many)), return_exceptions=True)
        for failure in started:
            if failure is not None:
                self.close()
                raise failure

    async def run(self, play: Play) -> None:
        if not self._workers:
            raise Broken("nobody is there to play the turn now: ask again in a moment")
        worker = min(self._workers, key=lambda one: len(one.plays))
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        worker.plays[play.run_id] = play, ended
        play.leave = lambda: worker.tell(play=play.run_id)
        worker.tell(play=play.run_id, asked=asked_for(play.asked))
        try:
            await ended
        finally:
            play.leave = None
            worker.plays.pop(play.run_id, None)

    def close(self) -> None:
        self._closing = True
        for worker in self._workers:
            if worker.process.stdin is not None:
                worker.process.stdin.close()

    async def ended(self) -> None:
        """Waits for them, once closed."""
        await asyncio.gather(*(worker.process.wait() for worker in self._workers))

    def processes(self) -> list[int]:
        return [worker.process.pid for worker in self._workers]

    async def _started(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "duetto.server.worker", stdin=PIPE, stdout=PIPE, limit=LINE_BYTES,
            env={"DUETTO_COMPUTING_AT_ONCE": "1", **os.environ, **ONE_CORE},
            start_new_session=True,  # what stops the server, as Ctrl-C, must not end a turn that it waits for
        )  # fmt: skip
        worker = _Running(process)
        worker.tell(**self._opens)
        assert process.stdout is not None
        line = await process.stdout.readline()
        told = json.loads(line) if line else {"failure": "NotReady", "why": "a worker could not start: the log says why"}
        if "failure" in told:
            await process.wait()
            raise _failure(told)
        self._workers.append(worker)
        reader = asyncio.create_task(self._read(worker))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)

    async def _read(self, worker: _Running) -> None:
        assert worker.process.stdout is not None
        while line := await worker.process.stdout.readline():
            told = json.loads(line)
            play, ended = worker.plays.get(told["play"], (None, None))
            if play is None or ended is None or ended.done():
                continue
            if "event" in told:
                play.add(Event(told["event"], told["data"]))
            elif "failure" in told:
                ended.set_exception(_failure(told))
            else:
                ended.set_result(None)
        self._workers.remove(worker)
        for _, ended in worker.plays.values():
            if not ended.done():
                ended.set_exception(Broken("what played the turn has ended: ask again"))
        code = await worker.process.wait()
        while not self._closing:
            log.error("a worker has ended, and another is started", extra={"code": code})
            try:
                return await self._started()
            except Exception as error:  # what it needs may come back, as a database or a folder
                why = str(error) if isinstance(error, DuettoError) else type(error).__name__
                log.error("a worker cannot be started, and is tried again", extra={"why": why})
                await asyncio.sleep(self._pause)


def _failure(told: dict[str, str]) -> Exception:
    """As it was raised there."""
    kind = getattr(errors, told["failure"], None) or getattr(turn, told["failure"], None)
    if isinstance(kind, type) and issubclass(kind, DuettoError):
        return kind(told["why"])
    return RuntimeError("a worker failed, and has written down how")
