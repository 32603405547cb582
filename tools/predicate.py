"""The one filter language: the vector store, the crowd, catalogue facts and constraint deltas all speak it.

A predicate is a tree of comparisons joined by and / or / not. Comparisons ignore letter case; a column that holds
several values ("Action|Comedy", "Beauty > Hair Care", a list) equals a value when any of its parts does. A missing
value fails every comparison but `ne` and `not_in`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from duetto.errors import BadInput

Operator = Literal["eq", "ne", "in", "not_in", "lt", "le", "gt", "ge", "contains"]
Scalar: TypeAlias = str | int | float | bool

ORDER = ("lt", "le", "gt", "ge")
SEPARATOR = " > "


@dataclass(frozen=True)
class Compare:
    """`column operator value`; `in` and `not_in` take a tuple of values."""

    column: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True)
class And:
    parts: "tuple[Predicate, ...]"


@dataclass(frozen=True)
class Or:
    parts: "tuple[Predicate, ...]"


@dataclass(frozen=True)
class Not:
    part: "Predicate"


Predicate: TypeAlias = Compare | And | Or | Not


def parts_of(column: str) -> pl.Expr:
    """The lower-cased values of a column that may hold several, as a list."""
    return _parts(pl.col(column).cast(pl.String))


def _parts(text: pl.Expr) -> pl.Expr:
    single = text.str.to_lowercase().str.replace_all(SEPARATOR, "|", literal=True)
    return single.str.split("|").list.eval(pl.element().str.strip_chars())


def _text(column: str, dtype: pl.DataType) -> pl.Expr:
    return pl.col(column).list.join("|") if isinstance(dtype, pl.List) else pl.col(column).cast(pl.String)


def expression(predicate: Predicate, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """The polars expression of a predicate, never null.

    Raises BadInput for an unknown column or a value that cannot be compared with the column's type.
    """
    match predicate:
        case And(parts):
            return pl.all_horizontal([pl.lit(True), *(expression(part, schema) for part in parts)])
        case Or(parts):
            return pl.any_horizontal([pl.lit(False), *(expression(part, schema) for part in parts)])
        case Not(part):
            return ~expression(part, schema)
        case Compare():
            return _compare(predicate, schema)


def _compare(predicate: Compare, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    column, operator, value = predicate.column, predicate.operator, predicate.value
    if column not in schema:
        raise BadInput(f"cannot filter by {column!r}: the catalogue has the columns {', '.join(schema)}")
    if operator in ("ne", "not_in"):
        positive: Operator = "eq" if operator == "ne" else "in"
        return ~_compare(Compare(column, positive, value), schema)
    dtype = schema[column]
    if operator in ORDER:
        return _ordered(column, dtype, operator, value)
    values = value if isinstance(value, tuple) else (value,)
    if operator == "contains":
        if isinstance(value, tuple):
            raise BadInput(f"cannot filter {column!r} by contains {value!r}: it takes one text")
        return _text(column, dtype).str.to_lowercase().str.contains(str(value).lower(), literal=True).fill_null(False)
    if dtype == pl.String or isinstance(dtype, pl.List):
        text, wanted = _text(column, dtype), [str(v).strip().lower() for v in values]
        whole = text.str.strip_chars().str.to_lowercase().is_in(wanted)
        any_part = pl.any_horizontal([pl.lit(False), *(_parts(text).list.contains(w) for w in wanted)])
        return whole.fill_null(False) | any_part.fill_null(False)
    side = pl.col(column).cast(pl.Float64) if dtype.is_numeric() else pl.col(column)
    return side.is_in([_as(dtype, v, column) for v in values]).fill_null(False)


def _ordered(column: str, dtype: pl.DataType, operator: str, value: Scalar | tuple[Scalar, ...]) -> pl.Expr:
    if isinstance(value, tuple) or isinstance(dtype, pl.List) or dtype == pl.Boolean:
        raise BadInput(f"cannot filter {column!r} by {operator} {value!r}: an order needs one number, date or text")
    side, other = pl.col(column), _as(dtype, value, column)
    if dtype == pl.String:
        side, other = side.str.to_lowercase(), other.lower()
    compared: pl.Expr = {"lt": side < other, "le": side <= other, "gt": side > other, "ge": side >= other}[operator]
    return compared.fill_null(False)


def _as(dtype: pl.DataType, value: Scalar, column: str) -> Any:
    """The value in the column's own type."""
    try:
        if dtype.is_numeric():
            number = float(value)
            if np.isnan(number):
                raise ValueError("NaN")
            return pl.Series([number]).cast(pl.Float32)[0] if dtype == pl.Float32 else number
        if dtype.is_temporal():
            moment = datetime.fromisoformat(str(value))
            moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
            return moment.date() if dtype == pl.Date else moment
        if dtype == pl.Boolean:
            known = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
            return known[str(value).lower()]
    except (ValueError, OverflowError, KeyError) as error:
        raise BadInput(f"cannot compare column {column!r} ({dtype}) with {value!r}") from error
    return str(value)


def mask(predicate: Predicate | None, table: pl.DataFrame) -> NDArray[np.bool_]:
    """Which rows of the table satisfy the predicate, shape (rows,); None keeps every row."""
    if predicate is None:
        return np.ones(table.height, dtype=np.bool_)
    kept = table.select(expression(predicate, table.schema).alias("kept"))["kept"]
    if len(kept) == 1 and table.height != 1:  # an expression of literals only is not broadcast
        return np.full(table.height, bool(kept[0]), dtype=np.bool_)
    return kept.to_numpy().astype(np.bool_)


def to_json(predicate: Predicate) -> dict[str, Any]:
    """A predicate as plain values, e.g. {"and": [{"column": "year", "operator": "ge", "value": 1990}]}."""
    match predicate:
        case And(parts):
            return {"and": [to_json(part) for part in parts]}
        case Or(parts):
            return {"or": [to_json(part) for part in parts]}
        case Not(part):
            return {"not": to_json(part)}
        case Compare(column, operator, value):
            plain = list(value) if isinstance(value, tuple) else value
            return {"column": column, "operator": operator, "value": plain}


def from_json(data: Any) -> Predicate:
    """The inverse of `to_json`. Raises BadInput naming the part that is not a predicate."""
    if isinstance(data, dict):
        match data:
            case {"and": [*parts]} if len(data) == 1:
                return And(tuple(from_json(part) for part in parts))
            case {"or": [*parts]} if len(data) == 1:
                return Or(tuple(from_json(part) for part in parts))
            case {"not": part} if len(data) == 1:
                return Not(from_json(part))
            case {"column": str(column), "operator": str(operator), "value": value} if operator in get_args(Operator):
                several = isinstance(value, list)
                values = value if several else [value]
                if all(isinstance(v, str | int | float | bool) for v in values):
                    return Compare(column, operator, tuple(values) if several else value)  # type: ignore[arg-type]
    raise BadInput(
        f"cannot read the filter {data!r}: it needs column, operator ({', '.join(get_args(Operator))}) and value, "
        'or one of {"and": [...]}, {"or": [...]}, {"not": ...}'
    )
