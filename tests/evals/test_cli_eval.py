"""`duetto eval rank` and `duetto eval reasons` from the command line: what it prints, and what it says of bad input."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duetto.cli import main
from duetto.tools import index as indexes
from duetto.tools import sample
from duetto.tools.histories import Histories
from tests.tools.films import film_index


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("files")
    items, log = folder / "items.csv", folder / "log.csv"
    sample.films().write_csv(items)
    sample.interactions().drop("timestamp").write_csv(log)
    return items, log


def run(files: tuple[Path, Path], out: Path, *more: str) -> None:
    items, log = files
    main(["eval", "rank", "--items", str(items), "--interactions", str(log), "--out", str(out), *more])


def test_json_is_the_report_that_is_written(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUETTO_RANKER_TREES", "10")
    with pytest.raises(SystemExit) as left:
        run(files, tmp_path, "--users", "30", "--systems", "als,learned", "--json")
    assert left.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((tmp_path / "report.json").read_text())
    assert set(told["systems"]) == {"als", "learned"}
    assert set(told["systems"]["als"]["hr@10"]) == {"mean", "low", "high"}
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--users", "0"), "cannot evaluate '0' people: --users takes a number from 1 on, or all"),
        (("--users", "many"), "cannot evaluate 'many' people"),
        (("--protocol", "random"), "there is no protocol 'random': choose one of leave-one-out, temporal"),
        (("--protocol", "temporal"), "its interactions have no timestamp; use --protocol leave-one-out"),
        (("--systems", "als,best"), "there is no system 'best': choose among popularity"),
        (("--systems", ""), "there is no system ''"),
        (("--ignore", "price"), "cannot ignore 'price': the items' other columns are"),
        (("--ignore", "title"), "cannot ignore 'title'"),
        (("--embedder", "word2vec"), "there is no embedder 'word2vec'"),
        (("--recordings", "nowhere.jsonl"), "nowhere.jsonl"),
        (("--requests", "nowhere.jsonl"), "nowhere.jsonl"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(SystemExit) as left:
        run(files, tmp_path / "out", *more)
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert sentence in " ".join(said.split())
    assert "Traceback" not in said


def test_an_output_that_is_a_file_is_refused(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(SystemExit) as left:
        run(files, tmp_path / "taken")
    assert left.value.code == 2
    assert "name another folder with --out" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "taken").read_text() == "mine"


# duetto eval reasons


@pytest.fixture
def sampled(sample_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUETTO_CACHE", str(sample_path.parent))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.usefixtures("sampled")
def test_reasons_of_an_index_are_judged_as_json_and_readably(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ["eval", "reasons", "--index", "sample", "--users", "2"]
    for more in (["--out", str(tmp_path), "--json"], ["--message", "a dark thriller"]):
        with pytest.raises(SystemExit) as left:
            main([*told, *more])
        assert left.value.code == 0
        printed = capsys.readouterr().out
        if "--json" in more:
            report = json.loads(printed)
            assert report == json.loads((tmp_path / "report.json").read_text())
            assert report["people"] == 2
            assert (tmp_path / "report.html").is_file()
        else:
            assert "2 people of sample" in printed
            assert "100.00%" in printed
            assert "faithful" not in printed


@pytest.mark.usefixtures("sampled")
@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--users", "0"), "cannot evaluate '0' people: --users takes a number from 1 on, or all"),
        (("--users", "-1"), "cannot evaluate '-1' people"),
        (("--users", "some"), "cannot evaluate 'some' people"),
        (("--index", "nowhere"), "duetto build"),
        (("--users", "1", "--message", " "), "empty message"),
        (("--users", "1", "--message", "x" * 4001), "4,000"),
    ],
)
def test_what_cannot_be_judged_is_one_sentence_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], more: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["eval", "reasons", "--index", "sample", *more])
    assert left.value.code == 2
    printed = capsys.readouterr()
    said = [line for line in printed.err.splitlines() if line.startswith("duetto: ")]
    assert len(said) == 1
    assert sentence in said[0]
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_an_index_in_which_nobody_has_a_history_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    none = np.zeros(0, np.int32)
    nobody = Histories([], np.zeros(1, np.int64), none, none.astype(np.bool_))
    indexes.write(tmp_path, replace(film_index(), histories=nobody))
    with pytest.raises(SystemExit) as left:
        main(["eval", "reasons", "--index", str(tmp_path)])
    assert left.value.code == 2
    assert "duetto: cannot evaluate reasons: nobody in the index has a history" in " ".join(capsys.readouterr().err.split())
