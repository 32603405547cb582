"""Turns as they run: at most so many at once, those of a conversation one after another, others in a bounded queue."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol
from uuid import uuid4

from duetto.errors import DuettoError
from duetto.graph.input import the_message, wanted_k
from duetto.graph.state import Context
from duetto.limits import Limits
from duetto.server.following import Following
from duetto.server.metrics import Metrics
from duetto.server.turn import Asked, Event, Stopped, happening

log = logging.getLogger("duetto.server")


class Busy(DuettoError):
    """There is no room for another turn now."""


class TooLong(DuettoError):
    """The turn took longer than a caller may wait."""


class Play:
    """One turn that runs: its events so far, for whoever listens, from the first one on. Lives on the event loop."""

    def __init__(self, asked: Asked) -> None:
        self.asked, self.run_id = asked, str(uuid4())
        self.started = time.perf_counter()
        self.events: list[Event] = []
        self.failure: BaseException | None = None
        self.ended = False
        self._stopped = threading.Event()  # read by the thread that plays
        self.leave: Callable[[], object] | None = None  # the queue, while it waits
        self.listeners = 0
        self._news = asyncio.Event()

    def add(self, event: Event) -> None:
        self.events.append(event)
        self._wake()

    def end(self, failure: BaseException | None = None) -> None:
        if not self.ended:
            self.ended, self.failure = True, failure
            self._wake()

    def stop(self) -> None:
        """It ends before its next step; the conversation then goes on from the answer before."""
        self._stopped.set()
        if self.leave is not None:
            self.leave()

    def stopped(self) -> bool:
        return self._stopped.is_set()

    async def listen(self, idle: float | None = None) -> AsyncIterator[Event | None]:
        """Every event, first to last; None whenever nothing has happened for so many seconds. Raises what ended the turn."""
        async for some in self.bursts(idle):
            for event in some:
                yield event
            if not some:
                yield None

    async def bursts(self, idle: float | None = None) -> AsyncIterator[list[Event]]:
        """The same, all that has happened since the last time at once; an empty list when nothing has."""
        told = 0
        self.listeners += 1
        try:
            while True:
                if some := self.events[told:]:
                    told += len(some)
                    yield some
                    continue
                if self.ended:
                    break
                news = self._news
                try:
                    await asyncio.wait_for(news.wait(), idle)
                except TimeoutError:
                    yield []
        finally:
            self.listeners -= 1
        if self.failure is not None:
            raise self.failure

    async def answer(self) -> dict[str, Any]:
        async for event in self.listen():
            if event is not None and event.name == "answer":
                return event.data
        raise Stopped("the turn ended without an answer")

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Runner(Protocol):
    """Where turns are played: `at_once` of them at most."""

    at_once: int

    async def run(self, play: Play) -> None:
        """Plays it to its end, and tells it of every event. Raises what ended it."""

    def close(self) -> None: ...


class InThreads:
    """Plays turns in threads of this process."""

    def __init__(self, following: Following, at_once: int) -> None:
        self.following, self.at_once = following, at_once
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="turn")

    async def run(self, play: Play) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, self._run, play, loop)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, play: Play, loop: asyncio.AbstractEventLoop) -> None:
        for event in happening(self.following.now(), play.asked, play.run_id, play.stopped):
            loop.call_soon_threadsafe(play.add, event)


class Playing:
    """The turns that run and those that wait. All methods are for the event loop."""

    def __init__(self, runner: Runner, limits: Limits, metrics: Metrics) -> None:
        self.runner, self.limits, self.metrics = runner, limits, metrics
        self._slots = asyncio.Semaphore(runner.at_once)
        self._talks: dict[str, tuple[asyncio.Lock, int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.draining = False

    def start(self, asked: Asked) -> Play:
        """Raises BadInput for what no turn can be made of, and Busy when the queue is full, or the server is being stopped."""
        the_message(asked.message, [], self.limits.message_chars)
        wanted_k(Context(k=asked.k), self.limits.top_k, self.limits.max_top_k)
        self.check_room()
        play = Play(asked)
        task = asyncio.create_task(self._play(play))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return play

    def check_room(self) -> None:
        if self.draining:
            raise Busy("this server is being stopped: ask again in a moment")
        if len(self._tasks) >= self.runner.at_once + self.limits.turns_waiting:
            self.metrics.refused.inc()
            raise Busy("too many turns are waiting: ask again in a moment")

    async def drain(self, seconds: float) -> None:
        """Takes no more turns, and waits for those there are."""
        self.draining = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        self.runner.close()

    async def _play(self, play: Play) -> None:
        late = asyncio.get_running_loop().call_later(self.limits.served_seconds, self._give_up, play)
        failure: BaseException | None = None
        try:
            async with self._room(play):
                with self.metrics.in_flight.track_inprogress():
                    await asyncio.to_thread(play.asked.check)
                    # Whoever asked may be told before it ends; the conversation's next turn waits for it all the same.
                    await self.runner.run(play)
        except asyncio.CancelledError:
            failure = Stopped("the turn was given up while it waited")
        except Exception as error:  # told to whoever listens
            failure = error
        late.cancel()
        play.end(failure)
        self._note(play)

    def _give_up(self, play: Play) -> None:
        play.end(TooLong(f"the turn took longer than {self.limits.served_seconds:g} seconds: ask again"))
        play.stop()

    def _note(self, play: Play) -> None:
        """How it ended, for the operator: nothing of what was said."""
        seconds = time.perf_counter() - play.started
        answer = play.events[-1].data if play.failure is None else None
        self.metrics.turn(seconds, answer, play.failure)
        ended = {"outcome": "answered" if answer else type(play.failure).__name__, "ms": round(seconds * 1000, 1)}
        if answer:
            ended |= {"intent": answer["intent"], "calls": answer["usage"]["calls"], "degraded": len(answer["degraded"])}
        log.info("turn", extra={"run_id": play.run_id, **ended})

    @asynccontextmanager
    async def _room(self, play: Play) -> AsyncIterator[None]:
        """For a turn of its conversation, when those before it have ended. Who gives up leaves the queue."""
        thread, task = play.asked.thread, asyncio.current_task()
        assert task is not None
        lock, users = self._talks.get(thread, (asyncio.Lock(), 0))
        self._talks[thread] = lock, users + 1
        try:
            async with AsyncExitStack() as held:
                if play.stopped():
                    raise Stopped("the turn was given up before it began")
                play.leave = task.cancel
                with self.metrics.waiting.track_inprogress():
                    await held.enter_async_context(lock)
                    await held.enter_async_context(self._slots)
                play.leave = None
                yield
        finally:
            play.leave = None
            lock, users = self._talks.pop(thread)
            if users > 1:
                self._talks[thread] = lock, users - 1
