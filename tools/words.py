"""The words themselves: TF-IDF over the items' texts, for what a sentence embedding blurs, such as names and rare words."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

FILES = ("words.json", "words.npz", "words_idf.npy")


class Words:
    """`matrix` (items, terms) of unit rows; `idf` (terms,)."""

    def __init__(self, vocabulary: dict[str, int], idf: NDArray[np.float32], matrix: sp.csr_matrix) -> None:
        self.vocabulary, self.idf, self.matrix = vocabulary, idf, matrix
        if vocabulary:
            self._tfidf = _vectorizer(vocabulary)
            self._tfidf.idf_ = idf
            self._words = self._tfidf.build_analyzer()

    @classmethod
    def fit(cls, texts: Sequence[str]) -> "Words":
        tfidf = _vectorizer(None)
        try:
            matrix = normalize(tfidf.fit_transform(texts), copy=False)
        except ValueError:  # texts without a single word
            return cls({}, np.zeros(0, np.float32), sp.csr_matrix((len(texts), 0), dtype=np.float32))
        vocabulary = {str(term): int(column) for term, column in tfidf.vocabulary_.items()}
        return cls(vocabulary, tfidf.idf_.astype(np.float32), matrix.tocsr())

    @cached_property
    def _postings(self) -> sp.csr_matrix:
        return self.matrix.T.tocsr()

    def warm(self) -> "Words":
        _ = self._postings
        return self

    def weigh(self, texts: Sequence[str]) -> sp.csr_matrix:
        """Texts over the terms, shape (texts, terms): unit rows, but that words no item has count in their length.

        So "a heist that goes wrong" is not all "wrong" to a catalogue without a heist.
        """
        if not self.vocabulary:
            return sp.csr_matrix((len(texts), 0), dtype=np.float32)
        weights = self._tfidf.transform(texts)
        strange = [len({word for word in self._words(text) if word not in self.vocabulary}) for text in texts]
        length = np.asarray(weights.multiply(weights).sum(axis=1)).ravel() + np.array(strange) * self.idf.max() ** 2
        return (sp.diags((1 / np.sqrt(np.maximum(length, 1e-9))).astype(np.float32)) @ weights).tocsr()

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Cosines of each text with every item, shape (texts, items)."""
        return np.asarray((self.weigh(texts) @ self._postings).toarray(), dtype=np.float32)

    def save(self, folder: Path) -> None:
        (folder / FILES[0]).write_text(json.dumps(self.vocabulary), encoding="utf-8")
        sp.save_npz(folder / FILES[1], self.matrix, compressed=False)
        np.save(folder / FILES[2], self.idf)

    @classmethod
    def load(cls, folder: Path) -> "Words":
        vocabulary = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        return cls(vocabulary, np.load(folder / FILES[2], allow_pickle=False), sp.load_npz(folder / FILES[1]))


def _vectorizer(vocabulary: dict[str, int] | None) -> TfidfVectorizer:
    return TfidfVectorizer(
        vocabulary=vocabulary,
        stop_words="english",
        strip_accents="unicode",
        sublinear_tf=True,
        token_pattern=r"(?u)\b\w+\b",
        norm=None,
        dtype=np.float32,
    )
