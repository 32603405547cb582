"""A voice that fails leaves the answer to the other, and the answer says so."""

import json
import threading
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.messages import BaseMessage

from duetto.errors import BadInput
from duetto.graph.answer import Answer
from duetto.graph.state import TurnInput
from duetto.limits import Limits
from duetto.tools.crowd import Crowd, Floats, Taste
from duetto.tools.embedding import Vectors
from duetto.tools.index import Index
from duetto.tools.vector_store import FaissStore, Mask, Rows
from duetto.wiring import Graph
from tests.graph.parts import graph_over, scripted

KNOWN: TurnInput = {"user": "p001", "message": "a slow western"}


class LostIndex(FaissStore):
    """Searching fails; what is in memory still answers."""

    def nearest(self, vectors: Vectors, k: int, keep: Mask | None = None) -> tuple[Rows, Vectors]:
        raise ConnectionError("the cluster is gone: password=hunter2")


class LostStore(LostIndex):
    """Nothing answers, as when the cluster itself is gone."""

    def cosines(self, vectors: Vectors, rows: Rows | None = None) -> Vectors:
        raise ConnectionError("gone")

    def vectors_of(self, rows: Rows) -> Vectors:
        raise ConnectionError("gone")


class FadingStore(FaissStore):
    """Answers the search, and is gone when the candidates are to be scored."""

    def cosines(self, vectors: Vectors, rows: Rows | None = None) -> Vectors:
        if rows is not None:
            raise ConnectionError("gone")
        return super().cosines(vectors)


class PickyStore(FaissStore):
    def nearest(self, vectors: Vectors, k: int, keep: Mask | None = None) -> tuple[Rows, Vectors]:
        raise BadInput("cannot search this")


class LostCrowd(Crowd):
    def scores(self, tastes: list[Taste]) -> Floats:
        raise MemoryError("the factors did not fit")


class LostEmbedder(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise ConnectionError("gone")

    def embed_query(self, text: str) -> list[float]:
        raise ConnectionError("gone")


def lost_crowd(index: Index) -> Crowd:
    return LostCrowd(index.crowd.item_factors, index.crowd.settings)


def answered(graph: Graph, turn: TurnInput = KNOWN) -> Answer:
    return Answer.model_validate(graph.invoke(turn)["answer"])


@pytest.mark.parametrize("store", [LostIndex, LostStore])
@pytest.mark.parametrize("turn", [KNOWN, {"user": "p001"}])
def test_when_the_vectors_fail_the_crowd_answers_alone(sample_index: Index, store: type[FaissStore], turn: TurnInput) -> None:
    answer = answered(graph_over(sample_index, store=store), turn)
    assert len(answer.recommendations) == 10
    assert {voice for r in answer.recommendations for voice in r.parts} == {"crowd"}
    assert answer.degraded == ["the vector search failed (ConnectionError), so the other voice answers alone"]


def test_an_error_s_own_words_are_not_told(sample_index: Index) -> None:
    out = graph_over(sample_index, store=LostIndex).invoke(KNOWN)
    assert "hunter2" not in json.dumps(out["answer"])


@pytest.mark.parametrize("diversity", [0.0, 0.3])
def test_vectors_that_fail_only_in_the_ranking_leave_it_to_the_crowd(sample_index: Index, diversity: float) -> None:
    answer = answered(graph_over(sample_index, store=FadingStore, limits=Limits(diversity=diversity)))
    assert {voice for r in answer.recommendations for voice in r.parts} == {"crowd"}
    assert answer.degraded == ["the vectors failed in the ranking (ConnectionError), so the crowd ranks alone"]


def test_an_embedder_that_is_gone_leaves_the_answer_to_the_crowd(sample_index: Index) -> None:
    for turn in (KNOWN, TurnInput(user="p001")):
        answer = answered(graph_over(sample_index, embedder=LostEmbedder()), turn)
        assert len(answer.recommendations) == 10
        assert "(ConnectionError)" in answer.degraded[0]


def test_when_the_crowd_fails_the_vectors_answer_alone(sample_index: Index) -> None:
    answer = answered(graph_over(sample_index, crowd=lost_crowd(sample_index)))
    assert {voice for r in answer.recommendations for voice in r.parts} == {"language"}
    assert answer.degraded == ["the collaborative filter failed (MemoryError), so the other voice answers alone"]


@pytest.mark.parametrize("store", [LostIndex, LostStore])
def test_when_both_fail_the_answer_is_honest_and_empty(sample_index: Index, store: type[FaissStore]) -> None:
    answer = answered(graph_over(sample_index, store=store, crowd=lost_crowd(sample_index)))
    assert answer.recommendations == []
    assert answer.reply == "I could not search the catalogue just now, so I have nothing to recommend; please ask again."
    assert len(answer.degraded) == 2


def test_a_stranger_is_not_told_that_the_catalogue_is_empty_when_it_was_not_searched(sample_index: Index) -> None:
    answer = answered(graph_over(sample_index, store=LostIndex), {"message": "a western"})
    assert answer.reply.startswith("I could not search the catalogue just now")


def test_bad_input_is_not_taken_for_a_failure(sample_index: Index) -> None:
    with pytest.raises(BadInput, match="cannot search this"):
        graph_over(sample_index, store=PickyStore).invoke(KNOWN)


def test_the_crowd_sings_while_the_queries_are_written(sample_index: Index) -> None:
    meeting = threading.Barrier(2, timeout=10)  # broken unless both are there at once

    class Waiting(Crowd):
        def scores(self, tastes: list[Taste]) -> Floats:
            meeting.wait()
            return super().scores(tastes)

    def script(messages: list[BaseMessage], schema: str) -> dict[str, Any]:
        if schema == "QueriesAnswer":
            meeting.wait()
            return {"queries": [{"query": "slow western", "serves": 0}]}
        return {"intent": "recommend", "request": "slow western"} if schema == "ExtractAnswer" else {"reason": "It fits."}

    model, _ = scripted(script)
    crowd = Waiting(sample_index.crowd.item_factors, sample_index.crowd.settings)
    answer = answered(graph_over(sample_index, crowd=crowd, model=model))
    assert not meeting.broken
    assert answer.degraded == []
    assert set(answer.recommendations[0].parts) == {"language", "crowd"}
