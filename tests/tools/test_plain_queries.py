"""Search queries written without a language model."""

from dataclasses import replace

from duetto.tools.language import REQUEST, Preference, SearchQuery, Understanding
from duetto.tools.plain.columns import Columns
from duetto.tools.plain.queries import queries
from tests.tools.films import catalogue

TASTES = (Preference("Horror", 1.0, (0,)), Preference("Comedy", 0.5, (4,)), Preference("Western", 0.2, (8,)))


def written(understood: Understanding, tastes: tuple[Preference, ...] = TASTES, most: int = 6) -> tuple[SearchQuery, ...]:
    return queries(replace(understood, preferences=tastes), Columns(catalogue()), most)


def test_a_silent_visitor_gets_no_query() -> None:
    assert written(Understanding()) == ()


def test_a_wish_that_says_what_it_wants_is_searched_as_it_is() -> None:
    wish = "a detective hunts robbers through the city"
    assert written(Understanding(wish=wish)) == (SearchQuery(wish, REQUEST),)


def test_a_vague_wish_is_seen_through_the_strongest_tastes() -> None:
    found = written(Understanding(wish="something short"))
    assert found == (
        SearchQuery("something short", REQUEST),
        SearchQuery("something short, Horror", "Horror"),
        SearchQuery("something short, Comedy", "Comedy"),
    )


def test_a_short_wish_that_names_a_kind_is_searched_as_it_is() -> None:
    for wish in ("horror", "a dark thriller", "science fiction"):
        assert written(Understanding(wish=wish)) == (SearchQuery(wish, REQUEST),)


def test_an_example_is_searched_by_its_own_text() -> None:
    found = written(Understanding(alike=(0,)))
    assert found == (SearchQuery(catalogue().document(0), "like Alien"),)


def test_what_was_just_liked_is_an_example_when_nothing_is_wished_for() -> None:
    assert [query.serves for query in written(Understanding(liked=(2, 9)))] == ["like Heat", "like Se7en"]
    assert [query.serves for query in written(Understanding(liked=(2,), wish="a long and slow story"))] == [REQUEST]


def test_no_more_queries_are_written_than_may_be() -> None:
    assert len(written(Understanding(liked=tuple(range(12))), most=4)) == 4
    assert written(Understanding(wish="short"), most=1) == (SearchQuery("short", REQUEST),)


def test_a_wish_of_stop_words_alone_is_not_personalised() -> None:
    assert len(written(Understanding(wish="more of the same"))) == 1
