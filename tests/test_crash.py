"""kill -9 during a build: the index in use stays whole, and the next build cleans up."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from duetto.tools import index as indexes
from duetto.tools import sample

KILLS = 10


def building(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    files = ["--items", str(folder / "items.parquet"), "--interactions", str(log), "--index", str(folder / "index")]
    command = [sys.executable, "-m", "duetto.cli", "build", *files]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ.copy())


def test_ten_kills_at_random_moments_leave_the_old_index_whole(tmp_path: Path) -> None:
    sample.films().write_parquet(tmp_path / "items.parquet")
    people = sample.interactions()
    people.write_parquet(tmp_path / "log.parquet")
    people.filter(people["user_id"] < "p300").write_parquet(tmp_path / "other.parquet")
    started = time.monotonic()
    assert building(tmp_path, tmp_path / "log.parquet").wait() == 0
    whole = time.monotonic() - started
    first = indexes.load(tmp_path / "index")
    dice = random.Random(5)
    killed = 0
    for _ in range(KILLS):
        process = building(tmp_path, tmp_path / "other.parquet")
        time.sleep(dice.uniform(0.3, 0.98) * whole)  # from the imports to the last fsync
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        found = indexes.load(tmp_path / "index")
        assert found.manifest.counts["users"] in (600, 299)
    assert killed > 0
    assert building(tmp_path, tmp_path / "log.parquet").wait() == 0
    assert len(indexes.load(tmp_path / "index").histories) == len(first.histories)
    assert not list((tmp_path / "index" / "versions").glob(".writing-*"))


def test_a_kill_in_the_middle_of_writing_leaves_the_old_index_whole(tmp_path: Path) -> None:
    sample.films().write_parquet(tmp_path / "items.parquet")
    sample.interactions().write_parquet(tmp_path / "log.parquet")
    assert building(tmp_path, tmp_path / "log.parquet").wait() == 0
    before = (tmp_path / "index" / "CURRENT").read_text()
    sample.interactions(seed=8).write_parquet(tmp_path / "log.parquet")
    process = building(tmp_path, tmp_path / "log.parquet")
    while process.poll() is None and not list((tmp_path / "index" / "versions").glob(".writing-*/*")):
        time.sleep(0.0005)
    process.kill()
    process.wait()
    assert (tmp_path / "index" / "CURRENT").read_text() == before
    assert len(indexes.load(tmp_path / "index").histories) == 600
