"""`duetto serve` and `duetto key`: bad input is told in one sentence, with exit code 2."""

import json
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from duetto.cli import main
from duetto.settings import Settings
from tests.serving import command, environment, serving

HASH = "0" * 64


def ended(*options: str) -> str:
    """The one line it says, when it ends with 2, in a process of its own."""
    return _line(subprocess.run(command(*options), capture_output=True, text=True, timeout=60, check=False))


def _line(run: subprocess.CompletedProcess[str]) -> str:
    assert (run.returncode, run.stdout) == (2, ""), run.stderr
    (line,) = run.stderr.splitlines()
    assert line.startswith("duetto: ")
    return line


@pytest.fixture
def says(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The same in this process, for what is told before anything is opened."""
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")

    def told(*arguments: str) -> str:
        with pytest.raises(SystemExit) as end:
            main([*arguments])
        out, err = capsys.readouterr()
        return _line(subprocess.CompletedProcess(arguments, int(str(end.value.code)), out, err))

    return told


def test_a_missing_index_is_told(tmp_path: Path) -> None:
    assert "duetto build" in ended("--index", str(tmp_path / "none"), "--port", "0")


def test_a_port_in_use_is_told(says: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = says("serve", "--index", "sample", "--port", port)
    assert f"cannot serve on 127.0.0.1:{port}: Address already in use; choose another --port" in told


def test_a_network_without_keys_is_refused(says: Callable[..., str]) -> None:
    for host in ("0.0.0.0", "::", "example.org", ""):
        assert "without API keys" in says("serve", "--index", "sample", "--host", host)


@pytest.mark.parametrize("origin", ["*", "a.example", "https://a.example/", "null", "https://"])
def test_an_origin_that_no_browser_sends_is_told(says: Callable[..., str], origin: str) -> None:
    assert "an origin is written https://a.example" in says("serve", "--index", "sample", "--origin", origin)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file"), ("", "Invalid JSON"), ("{}", "valid array"), ('[{"hash": "x", "person": "a"}]', "0.hash"),
        (json.dumps([{"hash": HASH}]), "0.person"), (json.dumps([{"hash": HASH, "person": "a", "per_minute": 0}]), "per_minute"),
    ],
)  # fmt: skip
def test_a_broken_file_of_keys_is_told(says: Callable[..., str], tmp_path: Path, text: str | None, told: str) -> None:
    if text is not None:
        (tmp_path / "keys.json").write_text(text)
    assert told in says("serve", "--index", "sample", "--keys", str(tmp_path / "keys.json"))


def test_a_missing_extra_is_told(settings: Settings) -> None:
    without = "import sys; sys.modules['uvicorn'] = None; from duetto.cli import main; main(['serve', '--index', 'sample'])"
    run = subprocess.run(
        [sys.executable, "-c", without], env=environment(settings), capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stderr) == (
        2,
        "duetto: cannot serve without the packages for it: run `pip install 'duetto[serve]'`\n",
    )


def key(settings: Settings, *options: str) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-m", "duetto.cli", "key", *options]
    return subprocess.run(run, env=environment(settings), capture_output=True, text=True, timeout=60, check=False)


def test_a_key_is_shown_once_and_only_its_hash_is_kept(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "new" / "keys.json"
    secrets = []
    for person in ("p001", "*"):
        run = key(settings, "--file", str(file), "--person", person)
        assert (run.returncode, run.stderr) == (0, "")
        secrets.append(run.stdout.strip())
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert run.stdout.strip() not in file.read_text()
    assert [one["person"] for one in json.loads(file.read_text())] == ["p001", "*"]
    with serving(settings, "--keys", str(file), "--host", "0.0.0.0", data=tmp_path) as own:
        own.url = own.url.replace("0.0.0.0", "127.0.0.1")
        assert [own.ask("GET", "/v1/models", secret).status_code for secret in secrets] == [200, 200]
        assert own.ask("GET", "/v1/models").status_code == 401


@pytest.mark.parametrize("person", ["", "x" * 201])
def test_a_key_for_nobody_is_not_made(says: Callable[..., str], tmp_path: Path, person: str) -> None:
    assert "cannot make a key" in says("key", "--file", str(tmp_path / "keys.json"), "--person", person)
    assert not (tmp_path / "keys.json").exists()
