"""kill -9 while turns are recorded: a turn that was answered is in the file, and the file goes on to grow."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from duetto.evals.replay import read
from duetto.jobs import replay_recordings
from duetto.settings import Settings
from duetto.tools.journal import lines
from tests.sessions import played, recorded

KILLS, THREADS = 20, 3
A_TURN = 0.03  # seconds, about
# A start costs seconds, most of them for imports: so one process imports, and forks for each that is to be killed. It
# has opened nothing yet when it forks, for the threads of polars and BLAS would not come along.
PLAYS = """
import os, sys
from duetto.graph.state import Context
from duetto.wiring import open_graph

for line in sys.stdin:
    thread, folder = line.split()
    if process := os.fork():
        os.waitpid(process, 0)
        print("dead", flush=True)
        continue
    print(os.getpid(), flush=True)
    graph = open_graph("sample", record=folder)
    print("open", flush=True)
    config, context = {"configurable": {"thread_id": thread}}, Context(reasons="none")
    for n in range(10_000):
        message = f"{'a western' if n % 2 else 'hello!'}, number {os.getpid()}-{n}"
        graph.invoke({"user": "p042", "message": message}, config, context=context)
        print(message, flush=True)
"""


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, "the player is gone"
    return line


def killed(process: subprocess.Popen[str], thread: str, folder: Path, turns: int, after: float) -> list[str]:
    """The messages whose turns were answered before the kill, which comes so many seconds after so many turns."""
    assert process.stdin is not None
    process.stdin.write(f"{thread} {folder}\n")
    process.stdin.flush()
    victim = int(told(process))
    assert told(process) == "open"
    answered = [told(process) for _ in range(turns)]
    time.sleep(after)
    os.kill(victim, signal.SIGKILL)
    return answered + list(iter(lambda: told(process), "dead"))


@pytest.fixture(scope="module")
def kills(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """The folder of recordings after all kills, and each thread's messages that were answered."""
    folder, dice = tmp_path_factory.mktemp("recorded"), random.Random(6)
    answered: dict[str, list[str]] = {f"t{n}": [] for n in range(THREADS)}
    environment = {**os.environ, "DUETTO_CACHE": str(settings.cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PLAYS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for n in range(KILLS):
            thread = f"t{n % THREADS}"
            answered[thread] += killed(process, thread, folder, dice.randrange(12), dice.uniform(0, A_TURN))
    return folder, answered


def test_every_turn_that_was_answered_before_a_kill_is_in_its_file(kills: tuple[Path, dict[str, list[str]]]) -> None:
    folder, answered = kills
    found = {str(turns[0].answer.thread): [turn.message for turn in turns] for turns in map(recorded, folder.iterdir())}
    assert sorted(found) == sorted(answered)
    for thread, messages in answered.items():
        written = [message for message in found[thread] if message in set(messages)]
        assert written == messages
        assert len(found[thread]) - len(messages) <= KILLS  # one turn a kill may be written and not answered


def test_every_file_is_read_and_played_after_the_kills(kills: tuple[Path, dict[str, list[str]]], settings: Settings) -> None:
    paths = sorted(kills[0].iterdir())
    files = read(paths)
    assert len(files.turns) + files.broken == sum(len(list(lines(path))) for path in paths)
    assert files.broken <= KILLS
    report = replay_recordings(paths[:1], "sample", settings=settings)
    assert (report["drifted"], report["half_written_lines"]) == (0, read(paths[:1]).broken)


def test_a_file_grows_on_after_the_kills(kills: tuple[Path, dict[str, list[str]]], settings: Settings, tmp_path: Path) -> None:
    for path in kills[0].iterdir():
        before = recorded(path)
        assert played(kills[0], settings, [{"message": "a western"}], before[0].answer.thread) == path
        after = recorded(path)
        assert (after[:-1], after[-1].message) == (before, "a western")
