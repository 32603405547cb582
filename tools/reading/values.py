"""Loose values into columns of one plain type: text, number, flag, date or moment."""

from typing import Any

import polars as pl

_WHOLE = r"^-?(?:0|[1-9]\d*)$"
_LEADING_ZERO = r"^[+-]?0\d"
# An exponent needs its sign, as programs write it: 12E5 is a product code.
_NUMBER = r"^(?i:[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]\d+)?|[+-]?inf(?:inity)?|nan)$"
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_MOMENT = r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2}(?:\.\d{1,9})?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$"


def texts_typed(texts: pl.Series) -> pl.Series:
    """Text into the narrowest type that every value fits; blanks are null. Codes such as 007 stay text."""
    bare = texts.str.strip_chars()
    blank = bare == ""
    bare = bare.set(blank, None) if blank.any() else bare
    values = bare.drop_nulls()
    if values.is_empty():
        return bare
    if values.str.contains(_WHOLE).all():
        whole = bare.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == bare.null_count() else bare
    if values.str.contains(_NUMBER).all() and not values.str.contains(_LEADING_ZERO).any():
        return bare.cast(pl.Float64)
    if values.str.contains(r"^(?i:true|false)$").all():
        return bare.str.to_lowercase() == "true"
    return _dated(bare)


def column_of(values: list[Any]) -> pl.Series | None:
    """Values of JSON as one column: lists are joined as `A|B`, objects are dropped, mixed types become text.

    None where nothing is left after the objects.
    """
    kinds = set(map(type, values))
    if nested := kinds & {list, dict}:
        values = [_joined(value) for value in values]
        kinds = set(map(type, values))
    kinds.discard(type(None))
    if nested and not kinds:
        return None
    try:
        if kinds == {bool}:
            return pl.Series(values, dtype=pl.Boolean)
        if kinds == {int}:
            return pl.Series(values, dtype=pl.Int64)
        if kinds and kinds <= {int, float}:
            return pl.Series([None if value is None else float(value) for value in values], dtype=pl.Float64)
    except (OverflowError, TypeError):
        pass  # wider than 64 bits: kept as text
    texts = [None if value is None else _text(value) for value in values]
    return _dated(pl.Series(texts, dtype=pl.String)) if kinds == {str} else pl.Series(texts, dtype=pl.String)


def plain(column: pl.Series) -> pl.Series | None:
    """A column of any type as one of the plain ones; None for structs, bytes and the like."""
    kind = column.dtype
    if isinstance(kind, pl.Array):
        column, kind = column.arr.to_list(), pl.List(kind.inner)
    if isinstance(kind, pl.List) and not kind.inner.is_nested() and kind.inner != pl.Binary:
        return column.cast(pl.List(pl.String)).list.join("|", ignore_nulls=True)
    if kind.is_nested() or kind in (pl.Binary, pl.Object, pl.Duration):
        return None
    if isinstance(kind, pl.Datetime):
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if kind.time_zone else column
    if kind.is_decimal():
        return column.cast(pl.Float64)
    keeps = kind.is_numeric() or kind in (pl.Boolean, pl.Date, pl.String, pl.Null)
    return column if keeps else column.cast(pl.String)


def moments(texts: pl.Series) -> pl.Series:
    """ISO dates and times as UTC moments without a zone; null where a text is not one. No zone is taken as UTC."""
    parts = texts.str.strip_chars().str.extract_groups(_MOMENT).struct
    zone = parts.field("4").fill_null("Z").str.replace("Z", "+0000", literal=True)
    whole = parts.field("1") + "T" + parts.field("2").fill_null("00:00") + parts.field("3").fill_null(":00") + zone
    return whole.str.to_datetime("%FT%T%.f%#z", strict=False, time_unit="us").dt.replace_time_zone(None)


def _dated(texts: pl.Series) -> pl.Series:
    values = texts.drop_nulls()
    if values.is_empty() or not values.head(1).str.contains(_MOMENT).all():
        return texts
    found = moments(texts)
    if found.null_count() > texts.null_count():
        return texts
    return found.cast(pl.Date) if values.str.contains(_DATE).all() else found


def _joined(value: Any) -> Any:
    if isinstance(value, dict):
        return None
    if isinstance(value, list):
        parts = [_text(part) for part in value if part is not None and not isinstance(part, (list, dict))]
        return "|".join(parts) if parts else None
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # JSON can spell half of a surrogate pair, which no text may hold.
    return str(value).encode("utf-8", "replace").decode()
