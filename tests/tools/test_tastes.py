"""What a person said of their tastes, over what was read."""

from duetto.tools.language import REQUEST, Preference, SearchQuery, Understanding
from duetto.tools.tastes import corrected, with_own

HORROR, COMEDY, WESTERN = (
    Preference("Horror", 1.0, (0,), (7,)),
    Preference("Comedy", 0.5, (4,)),
    Preference("Western", 0.2, (8,)),
)
READ = (HORROR, COMEDY, WESTERN)


def weights(*said: tuple[str, float], most: int = 5) -> list[tuple[str, float]]:
    return [(p.text, p.weight) for p in corrected(READ, said, most)]


def test_what_nobody_corrects_is_as_it_was_read() -> None:
    read = (WESTERN, HORROR)
    assert corrected(read, (), 1) is read


def test_a_weight_of_one_s_own_holds_however_the_taste_is_written() -> None:
    assert weights((" wESTERN ", 0.9)) == [("Horror", 1.0), ("Western", 0.9), ("Comedy", 0.5)]


def test_a_taste_keeps_its_evidence_and_its_features_and_tells_how_far_it_was_moved() -> None:
    assert corrected((HORROR,), [("horror", 0.4)], 5) == (Preference("Horror", 0.4, (0,), (7,), moved=-0.6),)


def test_to_correct_twice_is_to_correct_once() -> None:
    said = [("horror", 0.4), ("heist films", 0.7), ("comedy", 0.0)]
    once = corrected(READ, said, 5)
    assert corrected(once, said, 5) == once


def test_a_weight_of_nothing_takes_the_taste_out() -> None:
    assert weights(("horror", 0.0), ("never read", 0.0)) == [("Comedy", 0.5), ("Western", 0.2)]


def test_what_was_not_read_is_added_without_evidence() -> None:
    assert corrected((WESTERN,), [("heist films", 0.7)], 5) == (Preference("heist films", 0.7, (), moved=0.7), WESTERN)


def test_where_there_is_no_room_for_all_the_person_s_own_stay() -> None:
    assert weights(("heist films", 0.1), ("western", 0.3), most=3) == [("Horror", 1.0), ("Western", 0.3), ("heist films", 0.1)]
    assert weights(("a", 0.1), ("b", 0.9), ("c", 0.5), most=2) == [("b", 0.9), ("c", 0.5)]


def test_queries_that_served_what_is_gone_are_gone_too() -> None:
    asked, like = SearchQuery("something short", REQUEST), SearchQuery("a text", "like Alien")
    meaning = Understanding(
        preferences=READ, queries=(asked, like, SearchQuery("ghosts", "Horror"), SearchQuery("fun", "Comedy"))
    )
    assert with_own(meaning, [("horror", 0.0)], 5).queries == (asked, like, SearchQuery("fun", "Comedy"))
    assert with_own(meaning, (), 5) is meaning
