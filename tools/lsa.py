"""Latent semantic analysis as a LangChain `Embeddings`: TF-IDF and truncated SVD, fitted on the catalogue itself.

Deerwester et al., Indexing by latent semantic analysis (1990). Needs no download and no key.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from langchain_core.embeddings import Embeddings
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd

from duetto.errors import BadInput
from duetto.tools.embedding import Vectors, unit
from duetto.tools.single_thread import single_thread

FILES = ("lsa.json", "lsa.npz")


class Lsa(Embeddings):
    """Words to `components` (terms, dimensions); a text whose words are all unknown becomes the zero vector."""

    name = "lsa"

    def __init__(self, vocabulary: dict[str, int], idf: Vectors, components: Vectors) -> None:
        self.vocabulary, self.idf, self.components = vocabulary, idf, components
        self._tfidf = _vectorizer(vocabulary)
        self._tfidf.idf_ = idf

    @classmethod
    def fit(cls, texts: Sequence[str], dimensions: int = 256, seed: int = 0) -> "Lsa":
        """Raises BadInput when the texts hold no words at all."""
        try:
            tfidf = _vectorizer(_vocabulary(texts))
            weights = tfidf.fit_transform(texts)
        except ValueError as error:
            raise BadInput("cannot fit lsa: the items' titles and texts contain no words; add text columns") from error
        dimensions = max(1, min(dimensions, min(weights.shape) - 1))
        # TruncatedSVD is this too, but refuses a single word and divides nought by nought where all texts are equal.
        with single_thread():
            _, _, components = randomized_svd(weights, dimensions, n_iter=4, random_state=seed)
        components = np.ascontiguousarray(components.T, dtype=np.float32)
        vocabulary = {str(term): int(column) for term, column in tfidf.vocabulary_.items()}
        return cls(vocabulary, tfidf.idf_.astype(np.float32), components)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return unit(self._tfidf.transform(texts) @ self.components)  # type: ignore[return-value]  # an array

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    def save(self, folder: Path) -> None:
        (folder / FILES[0]).write_text(json.dumps(self.vocabulary), encoding="utf-8")
        np.savez(folder / FILES[1], idf=self.idf, components=self.components)

    @classmethod
    def load(cls, folder: Path) -> "Lsa":
        vocabulary = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        with np.load(folder / FILES[1], allow_pickle=False) as arrays:
            return cls(vocabulary, arrays["idf"], arrays["components"])


def _vocabulary(texts: Sequence[str]) -> dict[str, int]:
    """Every word, and every pair of words that two texts share: a rare word is the most telling one of a request."""
    counter = _vectorizer(None)
    counts = np.bincount(counter.fit_transform(texts).indices)
    terms = counter.get_feature_names_out()
    kept = [term for term, count in zip(terms, counts, strict=True) if count > 1 or " " not in term]
    return {term: column for column, term in enumerate(kept)}


def _vectorizer(vocabulary: dict[str, int] | None) -> TfidfVectorizer:
    return TfidfVectorizer(
        vocabulary=vocabulary,
        ngram_range=(1, 2),
        stop_words="english",
        strip_accents="unicode",
        sublinear_tf=True,
        token_pattern=r"(?u)\b\w+\b",
        dtype=np.float32,
    )
