"""CSV, TSV, JSON lines and Parquet into a table of plain columns."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import polars as pl

from duetto.tools.reading.files import FULL_COPY, Source, lines, require_readable, shown
from duetto.tools.reading.values import column_of, plain, texts_typed

CHUNK = 5_000  # rows held as Python objects at a time
UNPARSABLE = (ValueError, SyntaxError, RecursionError, MemoryError)  # how json.loads and ast.literal_eval give up
ALWAYS_TEXT = frozenset({"title", "description", "queries"})  # "1984" is a title before it is a number

Row = tuple[int, list[str]]  # the line it starts on, its fields


def from_csv(source: Source, separator: str) -> pl.DataFrame:
    """A header, then rows with as many fields; a column's type is the narrowest that all its values fit."""
    rows = _csv_rows(source, separator)
    _, header = next(rows, (1, []))
    return from_rows(rows, header, source)


def from_rows(rows: Iterable[Row], header: list[str], source: Source) -> pl.DataFrame:
    """Text fields into typed columns; columns without a name are dropped."""
    names = _unique_names(header, source)
    chunks: list[list[pl.Series]] = []
    batch: list[list[str]] = []
    for line, fields in rows:
        if len(fields) != len(names):
            raise source.refusal(
                f"line {line} has {len(fields)} fields where {len(names)} are expected",
                "mend that line, quoting fields that hold the separator",
            )
        batch.append(fields)
        if len(batch) == CHUNK:
            chunks.append(_texts(batch))
            batch = []
    if batch:
        chunks.append(_texts(batch))
    if not chunks:
        raise source.refusal("it has a header but no rows", "add the rows")
    columns = {name: pl.concat(parts) for name, parts in zip(names, zip(*chunks, strict=True), strict=True) if name}
    typed = {name: values if name in ALWAYS_TEXT else texts_typed(values) for name, values in columns.items()}
    return pl.DataFrame(typed)


def split_rows(source: Source, separator: str, fallback: str | None = None) -> Iterator[Row]:
    """Rows of a file without header or quotes, such as `1::Toy Story (1995)::Comedy`."""
    for number, line in enumerate(lines(source, fallback), start=1):
        if line := line.rstrip("\r\n"):
            yield number, line.split(separator)


def from_jsonl(source: Source) -> pl.DataFrame:
    """One object a line; columns in order of first appearance, a missing key is null."""
    names: dict[str, list[Any]] = {}
    count = 0
    for count, record in enumerate(records(source, json.loads), start=1):
        for key, value in record.items():
            values = names.setdefault(key, [])
            values.extend([None] * (count - 1 - len(values)))
            values.append(value)
    if not count:
        raise source.refusal("it has no rows", "write one JSON object per line")
    for values in names.values():
        values.extend([None] * (count - len(values)))
    return _plain_frame(names, [column_of(values) for values in names.values()], source)


def records(source: Source, parse: Callable[[str], Any]) -> Iterator[dict[str, Any]]:
    """The object on each line that is not blank."""
    for number, line in enumerate(lines(source), start=1):
        if line.isspace():
            continue
        try:
            record = parse(line)
        except UNPARSABLE:
            raise source.refusal(f"line {number} is not valid JSON", "mend or remove that line") from None
        if not isinstance(record, dict):
            raise source.refusal(f"line {number} is not a JSON object", "write one object per line, as in JSON lines")
        yield record


def from_parquet(source: Source) -> pl.DataFrame:
    require_readable(source)
    try:
        frame = pl.read_parquet(source.path, glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise source.refusal(f"it is not a readable Parquet file ({shown(error)})", FULL_COPY) from error
    if frame.is_empty():
        raise source.refusal("it has no rows", "add the rows")
    return _plain_frame(frame.columns, [plain(column) for column in frame.iter_columns()], source)


def _csv_rows(source: Source, separator: str) -> Iterator[Row]:
    reader = csv.reader(lines(source), delimiter=separator, strict=True)
    start = 1
    try:
        for fields in reader:
            if fields:
                yield start, fields
            start = reader.line_num + 1
    except csv.Error as error:
        raise source.refusal(f"the row at line {start} cannot be split ({error})", "mend its quotes") from None


def _texts(rows: list[list[str]]) -> list[pl.Series]:
    return [pl.Series(fields, dtype=pl.String) for fields in zip(*rows, strict=True)]


def _plain_frame(names: Iterable[str], columns: list[pl.Series | None], source: Source) -> pl.DataFrame:
    clean = _unique_names([name.encode("utf-8", "replace").decode() for name in names], source)
    return pl.DataFrame({n: column for n, column in zip(clean, columns, strict=True) if n and column is not None})


def _unique_names(names: Iterable[str], source: Source) -> list[str]:
    stripped = [name.strip() for name in names]
    named = [name for name in stripped if name]
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise source.refusal(f"the column {shown(twice)} appears twice", "rename or drop one")
    return stripped
