"""An embedder behind an OpenAI-compatible server, over real HTTP."""

from pathlib import Path

import pytest

from duetto.errors import NotReady
from duetto.jobs import build_index
from duetto.settings import Settings
from duetto.tools import sample
from duetto.wiring import open_graph
from tests.loopback import Loopback, says


def files(folder: Path) -> tuple[Path, Path]:
    sample.films().head(60).write_csv(folder / "items.csv")
    log = sample.interactions().drop("position")
    log.filter(log["item_id"] <= 60).write_csv(folder / "log.csv")
    return folder / "items.csv", folder / "log.csv"


def test_an_index_is_built_and_searched_through_the_server(tmp_path: Path) -> None:
    with Loopback(says("unused")) as server:
        settings = Settings(base_url=server.base_url, cache=tmp_path, data=tmp_path)
        built = build_index(*files(tmp_path), tmp_path / "index", embedder="openai:some-model", settings=settings)
        graph = open_graph(tmp_path / "index", settings=settings)
        answer = graph.invoke({"user": "p001", "message": "a film about trains"})["answer"]
        asked = [seen for seen in server.requests if seen.path.endswith("/embeddings")]
    assert built.manifest.embedder == "openai:some-model"
    assert built.manifest.counts["items_embedded"] == 60
    assert len(answer["recommendations"]) == 10
    assert {seen.body["model"] for seen in asked} == {"some-model"}


def test_a_server_that_is_gone_leaves_the_crowd_answering(tmp_path: Path) -> None:
    with Loopback(says("unused")) as server:
        settings = Settings(base_url=server.base_url, cache=tmp_path, data=tmp_path)
        built = build_index(*files(tmp_path), tmp_path / "index", embedder="openai:some-model", settings=settings)
        graph = open_graph(tmp_path / "index", settings=settings)
    answer = graph.invoke({"user": built.histories.users[0], "message": "a film about trains"})["answer"]
    assert len(answer["recommendations"]) == 10
    assert any("vector" in note for note in answer["degraded"])


def test_a_build_whose_server_is_gone_says_so(tmp_path: Path) -> None:
    with Loopback(says("unused")) as server:
        settings = Settings(base_url=server.base_url, cache=tmp_path)
    with pytest.raises(NotReady, match="the embedder openai:some-model did not answer"):
        build_index(*files(tmp_path), tmp_path / "index", embedder="openai:some-model", settings=settings)


def test_without_a_key_or_a_server_it_is_not_ready(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="OPENAI_API_KEY"):
        build_index(*files(tmp_path), tmp_path / "index", embedder="openai:some-model", settings=Settings(cache=tmp_path))
