"""What the columns of items and interactions must hold; each check names the first data row that breaks it."""

import re

import polars as pl
from rapidfuzz import fuzz, process

from duetto.tools.reading.files import Source, shown
from duetto.tools.reading.values import moments

ID_CHARS = 512
_EXACT = 2**53  # above it a float no longer tells whole numbers apart
_FLAGS = {"true": True, "1": True, "1.0": True, "yes": True, "false": False, "0": False, "0.0": False, "no": False}


def require(table: pl.DataFrame, names: tuple[str, ...], source: Source) -> None:
    """Raises BadInput for the first of `names` that is not a column, with the column it may be under."""
    for name in names:
        if name in table.columns:
            continue
        found = ", ".join(shown(column) for column in table.columns[:20]) or "none"
        near = process.extractOne(name, table.columns, scorer=fuzz.WRatio, processor=_letters, score_cutoff=60)
        guess = f"; did you mean {shown(near[0])}?" if near else ""
        raise source.refusal(f"there is no column {name!r} (found: {found}{guess})", f"name one {name!r}")


def ids(column: pl.Series, source: Source) -> pl.Series:
    """Ids as Int64, or as text without surrounding spaces; raises BadInput for a missing or unusable one."""
    if column.dtype.is_float():
        column = column.fill_nan(None)
        inexact = (column != column.round()) | (column.abs() > _EXACT)
        _refuse_first(inexact, column, "is not a whole number", "write ids as whole numbers or text", source)
        column = column.cast(pl.Int64)
    if column.dtype.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        column = whole if whole.null_count() == column.null_count() else column.cast(pl.String)
    if not column.dtype.is_integer():
        column = column.cast(pl.String).str.strip_chars()
        _refuse_first(column == "", column, "is empty", "give every row an id", source)
        too_long = column.str.len_chars() > ID_CHARS
        _refuse_first(too_long, column, f"is longer than {ID_CHARS} characters", "use shorter ids", source)
    _refuse_first(column.is_null(), column, "is empty", "give every row an id", source)
    return column


def unique_ids(column: pl.Series, source: Source) -> pl.Series:
    """`ids`, of which no two may be equal."""
    column = ids(column, source)
    repeated = column.is_duplicated()
    if repeated.any():
        value = column.filter(repeated)[0]
        first, second = (column == value).arg_true()[:2]
        raise source.refusal(
            f"{column.name} {shown(value)} appears twice, in data rows {first + 1} and {second + 1}",
            "keep one row for each",
        )
    return column


def measures(column: pl.Series, source: Source) -> pl.Series:
    """Float64, null where a value is missing; raises BadInput for text that is no number, NaN and infinity."""
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        column = column.cast(pl.String).str.strip_chars().replace("", None)
    numbers = column.cast(pl.Float64, strict=False)
    unread = numbers.is_null() & column.is_not_null()
    _refuse_first(unread, column, "is not a number", "mend or remove that row", source)
    _refuse_first(~numbers.is_finite(), column, "is not a finite number", "mend or remove that row", source)
    return numbers


def seconds(column: pl.Series, source: Source) -> pl.Series:
    """Int64 seconds since 1970 from numbers, dates or ISO text, in every row."""
    _refuse_first(column.is_null(), column, "is empty", "give every row a time or drop the column", source)
    if column.dtype == pl.String and column.cast(pl.Float64, strict=False).null_count():
        found = moments(column)
        remedy = "write seconds or an ISO date such as 2024-05-31T12:00:00Z"
        _refuse_first(found.is_null(), column, "is not a time", remedy, source)
        column = found
    if column.dtype.is_temporal():
        return column.dt.epoch("s")
    numbers = measures(column, source)
    _refuse_first(numbers.abs() > _EXACT, column, "is out of range", "write seconds since 1970", source)
    return column.cast(pl.Int64) if column.dtype.is_integer() else numbers.floor().cast(pl.Int64)


def positions(column: pl.Series, source: Source) -> pl.Series:
    """Int64 places in a history, in every row."""
    numbers = measures(column, source)
    remedy = "number each user's rows 0, 1, 2, ... or drop the column"
    wrong = numbers.is_null() | (numbers != numbers.floor()) | (numbers.abs() > _EXACT)
    _refuse_first(wrong, column, "is not a whole number", remedy, source)
    return numbers.cast(pl.Int64)


def flags(column: pl.Series, source: Source) -> pl.Series:
    """Boolean from true/false, yes/no, 1/0; null where a value is missing."""
    texts = column.cast(pl.String).str.strip_chars().str.to_lowercase()
    found = texts.replace_strict(_FLAGS, default=None, return_dtype=pl.Boolean)
    unread = found.is_null() & texts.is_not_null() & (texts != "")
    _refuse_first(unread, column, "is not true or false", "write true or false", source)
    return found


def finite(column: pl.Series, source: Source) -> pl.Series:
    """NaN becomes null; raises BadInput for infinity."""
    if not column.dtype.is_float():
        return column
    _refuse_first(column.is_infinite(), column, "is infinite", "leave it empty or write a finite number", source)
    return column.fill_nan(None)


def _refuse_first(wrong: pl.Series, column: pl.Series, problem: str, remedy: str, source: Source) -> None:
    if wrong.any():
        row = int(wrong.arg_true()[0])
        value = column[row]
        text = "" if value is None or value == "" else f" {shown(value)}"
        raise source.refusal(f"the {column.name}{text} in data row {row + 1} {problem}", remedy)


def _letters(name: str) -> str:
    return re.sub(r"[^0-9a-z]", "", name.lower())
