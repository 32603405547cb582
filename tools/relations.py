"""What having one item says of another: sparse (items, items) relations that remember order, learned from the log.

Plain collaborative filters forget order, and order is most of what predicts the next item. Rows are what a person had,
columns what it speaks for; a person's score is a sum over their newest items, so each item's share of it is exact.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from duetto.limits import Limits
from duetto.tools.histories import Histories

STEPS = 20  # how far apart two items of a history may be and still count as following each other
FADING = 0.8  # what a step further counts
SOON = 3
AUTOREGRESSIONS = {"linear": (0.7, 300.0), "linear_long": (0.9, 1000.0)}  # decay a step, ridge

Relations = dict[str, sp.csr_matrix]


def fit_relations(histories: Histories, items: int, limits: Limits) -> Relations:
    """The relations of a log, each row cut to its `limits.neighbours` strongest entries.

    together: cosine of the two items' people. next: how often the column came within 20 steps after the row, a step
    further counting 0.8; next_rare: the same, popular columns divided down; soon: within 3 steps; step_1, step_2, step_3:
    exactly so many steps after; before: the other way round; around: both. linear and linear_long: see
    `_autoregression`; only up to `limits.linear_items` items.
    """
    person, rows = histories.likes()
    counts = np.bincount(rows, minlength=items).astype(np.float32)
    shrink = sp.diags(1 / np.sqrt(np.maximum(counts, 1))).tocsr().astype(np.float32)
    lags = [_followed(person, rows, items, step) for step in range(1, STEPS + 1)]
    after = sum((FADING**step * lag for step, lag in enumerate(lags)), sp.csr_matrix((items, items), dtype=np.float32))
    soon = sum((lag / (step + 1) for step, lag in enumerate(lags[:SOON])), sp.csr_matrix((items, items), dtype=np.float32))
    taken = histories.positives(items)
    together = (shrink @ (taken.T @ taken) @ shrink).tocsr()
    together.setdiag(0)
    forth, back = (shrink @ after).tocsr(), (shrink @ after.T).tocsr()
    found = {
        "together": together,
        "next": forth,
        "next_rare": (forth @ shrink).tocsr(),
        "soon": (shrink @ soon).tocsr(),
        **{f"step_{step + 1}": (shrink @ lags[step]).tocsr() for step in range(SOON)},
        "before": (back @ shrink).tocsr(),
        "around": (forth + 0.5 * back).tocsr(),
    }
    if items <= limits.linear_items:
        for name, (decay, ridge) in AUTOREGRESSIONS.items():
            found[name] = sp.csr_matrix(_autoregression(lags, counts, decay, ridge))
    return {name: strongest(matrix, limits.neighbours) for name, matrix in found.items()}


def _followed(person: NDArray[np.int64], rows: NDArray[np.int32], items: int, step: int) -> sp.csr_matrix:
    """How often the column came exactly `step` likes after the row."""
    same = person[:-step] == person[step:]
    pairs = rows[:-step][same], rows[step:][same]
    return sp.csr_matrix((np.ones(len(pairs[0]), np.float32), pairs), shape=(items, items))


def _autoregression(lags: list[sp.csr_matrix], counts: NDArray[np.float32], decay: float, ridge: float) -> NDArray[np.float32]:
    """Ridge regression of the next item on the decayed newest items, in closed form, shape (items, items).

    After SLIST (Choi et al., Session-aware Linear Item-Item Models, 2021). With inputs x_t = sum_d decay^(d-1) e(t-d), the
    normal equations need only how often items are d steps apart: E[x x'] has decay^d / (1 - decay^2) of them.
    """
    gram = np.zeros((len(counts), len(counts)), dtype=np.float32)
    target = np.zeros_like(gram)
    for step, lag in enumerate(lags):
        near = decay ** (step + 1) / (1 - decay**2)
        gram += (near * (lag + lag.T)).toarray()
        target += (decay**step * lag).toarray()
    gram[np.diag_indices(len(counts))] += counts / (1 - decay**2) + ridge
    return np.asarray(np.linalg.solve(gram, target), dtype=np.float32)


def strongest(matrix: sp.csr_matrix, most: int) -> sp.csr_matrix:
    """Each row's `most` entries of largest absolute value."""
    matrix = matrix.astype(np.float32)
    size, indptr = np.abs(matrix.data), matrix.indptr
    for row in np.flatnonzero(np.diff(indptr) > most):
        span = slice(indptr[row], indptr[row + 1])
        matrix.data[span][np.argpartition(size[span], -most)[:-most]] = 0
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix
