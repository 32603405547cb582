"""One server a module: it starts in about two seconds, most of them for imports."""

import logging
from collections.abc import Iterator

import pytest

from duetto.settings import Settings
from tests.serving import Served, serving


@pytest.fixture(scope="module")
def server(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Over the sample, without keys and without a chat model."""
    with serving(settings, data=tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A server that was to start in this process has made the log its own."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    yield
    root.handlers[:] = handlers
