"""kill -9 during a build: the index in use stays whole, and the next build cleans up."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from duetto.tools import index as indexes
from duetto.tools import sample

KILLS = 10
# Imports take longer than the build: so one process imports, and forks the builds that are killed.
FORGE = """
import json, os, sys
from duetto import jobs
from duetto.cli import main

for line in sys.stdin:
    process = os.fork()
    if process == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            main(json.loads(line))
        except SystemExit as end:
            os._exit(end.code or 0)
    print(process, flush=True)
    print(os.waitpid(process, 0)[1], flush=True)
"""


class Builds:
    """Builds an index over and over, each time in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.forge = subprocess.Popen(
            [sys.executable, "-c", FORGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def begin(self, log: str) -> int:
        """The process that builds."""
        files = ["--items", str(self.folder / "items.parquet"), "--interactions", str(self.folder / log)]
        assert self.forge.stdin is not None
        self.forge.stdin.write(json.dumps(["build", *files, "--index", str(self.folder / "index")]) + "\n")
        self.forge.stdin.flush()
        return self._told()

    def ended(self) -> int:
        """How: 0 when it was good."""
        return os.waitstatus_to_exitcode(self._told())

    def stop(self) -> None:
        assert self.forge.stdin is not None
        assert self.forge.stdout is not None
        self.forge.stdin.close()
        self.forge.stdout.close()
        self.forge.wait(60)

    def _told(self) -> int:
        assert self.forge.stdout is not None
        return int(self.forge.stdout.readline())


@pytest.fixture
def builds(tmp_path: Path) -> Iterator[Builds]:
    sample.films().write_parquet(tmp_path / "items.parquet")
    sample.interactions().write_parquet(tmp_path / "log.parquet")
    builds = Builds(tmp_path)
    builds.begin("log.parquet")
    assert builds.ended() == 0
    yield builds
    builds.stop()


def test_ten_kills_at_random_moments_leave_the_old_index_whole(builds: Builds, tmp_path: Path) -> None:
    people = sample.interactions()
    people.filter(people["user_id"] < "p300").write_parquet(tmp_path / "other.parquet")
    started = time.monotonic()
    builds.begin("log.parquet")
    assert builds.ended() == 0
    whole = time.monotonic() - started
    first = indexes.load(tmp_path / "index")
    dice = random.Random(5)
    killed = 0
    for _ in range(KILLS):
        process = builds.begin("other.parquet")
        time.sleep(dice.uniform(0.05, 0.98) * whole)
        with suppress(ProcessLookupError):  # it may have ended
            os.kill(process, signal.SIGKILL)
        killed += builds.ended() == -signal.SIGKILL
        found = indexes.load(tmp_path / "index")
        assert found.manifest.counts["users"] in (600, 299)
    assert killed > 0
    builds.begin("log.parquet")
    assert builds.ended() == 0
    assert len(indexes.load(tmp_path / "index").histories) == len(first.histories)
    assert not list((tmp_path / "index" / "versions").glob(".writing-*"))


def test_a_kill_in_the_middle_of_writing_leaves_the_old_index_whole(builds: Builds, tmp_path: Path) -> None:
    before = (tmp_path / "index" / "CURRENT").read_text()
    sample.interactions(seed=8).write_parquet(tmp_path / "log.parquet")
    process = builds.begin("log.parquet")
    while not list((tmp_path / "index" / "versions").glob(".writing-*/*")):
        time.sleep(0.0005)
    os.kill(process, signal.SIGKILL)
    assert builds.ended() == -signal.SIGKILL
    assert (tmp_path / "index" / "CURRENT").read_text() == before
    assert len(indexes.load(tmp_path / "index").histories) == 600
