"""Constraints from turn to turn."""

from typing import Any

from duetto.tools.constraints import checked, columns, in_force, where
from duetto.tools.language import Constraint, Understanding
from duetto.tools.plain.understand import PlainReader
from duetto.tools.predicate import And, Compare, Not, Or, from_json
from tests.tools.films import catalogue

READER = PlainReader(catalogue())


def after(*messages: str) -> list[str]:
    """What was said of the constraints in force after these turns."""
    kept: list[Any] = []
    for message in messages:
        kept = in_force(kept, READER.read(message))
    return [constraint["said"] for constraint in kept]


def test_a_constraint_stays_until_it_is_cleared() -> None:
    assert after("under 2 hours", "something funny", "no horror") == ["under 2 hours", "no horror"]


def test_a_new_bound_replaces_the_old_one_on_its_column() -> None:
    assert after("under 100 minutes", "under 2 hours") == ["under 2 hours"]
    assert after("from the 80s", "after 2000") == ["after 2000"]


def test_a_bound_on_another_column_replaces_nothing() -> None:
    assert after("from the 80s", "under 2 hours") == ["from the 80s", "under 2 hours"]


def test_exclusions_add_up_and_are_not_said_twice() -> None:
    assert after("no horror", "no romance", "no horror") == ["no romance", "no horror"]


def test_an_exclusion_and_an_only_live_side_by_side() -> None:
    assert after("only comedies", "no romance") == ["only comedies", "no romance"]
    assert after("no romance", "only comedies", "only westerns") == ["no romance", "only westerns"]


def test_clearing_a_column_ends_all_its_constraints_and_no_others() -> None:
    assert after("no horror, only comedies, under 2 hours", "any genre") == ["under 2 hours"]


def test_starting_over_ends_everything_but_what_is_said_in_the_same_breath() -> None:
    assert after("no horror", "under 2 hours", "start over, no romance") == ["no romance"]


def test_two_bounds_said_together_are_not_both_lost() -> None:
    assert after("after 1980 and under 2 hours") == ["after 1980", "under 2 hours"]


def test_what_is_in_force_is_one_filter() -> None:
    kept = in_force([], READER.read("no horror, under 2 hours"))
    predicate = from_json(where(kept))
    assert isinstance(predicate, And)
    assert columns(predicate) == {"genres", "minutes"}


def test_nothing_in_force_is_no_filter() -> None:
    assert where([]) is None
    assert where(in_force([], READER.read("start over"))) is None


def test_what_no_column_can_check_is_left_out_and_said() -> None:
    good, bad = Constraint("short", Compare("minutes", "lt", 90)), Constraint("cheap", Compare("price", "lt", 5))
    kept, refused = checked(Understanding(set=(bad, good)), catalogue())
    assert kept.set == (good,)
    assert refused[0].startswith("“cheap” was not applied: cannot filter by 'price'")


def test_a_value_of_the_wrong_type_is_left_out_and_said() -> None:
    _, refused = checked(Understanding(set=(Constraint("old", Compare("year", "lt", "long ago")),)), catalogue())
    assert len(refused) == 1


def test_columns_of_a_predicate_are_found_at_any_depth() -> None:
    deep = Or((Not(And((Compare("a", "eq", 1), Compare("b", "eq", 1)))), Compare("a", "lt", 3), And(())))
    assert columns(deep) == {"a", "b"}
