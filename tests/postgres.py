"""A PostgreSQL of this test run's own, from Debian's binaries, on a free port of 127.0.0.1."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

WHERE = Path("/usr/lib/postgresql")
HURRIED = {"fsync": "off", "full_page_writes": "off", "max_connections": "60", "unix_socket_directories": ""}


@pytest.fixture(scope="session")
def cluster() -> Iterator[int]:
    """The port it listens on."""
    found = sorted(WHERE.glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    programs, who = found[-1].parent, _who()
    folder = Path(tempfile.mkdtemp(prefix="duetto-postgres-"))
    shutil.chown(folder, **who)

    def run(program: str, *words: str) -> None:
        command = [str(programs / program), *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, **_as(who))
        assert done.returncode == 0, done.stdout + done.stderr

    port = _free()
    data, options = str(folder / "data"), " ".join(f"-c {name}={value!r}" for name, value in HURRIED.items())
    try:
        run("initdb", "-D", data, "-U", "duetto", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", f"-p {port} -h 127.0.0.1 {options}", "start")
        yield port
    finally:
        subprocess.run([programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], capture_output=True, cwd=folder, **_as(who))
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(cluster: int) -> str:
    """The address of an empty schema, which stands for a database: to make one of those writes 7 MB."""
    psycopg = pytest.importorskip("psycopg", reason='it needs the extra: pip install "duetto[postgres]"')
    name = f"d{uuid4().hex}"
    address = f"postgresql://duetto:s3cret@127.0.0.1:{cluster}/postgres"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{address}?options=-csearch_path%3D{name}"


def _who() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("there is no user postgres, and PostgreSQL refuses root")
    return {"user": "postgres", "group": "postgres"}


def _as(who: dict[str, Any]) -> dict[str, Any]:
    return {**who, "extra_groups": []} if who else {}


def _free() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
