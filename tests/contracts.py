"""What every engine of a kind must do. A new engine inherits the class and says how it is opened:

class TestMyStore(VectorStoreContract):
    @classmethod
    def open(cls, catalogue, vectors, embedder): return MyStore(catalogue, vectors, embedder)
"""

from typing import Protocol

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from duetto.errors import BadInput
from duetto.tools.catalogue import Catalogue
from duetto.tools.crowd import Floats, Taste
from duetto.tools.embedding import Vectors, unit
from duetto.tools.histories import NOBODY, History
from duetto.tools.predicate import And, Compare, Predicate
from duetto.tools.vector_store import Searchable
from tests.tools.words import Words

ITEMS, SHELVES, UNAVAILABLE = 20_000, 5_000, 3
SHELF = Compare("shelf", "eq", 17)


class Store(Searchable, Protocol):
    """A `Searchable` that is a LangChain `VectorStore` as well."""

    def similarity_search_with_score(self, query: str, k: int, *, filter: Predicate | None) -> list[tuple[Document, float]]: ...


class VectorStoreContract:
    """`recall` is the share of the true neighbours that an approximate store must find where the filter is wide."""

    recall = 1.0

    @classmethod
    def open(cls, catalogue: Catalogue, vectors: Vectors, embedder: Embeddings) -> Store:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def vectors(cls) -> Vectors:
        return random_units(ITEMS, seed=0)

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, vectors: Vectors) -> Store:
        return cls.open(shelves(), vectors, Words(vectors.shape[1]))

    def test_it_holds_every_item(self, store: Store) -> None:
        assert len(store) == ITEMS

    def test_without_a_filter_it_finds_what_brute_force_finds(self, store: Store, vectors: Vectors) -> None:
        queries = random_units(50, seed=1)
        rows, _ = store.nearest(queries, 10)
        assert recall(rows, queries, vectors, np.ones(ITEMS, np.bool_)) >= self.recall

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_under_a_wide_filter_it_finds_what_brute_force_finds(self, store: Store, vectors: Vectors, share: float) -> None:
        queries = random_units(50, seed=1)
        keep = np.random.default_rng(2).random(ITEMS) < share
        rows, _ = store.nearest(queries, 10, keep)
        assert keep[rows].all()
        assert recall(rows, queries, vectors, keep) >= self.recall

    @pytest.mark.parametrize("share", [0.001, 0.01, 0.09])
    def test_under_a_narrow_filter_every_store_is_exact(self, store: Store, vectors: Vectors, share: float) -> None:
        queries = random_units(20, seed=1)
        keep = np.random.default_rng(2).random(ITEMS) < share
        rows, _ = store.nearest(queries, 10, keep)
        assert recall(rows, queries, vectors, keep) == 1

    def test_four_kept_items_among_twenty_thousand_are_found(self, store: Store) -> None:
        keep = shelves().mask(SHELF)
        rows, _ = store.nearest(random_units(5, seed=3), 4, keep)
        assert [sorted(found) for found in rows.tolist()] == [[17, 5_017, 10_017, 15_017]] * 5

    def test_scores_are_exact_cosines_best_first(self, store: Store, vectors: Vectors) -> None:
        queries = random_units(10, seed=4)
        rows, scores = store.nearest(queries, 10)
        assert np.allclose(scores, np.einsum("qd,qkd->qk", queries, vectors[rows]), atol=1e-6)
        assert (np.diff(scores, axis=1) <= 0).all()

    def test_an_item_is_its_own_nearest_with_cosine_one(self, store: Store, vectors: Vectors) -> None:
        rows, scores = store.nearest(vectors[[5, 19_999]], 1)
        assert rows.ravel().tolist() == [5, 19_999]
        assert np.allclose(scores, 1, atol=1e-6)

    def test_fewer_kept_than_wanted_leaves_minus_one_and_minus_infinity(self, store: Store) -> None:
        rows, scores = store.nearest(random_units(2, seed=5), 6, shelves().mask(SHELF))
        assert (rows[:, :4] >= 0).all()
        assert (rows[:, 4:] == -1).all()
        assert np.isneginf(scores[:, 4:]).all()

    def test_nothing_kept_finds_nothing(self, store: Store) -> None:
        rows, scores = store.nearest(random_units(2, seed=5), 3, np.zeros(ITEMS, np.bool_))
        assert rows.tolist() == [[-1] * 3] * 2
        assert np.isneginf(scores).all()

    def test_no_query_finds_nothing(self, store: Store, vectors: Vectors) -> None:
        rows, scores = store.nearest(vectors[:0], 3)
        assert rows.shape == scores.shape == (0, 3)

    def test_a_zero_vector_is_equally_far_from_everything(self, store: Store) -> None:
        rows, scores = store.nearest(np.zeros((1, 24), np.float32), 4, shelves().mask(SHELF))
        assert sorted(rows[0].tolist()) == [17, 5_017, 10_017, 15_017]
        assert scores.tolist() == [[0.0] * 4]

    def test_a_batch_finds_what_its_queries_find_one_by_one(self, store: Store) -> None:
        queries = random_units(8, seed=6)
        rows, scores = store.nearest(queries, 5)
        singly = [store.nearest(queries[[q]], 5) for q in range(8)]
        assert rows.tolist() == [found.tolist()[0] for found, _ in singly]
        assert np.allclose(scores, np.concatenate([cosines for _, cosines in singly]), atol=1e-6)

    def test_cosines_are_exact_over_all_items_and_over_chosen_ones(self, store: Store, vectors: Vectors) -> None:
        queries = random_units(3, seed=7)
        assert np.allclose(store.cosines(queries), queries @ vectors.T, atol=1e-6)
        assert np.allclose(store.cosines(queries, np.array([9, 2])), queries @ vectors[[9, 2]].T, atol=1e-6)

    def test_vectors_come_back_as_they_were_given(self, store: Store, vectors: Vectors) -> None:
        assert np.allclose(store.vectors_of(np.array([7, 0])), vectors[[7, 0]], atol=1e-6)

    def test_langchain_s_search_filters_by_predicate(self, store: Store) -> None:
        found = store.similarity_search_with_score("thing 17", 10, filter=SHELF)
        assert {document.id for document, _ in found} == {"17", "5017", "10017", "15017"}
        assert [document.metadata["shelf"] for document, _ in found] == [17] * 4

    def test_langchain_s_documents_carry_title_id_and_a_cosine(self, store: Store, vectors: Vectors) -> None:
        found = store.similarity_search_with_score("thing", 3, filter=None)
        query = unit(np.array(Words().embed_query("thing")))[0]
        for document, score in found:
            assert document.page_content == f"thing {document.id}"
            assert score == pytest.approx(float(vectors[document.metadata["item_id"]] @ query), abs=1e-5)

    def test_langchain_s_search_never_returns_what_is_unavailable(self, store: Store) -> None:
        shelf = Compare("shelf", "eq", UNAVAILABLE)
        found = store.similarity_search_with_score("thing", 10, filter=And((shelf,)))
        assert str(UNAVAILABLE) not in {document.id for document, _ in found}
        assert len(found) == 3

    def test_langchain_s_search_names_a_column_that_is_not_there(self, store: Store) -> None:
        with pytest.raises(BadInput, match="'colour'"):
            store.similarity_search_with_score("thing", 3, filter=Compare("colour", "eq", "red"))


def shelves() -> Catalogue:
    """20,000 things, four on each shelf; one of them cannot be had."""
    rows = np.arange(ITEMS)
    titles = [f"thing {row}" for row in rows]
    return Catalogue.of(
        pl.DataFrame({"item_id": rows, "title": titles, "shelf": rows % SHELVES, "available": rows != UNAVAILABLE})
    )


def random_units(count: int, seed: int, dimensions: int = 24) -> Vectors:
    return unit(np.random.default_rng(seed).normal(size=(count, dimensions)))


def recall(rows: NDArray[np.int64], queries: Vectors, vectors: Vectors, keep: NDArray[np.bool_]) -> float:
    """The share of the true nearest kept items among the found ones, as many as a query could find."""
    cosines = np.where(keep, queries @ vectors.T, -np.inf)
    n = min(rows.shape[1], int(keep.sum()))
    truth = np.argsort(-cosines, axis=1)[:, :n]
    return float(np.mean([len(set(found) & set(true)) / n for found, true in zip(rows.tolist(), truth.tolist(), strict=True)]))


SIZE = 50


class Engine(Protocol):
    """What the tools need of the crowd: `duetto.tools.crowd.Crowd`, or the same factors trained elsewhere."""

    def taste(self, history: History) -> Taste: ...
    def scores(self, tastes: list[Taste]) -> Floats: ...
    def contributions(self, taste: Taste, rows: NDArray[np.int64]) -> Floats: ...


class CrowdContract:
    """On a checkerboard, as in implicit's own tests: person p has every item of p's colour but item p."""

    @classmethod
    def fit(cls, positives: sp.csr_matrix) -> Engine:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def crowd(cls) -> Engine:
        return cls.fit(checkerboard())

    def test_everybody_is_recommended_the_missing_item_of_their_colour(self, crowd: Engine) -> None:
        scores = crowd.scores([crowd.taste(owner(person)) for person in range(SIZE)])
        scores[checkerboard().toarray() > 0] = -np.inf
        assert scores.argmax(axis=1).tolist() == list(range(SIZE))

    def test_a_person_s_own_colour_scores_above_the_other(self, crowd: Engine) -> None:
        scores = crowd.scores([crowd.taste(owner(0))])[0]
        assert scores[0::2].min() > scores[1::2].max()

    def test_contributions_of_the_history_sum_to_the_scores(self, crowd: Engine) -> None:
        taste = crowd.taste(owner(4))
        added = crowd.contributions(taste, np.arange(SIZE))
        assert added.shape == (SIZE, len(taste))
        assert np.allclose(added.sum(axis=1), crowd.scores([taste])[0], atol=1e-4)

    def test_only_history_of_the_item_s_colour_contributes_to_it(self, crowd: Engine) -> None:
        taste = crowd.taste(stranger([1, 3, 5, 2]))
        added = crowd.contributions(taste, np.array([7]))[0]
        assert np.argsort(-added)[:3].tolist() == [2, 1, 0]

    def test_a_dislike_lowers_what_is_like_the_disliked_item(self, crowd: Engine) -> None:
        before, after = stranger([1, 3, 2, 4]), stranger([1, 3, 2, 4], disliked=[6])
        change = np.subtract(*crowd.scores([crowd.taste(after), crowd.taste(before)]))
        assert (change[0::2] < 0).all()
        assert change[0::2].max() < change[1::2].min()

    def test_the_newest_items_weigh_most(self, crowd: Engine) -> None:
        scores = crowd.scores([crowd.taste(stranger([1, 3, 2, 4])), crowd.taste(stranger([2, 4, 1, 3]))])
        assert scores[0, 10] > scores[0, 11]
        assert scores[1, 11] > scores[1, 10]

    def test_a_stranger_with_the_same_items_gets_the_same_scores(self, crowd: Engine) -> None:
        known = crowd.taste(owner(6))
        unknown = crowd.taste(stranger(owner(6).rows.tolist()))
        assert crowd.scores([known]).tolist() == crowd.scores([unknown]).tolist()

    def test_people_scored_together_are_scored_as_if_alone(self, crowd: Engine) -> None:
        tastes = [crowd.taste(owner(person)) for person in (3, 8)]
        alone = np.concatenate([crowd.scores([taste]) for taste in tastes])
        assert np.allclose(crowd.scores(tastes), alone, atol=1e-6)

    def test_nothing_known_scores_nothing(self, crowd: Engine) -> None:
        taste = crowd.taste(NOBODY)
        assert crowd.scores([taste]).tolist() == [[0.0] * SIZE]
        assert crowd.contributions(taste, np.array([0, 1])).shape == (2, 0)

    def test_nothing_known_of_one_person_does_not_touch_another(self, crowd: Engine) -> None:
        scores = crowd.scores([crowd.taste(NOBODY), crowd.taste(owner(2))])
        assert not scores[0].any()
        assert np.allclose(scores[1], crowd.scores([crowd.taste(owner(2))])[0], atol=1e-6)


def checkerboard() -> sp.csr_matrix:
    """Person p has the items of p's colour (even or odd), save item p: shape (50, 50)."""
    cells = np.add.outer(np.arange(SIZE), np.arange(SIZE)) % 2 == 0
    np.fill_diagonal(cells, False)
    return sp.csr_matrix(cells.astype(np.float32))


def owner(person: int) -> History:
    rows = checkerboard()[person].indices.astype(np.int32)
    return History(rows, np.zeros(len(rows), np.bool_), known=True)


def stranger(liked: list[int], disliked: list[int] | None = None) -> History:
    return NOBODY.with_feedback(liked, disliked or [])
