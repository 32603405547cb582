"""What to give up where the limits leave nothing, and what each of it brings."""

from typing import Any

import numpy as np

from duetto.tools.constraints import in_force
from duetto.tools.plain.understand import PlainReader
from duetto.tools.relax import relaxations
from tests.tools.films import catalogue

READER = PlainReader(catalogue())
ALL = np.ones(12, dtype=bool)


def offered(*messages: str, keep: Any = ALL) -> list[str]:
    kept: list[Any] = []
    for message in messages:
        kept = in_force(kept, READER.read(message))
    return [str(one) for one in relaxations(READER.catalogue, kept, keep)]


def test_a_range_is_moved_and_not_dropped() -> None:
    assert offered("under 80 minutes") == ["10 items with minutes up to 140"]


def test_each_limit_alone_is_given_up() -> None:
    assert offered("only westerns", "after 2000") == ["1 item with year from 1965", "3 items without “only westerns”"]


def test_two_limits_go_where_neither_alone_is_enough() -> None:
    found = offered("only westerns", "no Sergio Leone", "from 1850")
    assert found
    assert all(" and " in one for one in found)


def test_what_may_not_be_recommended_is_not_offered() -> None:
    assert offered("only horror", "after 1985") == ["2 items with year from 1979", "7 items without “only horror”"]
    no_horror = ~np.array(READER.catalogue.table["genres"].str.contains("Horror").to_list())
    assert offered("only horror", "after 1985", keep=no_horror) == ["7 items without “only horror”"]


def test_the_counts_are_true() -> None:
    kept = in_force([], READER.read("only animation"))
    kept = in_force(kept, READER.read("before 1990"))
    for one in relaxations(READER.catalogue, kept, ALL):
        table = READER.catalogue.table
        if one.now is None:
            assert one.count == table.filter(table["year"] < 1990).height
        else:
            assert one.count == 2


def test_without_limits_there_is_nothing_to_give_up() -> None:
    assert relaxations(READER.catalogue, [], ALL) == []
