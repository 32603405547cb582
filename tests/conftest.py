"""The fuse (no test reads the developer's environment or leaves this machine) and what all rooms share."""

import ipaddress
import os
import sys
from pathlib import Path
from typing import Any

import pytest

FOREIGN = ("OPENAI_", "DUETTO_", "LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_")
for name in list(os.environ):
    if name.startswith(FOREIGN) or name.upper().endswith("_PROXY"):
        del os.environ[name]
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"  # read when langgraph is imported, so before duetto
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # where others want the cores too, threads that spin take twenty times as long

pytest.register_assert_rewrite("tests.contracts", "tests.persistence")

from duetto.settings import Settings  # noqa: E402
from duetto.tools import index as indexes  # noqa: E402
from duetto.tools.index import Index  # noqa: E402
from duetto.wiring import Graph, build_sample, open_graph  # noqa: E402
from tests.postgres import cluster, database  # noqa: E402, F401


def fuse(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook: it cannot be undone, and its exception is none that code under test would swallow."""
    if event == "socket.connect" and isinstance(args[1], tuple) and not _here(args[1][0]):
        pytest.fail(f"a test tried to reach {args[1][0]}")
    if event == "socket.getaddrinfo" and not _here(args[0]):
        pytest.fail(f"a test tried to look up {args[0]}")


def _here(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


sys.addaudithook(fuse)


@pytest.fixture(scope="session", autouse=True)
def _nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Default folders are empty ones of this run; nothing here speaks TLS, and reading certificates costs 25 ms a client."""
    for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "SSL_CERT_DIR"):
        os.environ[variable] = str(tmp_path_factory.mktemp(variable.lower()))


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings under which the sample is built already; no chat model."""
    home = tmp_path_factory.mktemp("duetto")
    made = Settings(cache=home / "cache", data=home / "data")
    build_sample(made)
    return made


@pytest.fixture(scope="session")
def sample_path(settings: Settings) -> Path:
    return settings.sample


@pytest.fixture(scope="session")
def sample_index(sample_path: Path) -> Index:
    return indexes.load(sample_path)


@pytest.fixture(scope="session")
def graph(settings: Settings) -> Graph:
    """Over the sample, without a checkpointer and without a model."""
    return open_graph("sample", settings=settings)
