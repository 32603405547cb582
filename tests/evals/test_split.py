"""Which interactions are predicted, and from what."""

import polars as pl
import pytest

from duetto.errors import BadInput
from duetto.evals.split import EVENTS, cases, leave_one_out, temporal
from duetto.tools.catalogue import Catalogue

CATALOGUE = Catalogue.of(pl.DataFrame({"item_id": list(range(30)), "title": [f"t{i}" for i in range(30)]}))


def log(**people: list[int]) -> pl.DataFrame:
    rows = [(user, item, position) for user, items in people.items() for position, item in enumerate(items)]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "position"], orient="row")


def test_each_person_s_last_item_is_the_label_and_is_fitted_on_by_nothing() -> None:
    whole = log(ann=[1, 2, 3], bob=[3, 4])
    split = leave_one_out(whole)
    assert split.labels.select("user_id", "item_id").rows() == [("ann", 3), ("bob", 4)]
    assert split.training.select("user_id", "item_id").rows() == [("ann", 1), ("ann", 2), ("bob", 3)]
    assert [(c.user, c.history.rows.tolist(), c.label) for c in cases(whole, split, CATALOGUE)] == [
        ("ann", [1, 2], 3),
        ("bob", [3], 4),
    ]


def test_somebody_with_one_item_is_fitted_on_and_not_predicted() -> None:
    split = leave_one_out(log(ann=[1], bob=[3, 4]))
    assert split.labels["user_id"].to_list() == ["bob"]
    assert split.training["user_id"].to_list() == ["ann", "bob"]


def test_a_dislike_is_no_label_and_is_not_fitted_on_either() -> None:
    rated = log(ann=[1, 2, 3], bob=[3, 4]).with_columns(rating=pl.Series([5.0, 5, 1, 5, 5]))
    split = leave_one_out(rated)
    assert split.labels["item_id"].to_list() == [4]
    assert split.training.filter(pl.col("user_id") == "ann")["item_id"].to_list() == [1, 2]


def test_a_label_outside_the_catalogue_is_no_case() -> None:
    whole = log(ann=[1, 2, 99], bob=[3, 4])
    assert [c.user for c in cases(whole, leave_one_out(whole), CATALOGUE)] == ["bob"]


def test_time_splits_everybody_at_one_moment() -> None:
    times = pl.Series([10, 20, 90, 30, 40, 95, 50, 60, 70, 80])
    whole = log(ann=[1, 2, 3], bob=[4, 5, 6], cid=[7, 8, 9, 10]).with_columns(timestamp=times)
    split = temporal(whole)
    assert split.labels.select("user_id", "item_id").rows() == [("ann", 3), ("bob", 6)]
    assert split.training.height == 8
    assert [c.history.rows.tolist() for c in cases(whole, split, CATALOGUE)] == [[1, 2], [4, 5]]


def test_histories_grow_after_the_moment_and_the_first_ten_likes_are_labels() -> None:
    early = log(ann=[0, 1], **{f"p{i}": [0, 1] for i in range(30)}).with_columns(timestamp=pl.lit(1))
    late = log(ann=[0, 1, *range(5, 20)]).slice(2).with_columns(timestamp=pl.lit(9))
    whole = pl.concat([early, late])
    mine = cases(whole, temporal(whole), CATALOGUE)
    assert {case.user for case in mine} == {"ann"}
    assert len(mine) == EVENTS
    assert [len(case.history) for case in mine] == list(range(2, 2 + EVENTS))


def test_a_log_without_times_cannot_be_split_by_time() -> None:
    with pytest.raises(BadInput, match="no timestamp; use --protocol leave-one-out"):
        temporal(log(ann=[1, 2, 3]))
