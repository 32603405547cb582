"""The commands as a newcomer runs them, over the embedded sample."""

import io
import json
import re
from pathlib import Path

import pytest

from duetto.cli import main
from duetto.graph.answer import Answer


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, sample_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUETTO_CACHE", str(sample_path.parent))
    monkeypatch.setenv("DUETTO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert stop.value.code in (0, None)
    return capsys.readouterr().out


def test_the_demo_plays_two_turns_with_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, "demo")
    assert shown.count("p100 says") == 2
    assert shown.count(" 5. ") == 2
    assert "synthetic" in shown
    assert "Its text" in shown
    assert "crowd" in shown


def test_ask_json_prints_one_object_of_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, "ask", "a western", "--index", "sample", "--user", "p042", "-k", "3", "--json")
    answer = Answer.model_validate(json.loads(shown))
    assert len(answer.recommendations) == 3
    assert answer.run_id
    assert answer.thread is None


def test_ask_shows_steps_and_an_unknown_person_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert "likelihood" in printed(capsys, "ask", "a western", "--index", "sample", "--user", "p042", "--steps")
    assert " 1. " in printed(capsys, "ask", "a western", "--index", "sample", "--user", "who?")


def test_a_thread_survives_from_one_process_to_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    thread = ["--index", "sample", "--user", "p042", "--thread", "t", "--json"]
    printed(capsys, "ask", "a drama before 1960", *thread)
    second = json.loads(printed(capsys, "ask", "with music", *thread))
    assert second["turn"] == 2
    assert all(item["attributes"]["year"] < 1960 for item in second["recommendations"])


def test_chat_ranks_first_and_explains_then_and_goes_on_later(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a comedy after 1990\n\n   \n/quit\n"))
    shown = printed(capsys, "chat", "--index", "sample", "--user", "p042", "-k", "3")
    ranking = [shown.index(f" {n}. ") for n in (1, 2, 3)]
    assert ranking == sorted(ranking)
    assert shown.lower().index("its text") > ranking[-1]
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\n"))
    assert "going on after 1 turns" in printed(capsys, "chat", "--index", "sample", "--user", "p042")


def test_inspect_shows_the_manifest_readably_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert "15,373" in printed(capsys, "inspect", "--index", "sample")
    assert json.loads(printed(capsys, "inspect", "--index", "sample", "--json"))["counts"]["items"] == 483


def test_the_readme_shows_the_demo_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    # To mend it: paste the second turn of `COLUMNS=110 duetto demo` into README.md. Titles only, and one may differ:
    # near ties fall otherwise on another processor.
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    session = readme[readme.index("I loved") : readme.index("calls, 0 tokens")]
    shown = printed(capsys, "demo")
    titles = re.findall(r" \d\. (.+)", session)
    assert len(titles) == 5
    assert sum(title in shown[shown.index("I loved") :] for title in titles) >= 4
    assert re.findall(r"Here is what I found.*", session)[0] in shown
