"""Six cases of two systems over a catalogue of twelve items, small enough to work out by hand."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

ITEMS, USERS = 12, 8
COUNTS = np.array([8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0])
VECTORS: NDArray[np.float32] = np.eye(ITEMS, dtype=np.float32)
RANKS = {"popular": [0, 4, 9, 10, 40, 0], "duetto": [0, 0, 1, 9, 19, 30]}
HISTORY, SEEN = [1, 5, 6, 21, 22, 500], [0, 1, 2, 5, 600, 600]
TOPS = {"popular": list(range(10)), "duetto": [11, 10, 9]}


def cases(*systems: str) -> pl.DataFrame:
    return pl.concat(
        pl.DataFrame(
            {"system": name, "case": range(6), "user": range(6), "rank": RANKS[name], "history": HISTORY, "seen": SEEN}
        ).with_columns(top=pl.Series([TOPS[name]] * 6, dtype=pl.List(pl.Int32)))
        for name in systems or RANKS
    )
