"""A voice that fails leaves the answer to the other, and the answer says so."""

import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.messages import BaseMessage

from duetto.errors import BadInput
from duetto.graph.answer import Answer
from duetto.graph.state import TurnInput
from duetto.limits import Limits
from duetto.tools.crowd_voice import CrowdVoice, Floats
from duetto.tools.embedding import Vectors
from duetto.tools.histories import History
from duetto.tools.index import Index
from duetto.tools.vector_store import FaissStore, Mask, Rows
from duetto.wiring import Graph
from tests.graph.parts import graph_over, scripted

KNOWN: TurnInput = {"user": "p001", "message": "a slow western"}
SILENT: TurnInput = {"user": "p001"}
LARGE = Limits(hnsw_above=100)  # the sample counts as a large catalogue, whose items are scored by the store


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
    """Answers the search, and is gone when the candidates of a large catalogue are to be scored."""

    def cosines(self, vectors: Vectors, rows: Rows | None = None) -> Vectors:
        if rows is not None and len(rows) < len(self):
            raise ConnectionError("gone")
        return super().cosines(vectors, rows)


class PickyStore(FaissStore):
    def nearest(self, vectors: Vectors, k: int, keep: Mask | None = None) -> tuple[Rows, Vectors]:
        raise BadInput("cannot search this")


class LostCrowd(CrowdVoice):
    def hear_closely(self, histories: list[History]) -> tuple[Floats, Floats]:
        raise MemoryError("the factors did not fit")


class LostEmbedder(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise ConnectionError("gone")

    def embed_query(self, text: str) -> list[float]:
        raise ConnectionError("gone")


def lost_crowd(index: Index) -> CrowdVoice:
    return LostCrowd(**vars_of(index.crowd))


def vars_of(crowd: CrowdVoice) -> dict[str, Any]:
    return {"als": crowd.als, "relations": crowd.relations, "standing": crowd.standing}


def answered(graph: Graph, turn: TurnInput = KNOWN) -> Answer:
    return Answer.model_validate(graph.invoke(turn)["answer"])


@pytest.mark.parametrize("limits", [Limits(), LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("store", "turn"), [(LostIndex, KNOWN), (LostStore, KNOWN), (LostStore, SILENT)], ids=["index", "store", "silent"]
)
def test_when_the_vectors_fail_the_crowd_answers_alone(
    sample_index: Index, store: type[FaissStore], turn: TurnInput, limits: Limits
) -> None:
    answer = answered(graph_over(sample_index, store=store, limits=limits), turn)
    assert len(answer.recommendations) == 10
    assert {voice for r in answer.recommendations for voice in r.parts} == {"crowd"}
    assert answer.degraded == ["the vector search failed (ConnectionError), so the other voice answers alone"]


def test_history_is_compared_without_a_search_where_the_catalogue_is_small(sample_index: Index) -> None:
    small, large = (answered(graph_over(sample_index, store=LostIndex, limits=limits), SILENT) for limits in (Limits(), LARGE))
    assert small.degraded == []
    assert set(small.recommendations[0].parts) == {"language", "crowd"}
    assert large.degraded == ["the vector search failed (ConnectionError), so the other voice answers alone"]


def test_an_error_s_own_words_are_not_told(sample_index: Index) -> None:
    out = graph_over(sample_index, store=LostIndex).invoke(KNOWN)
    assert "hunter2" not in json.dumps(out["answer"])


@pytest.mark.parametrize("diversity", [0.0, 0.3])
def test_vectors_that_fail_only_in_the_ranking_leave_it_to_the_crowd(sample_index: Index, diversity: float) -> None:
    limits = replace(LARGE, diversity=diversity)
    answer = answered(graph_over(sample_index, store=FadingStore, limits=limits))
    assert {voice for r in answer.recommendations for voice in r.parts} == {"crowd"}
    assert answer.degraded == ["the vectors failed in the ranking (ConnectionError), so the crowd ranks alone"]


def test_vectors_that_fail_after_the_ranking_leave_what_was_sent(sample_index: Index) -> None:
    mine = set(sample_index.histories.of_user("p001").rows.tolist())

    class LeavingStore(FaissStore):
        """Knows the history, and nothing of what is recommended."""

        def vectors_of(self, rows: Rows) -> Vectors:
            if not mine & set(rows.tolist()):
                raise ConnectionError("gone")
            return super().vectors_of(rows)

    whole = answered(graph_over(sample_index))
    leaving = graph_over(sample_index, store=LeavingStore)
    seen: list[Any] = list(leaving.stream(KNOWN, stream_mode=["custom", "values"]))
    sent = next(data["recommendations"] for mode, data in seen if mode == "custom" and data["event"] == "ranking")
    answer = Answer.model_validate(seen[-1][1]["answer"])
    assert [item["item_id"] for item in sent] == [r.item_id for r in answer.recommendations]
    assert [(r.item_id, r.parts) for r in answer.recommendations] == [(r.item_id, r.parts) for r in whole.recommendations]
    assert [r.found_by.history for r in answer.recommendations] == [r.found_by.history for r in whole.recommendations]
    assert [r.found_by.queries for r in answer.recommendations] == [[]] * 10
    assert answer.degraded == ["the vectors failed after the ranking (ConnectionError), so reasons rest on less"]


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

    class Waiting(CrowdVoice):
        def hear_closely(self, histories: list[History]) -> tuple[Floats, Floats]:
            meeting.wait()
            return super().hear_closely(histories)

    def script(messages: list[BaseMessage], schema: str) -> dict[str, Any]:
        if schema == "QueriesAnswer":
            meeting.wait()
            return {"queries": [{"query": "slow western", "serves": 0}]}
        return {"intent": "recommend", "request": "slow western"} if schema == "ExtractAnswer" else {"reason": "It fits."}

    model, _ = scripted(script)
    answer = answered(graph_over(sample_index, crowd=Waiting(**vars_of(sample_index.crowd)), model=model))
    assert not meeting.broken
    assert answer.degraded == []
    assert set(answer.recommendations[0].parts) == {"language", "crowd"}
