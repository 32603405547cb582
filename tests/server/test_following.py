"""The index in use, when a build has ended."""

import time
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="needs the extra `serve`")

from duetto.errors import NotReady
from duetto.server.following import Following


class Opened:
    """An index, and graphs over it: they refer to themselves."""

    def __init__(self, version: str) -> None:
        self.index, self.graph = SimpleNamespace(version=version), self


class Building:
    """A folder whose CURRENT names the index that is opened; `broken` versions cannot be."""

    def __init__(self, root: Path, **broken: Exception) -> None:
        self.file, self.broken, self.opened = root / "CURRENT", broken, 0
        self.build("one")
        self.following = Following(root, self.open, 0.0)

    def build(self, version: str) -> None:
        self.file.write_text(f"{version}\n")

    def open(self) -> Any:
        self.opened += 1
        version = self.file.read_text().strip()
        if version in self.broken:
            raise self.broken[version]
        return Opened(version)

    def comes_to(self, version: str) -> bool:
        until = time.monotonic() + 5
        while self.following.now().index.version != version and time.monotonic() < until:
            time.sleep(0.005)
        return self.following.now().index.version == version


def test_a_new_index_is_used_and_the_old_one_let_go(tmp_path: Path) -> None:
    building = Building(tmp_path)
    for n, version in enumerate(("two", "three"), start=2):
        old = weakref.ref(building.following.now())
        building.build(version)
        assert building.comes_to(version)
        until = time.monotonic() + 5
        while old() is not None and time.monotonic() < until:
            time.sleep(0.005)
        assert old() is None
        assert building.opened == n


@pytest.mark.parametrize("why", [NotReady("it is damaged"), OSError("no space"), KeyError("users")])
def test_an_index_that_cannot_be_used_is_tried_once_and_the_next_one_is(tmp_path: Path, why: Exception) -> None:
    building = Building(tmp_path, two=why)
    building.build("two")
    until = time.monotonic() + 5
    while building.opened < 2 and time.monotonic() < until:
        building.following.now()
    for _ in range(20):
        assert building.following.now().index.version == "one"
        time.sleep(0.005)
    assert building.opened == 2
    building.build("three")
    assert building.comes_to("three")


def test_what_is_open_stays_without_its_files(tmp_path: Path) -> None:
    building = Building(tmp_path)
    building.file.unlink()
    assert building.following.now().index.version == "one"
    building.build("")
    assert building.following.now().index.version == "one"
    assert building.opened == 1
