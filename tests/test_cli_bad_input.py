"""Whatever a caller gets wrong: one sentence, exit code 2, no traceback, and the index in use as it was."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from duetto.cli import main
from duetto.settings import Settings
from duetto.tools import index as indexes
from tests.sessions import played

ITEMS = "item_id,title,genre\n" + "".join(f"{n},Film number {n},{'drama' if n % 2 else 'comedy'}\n" for n in range(1, 21))
LOG = "user_id,item_id\n" + "".join(f"u{u},{1 + (u + i) % 20}\n" for u in range(12) for i in range(6))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two good files and an index built from them."""
    monkeypatch.setenv("DUETTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DUETTO_DATA", str(tmp_path / "data"))
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "log.csv").write_text(LOG)
    build(tmp_path)
    return tmp_path


def build(shop: Path, **options: str) -> None:
    given = {"items": str(shop / "items.csv"), "interactions": str(shop / "log.csv"), "index": str(shop / "index")} | options
    run("build", *[word for name, value in given.items() for word in (f"--{name}", value)])


def run(*words: str) -> None:
    """A command that works exits with 0."""
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert stop.value.code in (0, None), stop.value.code


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one sentence a refused command prints."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    printed = capsys.readouterr().err
    assert stop.value.code == 2
    assert "Traceback" not in printed
    sentences = [line for line in printed.splitlines() if line.startswith("duetto: ")]
    assert len(sentences) == 1, printed
    return sentences[0]


def write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def change(shop: Path) -> None:
        (shop / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def half_a_gzip(shop: Path) -> None:
    (shop / "items.csv.gz").write_bytes(gzip.compress(ITEMS.encode())[:60])


BAD_FILES: dict[str, tuple[Callable[[Path], None], dict[str, str], str]] = {
    "items missing": (lambda shop: None, {"items": "nowhere.csv"}, "nowhere.csv"),
    "items is a folder": (lambda shop: (shop / "d").mkdir(), {"items": "d"}, "d"),
    "empty file": (write("items.csv", ""), {}, "empty"),
    "header only": (write("items.csv", "item_id,title\n"), {}, "items.csv"),
    "no item_id": (write("items.csv", "itemId,title\n1,A\n"), {}, "item_id"),
    "no title": (write("items.csv", "item_id,name\n1,A\n"), {}, "title"),
    "duplicate id": (write("items.csv", "item_id,title\n1,A\n1,B\n"), {}, "1"),
    "ids equal after str": (
        write("i.jsonl", '{"item_id":1,"title":"A"}\n{"item_id":"1","title":"B"}\n'), {"items": "i.jsonl"}, "1",
    ),
    "empty id": (write("items.csv", "item_id,title\n,A\n2,B\n"), {}, "item_id"),
    "NaN id": (write("i.jsonl", '{"item_id":NaN,"title":"A"}\n'), {"items": "i.jsonl"}, "i.jsonl"),
    "half a gzip": (half_a_gzip, {"items": "items.csv.gz"}, "gz"),
    "no gzip at all": (write("items.csv.gz", ITEMS), {"items": "items.csv.gz"}, "gz"),
    "wrong encoding": (write("items.csv", "item_id,title\n1,Am\u00e9lie\n".encode("latin-1")), {}, "UTF-8"),
    "NUL bytes": (write("items.csv", b"item_id,title\n1,A\x00B\n"), {}, "items.csv"),
    "ragged line": (write("items.csv", "item_id,title\n1,A\n2,B,C,D\n"), {}, "items.csv"),
    "broken JSON": (write("i.jsonl", '{"item_id":1,"title":"A"}\n{"item_id":2,\n'), {"items": "i.jsonl"}, "2"),
    "JSON that is no object": (write("i.jsonl", "[1,2]\n"), {"items": "i.jsonl"}, "i.jsonl"),
    "no parquet": (write("items.parquet", "PAR1 not at all"), {"items": "items.parquet"}, "items.parquet"),
    "unknown ending": (write("items.xlsx", "x"), {"items": "items.xlsx"}, "xlsx"),
    "available is no boolean": (write("items.csv", "item_id,title,available\n1,A,perhaps\n2,B,yes\n"), {}, "available"),
    "infinite number": (write("i.jsonl", '{"item_id":1,"title":"A","price":Infinity}\n'), {"items": "i.jsonl"}, "price"),
    "log without user_id": (write("log.csv", "user,item_id\n1,1\n"), {}, "user_id"),
    "log with an empty id": (write("log.csv", "user_id,item_id\nu1,1\n,2\n"), {}, "user_id"),
    "NaN rating": (write("log.csv", "user_id,item_id,rating\nu1,1,NaN\nu2,2,3\n"), {}, "rating"),
    "rating is a word": (write("log.csv", "user_id,item_id,rating\nu1,1,good\n"), {}, "rating"),
    "date that is none": (write("log.csv", "user_id,item_id,timestamp\nu1,1,yesterday\n"), {}, "timestamp"),
    "over 20% unknown": (write("log.csv", "user_id,item_id\nu1,1\nu1,2\nu2,777\n"), {}, "not in the catalogue"),
    "all unknown": (write("log.csv", "user_id,item_id\nu1,a\nu1,b\n"), {}, "not in the catalogue"),
    "unknown descriptions": (
        write("d.jsonl", '{"item_id":999,"description":"x"}\n'), {"descriptions": "d.jsonl"}, "not in the catalogue",
    ),
    "unknown embedder": (lambda shop: None, {"embedder": "word2vec"}, "minilm"),
    "openai without a key": (lambda shop: None, {"embedder": "openai:text-embedding-3-small"}, "OPENAI_API_KEY"),
    "index is a file": (write("taken", "x"), {"index": "taken"}, "taken"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_build_that_is_refused_leaves_the_index_in_use(case: str, shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, options, expected = BAD_FILES[case]
    before = indexes.manifest_of(shop / "index")
    spoil(shop)
    paths = {"items", "interactions", "index", "descriptions"}
    given = {name: str(shop / value) if name in paths else value for name, value in options.items()}
    files = {"items": str(shop / "items.csv"), "interactions": str(shop / "log.csv"), "index": str(shop / "index")} | given
    sentence = refused(capsys, "build", *[word for name, value in files.items() for word in (f"--{name}", value)])
    assert expected in sentence
    assert indexes.manifest_of(shop / "index") == before


def test_strict_refuses_a_single_unknown_item(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / "log.csv").write_text(LOG + "u1,999\n")
    files = ["--items", str(shop / "items.csv"), "--interactions", str(shop / "log.csv"), "--index", str(shop / "index")]
    run("build", *files)
    assert "--strict" in refused(capsys, "build", *files, "--strict")


BAD_TURNS: dict[str, tuple[list[str], str]] = {
    "k is 0": (["m", "-k", "0"], "k is"),
    "k is too large": (["m", "-k", "101"], "100"),
    "empty message": ([""], "empty message"),
    "blank message": (["   "], "empty message"),
    "message over the cap": (["x" * 4001], "4,000"),
    "unknown reasons": (["m", "--reasons", "poetic"], "plain"),
    "nameless thread": (["m", "--thread", " "], "thread"),
}


@pytest.mark.parametrize("case", BAD_TURNS)
def test_a_turn_that_makes_no_sense_is_refused(case: str, shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, expected = BAD_TURNS[case]
    assert expected in refused(capsys, "ask", *words, "--index", str(shop / "index"))


def test_an_index_that_is_not_there_names_the_command_that_makes_it(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "duetto build" in refused(capsys, "ask", "m", "--index", str(shop / "none"))
    assert "duetto build" in refused(capsys, "inspect", "--index", str(shop))


def test_an_index_of_another_embedder_is_refused(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUETTO_EMBEDDER", "minilm")
    assert "--embedder minilm" in refused(capsys, "ask", "m", "--index", str(shop / "index"))


def test_a_future_format_asks_for_an_upgrade(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = indexes.current(shop / "index") / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": indexes.FORMAT + 1}))
    assert "upgrade duetto" in refused(capsys, "ask", "m", "--index", str(shop / "index"))


def test_a_flipped_byte_in_any_file_is_noticed(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    version = indexes.current(shop / "index")
    for path in [*version.iterdir(), shop / "index" / "CURRENT"]:
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 0x04
        path.write_bytes(flipped)
        assert "duetto build" in refused(capsys, "ask", "m", "--index", str(shop / "index")), path.name
        path.write_bytes(whole)
    run("ask", "film", "--index", str(shop / "index"), "--json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DUETTO_MODEL_CALLS", "many"),
        ("DUETTO_TURN_SECONDS", "-1"),
        ("DUETTO_METHOD", "telepathy"),
        ("DUETTO_PRICE", "cheap"),
        ("DUETTO_FUSION", "blend"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(
    name: str, value: str, shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    sentence = refused(capsys, "ask", "film", "--index", str(shop / "index"))
    assert value in sentence


def test_conversations_that_cannot_be_written_are_refused(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop / "blocked").write_text("a file where a folder should be")
    monkeypatch.setenv("DUETTO_DATA", str(shop / "blocked"))
    assert "DUETTO_DATA" in refused(capsys, "ask", "m", "--index", str(shop / "index"), "--thread", "t")


def test_a_model_without_a_key_is_refused(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUETTO_MODEL", "gpt-4o-mini")
    assert "API key" in refused(capsys, "ask", "m", "--index", str(shop / "index"))


@pytest.fixture
def recording(settings: Settings, tmp_path: Path) -> Path:
    return played(tmp_path / "recorded", settings, [{"user": "p001", "message": "hello!"}], "t")


def say(**fields: Any) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


FILE = "FILE"  # the recording's own name
BAD_REPLAYS: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "no such file": (lambda path: path.unlink(), [], "cannot read the recording"),
    "a folder": (make_a_folder, [], "cannot read the recording"),
    "no recording": (lambda path: path.write_text(ITEMS), [], "t-e3b98a4d.jsonl: none of its lines is a recorded turn"),
    "an empty file": (lambda path: path.write_text(""), [], "t-e3b98a4d.jsonl: there is no whole turn"),
    "another's JSON": (lambda path: path.write_text('{"a": 1}'), [], "line 1 of"),
    "a newer schema": (say(schema=2), [], "it has schema 2, and this duetto reads 1; update duetto"),
    "all redacted": (say(redacted=True), [], "record without --redact"),
    "a model's name": (lambda path: None, ["--model", "gpt-4o"], "choose recorded, live or none"),
    "live without a model": (lambda path: None, ["--model", "live"], "name it in DUETTO_MODEL"),
    "no such report": (lambda path: None, ["--against", "nowhere.json"], "cannot read the report nowhere.json"),
    "no report": (lambda path: None, ["--against", FILE], "it is not a report.json"),
    "no index": (lambda path: None, ["--index", "nowhere"], "duetto build"),
    "out is a file": (lambda path: None, ["--out", FILE], "name another folder"),
}


@pytest.mark.parametrize("case", BAD_REPLAYS)
def test_a_replay_that_makes_no_sense_is_refused(
    case: str, recording: Path, sample_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, words, expected = BAD_REPLAYS[case]
    spoil(recording)
    given = [str(recording) if word == FILE else word for word in words]
    assert expected in refused(capsys, "replay", str(recording), "--index", str(sample_path), *given)


def test_a_report_of_other_turns_is_refused(
    recording: Path, settings: Settings, sample_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = played(tmp_path / "other", settings, [{"message": "hello!"}], "u")
    index = ["--index", str(sample_path)]
    run("replay", str(other), *index, "--out", str(tmp_path / "out"))
    report = str(tmp_path / "out" / "report.json")
    assert "none of these turns" in refused(capsys, "replay", str(recording), *index, "--against", report)


def test_turns_that_cannot_be_recorded_are_refused_before_they_are_played(
    sample_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    words = ["ask", "m", "--index", str(sample_path), "--record"]
    assert "cannot record into" in refused(capsys, *words, str(tmp_path / "taken"))
    monkeypatch.setenv("DUETTO_DATA", str(tmp_path / "taken"))
    assert "cannot keep the secret of pseudonyms" in refused(capsys, *words, str(tmp_path / "recorded"), "--redact")


@pytest.mark.parametrize("words", [("ask", "m"), ("chat",)])
def test_what_is_not_recorded_cannot_be_redacted(
    words: tuple[str, ...], sample_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUETTO_DATA", str(tmp_path / "data"))
    sentence = refused(capsys, *words, "--index", str(sample_path), "--redact")
    assert sentence == "duetto: cannot redact what is not recorded: name a folder with --record"
    assert not list(tmp_path.rglob("*.key"))


def test_a_damaged_secret_is_refused_before_a_turn_is_played(
    sample_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUETTO_DATA", str(tmp_path))
    (tmp_path / "pseudonyms.key").write_bytes(b"")
    words = ["ask", "m", "--index", str(sample_path), "--record", str(tmp_path / "recorded"), "--redact"]
    assert "is damaged: remove the file" in refused(capsys, *words)


def test_every_file_of_an_index_loads_without_pickle(shop: Path) -> None:
    for path in indexes.current(shop / "index").iterdir():
        if path.suffix == ".npy":
            np.load(path, allow_pickle=False)
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert all(arrays[name].dtype != object for name in arrays.files)
        elif path.suffix == ".parquet":
            pl.read_parquet(path)
