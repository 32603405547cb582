"""Files of lines that grow: whole, synced, and read again whatever a crash left of them."""

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import BaseModel

from duetto.errors import BadInput, NotReady
from duetto.tools.journal import Journal, Pseudonyms, lines


class Said(BaseModel):
    n: int
    text: str = "Amélie\u2028 in\ntwo lines, “quoted” \0"


def found(path: Path) -> list[int | None]:
    """The numbers of the lines, None for one that was half written."""
    return [None if line is None else Said.model_validate(line).n for _, line in lines(path)]


# a line


def test_a_line_is_read_as_it_was_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "down")
    for n in range(3):
        journal.append("t", Said(n=n))
    path = journal.file("t")
    assert path.read_bytes().count(b"\n") == 3
    assert [(number, line) for number, line in lines(path)] == [(n + 1, Said(n=n).model_dump()) for n in range(3)]


def test_a_line_is_synced_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, synced = Journal(tmp_path), list[int]()

    def sync(handle: int) -> None:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            synced.append(os.fstat(handle).st_size)

    monkeypatch.setattr(os, "fsync", sync)
    for n in range(2):
        journal.append("t", Said(n=n))
        assert len(synced) == n + 1
        assert synced[-1] == journal.file("t").stat().st_size


def test_a_new_file_s_name_is_synced_after_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, folders = Journal(tmp_path), list[bool]()
    monkeypatch.setattr(os, "fsync", lambda handle: folders.append(stat.S_ISDIR(os.fstat(handle).st_mode)))
    for name in ("t", "t", "u"):
        journal.append(name, Said(n=0))
    assert folders == [False, True, False, False, True]


def test_half_a_character_is_escaped_and_read_again(tmp_path: Path) -> None:
    journal, said = Journal(tmp_path), [Said(n=n, text=text) for n, text in enumerate(("Amélie", "Amélie \udcff \ud83d", "🎬"))]
    for one in said:
        journal.append("t \udcff", one)
    path = journal.file("t \udcff")
    assert b"\\udcff \\ud83d" in path.read_bytes()
    assert [line for _, line in lines(path)] == [one.model_dump() for one in said]


def test_a_write_that_takes_only_part_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:7]))
    journal = Journal(tmp_path)
    for n in range(2):
        journal.append("t", Said(n=n))
    assert found(journal.file("t")) == [0, 1]


def test_what_was_said_is_for_its_owner_s_eyes(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("t", Said(n=0))
    assert stat.S_IMODE(journal.file("t").stat().st_mode) == 0o600


def test_many_writers_at_once_keep_their_lines_whole(tmp_path: Path) -> None:
    journals = [Journal(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: journals[n % 4].append("t", Said(n=n, text="x" * 9000)), range(60)))
    assert sorted(n for n in found(journals[0].file("t")) if n is not None) == list(range(60))


def test_a_folder_that_is_gone_is_an_os_error(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(OSError, match="No such file"):
        journal.append("t", Said(n=0))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(NotReady, match=r"cannot record into .*taken.*; name another folder"):
            Journal(folder)


# half a line


def test_a_last_line_cut_anywhere_costs_that_line_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("t", Said(n=0))
    path = journal.file("t")
    first = path.read_bytes()
    journal.append("t", Said(n=1))
    whole = path.read_bytes()
    for size in range(len(first) + 1, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert found(path) == [0, None]
        journal.append("t", Said(n=2))
        assert found(path) == [0, None, 2]


def test_a_line_that_lost_only_its_end_is_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("t", Said(n=0))
    path = journal.file("t")
    path.write_bytes(path.read_bytes()[:-1])
    assert found(path) == [0]
    journal.append("t", Said(n=1))
    assert found(path) == [0, 1]


def test_a_kill_during_the_first_line_leaves_a_file_to_go_on_with(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.file("t").write_bytes(b'{"n": 0, "text": "Am\xc3')
    assert found(journal.file("t")) == [None]
    journal.append("t", Said(n=1))
    assert found(journal.file("t")) == [None, 1]


DEEP = pytest.param(b"[" * 100_000, id="deep")


@pytest.mark.parametrize("line", [b"{", b"[1]", b"null", b'"text"', b"\xff\xfe", b"\0\0", b"hello", DEEP])
def test_what_is_no_object_is_half_a_line(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"n": 1}\n' + line + b'\n\n  \n{"n": 2}\n')
    assert [(number, None if one is None else one["n"]) for number, one in lines(path)] == [(1, 1), (2, None), (5, 2)]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b"")
    assert list(lines(tmp_path / "t.jsonl")) == []


@pytest.mark.parametrize("name", ["nowhere.jsonl", "."])
def test_a_file_that_cannot_be_read_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^cannot read the recording .*; name a file that is there$"):
        list(lines(tmp_path / name))


# a conversation's file

NAMES = [
    "t", "T", "a b", "a/b", "a\\b", "../../etc/passwd", "..", "/", "", "x" * 300, "x" * 301, "a\0b", "a\nb", "Amélie", "Ω", "-r",
]  # fmt: skip


def test_every_conversation_has_a_file_of_its_own_in_the_folder(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for n, name in enumerate(NAMES):
        journal.append(name, Said(n=n))
    assert [found(Journal(tmp_path).file(name)) for name in NAMES] == [[n] for n in range(len(NAMES))]
    assert sorted(tmp_path.rglob("*")) == sorted(journal.file(name) for name in NAMES)


def test_no_file_is_named_as_an_option_would_be(tmp_path: Path) -> None:
    assert not [name for name in NAMES if Journal(tmp_path).file(name).name.startswith(("-", "."))]


@pytest.mark.parametrize("name", ["", "Ω", "--", "/", "..", "\udcff"])
def test_a_name_of_which_nothing_can_be_shown_is_a_thread_s(name: str, tmp_path: Path) -> None:
    assert re.fullmatch(r"thread-[0-9a-f]{8}\.jsonl", Journal(tmp_path).file(name).name)


# pseudonyms


def test_a_person_has_one_pseudonym_also_after_a_restart(tmp_path: Path) -> None:
    secret = tmp_path / "deep" / "secret.key"
    first = Pseudonyms(secret).of("p042")
    assert first == Pseudonyms(secret).of("p042")
    assert first != Pseudonyms(secret).of("p043")
    assert first is not None
    assert "p042" not in first


def test_an_id_is_the_same_person_as_text_and_as_a_number(tmp_path: Path) -> None:
    names = Pseudonyms(tmp_path / "secret.key")
    assert names.of(42) == names.of("42") != names.of("042")
    assert names.of(None) is None


def test_another_secret_gives_other_pseudonyms(tmp_path: Path) -> None:
    assert Pseudonyms(tmp_path / "a").of("p042") != Pseudonyms(tmp_path / "b").of("p042")


def test_the_secret_is_for_its_owner_s_eyes(tmp_path: Path) -> None:
    Pseudonyms(tmp_path / "secret.key")
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    assert len((tmp_path / "secret.key").read_bytes()) == 32


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_secret_that_is_damaged_is_refused_and_left_alone(size: int, tmp_path: Path) -> None:
    secret = tmp_path / "secret.key"
    secret.write_bytes(b"x" * size)
    with pytest.raises(NotReady, match=r"^the secret of pseudonyms in .*secret\.key is damaged: remove the file"):
        Pseudonyms(secret)
    assert secret.read_bytes() == b"x" * size


def test_a_secret_is_whole_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, sizes, link = tmp_path / "secret.key", list[int](), os.link

    def named(source: str, name: Path) -> None:
        assert not name.exists()
        sizes.append(Path(source).stat().st_size)
        link(source, name)

    monkeypatch.setattr(os, "link", named)
    Pseudonyms(secret)
    assert (sizes, list(tmp_path.iterdir())) == ([32], [secret])


def test_a_secret_that_another_process_made_first_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, link = tmp_path / "secret.key", os.link

    def late(source: str, name: Path) -> None:
        name.write_bytes(b"x" * 32)
        link(source, name)

    monkeypatch.setattr(os, "link", late)
    first = Pseudonyms(secret).of("p042")
    assert secret.read_bytes() == b"x" * 32
    assert Pseudonyms(secret).of("p042") == first


def test_a_secret_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(NotReady, match="cannot keep the secret of pseudonyms in"):
        Pseudonyms(tmp_path / "taken" / "secret.key")
    with pytest.raises(NotReady, match="cannot keep the secret of pseudonyms in"):
        Pseudonyms(tmp_path)
