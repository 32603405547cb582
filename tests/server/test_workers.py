"""Processes that play turns: what goes wrong in one is told to whoever asked, and the server goes on."""

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")

from duetto.errors import BadInput, NotReady
from duetto.server.playing import Play
from duetto.server.turn import Asked, Stopped
from duetto.server.workers import Broken, Workers
from duetto.settings import Settings

SAMPLE = {"index": "sample", "record": None, "redact": False}


@pytest.fixture(autouse=True)
def _home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUETTO_CACHE", str(settings.cache))
    monkeypatch.setenv("DUETTO_DATA", str(settings.data))


def with_workers(many: int, use: Callable[[Workers], Awaitable[None]], **opens: Any) -> None:
    async def run() -> None:
        workers = Workers(many, 4, {**SAMPLE, **opens}, pause=0.05)
        await workers.start()
        try:
            await use(workers)
        finally:
            workers.close()
            await workers.ended()

    asyncio.run(run())


async def answered(workers: Workers, asked: Asked) -> Play:
    play = Play(asked)
    await workers.run(play)
    return play


def test_a_turn_s_events_come_in_order_and_the_answer_last() -> None:
    async def use(workers: Workers) -> None:
        play = await answered(workers, Asked("in-order", "p001", "a western", k=3))
        names = [event.name for event in play.events]
        assert (names.index("ranking") < names.index("reason"), names[-1]) == (True, "answer")
        assert play.events[-1].data["run_id"] == play.run_id

    with_workers(1, use)


def test_a_conversation_goes_on_in_whichever_process() -> None:
    async def use(workers: Workers) -> None:
        for turn in range(1, 5):
            play = await answered(workers, Asked("anywhere", "p001", "more please" if turn > 1 else "a western"))
            assert play.events[-1].data["turn"] == turn

    with_workers(2, use)


def test_what_a_turn_refuses_is_raised_as_it_was() -> None:
    async def use(workers: Workers) -> None:
        with pytest.raises(BadInput, match="cannot answer an empty message"):
            await answered(workers, Asked("refused", "p001", " "))

    with_workers(1, use)


def test_a_turn_that_is_given_up_ends() -> None:
    async def use(workers: Workers) -> None:
        play = Play(Asked("given-up", "p001", "a western"))
        running = asyncio.ensure_future(workers.run(play))
        await asyncio.sleep(0)
        play.stop()
        with pytest.raises(Stopped):
            await running

    with_workers(1, use)


def test_a_process_that_dies_ends_its_turns_and_is_replaced() -> None:
    async def use(workers: Workers) -> None:
        running = asyncio.ensure_future(answered(workers, Asked("dies", "p001", "a western")))
        await asyncio.sleep(0)
        (process,) = workers.processes()
        os.kill(process, signal.SIGKILL)
        with pytest.raises(Broken, match="ask again"):
            await running
        while workers.processes() in ([], [process]):
            await asyncio.sleep(0.05)
        assert (await answered(workers, Asked("dies", "p001", "a western"))).events[-1].name == "answer"

    with_workers(1, use)


def test_a_process_that_cannot_be_replaced_at_once_is_tried_again(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here, elsewhere = tmp_path / "index", tmp_path / "elsewhere"
    shutil.copytree(settings.sample, here)

    async def use(workers: Workers) -> None:
        here.rename(elsewhere)
        (process,) = workers.processes()
        os.kill(process, signal.SIGKILL)
        while "a worker cannot be started, and is tried again" not in caplog.messages:
            await asyncio.sleep(0.05)
        with pytest.raises(Broken, match="nobody is there"):
            await answered(workers, Asked("gone", "p001", "a western"))
        elsewhere.rename(here)
        while not workers.processes():
            await asyncio.sleep(0.05)
        assert (await answered(workers, Asked("back", "p001", "a western"))).events[-1].name == "answer"

    with_workers(1, use, index=str(here))


def test_what_keeps_a_worker_from_opening_is_told() -> None:
    async def use(workers: Workers) -> None:
        raise AssertionError("it opened")

    with pytest.raises(NotReady, match="there is no index at nowhere"):
        with_workers(2, use, index="nowhere")
