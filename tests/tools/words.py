"""An embedder that needs no training and no weights, and remembers what it was asked."""

import hashlib

import numpy as np
from langchain_core.embeddings import Embeddings


class Words(Embeddings):
    """A hashed bag of words, so that texts sharing words are alike; `asked` are all texts embedded so far."""

    def __init__(self, dimensions: int = 24) -> None:
        self.dimensions = dimensions
        self.asked: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked += texts
        return [self._vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    def _vector(self, text: str) -> list[float]:
        total = np.zeros(self.dimensions)
        for word in text.lower().split():
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            total += np.random.default_rng(seed).normal(size=self.dimensions)
        vector: list[float] = total.tolist()
        return vector
