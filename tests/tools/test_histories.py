"""Who took what, in which order."""

import numpy as np
import polars as pl
import pytest

from duetto.tools.catalogue import Catalogue
from duetto.tools.histories import NOBODY, Histories, History
from tests.tools.films import catalogue, log, people

ALL = Histories.of(people(), catalogue())


def of(*events: tuple[str, int | str], rating: list[float | None] | None = None) -> Histories:
    return Histories.of(log(*events, rating=rating), catalogue())


def test_a_history_is_oldest_first_by_position_not_by_the_file_s_order() -> None:
    table = log(("ann", 3), ("ann", 1), ("ann", 2)).with_columns(position=pl.Series([2, 0, 1]))
    assert Histories.of(table, catalogue()).of_user("ann").rows.tolist() == [0, 1, 2]


def test_people_whose_rows_are_mixed_keep_their_own() -> None:
    mixed = of(("bob", 1), ("ann", 2), ("bob", 3), ("ann", 4))
    assert mixed.of_user("bob").rows.tolist() == [0, 2]
    assert mixed.of_user("ann").rows.tolist() == [1, 3]
    assert len(mixed) == 2


def test_everybody_s_history_is_theirs() -> None:
    assert [ALL.of_user(user).rows.tolist() for user in ("cleo", "finn")] == [[3, 0, 1, 2], [2, 9]]
    assert [ALL.at(place).rows.tolist() for place in range(7)] == [ALL.of_user(user).rows.tolist() for user in ALL.users]


@pytest.mark.parametrize("user", [None, "nobody", 7, ""])
def test_a_stranger_s_history_is_empty_and_says_so(user: object) -> None:
    history = ALL.of_user(user)
    assert (len(history), history.known) == (0, False)


def test_a_person_is_found_by_the_text_of_their_id() -> None:
    table = log(("1", 1), ("2", 2)).with_columns(pl.col("user_id").cast(pl.Int64))
    numbered = Histories.of(table, catalogue())
    assert numbered.of_user("2").rows.tolist() == numbered.of_user(2).rows.tolist() == [1]


def test_item_ids_are_looked_up_as_text() -> None:
    texts = Catalogue.of(catalogue().table.with_columns(pl.col("item_id").cast(pl.String)))
    assert Histories.of(people(), texts).rows.tolist() == ALL.rows.tolist()


def test_a_rating_below_the_middle_of_the_log_s_scale_is_a_dislike() -> None:
    rated = of(("a", 1), ("a", 2), ("a", 3), ("a", 4), rating=[1, 3, 5, 2.9])
    assert rated.of_user("a").disliked.tolist() == [True, False, False, True]


def test_a_log_of_one_rating_has_no_dislikes() -> None:
    assert not of(("a", 1), ("b", 2), rating=[1, 1]).disliked.any()


def test_a_missing_rating_is_no_dislike() -> None:
    assert of(("a", 1), ("a", 2), ("a", 3), rating=[None, 1, 5]).disliked.tolist() == [False, True, False]
    assert not of(("a", 1), ("a", 2), rating=[None, None]).disliked.any()


def test_feedback_comes_after_the_history() -> None:
    history = ALL.of_user("ann").with_feedback([7], [9])
    assert history.rows.tolist() == [0, 1, 3, 7, 9]
    assert history.disliked.tolist() == [False, False, False, False, True]
    assert history.known


def test_an_item_s_last_event_counts() -> None:
    history = ALL.of_user("ann").with_feedback([], [0])
    assert history.rows.tolist() == [1, 3, 0]
    assert history.disliked.tolist() == [False, False, True]
    assert history.with_feedback([0], []).disliked.tolist() == [False, False, False]


def test_a_dislike_wins_over_a_like_of_the_same_turn() -> None:
    assert NOBODY.with_feedback([4], [4]).disliked.tolist() == [True]


def test_feedback_said_twice_counts_once() -> None:
    assert NOBODY.with_feedback([4, 5, 4], []).rows.tolist() == [5, 4]


def test_no_feedback_changes_nothing() -> None:
    history = ALL.of_user("ann").with_feedback([], [])
    assert history.rows.tolist() == ALL.of_user("ann").rows.tolist()
    assert len(NOBODY.with_feedback([], [])) == 0


def test_liked_rows_are_the_newest_that_were_not_disliked() -> None:
    history = History(np.array([5, 6, 7, 8], np.int32), np.array([False, True, False, False]), known=True)
    assert history.liked_rows() == [5, 7, 8]
    assert history.liked_rows(2) == [7, 8]
    assert history.liked_rows(99) == [5, 7, 8]
    assert history.liked_rows(0) == []


def test_likes_are_everybody_s_in_order_without_dislikes() -> None:
    rated = of(("a", 5), ("b", 1), ("a", 3), ("b", 2), ("a", 4), rating=[5, 5, 1, 5, 5])
    person, rows = rated.likes()
    assert (person.tolist(), rows.tolist()) == ([0, 0, 1, 1], [4, 3, 0, 1])


def test_positives_are_people_by_items_without_dislikes() -> None:
    rated = of(("a", 1), ("a", 2), ("b", 3), rating=[5, 1, 5])
    assert rated.positives(12).toarray()[:, :4].tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]


def test_a_cut_takes_each_person_s_own_number_of_newest_events() -> None:
    newest = np.arange(len(ALL)) % 3
    cut = ALL.cut(newest)
    assert cut.users == ALL.users
    for place, taken in enumerate(newest.tolist()):
        whole = ALL.at(place).rows.tolist()
        assert cut.at(place).rows.tolist() == whole[: len(whole) - taken]


def test_a_cut_takes_dislikes_along_and_may_take_everything() -> None:
    rated = of(("a", 1), ("a", 2), ("b", 3), ("b", 4), ("b", 5), rating=[1, 5, 5, 1, 5])
    cut = rated.cut(np.array([9, 1]))
    assert (cut.at(0).rows.tolist(), cut.at(1).rows.tolist()) == ([], [2, 3])
    assert cut.at(1).disliked.tolist() == [False, True]
    assert cut.indptr.tolist() == [0, 0, 2]


def test_a_cut_of_nothing_changes_nothing() -> None:
    same = ALL.cut(np.zeros(len(ALL), np.int64))
    assert (same.rows.tolist(), same.indptr.tolist()) == (ALL.rows.tolist(), ALL.indptr.tolist())


def test_an_empty_log_has_nobody_in_it() -> None:
    nobody = Histories.of(people().clear(), catalogue())
    assert len(nobody) == 0
    assert nobody.of_user("ann") is NOBODY
    assert nobody.positives(12).shape == (0, 12)
    assert len(nobody.cut(np.zeros(0, np.int64))) == len(nobody.likes()[0]) == 0
