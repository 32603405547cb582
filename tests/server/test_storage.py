"""A server whose database is cut off, or whose disk is full: who asks is told, and nothing acknowledged is lost."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from duetto.settings import Settings
from tests.postgres import cluster, database
from tests.proxy import Proxy
from tests.serving import Served, serving

__all__ = ["cluster", "database"]
HASTY = {"database_connect_seconds": "1", "database_checkout_seconds": "1", "database_seconds": "2"}
MANY = "a western, no horror, nothing before 1950, under 150 minutes"


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_database_that_is_cut_off_is_a_503_and_all_goes_on_when_it_is_back(
    settings: Settings, database: str, cluster: int, tmp_path: Path, workers: str
) -> None:
    with Proxy(cluster) as proxy:
        url = database.replace(f":{cluster}/", f":{proxy.port}/")
        with serving(settings, "--workers", workers, data=tmp_path, database_url=url, **HASTY) as server:
            server.turn("a western", user="p001", thread="kept")
            proxy.cut()
            for _ in range(3):
                reply = server.ask("POST", "/v1/turns", json={"message": "more please", "user": "p001", "thread": "kept"})
                assert (reply.status_code, reply.json()["error"]["type"]) == (503, "not_ready")
                assert "s3cret" not in reply.text
            assert server.ask("GET", "/readyz").status_code == 503
            proxy.mend()
            assert server.turn("more please", user="p001", thread="kept")["turn"] == 2
            assert server.told("kept") == ["a western", "more please"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], check=False).returncode
    ):
        pytest.skip("a small file system cannot be mounted here: that needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(server: Served, most: int = 200) -> int:
    """Turns that were answered, until one is not."""
    for turn in range(most):
        reply = server.ask("POST", "/v1/turns", json={"message": MANY, "user": "p001", "thread": "long"})
        if reply.status_code != 200:
            assert (reply.status_code, reply.json()["error"]["type"]) == (503, "not_ready")
            return turn
    raise AssertionError("the disk was never full")


def test_a_full_disk_is_a_503_and_loses_nothing(settings: Settings, small_disk: Path, tmp_path: Path) -> None:
    with serving(settings, data=tmp_path, DUETTO_DATA=str(small_disk)) as server:
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"0" * 1_500_000)
        answered = fill(server)
        assert answered
        ballast.unlink()
        assert server.turn("more please", user="p001", thread="long")["turn"] == answered + 1
        assert len(server.told("long")) == answered + 1
