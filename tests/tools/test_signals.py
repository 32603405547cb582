"""What a ranker is told of a candidate."""

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from duetto.tools.catalogue import Catalogue
from duetto.tools.crowd import Crowd, CrowdSettings
from duetto.tools.crowd_voice import CrowdVoice, Standing
from duetto.tools.features import Features
from duetto.tools.histories import NOBODY, History
from duetto.tools.language_voice import TEXTS
from duetto.tools.signals import AMONG, NUMBERS, Signals

ITEMS = 60
YEARS = [None if n % 7 == 0 else 1950 + n for n in range(ITEMS)]
TABLE = pl.DataFrame(
    {
        "item_id": range(ITEMS),
        "title": [f"thing{n}" for n in range(ITEMS)],
        "year": YEARS,
        "price": [float(n) ** 2 for n in range(ITEMS)],
        "warmth": [float(n - 30) for n in range(ITEMS)],
        "seldom": [float(n) if n < 20 else None for n in range(ITEMS)],  # most items leave it empty
        "stars": [n % 5 for n in range(ITEMS)],  # too few values to compare
        "genre": ["Common" if n % 4 else f"Rare|Rare{n % 3}" for n in range(ITEMS)],
    }
)
COUNTS = np.arange(ITEMS, dtype=np.float32)
STANDING = Standing(COUNTS, COUNTS / np.float32(2), COUNTS / np.float32(ITEMS - 1))
CROWD = CrowdVoice(Crowd(np.ones((ITEMS, 2), np.float32), CrowdSettings(factors=2)), {}, STANDING)
HISTORY = NOBODY.with_feedback([10, 20, 30], [])
ALL = np.ones(ITEMS, np.bool_)
ROWS = np.arange(ITEMS)


def signals(table: pl.DataFrame = TABLE) -> Signals:
    catalogue = Catalogue.of(table)
    return Signals(catalogue, Features.of(catalogue), CROWD)


def z_scores(seed: int = 0, rows: int = ITEMS) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(len(CROWD.sources) + len(TEXTS), rows)).astype(np.float32)


def told(
    z: NDArray[np.float32] | None = None, history: History = HISTORY, table: pl.DataFrame = TABLE
) -> dict[str, NDArray[np.float32]]:
    """Of every item, by name."""
    ours = signals(table)
    described = ours.describe(z_scores() if z is None else z, ALL, ROWS, history)
    return dict(zip(ours.parts, described.T, strict=True))


TABLES = [TABLE, TABLE.select("item_id", "title"), TABLE.select("item_id", "title", "year"), TABLE.drop("genre")]


@pytest.mark.parametrize("table", TABLES, ids=["all", "bare", "year", "no kinds"])
def test_every_column_has_a_name_and_a_part(table: pl.DataFrame) -> None:
    ours = signals(table).warm()
    described = ours.describe(z_scores(), ALL, ROWS, HISTORY)
    assert described.shape == (ITEMS, len(ours.parts))
    assert described.dtype == np.float32
    assert set(ours.parts.values()) == {"als", "taste", "agreement", "popularity"}


def test_sources_are_named_in_the_order_in_which_they_are_told() -> None:
    z = z_scores()
    known = told(z)
    names = [s.name for s in CROWD.sources] + list(TEXTS)
    for name, scores in zip(names, z, strict=True):
        assert known[name].tolist() == scores.tolist()
        assert known[f"rank_{name}"].tolist() == [(scores > own).sum() for own in scores]


def test_ranks_are_among_the_inner_items_whatever_else_a_request_brought() -> None:
    ours, z = signals(), z_scores()
    inner = np.random.default_rng(1).random(ITEMS) < 0.5
    alone = ours.describe(z[:, inner], ALL[: inner.sum()], ROWS[inner], HISTORY)
    among = ours.describe(z, inner, ROWS, HISTORY)
    assert np.array_equal(among[inner], alone, equal_nan=True)


def test_an_item_from_outside_is_ranked_among_the_inner_ones() -> None:
    z = np.repeat(np.arange(ITEMS, dtype=np.float32)[None, :], len(CROWD.sources) + len(TEXTS), axis=0)
    inner = np.isin(ROWS, [10, 20, 30])
    ranks = signals().describe(z, inner, ROWS, HISTORY)[:, list(signals().parts).index("rank_als_5")]
    assert ranks[[5, 10, 15, 20, 25, 30, 59]].tolist() == [3, 2, 2, 1, 1, 0, 0]


def test_agreement_is_of_the_crowd_s_sources() -> None:
    z = z_scores()
    known, crowd = told(z), z[: len(CROWD.sources)]
    ranks = np.array([[(scores > own).sum() for own in scores] for scores in crowd])
    assert known["backers"].tolist() == (ranks < AMONG).sum(axis=0).tolist()
    assert known["mean"] == pytest.approx(crowd.mean(axis=0), abs=1e-6)
    assert known["best_rank"].tolist() == ranks.min(axis=0).tolist()
    assert known["median_rank"].tolist() == np.median(ranks, axis=0).tolist()


def test_popularity_is_of_the_item_and_of_the_newest_of_the_history() -> None:
    known = told()
    assert known["liked"] == pytest.approx(np.log1p(ROWS))
    assert known["late"] == pytest.approx(np.log1p(ROWS / 2), abs=1e-5)
    assert known["place"] == pytest.approx(np.linspace(0, 1, ITEMS), abs=1e-6)
    assert known["newest_liked"] == pytest.approx(np.full(ITEMS, np.log1p(30)))
    assert known["history"] == pytest.approx(np.full(ITEMS, np.log1p(3)))


def test_a_rare_kind_in_common_counts_more_than_a_common_one() -> None:
    genres = ["Common|Rare", "Common|One", "Rare|Two", "Common|Rare", "Three", *["Common"] * (ITEMS - 5)]
    table = TABLE.select("item_id", "title", genre=pl.Series(genres))
    kind = told(history=NOBODY.with_feedback([0], []), table=table)["kind_3"]
    assert kind[3] == pytest.approx(1)
    assert kind[3] > kind[2] > kind[1] > kind[4] == 0
    assert told(history=NOBODY.with_feedback([4], [0]), table=table)["kind_3"][3] == pytest.approx(-1)


def test_only_columns_that_most_items_fill_with_many_values_are_compared() -> None:
    columns = [name for name in signals().parts if name.endswith("_away")]
    assert sorted(columns) == ["price_away", "warmth_away", "year_away"]
    many = TABLE.select("item_id", "title", *(pl.col("price").alias(f"n{n}") for n in range(9)))
    assert sum(name.endswith("_away") for name in signals(many).parts) == NUMBERS


def test_numbers_are_compared_with_the_mean_of_the_newest_five() -> None:
    known = told(history=NOBODY.with_feedback([59, 1, 2, 3, 4, 5], []))
    assert known["year"][8] == 1958
    assert known["year_away"][8] == pytest.approx(5)
    assert known["warmth_away"][40] == pytest.approx(37)  # negative amounts stay as they are
    assert known["price"][9] == pytest.approx(np.log1p(81))
    mean = np.mean([np.log1p(n**2) for n in (1, 2, 3, 4, 5)])
    assert known["price_away"][9] == pytest.approx(np.log1p(81) - mean, abs=1e-5)


def test_what_is_missing_is_missing_and_not_nought() -> None:
    known = told(history=NOBODY.with_feedback([7, 10], []))
    missing = np.array([year is None for year in YEARS])
    assert np.isnan(known["year"]).tolist() == np.isnan(known["year_away"]).tolist() == missing.tolist()
    assert known["year_away"][12] == pytest.approx(2)  # of the history, only item 10 has a year
    assert np.isnan(told(history=NOBODY.with_feedback([7, 14], []))["year_away"]).all()
    named = [name for name, values in known.items() if np.isnan(values).any()]
    assert named == ["year", "year_away"]


@pytest.mark.parametrize("table", TABLES, ids=["all", "bare", "year", "no kinds"])
def test_no_candidate_is_no_row(table: pl.DataFrame) -> None:
    ours, none = signals(table), np.zeros(0, np.int64)
    assert ours.describe(z_scores(rows=0), none.astype(bool), none, HISTORY).shape == (0, len(ours.parts))
