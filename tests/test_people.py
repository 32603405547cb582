"""What is kept of a person, from the command line: shown, changed, exported, forgotten."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from duetto.cli import main
from duetto.people import changed
from duetto.settings import Settings
from duetto.tools import sample
from duetto.tools.journal import lines
from duetto.wiring import open_profiles

INDEX = ("--index", "sample")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, sample_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUETTO_CACHE", str(sample_path.parent))
    monkeypatch.setenv("DUETTO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def ran(*words: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as stop:
            main(list(words))
        assert (stop.value.code or 0) == code
        read = capsys.readouterr()
        return read.err if code else read.out

    return ran


def said(run: Any, message: str, user: str = "ann", thread: str = "t", *more: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run("ask", message, *INDEX, "--user", user, "--thread", thread, "--json", *more))
    return answer


def kept(run: Any, user: str = "ann") -> dict[str, Any]:
    known: dict[str, Any] = json.loads(run("profile", user, "--json"))
    return known


def opinions(known: dict[str, Any]) -> list[tuple[Any, str]]:
    return [(opinion["item_id"], opinion["kind"]) for opinion in known["opinions"]]


# shown and changed


def test_a_profile_tells_what_was_said_and_where(run: Any) -> None:
    said(run, "I hated Alien. I never watch horror")
    shown = run("profile", "ann", *INDEX)
    assert "Alien" in shown
    assert "I never watch horror" in shown
    assert " t" in shown


def test_somebody_unknown_has_no_profile(run: Any) -> None:
    assert "nothing is kept of 'bob'" in run("profile", "bob", code=2)


def test_a_profile_can_be_edited_and_the_next_turn_heeds_it(run: Any) -> None:
    first = said(run, "a western")["recommendations"][0]["item_id"]
    run("profile", "ann", *INDEX, "--seen", str(first))
    assert opinions(kept(run)) == [(first, "seen")]
    assert first not in [r["item_id"] for r in said(run, "a western")["recommendations"]]
    run("profile", "ann", "--drop", str(first))
    assert opinions(kept(run)) == []


def test_a_standing_limit_can_be_lifted(run: Any) -> None:
    said(run, "I never watch horror")
    run("profile", "ann", "--lift", "I never watch horror")
    assert said(run, "vampires", thread="another")["constraints"] == []


def test_a_taste_that_a_person_corrected_is_shown_and_forgotten_with_them(run: Any, tmp_path: Path) -> None:
    with closing(open_profiles(Settings(data=tmp_path / "data"))) as store:
        changed(store, "ann", {}, [], [], None, [("heist films", 0.8), ("westerns", 0)])
    shown = run("profile", "ann", *INDEX)
    assert "own taste  heist films (0.80)" in shown
    assert "no taste   westerns" in shown
    assert [one["preference"] for one in kept(run)["corrected"]] == ["heist films", "westerns"]
    assert "heist films" in [p["preference"] for p in said(run, "something clever")["preferences"]]
    run("profile", "ann", "--forget")
    assert "nothing is kept" in run("profile", "ann", code=2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--like", "no such item", *INDEX), "the index has no item of that id"),
        (("--drop", "1"), "says nothing of it"),
        (("--lift", "no horror"), "does not have it"),
    ],
)
def test_what_cannot_be_changed_is_refused(run: Any, words: tuple[str, ...], told: str) -> None:
    assert told in run("profile", "ann", *words, code=2)


# exported


def test_feedback_is_exported_as_a_log_that_build_reads(run: Any, tmp_path: Path) -> None:
    said(run, "I loved Alien. I hated Jaws. I've seen Fargo. I'm not interested in Heat")
    said(run, "I loved Alien", "bob", "b")
    log, items, built = tmp_path / "log.csv", tmp_path / "items.csv", tmp_path / "built"
    assert run("export", "--interactions", str(log)).startswith("4 interactions")
    sample.films().write_csv(items)
    run("build", "--items", str(items), "--interactions", str(log), "--index", str(built))
    manifest = json.loads(run("inspect", "--index", str(built), "--json"))
    assert (manifest["counts"]["users"], manifest["counts"]["interactions"]) == (2, 4)
    rows = pl.read_csv(log).filter(pl.col("user_id") == "ann")
    assert sorted(rows["rating"].to_list()) == [1.0, 3.0, 5.0]


def test_an_export_to_nowhere_is_refused(run: Any, tmp_path: Path) -> None:
    assert "cannot write" in run("export", "--interactions", str(tmp_path / "no" / "such" / "log.csv"), code=2)


# forgotten


def turns(folder: Path) -> list[str]:
    return [str(line["answer"]["user"]) for file in folder.glob("*") for _, line in lines(file) if line is not None]


def test_whoever_is_forgotten_leaves_no_profile_no_thread_and_no_recording(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    for user in ("ann", "bob"):
        said(run, "I hated Alien", user, user, "--record", str(folder))
    assert "1 profiles, 1 conversations, 1 recorded turns" in run("profile", "ann", "--forget")
    assert turns(folder) == ["bob"]
    assert said(run, "hello", "ann", "ann")["turn"] == 1
    assert said(run, "hello", "bob", "bob")["turn"] == 2
    run("profile", "ann", "--forget")
    assert "nothing is kept" in run("profile", "ann", "--forget", code=2)


def test_redacted_recordings_are_forgotten_too(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    said(run, "I hated Alien", "ann", "t", "--record", str(folder), "--redact")
    assert "1 recorded turns" in run("profile", "ann", "--forget")
    assert turns(folder) == []


def test_recordings_of_a_later_turn_are_forgotten_too(run: Any, tmp_path: Path) -> None:
    said(run, "a western")
    said(run, "I hated Alien", "ann", "t", "--record", str(tmp_path / "late"))
    assert "1 recorded turns" in run("profile", "ann", "--forget")


def test_a_recording_named_from_another_folder_is_found(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    said(run, "I hated Alien", "ann", "t", "--record", "recordings")
    monkeypatch.chdir(tmp_path)
    assert "1 recorded turns" in run("profile", "ann", "--forget")


def test_a_recording_without_a_thread_is_looked_for_where_one_says(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    run("ask", "a western", *INDEX, "--user", "ann", "--json", "--record", str(folder))
    assert "1 recorded turns" in run("profile", "ann", "--forget", "--recordings", str(folder))
    assert turns(folder) == []
