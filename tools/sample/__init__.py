"""The embedded sample: real films, synthetic people.

The films' facts in `films.csv` (title, year, genres, director, minutes, what happens in them) are real. The people of
`interactions` are SYNTHETIC: nobody watched or rated anything here. A seeded taste model draws their histories, so the
sample is good for a demonstration and for tests, and a number measured on it says nothing about real people.
"""

from importlib import resources

import numpy as np
import polars as pl
from numpy.typing import NDArray

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

_SHORTEST, _LONGEST = 5, 60
_CLUSTERS = 3  # a person has one to three tastes
_LATENT = 8  # what draws people to a film beyond genre, decade and director
_CIRCLES = 24  # the hidden vectors gather around so many points
_FIRST_DAY = 1_704_067_200  # 2024-01-01: every film of the sample was out by then
_DAY = 86_400.0


def films() -> pl.DataFrame:
    """The films: item_id, title, year, genres (`A|B`), director (`A|B`), minutes, description."""
    integers = {"item_id": pl.Int64, "year": pl.Int64, "minutes": pl.Int64}
    return pl.read_csv(resources.files(__name__).joinpath("films.csv").read_bytes(), schema_overrides=integers)


def interactions(seed: int = 7, people: int = 600) -> pl.DataFrame:
    """Synthetic histories: user_id, item_id, rating (1 to 5 in halves), timestamp (seconds, growing for a person), position."""
    rng = np.random.default_rng(seed)
    catalogue = films()
    likeness = _likeness(catalogue, rng)
    popularity = _popularity(catalogue, rng)
    lengths = np.clip(rng.lognormal(3.1, 0.6, people), _SHORTEST, _LONGEST).astype(np.int64)
    chosen, affinity, opens_run = _walk(likeness, popularity, lengths, rng)

    quality = rng.normal(0.0, 0.35, catalogue.height)
    leniency = rng.normal(0.0, 0.3, (people, 1))
    raw = 3.5 + 0.75 * affinity + quality[chosen] + leniency + rng.normal(0.0, 0.6, chosen.shape)
    rating = np.clip(np.round(raw * 2) / 2, 1.0, 5.0)

    between_runs = rng.exponential(12.0, chosen.shape) + 3.0
    apart = np.where(opens_run, between_runs, rng.uniform(0.1, 1.5, chosen.shape)) * _DAY
    apart[:, 0] = rng.uniform(0.0, 200 * _DAY, people)
    when = _FIRST_DAY + np.cumsum(apart, axis=1).astype(np.int64)

    kept = np.arange(_LONGEST) < lengths[:, None]
    columns = {
        "user_id": [f"p{n + 1:03d}" for n in np.nonzero(kept)[0]],
        "item_id": catalogue["item_id"].to_numpy()[chosen[kept]],
        "rating": rating[kept],
        "timestamp": when[kept],
        "position": np.nonzero(kept)[1],
    }
    types = {"user_id": pl.String, "item_id": pl.Int64, "rating": pl.Float64, "timestamp": pl.Int64, "position": pl.Int64}
    return pl.DataFrame(columns, types)


def _likeness(catalogue: pl.DataFrame, rng: np.random.Generator) -> _Floats:
    """How alike two films feel, standardised for each film: genres, decade, director and a hidden vector."""
    year = catalogue["year"].to_numpy()
    decade = np.exp(-(((year[:, None] - year) / 10) ** 2))
    circles = rng.normal(size=(_CIRCLES, _LATENT))
    member = rng.integers(_CIRCLES, size=catalogue.height)
    hidden = _cosine(circles[member] + rng.normal(0.0, 0.35, (catalogue.height, _LATENT)))
    total = 1.3 * _shared(catalogue["genres"]) + 0.7 * decade + 0.5 * _shared(catalogue["director"]) + 1.3 * hidden
    return np.asarray((total - total.mean(axis=1, keepdims=True)) / total.std(axis=1, keepdims=True), dtype=np.float64)


def _popularity(catalogue: pl.DataFrame, rng: np.random.Generator) -> _Floats:
    """Log-weights with a long tail, somewhat kinder to newer films."""
    rank = rng.permutation(catalogue.height).astype(np.float64)
    newer = (catalogue["year"].to_numpy() - 1975) / 25
    return np.asarray(-0.45 * np.log(rank + 12) + 0.15 * newer, dtype=np.float64)


def _walk(
    likeness: _Floats, popularity: _Floats, lengths: _Ints, rng: np.random.Generator
) -> tuple[_Ints, _Floats, NDArray[np.bool_]]:
    """Everybody's next film, step by step: the films, how well each suits its person, and where a new run begins."""
    people, count = len(lengths), len(popularity)
    everyone = np.arange(people)
    anchors = np.argmax(popularity + rng.gumbel(size=(people, _CLUSTERS, count)), axis=2)
    bounds = rng.integers(1, _CLUSTERS + 1, people)[:, None] > np.arange(_CLUSTERS)
    peak = rng.uniform(0.0, 1.0, (people, _CLUSTERS))  # when in a history each taste is at its strongest
    chosen = np.zeros((people, _LONGEST), dtype=np.int64)
    affinity = np.zeros((people, _LONGEST))
    opens_run = rng.random((people, _LONGEST)) < 0.3
    opens_run[:, 0] = True
    stray = rng.random((people, _LONGEST)) < 0.12  # a film seen because everybody sees it
    seen = np.zeros((people, count), dtype=np.bool_)
    cluster = np.zeros(people, dtype=np.int64)
    for step in range(_LONGEST):
        lately = -(((step / lengths)[:, None] - peak) ** 2) / 0.12
        turn = np.argmax(np.where(bounds, lately + rng.gumbel(size=(people, _CLUSTERS)), -np.inf), axis=1)
        cluster = np.where(opens_run[:, step], turn, cluster)
        suits = likeness[anchors[everyone, cluster]]
        follows = likeness[chosen[:, step - 1]] * ~opens_run[:, step, None]
        pull = np.where(stray[:, step, None], 0.0, 2.1 * suits + 1.0 * follows)
        pick = np.argmax(np.where(seen, -np.inf, popularity + pull + rng.gumbel(size=(people, count))), axis=1)
        chosen[:, step], affinity[:, step] = pick, np.clip(suits[everyone, pick] - 1.5, -2.0, 1.5)
        seen[everyone, pick] = True
        moves = (rng.random(people) < 0.15) & ~stray[:, step]  # the taste drifts towards what was just seen
        anchors[everyone[moves], cluster[moves]] = pick[moves]
    return chosen, affinity, opens_run


def _shared(column: pl.Series) -> _Floats:
    """The cosine of every two rows of a column of labels such as `A|B`."""
    rows = [set(labels.split("|")) for labels in column.to_list()]
    names = sorted(set().union(*rows))
    return _cosine(np.array([[float(name in row) for name in names] for row in rows]))


def _cosine(rows: _Floats) -> _Floats:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T, dtype=np.float64)
