"""Items, interactions and descriptions from files, checked: what comes out can be indexed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from duetto.tools.reading import columns, published
from duetto.tools.reading.files import Source, require_readable
from duetto.tools.reading.formats import from_csv, from_jsonl, from_parquet

_FORMATS: dict[str, Callable[[Source], pl.DataFrame]] = {
    ".csv": partial(from_csv, separator=","),
    ".tsv": partial(from_csv, separator="\t"),
    ".jsonl": from_jsonl,
    ".ndjson": from_jsonl,
    ".json": from_jsonl,
    ".parquet": from_parquet,
}

_BREAKS = r"\s*[\p{Cc}\u2028\u2029]+\s*"  # a title is said within a line: by a list, a terminal, another program


@dataclass(frozen=True)
class Interactions:
    """Who took what in which order.

    `table` has user_id, item_id, position (0, 1, ... within each user), and rating and timestamp where the file
    has them; sorted by user, then position. `repeated` counts earlier rows dropped because the same user took the
    same item again later.
    """

    table: pl.DataFrame
    repeated: int


def read_table(path: Path, what: str) -> pl.DataFrame:
    """Any table as plain columns; `what` names its content in errors. Raises BadInput."""
    source = Source(path, what)
    require_readable(source)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = suffixes[-2] if len(suffixes) > 1 and suffixes[-1] == ".gz" else "".join(suffixes[-1:])
    if suffix not in _FORMATS or suffixes[-2:] == [".parquet", ".gz"]:
        raise source.refusal(
            f"the name ends in no known format ({', '.join(_FORMATS)}; text also with .gz)", "convert or rename it"
        )
    return _FORMATS[suffix](source)


def read_items(path: Path) -> pl.DataFrame:
    """item_id (Int64 or String, unique), title (String, no nulls) and the other columns; raises BadInput."""
    source = Source(path, "items")
    table = published.items(path)
    if table is None:
        table = read_table(path, source.what)
    columns.require(table, ("item_id", "title"), source)
    item_ids = columns.unique_ids(table["item_id"], source)
    titles = table["title"].cast(pl.String).str.replace_all(_BREAKS, " ").str.strip_chars().replace("", None)
    if titles.null_count() == len(titles):
        raise source.refusal("every title is empty", "fill the column 'title'")
    rest = [columns.finite(column, source) for column in table.drop("item_id", "title").iter_columns()]
    rest = [columns.flags(column, source) if column.name == "available" else column for column in rest]
    kept = [column for column in rest if column.null_count() < len(column)]
    return pl.DataFrame([item_ids, titles.fill_null(item_ids.cast(pl.String)), *kept])


def read_interactions(path: Path) -> Interactions:
    """Every user's history in order of time; ties and missing times fall back to position, then to the file's order.

    Raises BadInput.
    """
    source = Source(path, "interactions")
    table = published.interactions(path)
    if table is None:
        table = read_table(path, source.what)
    columns.require(table, ("user_id", "item_id"), source)
    checks = {"rating": columns.measures, "timestamp": columns.seconds, "position": columns.positions}
    given = [name for name in checks if name in table.columns and table[name].null_count() < table.height]
    checked = pl.DataFrame(
        [columns.ids(table[name], source) for name in ("user_id", "item_id")]
        + [checks[name](table[name], source) for name in given]
    )
    by_time = [name for name in ("timestamp", "position") if name in given]
    ordered = checked.sort("user_id", *by_time, maintain_order=True)
    histories = ordered.unique(["user_id", "item_id"], keep="last", maintain_order=True)
    position = pl.int_range(pl.len(), dtype=pl.Int64).over("user_id").alias("position")
    return Interactions(histories.with_columns(position), repeated=ordered.height - histories.height)


def read_descriptions(path: Path) -> pl.DataFrame:
    """item_id (unique), description (String) and queries (List[String], maybe empty); raises BadInput."""
    source = Source(path, "descriptions")
    table = read_table(path, source.what)
    columns.require(table, ("item_id",), source)
    if not {"description", "queries"} & set(table.columns):
        columns.require(table, ("description",), source)
    texts = {
        name: table[name].cast(pl.String) if name in table.columns else pl.Series(name, [None] * len(table), pl.String)
        for name in ("description", "queries")
    }
    queries = texts["queries"].fill_null("").str.split("|").list.eval(pl.element().str.strip_chars())
    return pl.DataFrame(
        {
            "item_id": columns.unique_ids(table["item_id"], source),
            "description": texts["description"].str.strip_chars().replace("", None),
            "queries": queries.list.eval(pl.element().filter(pl.element() != "")),
        }
    )


def read_recordings(path: Path) -> tuple[dict[str, Any], ...]:
    """user_id and queries (a list of texts) of people whose language voice was recorded; raises BadInput."""
    source = Source(path, "recordings")
    table = read_table(path, source.what)
    columns.require(table, ("user_id", "queries"), source)
    queries = table["queries"].cast(pl.String).fill_null("").str.split("|").list.eval(pl.element().str.strip_chars())
    queries = queries.list.eval(pl.element().filter(pl.element() != ""))
    frame = pl.DataFrame({"user_id": columns.unique_ids(table["user_id"], source), "queries": queries})
    return tuple(frame.to_dicts())
