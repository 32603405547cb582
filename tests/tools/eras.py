"""A log whose people keep to an era: the ranker, which reads of years, predicts it better than any weighing of the voices."""

from functools import cache

import numpy as np
import polars as pl

from duetto.limits import Limits
from duetto.tools.index import Index
from tests.tools.films import indexed, log

ITEMS, PEOPLE, TAKEN = 480, 600, 3
SMALL = Limits(ranker_trees=20, ranker_leaves=7, ranker_rate=0.2, tuning_least=60)


def things() -> pl.DataFrame:
    """Four a year, in no order that a row could tell."""
    years = np.random.default_rng(1).permutation(np.arange(ITEMS) // 4 + 1900)
    genres = np.array(["Comedy", "Drama", "Western"])[np.random.default_rng(2).integers(3, size=ITEMS)]
    titles = [f"the {genre.lower()} of thing{n}" for n, genre in enumerate(genres)]
    return pl.DataFrame({"item_id": range(ITEMS), "title": titles, "year": years, "genres": genres})


def takings() -> pl.DataFrame:
    """Everybody takes things of three years around their own."""
    rng, years = np.random.default_rng(3), things()["year"].to_numpy()
    taken = []
    for person in range(PEOPLE):
        near = np.flatnonzero(np.abs(years - rng.integers(1901, 2019)) <= 1)
        taken += [(f"p{person:03d}", int(item)) for item in rng.choice(near, TAKEN, replace=False)]
    return log(*taken)


@cache
def era_index() -> Index:
    """With a ranker."""
    return indexed(things(), takings(), limits=SMALL)
