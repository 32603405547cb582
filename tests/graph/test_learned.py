"""The learned ranking in a turn: the same as in a batch, taken apart into parts, and missed where it cannot run."""

import sys
from pathlib import Path

import numpy as np
import pytest

from duetto.graph.answer import Answer
from duetto.graph.state import Context, TurnInput
from duetto.limits import Limits
from duetto.settings import Settings
from duetto.tools import index as indexes
from duetto.tools.fusion import rank
from duetto.tools.index import Index
from duetto.tools.practice import turns
from duetto.wiring import open_graph, parts
from tests.tools.eras import era_index
from tests.tools.films import film_index

NO_RANKER = "the learned ranker needs LightGBM, which is not installed here; the adaptive weights rank instead"


@pytest.fixture(scope="module")
def era_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("era")
    indexes.write(root, era_index())
    return root


@pytest.fixture(scope="module")
def era(era_path: Path) -> Index:
    return indexes.load(era_path)


def served(index: Path | str, turn: TurnInput, settings: Settings | None = None, k: int = 10) -> Answer:
    graph = open_graph(index, settings=settings or Settings())
    return Answer.model_validate(graph.invoke(turn, context=Context(k=k, reasons="plain"))["answer"])


def ranked_in_a_batch(index: Index, people: list[str], settings: Settings) -> list[list[str | int]]:
    """The ten best of each, as evaluation ranks them."""
    box, signals = parts(index, settings)
    reads, found = signals if index.ranker is not None else None, []
    for rows, evidence in turns(box, reads, [index.histories.of_user(user) for user in people]):
        best = rows[rank(evidence, index.weights, box.limits, index.ranker).order[:10]]
        found.append([index.catalogue.ids[row] for row in best])
    return found


def fifty(index: Index) -> list[str]:
    return [str(user) for user in np.random.default_rng(0).choice(index.histories.users, 50, replace=False)]


def ranked_one_by_one(index: Path | str, people: list[str], settings: Settings) -> list[list[str | int]]:
    graph = open_graph(index, settings=settings)
    answers = [graph.invoke({"user": user}, context=Context(k=10, reasons="none"))["answer"] for user in people]
    return [[r["item_id"] for r in answer["recommendations"]] for answer in answers]


def test_a_batch_and_the_graph_s_turn_rank_the_sample_identically(settings: Settings, sample_index: Index) -> None:
    people = fifty(sample_index)
    assert ranked_in_a_batch(sample_index, people, settings) == ranked_one_by_one("sample", people, settings)


def test_a_batch_and_the_graph_s_turn_rank_identically_with_a_ranker(era_path: Path, era: Index) -> None:
    assert era.ranker is not None
    people = fifty(era)
    ours = ranked_in_a_batch(era, people, Settings())
    assert ours == ranked_one_by_one(era_path, people, Settings())
    assert ours != ranked_in_a_batch(era, people, Settings(limits=Limits(fusion="adaptive")))


@pytest.mark.parametrize("user", ["p001", "p044", "p333"])
@pytest.mark.parametrize("message", [None, "a western", "no such word zzyzx"])
def test_the_parts_of_a_learned_ranking_sum_to_the_score_and_the_weights_to_one(
    era_path: Path, user: str, message: str | None
) -> None:
    answer = served(era_path, {"user": user, "message": message}, k=40)
    assert len(answer.recommendations) == 40
    assert "learned" not in {part for r in answer.recommendations for parts in r.parts.values() for part in parts}
    for r in answer.recommendations:
        assert sum(value for parts in r.parts.values() for value in parts.values()) == pytest.approx(r.score, abs=1e-3)
        assert sum(r.weights.values()) == pytest.approx(1, abs=1e-3)
    assert [r.score for r in answer.recommendations] == sorted((r.score for r in answer.recommendations), reverse=True)


def test_history_speaks_for_what_it_recommends(era_path: Path, era: Index) -> None:
    answer = served(era_path, {"user": "p044"})
    mine = {era.catalogue.ids[row] for row in era.histories.of_user("p044").rows}
    assert any(r.found_by.history for r in answer.recommendations)
    for r in answer.recommendations:
        assert {hit.item_id for hit in r.found_by.history} <= mine
        assert sum(hit.share for hit in r.found_by.history) <= 1 + 1e-3


def test_what_was_disliked_is_not_said_to_speak_for_anything(era_path: Path, era: Index) -> None:
    mine = [era.catalogue.titles[row] for row in era.histories.of_user("p044").rows]
    answer = served(era_path, {"user": "p044", "message": f'I hated "{mine[-1]}"'}, k=40)
    assert answer.recommendations
    cited = {hit.title for r in answer.recommendations for hit in r.found_by.history}
    assert cited
    assert mine[-1] not in cited


def test_a_stranger_is_served_without_the_ranker(era_path: Path) -> None:
    asked, silent = (served(era_path, {"user": "nobody", "message": message}) for message in ("a western", None))
    assert {part for r in asked.recommendations for parts in r.parts.values() for part in parts} == {"queries", "words"}
    assert {part for r in silent.recommendations for parts in r.parts.values() for part in parts} == {"popularity"}
    assert asked.degraded == silent.degraded == []


def test_a_filter_that_keeps_nothing_finds_nothing_and_is_no_failure(era_path: Path) -> None:
    answer = served(era_path, {"user": "p001", "message": "a western from 1850"})
    assert (answer.recommendations, answer.degraded) == ([], [])
    assert answer.reply.startswith("Nothing in the whole catalogue is within your limits (from 1850).")


def test_where_the_ranker_cannot_run_every_turn_says_so_and_the_weights_rank(
    era_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adaptive = served(era_path, {"user": "p001"}, Settings(limits=Limits(fusion="adaptive")))
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    for message in (None, "a western"):
        assert served(era_path, {"user": "p001", "message": message}).degraded == [NO_RANKER]
    answer = served(era_path, {"user": "p001"})
    assert [r.item_id for r in answer.recommendations] == [r.item_id for r in adaptive.recommendations]
    assert len(answer.recommendations) == 10


def test_an_index_that_learned_no_ranker_is_not_degraded(tmp_path: Path) -> None:
    indexes.write(tmp_path, film_index())
    assert served(tmp_path, {"user": "ann"}).degraded == []
