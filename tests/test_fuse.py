"""The fuse of tests/conftest.py holds."""

import os
import socket

import pytest

from duetto.settings import Settings
from tests.conftest import FOREIGN


def test_a_connection_to_elsewhere_is_refused() -> None:
    with socket.socket() as out, pytest.raises(pytest.fail.Exception, match=r"192\.0\.2\.1"):
        out.connect(("192.0.2.1", 443))


def test_a_name_elsewhere_is_not_even_looked_up() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"api\.openai\.com"):
        socket.create_connection(("api.openai.com", 443))


def test_a_connection_to_this_machine_is_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_no_key_and_no_setting_of_the_developer_is_read() -> None:
    assert [name for name in os.environ if name.startswith(FOREIGN)] == ["LANGGRAPH_STRICT_MSGPACK"]
    assert Settings.from_environment() == Settings()


def test_langgraph_was_imported_in_strict_mode() -> None:
    from langgraph.checkpoint.serde import _msgpack

    assert _msgpack.STRICT_MSGPACK_ENABLED
