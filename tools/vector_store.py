"""The catalogue's vectors on faiss, as a LangChain `VectorStore`: inner product of unit vectors, so scores are cosines.

Filters act before the search, so a predicate that keeps 4 of 20,000 items finds those 4. Above `hnsw_above` items the
search is approximate (HNSW), except under a narrow filter, where HNSW loses items and flat search is cheap.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import faiss
import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from numpy.typing import NDArray

from duetto.errors import BadInput
from duetto.limits import Limits
from duetto.tools.catalogue import Catalogue
from duetto.tools.embedding import Vectors, embed_queries, unit
from duetto.tools.predicate import Predicate

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Searchable(Protocol):
    """What the language voice needs of any vector store (beside being a LangChain `VectorStore`).

    One that is not in this process asks within `duetto.tools.turnstile.waiting()`, so that others compute meanwhile.
    """

    def __len__(self) -> int: ...

    def nearest(self, vectors: Vectors, k: int, keep: Mask | None = None) -> tuple[Rows, Vectors]:
        """The best k rows of each unit vector among the kept: rows and cosines, shape (queries, k), best first.

        Where fewer than k are kept, rows are -1 and cosines -inf.
        """

    def cosines(self, vectors: Vectors, rows: Rows | None = None) -> Vectors:
        """Exact cosines of each unit vector with these rows (None: all), shape (queries, rows)."""

    def vectors_of(self, rows: Rows) -> Vectors:
        """The unit vectors of these rows, shape (rows, dimensions)."""


class FaissStore(VectorStore):
    """`vectors` has shape (items, dimensions), unit rows in catalogue order; `graph` is a saved HNSW index of them."""

    def __init__(
        self,
        catalogue: Catalogue,
        vectors: Vectors,
        embedder: Embeddings,
        limits: Limits | None = None,
        graph: Any = None,
    ) -> None:
        limits = limits or Limits()
        self.catalogue, self.vectors, self.embedder = catalogue, vectors, embedder
        self._narrow = limits.hnsw_narrow
        self._flat = faiss.IndexFlatIP(vectors.shape[1])
        self._flat.add(vectors)
        self._graph = (graph or hnsw(vectors)) if len(vectors) > limits.hnsw_above else None

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def embeddings(self) -> Embeddings:
        return self.embedder

    def nearest(self, vectors: Vectors, k: int, keep: Mask | None = None) -> tuple[Rows, Vectors]:
        kept = len(self) if keep is None else int(keep.sum())
        rows = np.full((len(vectors), k), -1, dtype=np.int64)
        scores = np.full((len(vectors), k), -np.inf, dtype=np.float32)
        found = min(k, kept)
        if not found or not len(vectors):
            return rows, scores
        graph = self._graph if self._graph is not None and kept >= self._narrow * len(self) else None
        bits = None if keep is None else np.packbits(keep, bitorder="little")
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)
        if graph is not None:
            parameters = faiss.SearchParametersHNSW(sel=selector, efSearch=max(128, 2 * found))
            scores[:, :found], rows[:, :found] = graph.search(vectors, found, params=parameters)
            scores[rows < 0] = -np.inf
        else:
            parameters = faiss.SearchParameters(sel=selector)
            scores[:, :found], rows[:, :found] = self._flat.search(vectors, found, params=parameters)
        return rows, scores

    def cosines(self, vectors: Vectors, rows: Rows | None = None) -> Vectors:
        items = self.vectors if rows is None else self.vectors[rows]
        if len(vectors) <= 4:  # a thin product of BLAS would copy all items first: twice the time
            return np.stack([items @ vector for vector in vectors]) if len(vectors) else np.zeros((0, len(items)), np.float32)
        return vectors @ items.T

    def vectors_of(self, rows: Rows) -> Vectors:
        return self.vectors[rows]

    # LangChain's interface

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Predicate | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Documents with their cosine, higher is better."""
        return self._documents(embed_queries(self.embedder, [query]), k, filter)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Predicate | None = None, **kwargs: Any
    ) -> list[Document]:
        found = self._documents(unit(np.asarray(embedding)), k, filter)
        return [document for document, _ in found]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda cosine: min(1.0, max(0.0, (1 + cosine) / 2))  # a rounded cosine may pass 1

    def _documents(self, vector: Vectors, k: int, predicate: Predicate | None) -> list[tuple[Document, float]]:
        if k < 1:
            raise BadInput(f"cannot search for {k} items: ask for at least 1")
        rows, scores = self.nearest(vector, k, self.catalogue.mask(predicate))
        pairs = zip(rows[0].tolist(), scores[0].tolist(), strict=True)
        return [(as_document(self.catalogue, row), score) for row, score in pairs if row >= 0]

    @classmethod
    def from_texts(
        cls, texts: list[str], embedding: Embeddings, metadatas: list[dict[str, Any]] | None = None, **kwargs: Any
    ) -> "FaissStore":
        """A store of bare texts; ids are `ids=` or 0, 1, 2, ..."""
        import polars as pl

        ids: Sequence[Any] = kwargs.get("ids") or range(len(texts))
        table = pl.DataFrame({"item_id": list(ids), "title": list(texts)})
        if metadatas:
            extra = pl.DataFrame(metadatas)
            table = table.hstack([column for column in extra if column.name not in table.columns])
        return cls(Catalogue.of(table), embed_queries(embedding, texts), embedding, kwargs.get("limits"))


def as_document(catalogue: Catalogue, row: int) -> Document:
    """An item as a LangChain document: its title, with the id and the shown attributes as metadata."""
    item_id = catalogue.ids[row]
    return Document(id=str(item_id), page_content=catalogue.titles[row], metadata={"item_id": item_id, **catalogue.facts_of(row)})


def hnsw(vectors: Vectors) -> Any:
    """Malkov and Yashunin's hierarchical navigable small world graph over unit vectors, by inner product."""
    graph = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 120
    graph.add(vectors)
    return graph
