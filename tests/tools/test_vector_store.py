"""faiss as the vector store, searched flat and through an HNSW graph."""

import numpy as np
import polars as pl
import pytest
from langchain_core.embeddings import Embeddings

from duetto.errors import BadInput
from duetto.limits import Limits
from duetto.tools.catalogue import Catalogue
from duetto.tools.embedding import Vectors
from duetto.tools.predicate import Compare
from duetto.tools.vector_store import FaissStore, as_document, hnsw
from tests.contracts import VectorStoreContract, random_units
from tests.tools.words import Words


class TestFlat(VectorStoreContract):
    @classmethod
    def open(cls, catalogue: Catalogue, vectors: Vectors, embedder: Embeddings) -> FaissStore:
        return FaissStore(catalogue, vectors, embedder)


class TestGraph(VectorStoreContract):
    recall = 0.95

    @classmethod
    def open(cls, catalogue: Catalogue, vectors: Vectors, embedder: Embeddings) -> FaissStore:
        return FaissStore(catalogue, vectors, embedder, Limits(hnsw_above=1_000))


def texts() -> FaissStore:
    return FaissStore.from_texts(["red wine", "white wine", "green tea"], Words(), [{"n": n} for n in (1, 2, 3)])


def test_a_graph_saved_with_the_index_is_not_built_again() -> None:
    vectors = random_units(200, seed=0)
    catalogue = Catalogue.of(pl.DataFrame({"item_id": range(200), "title": [f"t{n}" for n in range(200)]}))
    store = FaissStore(catalogue, vectors, Words(), Limits(hnsw_above=100), hnsw(vectors))
    assert store.nearest(vectors[:5], 1)[0].ravel().tolist() == [0, 1, 2, 3, 4]


def test_a_store_of_bare_texts_finds_the_nearest_text() -> None:
    found = texts().similarity_search("white wine", k=2)
    assert [document.page_content for document in found] == ["white wine", "red wine"]


def test_metadata_of_bare_texts_can_be_filtered() -> None:
    found = texts().similarity_search("white wine", k=3, filter=Compare("n", "gt", 2))
    assert [(document.id, document.metadata) for document in found] == [("2", {"item_id": 2, "n": 3})]


def test_bare_texts_keep_the_ids_they_are_given() -> None:
    store = FaissStore.from_texts(["red wine", "green tea"], Words(), ids=["a", "b"])
    assert [document.id for document in store.similarity_search("tea", k=1)] == ["b"]


def test_a_vector_need_not_be_of_unit_length() -> None:
    vector = [10 * value for value in Words().embed_query("green tea")]
    assert texts().similarity_search_by_vector(vector, k=1)[0].page_content == "green tea"


def test_relevance_runs_from_nought_to_one_with_the_cosine() -> None:
    found = texts().similarity_search_with_relevance_scores("red wine", k=3)
    assert found[0][1] == pytest.approx(1)
    assert all(0 <= score <= 1 for _, score in found)


def test_it_serves_as_a_langchain_retriever() -> None:
    retriever = texts().as_retriever(search_kwargs={"k": 1, "filter": Compare("n", "lt", 3)})
    assert [document.page_content for document in retriever.invoke("green tea wine red")] == ["red wine"]


def test_fewer_than_one_item_cannot_be_asked_for() -> None:
    with pytest.raises(BadInput, match="ask for at least 1"):
        texts().similarity_search("wine", k=0)


def test_a_document_leaves_out_what_is_missing() -> None:
    table = pl.DataFrame({"item_id": ["x"], "title": ["Tea"], "price": pl.Series([None], dtype=pl.Float64)})
    assert as_document(Catalogue.of(table), 0).metadata == {"item_id": "x"}


def test_a_query_that_embeds_to_nothing_is_not_an_error() -> None:
    found = texts().similarity_search_with_score("", k=3)
    assert np.allclose([score for _, score in found], 0)
