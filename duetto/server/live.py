"""Turns that a page shows while they run, so that a reload or a second tab finds them again."""

import asyncio
import time
from dataclasses import dataclass, field

from duetto.server.doors import NotThere
from duetto.server.playing import Play

KEPT_SECONDS = 300.0  # that a turn which failed can still be shown
MOST = 1_000
LOOKS = 0.25  # seconds between looks for a listener


@dataclass
class _Shown:
    play: Play
    ended: float | None = None


@dataclass
class Live:
    """Lives on the event loop; reading it from a thread is safe."""

    _shown: dict[str, _Shown] = field(default_factory=dict)
    _watches: set[asyncio.Task[None]] = field(default_factory=set)

    def add(self, play: Play, grace: float) -> None:
        """The turn is stopped when nobody has listened to it for `grace` seconds."""
        now = time.monotonic()
        thread = play.asked.thread
        for run_id, shown in list(self._shown.items()):
            if shown.ended is not None and (now - shown.ended > KEPT_SECONDS or shown.play.asked.thread == thread):
                del self._shown[run_id]
        ended = [run_id for run_id, shown in self._shown.items() if shown.ended is not None]
        for run_id in ended[: max(0, len(self._shown) - MOST)]:
            del self._shown[run_id]
        self._shown[play.run_id] = shown = _Shown(play)
        watch = asyncio.create_task(self._watch(shown, grace))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    def play(self, run_id: str) -> Play:
        """Raises NotThere when it has ended long ago, or never was."""
        if run_id not in self._shown:
            raise NotThere("this turn runs no more")
        return self._shown[run_id].play

    def of(self, thread: str) -> list[Play]:
        """The conversation's turns that have not been answered, in their order."""
        return [
            shown.play
            for shown in list(self._shown.values())
            if shown.play.asked.thread == thread and (not shown.play.ended or shown.play.failure is not None)
        ]

    async def _watch(self, shown: _Shown, grace: float) -> None:
        heard = time.monotonic()
        while not shown.play.ended:
            await asyncio.sleep(LOOKS)
            if shown.play.listeners:
                heard = time.monotonic()
            elif time.monotonic() - heard > grace:
                shown.play.stop()
        shown.ended = time.monotonic()
