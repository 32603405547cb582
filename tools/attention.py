"""Which preferences an item answers: LANE's attention without training; and diversity of a list."""

import numpy as np

from duetto.tools.embedding import Vectors
from duetto.tools.fusion import Array


def attention(preferences: Vectors, prior: Array, items: Vectors, heads: int, temperature: float) -> Array:
    """LANE's multi-head attention of items over preferences, without training: shape (items, preferences), rows sum to 1.

    LANE (arXiv 2407.02833) learns the projections W_q, W_k; here they are the identity cut into `heads` blocks of
    unit length, and a temperature stands in for the learned scale. `prior` (preferences,) are the preferences' weights.
    """
    if not len(preferences):
        return np.zeros((len(items), 0))
    width = preferences.shape[1] // heads
    if not width:
        heads, width = 1, preferences.shape[1]
    keys = _blocks(preferences, heads, width)
    queries = _blocks(items, heads, width)
    logits = np.einsum("ihd,phd->hip", queries, keys) / temperature + np.log(np.maximum(prior, 1e-6))
    logits -= logits.max(axis=2, keepdims=True)
    shares = np.exp(logits)
    return np.asarray((shares / shares.sum(axis=2, keepdims=True)).mean(axis=0))


def _blocks(vectors: Vectors, heads: int, width: int) -> Array:
    blocks = np.asarray(vectors, dtype=np.float64)[:, : heads * width].reshape(len(vectors), heads, width)
    return np.asarray(blocks / np.maximum(np.linalg.norm(blocks, axis=2, keepdims=True), 1e-9))


def diversify(scores: Array, vectors: Vectors, k: int, diversity: float) -> list[int]:
    """Maximal marginal relevance (Carbonell and Goldstein, 1998): the places of k items, best first.

    score = (1 - diversity) * scaled score - diversity * highest cosine to an item already taken.
    """
    span = float(np.ptp(scores)) or 1.0
    relevance = (scores - scores.min()) / span
    nearest = np.zeros(len(scores))
    free = np.ones(len(scores), dtype=bool)
    taken: list[int] = []
    for _ in range(min(k, len(scores))):
        value = np.where(free, (1 - diversity) * relevance - diversity * nearest, -np.inf)
        best = int(np.argmax(value))
        taken.append(best)
        free[best] = False
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return taken
