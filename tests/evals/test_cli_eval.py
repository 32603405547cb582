"""`duetto eval rank` from the command line: what it prints, and what it says of bad input."""

import json
from pathlib import Path

import pytest

from duetto.cli import main
from duetto.tools import sample


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
