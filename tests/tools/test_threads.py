"""Conversations in SQLite and in PostgreSQL, for callers that wait and for callers that await."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from duetto.errors import NotReady
from duetto.settings import Settings
from duetto.tools.threads import EitherSqliteSaver
from tests.persistence import SaverContract


class TestSqlite(SaverContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Settings:
        return Settings(data=tmp_path / "deep")


class TestPostgres(SaverContract):
    @pytest.fixture
    def place(self, database: str) -> Settings:
        return Settings(database_url=SecretStr(database))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "threads.sqlite"
    path.write_text("these are not the pages you are looking for" * 100)
    with pytest.raises(NotReady, match=r"could not open the conversations in .*set DUETTO_DATA"):
        EitherSqliteSaver.open(path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotReady, match="set DUETTO_DATA to a folder that can be written"):
        EitherSqliteSaver.open(tmp_path / "file" / "threads.sqlite")
