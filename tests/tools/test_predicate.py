"""The filter language, operator by operator and type by type."""

import json
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duetto.errors import BadInput
from duetto.tools.predicate import And, Compare, Not, Operator, Or, Predicate, Scalar, from_json, mask, to_json

TABLE = pl.DataFrame(
    {
        "item_id": [1, 2, 3, 4],
        "title": ["Soap", "comb", "Brush", None],
        "genres": ["Action|Comedy", "Drama", None, "Sci-Fi | Drama"],
        "shelf": ["Beauty > Hair Care", "Beauty", "Beauty > Skin", None],
        "price": [5.0, 9.99, None, 20.0],
        "stock": pl.Series([0, 3, 300, None], dtype=pl.Int16),
        "weight": pl.Series([0.1, 0.2, None, 1.5], dtype=pl.Float32),
        "added": [date(2020, 1, 1), None, date(2021, 5, 5), date(2021, 5, 6)],
        "seen": [datetime(2020, 1, 1, 12), None, datetime(2021, 5, 5), datetime(2021, 5, 6, 0, 30)],
        "new": [True, False, None, True],
        "queries": [["red soap", "bath"], [], None, ["Bath"]],
    },
    strict=False,
)


def kept(column: str, operator: Operator, value: Scalar | tuple[Scalar, ...], table: pl.DataFrame = TABLE) -> list[int]:
    """The ids of the rows a comparison keeps; its negation must keep all others."""
    found = mask(Compare(column, operator, value), table)
    opposite = mask(Not(Compare(column, operator, value)), table)
    assert (found ^ opposite).all()
    return table.filter(pl.Series(found))["item_id"].to_list()


@pytest.mark.parametrize(
    ("column", "operator", "value", "ids"),
    [
        # text: letter case and surrounding space aside
        ("title", "eq", "SOAP", [1]),
        ("title", "eq", " soap ", [1]),
        ("title", "eq", "soa", []),
        ("title", "ne", "soap", [2, 3, 4]),
        ("title", "in", ("comb", "brush", "x"), [2, 3]),
        ("title", "not_in", ("comb", "brush"), [1, 4]),
        ("title", "contains", "O", [1, 2]),
        ("title", "contains", "o.p", []),
        ("title", "contains", "", [1, 2, 3]),
        ("title", "lt", "C", [3]),
        ("title", "ge", "comb", [1, 2]),
        ("title", "eq", 7, []),
        # several values in one cell
        ("genres", "eq", "comedy", [1]),
        ("genres", "eq", "drama", [2, 4]),
        ("genres", "eq", "action|comedy", [1]),
        ("genres", "in", ("Action", "Sci-Fi"), [1, 4]),
        ("genres", "not_in", ("Drama",), [1, 3]),
        ("genres", "ne", "Drama", [1, 3]),
        ("genres", "eq", "act", []),
        ("genres", "contains", "act", [1]),
        ("shelf", "eq", "hair care", [1]),
        ("shelf", "eq", "beauty", [1, 2, 3]),
        ("shelf", "eq", "Beauty > Hair Care", [1]),
        # numbers, whatever their width
        ("price", "lt", 9.99, [1]),
        ("price", "le", 9.99, [1, 2]),
        ("price", "gt", "9.99", [4]),
        ("price", "ge", 5, [1, 2, 4]),
        ("price", "eq", "5", [1]),
        ("price", "ne", 5, [2, 3, 4]),
        ("price", "in", (5, 20.0), [1, 4]),
        ("price", "not_in", (5, 20.0), [2, 3]),
        ("price", "contains", ".99", [2]),
        ("price", "lt", float("inf"), [1, 2, 4]),
        ("stock", "lt", 70_000, [1, 2, 3]),
        ("stock", "gt", -70_000, [1, 2, 3]),
        ("stock", "eq", 300, [3]),
        ("stock", "eq", 70_000, []),
        ("stock", "eq", 2.5, []),
        ("stock", "gt", 2.5, [2, 3]),
        ("stock", "eq", False, [1]),
        ("weight", "eq", 0.1, [1]),
        ("weight", "gt", 0.1, [2, 4]),
        ("item_id", "in", (1, "3"), [1, 3]),
        # dates and times
        ("added", "eq", "2020-01-01", [1]),
        ("added", "ge", "2021-05-05", [3, 4]),
        ("added", "gt", "2021-05-05", [4]),
        ("added", "lt", "2021-05-05T23:00:00", [1]),
        ("added", "in", ("2020-01-01", "2021-05-06"), [1, 4]),
        ("added", "ne", "2020-01-01", [2, 3, 4]),
        ("added", "contains", "2021-05", [3, 4]),
        ("seen", "gt", "2020-01-01 11:59:59", [1, 3, 4]),
        ("seen", "lt", "2021-05-06", [1, 3]),
        ("seen", "eq", "2021-05-06T00:30:00Z", [4]),
        ("seen", "le", "2021-05-06T02:30:00+02:00", [1, 3, 4]),
        # flags
        ("new", "eq", True, [1, 4]),
        ("new", "eq", "yes", [1, 4]),
        ("new", "eq", 0, [2]),
        ("new", "ne", True, [2, 3]),
        ("new", "in", (True, False), [1, 2, 4]),
        # lists
        ("queries", "eq", "bath", [1, 4]),
        ("queries", "contains", "soap", [1]),
        ("queries", "ne", "bath", [2, 3]),
        # no value at all
        ("title", "in", (), []),
        ("price", "in", (), []),
        ("added", "not_in", (), [1, 2, 3, 4]),
    ],
)  # fmt: skip
def test_a_comparison_keeps(column: str, operator: Operator, value: Scalar | tuple[Scalar, ...], ids: list[int]) -> None:
    assert kept(column, operator, value) == ids


@pytest.mark.parametrize("operator", ["eq", "in", "lt", "le", "gt", "ge", "contains"])
@pytest.mark.parametrize(("column", "value"), [("price", 1), ("title", "x"), ("added", "2020-01-01")])
def test_a_missing_value_fails_every_comparison_but_the_negative_ones(operator: Operator, column: str, value: Scalar) -> None:
    nothing = TABLE.select("item_id", pl.lit(None).cast(TABLE.schema[column]).alias(column))
    assert kept(column, operator, (value,) if operator == "in" else value, nothing) == []
    assert kept(column, "ne", value, nothing) == kept(column, "not_in", (value,), nothing) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("column", "operator", "value"),
    [
        ("price", "lt", "cheap"),
        ("price", "eq", float("nan")),
        ("price", "lt", float("nan")),
        ("price", "in", (1, "x")),
        ("price", "gt", 10**400),
        ("price", "lt", (1, 2)),
        ("added", "ge", "last year"),
        ("added", "ge", 2020),
        ("seen", "eq", "2020-13-01"),
        ("new", "eq", "maybe"),
        ("new", "lt", True),
        ("title", "lt", ("a",)),
        ("title", "contains", ("a", "b")),
        ("queries", "lt", "a"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_compared_is_bad_input_naming_the_column(
    column: str, operator: Operator, value: Scalar | tuple[Scalar, ...]
) -> None:
    with pytest.raises(BadInput, match=repr(column)):
        mask(Compare(column, operator, value), TABLE)


@pytest.mark.parametrize("operator", ["eq", "ne", "in", "lt", "contains"])
def test_an_unknown_column_is_bad_input_naming_those_there_are(operator: Operator) -> None:
    with pytest.raises(BadInput, match=r"'colour'.*has the columns item_id, title, genres"):
        mask(And((Not(Compare("colour", operator, "red")),)), TABLE)


CHEAP, NEW = Compare("price", "lt", 10), Compare("new", "eq", True)


@pytest.mark.parametrize(
    ("predicate", "ids"),
    [
        (None, [1, 2, 3, 4]),
        (And(()), [1, 2, 3, 4]),
        (Or(()), []),
        (Not(And(())), []),
        (Not(Or(())), [1, 2, 3, 4]),
        (And((CHEAP,)), [1, 2]),
        (And((CHEAP, NEW)), [1]),
        (Or((CHEAP, NEW)), [1, 2, 4]),
        (Not(Or((CHEAP, NEW))), [3]),
        (And((NEW, Not(CHEAP))), [4]),
        (Not(Not(CHEAP)), [1, 2]),
        (And((Or((CHEAP, NEW)), Not(And((CHEAP, NEW))))), [2, 4]),
        (And((CHEAP, And(()))), [1, 2]),
        (Or((CHEAP, Or(()))), [1, 2]),
    ],
)
def test_parts_join(predicate: Predicate | None, ids: list[int]) -> None:
    assert TABLE.filter(pl.Series(mask(predicate, TABLE)))["item_id"].to_list() == ids


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.parametrize("predicate", [None, And(()), Or(()), Not(And(())), CHEAP, Compare("title", "in", ()), Not(NEW)])
def test_the_mask_has_one_flag_a_row_however_few(predicate: Predicate | None, rows: int) -> None:
    found = mask(predicate, TABLE.head(rows))
    assert found.shape == (rows,)
    assert found.dtype == np.bool_


COLUMNS = st.sampled_from(TABLE.columns)
SCALARS: st.SearchStrategy[Scalar] = st.one_of(
    st.text(max_size=8), st.integers(), st.floats(allow_nan=False), st.booleans(), st.dates().map(str)
)
COMPARISONS = st.one_of(
    st.builds(Compare, COLUMNS, st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge", "contains"]), SCALARS),
    st.builds(Compare, COLUMNS, st.sampled_from(["in", "not_in"]), st.lists(SCALARS, max_size=3).map(tuple)),
)
PREDICATES: st.SearchStrategy[Predicate] = st.recursive(
    COMPARISONS,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3).map(lambda p: And(tuple(p))),
        st.lists(parts, max_size=3).map(lambda p: Or(tuple(p))),
        parts.map(Not),
    ),
    max_leaves=6,
)


@given(PREDICATES)
def test_a_predicate_survives_json(predicate: Predicate) -> None:
    assert from_json(json.loads(json.dumps(to_json(predicate)))) == predicate


@given(PREDICATES)
def test_any_predicate_either_keeps_rows_or_is_bad_input(predicate: Predicate) -> None:
    try:
        found = mask(predicate, TABLE)
    except BadInput:
        return
    assert (found ^ mask(Not(predicate), TABLE)).all()
    assert (mask(from_json(to_json(predicate)), TABLE) == found).all()


def test_a_predicate_reads_as_written_in_the_documentation() -> None:
    written = {"and": [{"column": "year", "operator": "ge", "value": 1990}, {"not": {"or": []}}]}
    assert from_json(written) == And((Compare("year", "ge", 1990), Not(Or(()))))
    assert to_json(from_json(written)) == written


def test_a_list_of_values_is_read_as_several() -> None:
    assert from_json({"column": "a", "operator": "in", "value": [1, "x"]}) == Compare("a", "in", (1, "x"))


@pytest.mark.parametrize(
    "data",
    [
        None, 3, "price < 3", [], {}, {"and": 3}, {"and": [3]}, {"or": {}}, {"not": None}, {"not": []},
        {"and": [], "or": []}, {"column": "price"}, {"column": "price", "operator": "lt"},
        {"column": "price", "operator": "<", "value": 3}, {"column": 3, "operator": "lt", "value": 3},
        {"column": "price", "operator": "lt", "value": None}, {"column": "price", "operator": "in", "value": [None]},
        {"column": "price", "operator": "in", "value": {"a": 1}},
    ],
)  # fmt: skip
def test_what_is_no_filter_is_bad_input_that_says_what_one_is(data: Any) -> None:
    with pytest.raises(BadInput, match=r"cannot read the filter .* needs column, operator"):
        from_json(data)


@given(
    st.recursive(st.none() | st.booleans() | st.text(max_size=4), lambda x: st.lists(x) | st.dictionaries(st.text(max_size=5), x))
)
def test_any_json_is_a_filter_or_bad_input(data: Any) -> None:
    try:
        read = from_json(data)
    except BadInput:
        return
    assert to_json(read) == data
