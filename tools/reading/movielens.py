"""MovieLens as GroupLens publishes it: ml-100k, ml-1m, ml-10m, and ml-20m, ml-25m, ml-latest(-small).

Layouts: the README of each set, https://files.grouplens.org/datasets/movielens/.
"""

from pathlib import Path

import polars as pl

from duetto.errors import BadInput
from duetto.tools.reading.files import Source, lines
from duetto.tools.reading.formats import from_csv, from_rows, split_rows
from duetto.tools.reading.titles import split_title

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
TAGS_SHOWN = 5
_NO_GENRE = ("", "unknown", "(no genres listed)")
_ITEM_FILES = ("u.item", "movies.dat", "movies.csv")
_RATING_FILES = ("u.data", "ratings.dat", "ratings.csv")
_RATING_NAMES = ["user_id", "item_id", "rating", "timestamp"]
_CSV_HEADERS = {
    "movies.csv": "movieId,title,genres",
    "ratings.csv": "userId,movieId,rating,timestamp",
    "tags.csv": "userId,movieId,tag,timestamp",
}


def items(path: Path) -> pl.DataFrame | None:
    """item_id, title, year, genres as `A|B`, and tags where the set has them; None when `path` is something else."""
    file = _published(path, _ITEM_FILES)
    if file is None:
        return None
    source = Source(file, "items")
    if file.name == "u.item":
        films = _ml_100k(source)
    elif file.name == "movies.dat":
        films = from_rows(split_rows(source, "::", fallback="latin-1"), ["item_id", "title", "genres"], source)
    else:
        films = from_csv(source, ",").rename({"movieId": "item_id"})
    titles = [split_title(title) for title in films["title"]]
    films = films.select(
        "item_id",
        pl.Series("title", [title for title, _ in titles], dtype=pl.String),
        pl.Series("year", [year for _, year in titles], dtype=pl.Int64),
        pl.col("genres").replace(_NO_GENRE, None),
    )
    tags = file.with_name("tags.csv")
    if file.name == "movies.csv" and tags.is_file() and _has_header(tags):
        return films.join(_tags(tags, films.schema["item_id"]), on="item_id", how="left", maintain_order="left")
    return films


def interactions(path: Path) -> pl.DataFrame | None:
    """user_id, item_id, rating, timestamp; None when `path` is something else."""
    file = _published(path, _RATING_FILES)
    if file is None:
        return None
    source = Source(file, "interactions")
    if file.name == "u.data":
        return from_rows(split_rows(source, "\t"), _RATING_NAMES, source)
    if file.name == "ratings.dat":
        return from_rows(split_rows(source, "::"), _RATING_NAMES, source)
    return from_csv(source, ",").rename({"userId": "user_id", "movieId": "item_id"})


def _published(path: Path, names: tuple[str, ...]) -> Path | None:
    candidates = [path / name for name in names] if path.is_dir() else [path]
    for file in candidates:
        if file.name in names and file.is_file() and _has_header(file):
            return file
    return None


def _has_header(file: Path) -> bool:
    if file.name not in _CSV_HEADERS:
        return True
    try:
        return next(lines(Source(file, "header"))).strip() == _CSV_HEADERS[file.name]
    except BadInput:
        return False


def _ml_100k(source: Source) -> pl.DataFrame:
    names = ["item_id", "title", "released", "video", "link", *GENRES]
    films = from_rows(split_rows(source, "|", fallback="latin-1"), names, source)
    flagged = [pl.when(pl.col(genre).cast(pl.String) == "1").then(pl.lit(genre)) for genre in GENRES]
    return films.select("item_id", "title", pl.concat_str(flagged, separator="|", ignore_nulls=True).alias("genres"))


def _tags(path: Path, id_type: pl.DataType) -> pl.DataFrame:
    """item_id and its most frequent tags, most frequent first, then by name."""
    tags = from_csv(Source(path, "tags"), ",").select(
        pl.col("movieId").cast(id_type, strict=False).alias("item_id"),
        pl.col("tag").cast(pl.String).str.strip_chars().str.to_lowercase().str.replace_all("|", " ", literal=True),
    )
    counted = tags.group_by("item_id", "tag").len().sort("item_id", "len", "tag", descending=[False, True, False])
    return counted.group_by("item_id", maintain_order=True).agg(pl.col("tag").head(TAGS_SHOWN).str.join("|").alias("tags"))
