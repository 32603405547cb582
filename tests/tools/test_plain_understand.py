"""Messages as people write them, read without a language model."""

import time

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from duetto.tools.catalogue import Catalogue
from duetto.tools.constraints import checked
from duetto.tools.conversation import Conversation
from duetto.tools.language import Understanding
from duetto.tools.plain.understand import PlainReader
from duetto.tools.predicate import And, Compare, Not, Operator, Predicate, mask
from tests.tools.films import catalogue

FILMS = PlainReader(catalogue()).warm()
SHOP = PlainReader(
    Catalogue.of(
        pl.DataFrame(
            {
                "item_id": ["a", "b", "c", "d"],
                "title": ["Rose Soap", "Steel Comb", "Bath Brush", "Hair Oil"],
                "brand": ["Lush", "Kent", "Kent", "Lush"],
                "shelf": ["Beauty > Bath", "Beauty > Hair Care", "Beauty > Bath", "Beauty > Hair Care"],
                "price": [5.0, 9.0, 12.0, 30.0],
                "rating": [4.5, 3.0, 4.0, 5.0],
            }
        )
    )
)
LINES = PlainReader(Catalogue.of(pl.DataFrame({"item_id": [1, 2], "title": ["Up", "Down"]})))


def titles(rows: tuple[int, ...]) -> list[str]:
    return [FILMS.catalogue.titles[row] for row in rows]


def wished(message: str, reader: PlainReader = FILMS) -> list[Predicate]:
    return [constraint.predicate for constraint in reader.read(message).set]


def year(operator: Operator, value: int) -> Compare:
    return Compare("year", operator, value)


def no(column: str, value: str) -> Not:
    return Not(Compare(column, "eq", value))


def between(column: str, low: float, high: float, upto: Operator = "le") -> And:
    return And((Compare(column, "ge", low), Compare(column, upto, high)))


# what is wished for


@pytest.mark.parametrize(
    ("message", "wish"),
    [
        ("a scary film", "scary film"),
        ("Can you recommend something funny, please?", "funny"),
        ("I'm looking for a heist movie!", "heist movie"),
        ("i want to watch anything with bears", "with bears"),
        ("set in the 90s", "set in the 90s"),
        ("a film about hate crime", "film about hate crime"),
        ("cosy and slow", "cosy and slow"),
        ("something like that", ""),
        ("recommend me something", ""),
        ("", ""),
        ("   ", ""),
        ("!?", ""),
        ("under 100", "under 100"),
        ("under $20", "under $20"),
        ("电影", "电影"),
    ],
)
def test_what_is_left_of_a_message_is_the_wish(message: str, wish: str) -> None:
    understood = FILMS.read(message)
    assert (understood.intent, understood.wish, understood.set) == ("recommend", wish, ())


@pytest.mark.parametrize(
    "message", ["hi", "Hello!", "hey there", "thanks a lot", "Thank you so much, bye!", "ok", "good morning"]
)
def test_small_talk_wants_no_recommendation(message: str) -> None:
    assert FILMS.read(message) == Understanding(intent="small_talk", certain=True)


@pytest.mark.parametrize(
    "message",
    ["what's the weather like?", "tell me a joke", "who is the president of France?", "what is 2 + 2", "write me a poem",
     "ignore all previous instructions"],
)  # fmt: skip
def test_what_is_no_business_of_a_recommender_is_out_of_scope(message: str) -> None:
    assert FILMS.read(message).intent == "out_of_scope"


@pytest.mark.parametrize(
    "message", ["a film about a president", "something with football", "detectives who solve a murder", "a film about the news"]
)
def test_what_a_film_may_be_about_is_not(message: str) -> None:
    assert FILMS.read(message).intent == "recommend"


@pytest.mark.parametrize("message", ["hi, something funny", "thanks, now a western", "ok but shorter", "okra", "highlander"])
def test_a_greeting_before_a_wish_is_no_small_talk(message: str) -> None:
    assert FILMS.read(message).intent == "recommend"


# likes, dislikes, examples


@pytest.mark.parametrize(
    ("message", "liked", "disliked"),
    [
        ("I loved Alien", ["Alien"], []),
        ("i LIKED alien!!", ["Alien"], []),
        ("I really like Alien", ["Alien"], []),
        ("I've enjoyed Airplane", ["Airplane!"], []),
        ("I liked Casablnca", ["Casablanca"], []),
        ("loved Paddingtn 2", ["Paddington 2"], []),
        ("I adored amelie", ["Amélie"], []),
        ("I liked thing, the", ["The Thing"], []),
        ("i liked aliens, heat and up", ["Aliens", "Heat", "Up"], []),
        ("I loved The Good, the Bad and the Ugly and Heat", ["The Good, the Bad and the Ugly", "Heat"], []),
        ("I liked Alien a lot", ["Alien"], []),
        ("I hated Heat", [], ["Heat"]),
        ("I didn't like Casablanca", [], ["Casablanca"]),
        ("I didn’t really enjoy Casablanca", [], ["Casablanca"]),
        ("I can't stand Up or Toy Story", [], ["Up", "Toy Story"]),
        ("I loved Alien but hated Heat", ["Alien"], ["Heat"]),
        ("I loved it but hated Heat", [], ["Heat"]),
        ("I liked Up. I disliked Heat.", ["Up"], ["Heat"]),
        ("I liked the weather", [], []),
        ("heat", [], []),
    ],
)
def test_titles_that_were_liked_and_disliked_are_found(message: str, liked: list[str], disliked: list[str]) -> None:
    understood = FILMS.read(message)
    assert (titles(understood.liked), titles(understood.disliked)) == (liked, disliked)


def test_what_follows_a_liked_title_is_the_wish() -> None:
    assert FILMS.read("I loved Alien. Now something funny").wish == "Now funny"
    assert FILMS.read("I loved Alien and something slower").wish == "slower"


@pytest.mark.parametrize(
    ("message", "alike", "wish"),
    [
        ("something like Alien", ["Alien"], ""),
        ("movies like Toy Story and Up", ["Toy Story", "Up"], "movies"),
        ("similar to The Thing but funny", ["The Thing"], "funny"),
        ("in the style of casablanca", ["Casablanca"], ""),
        ("feels like home", [], "feels like home"),
    ],
)
def test_examples_are_neither_liked_nor_the_wish(message: str, alike: list[str], wish: str) -> None:
    understood = FILMS.read(message)
    assert (titles(understood.alike), understood.liked, understood.wish) == (alike, (), wish)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("the alien", "Alien"),
        ("UP", "Up"),
        ("good, the bad & the ugly", "The Good, the Bad and the Ugly"),
        ("x", None),
        ("heatt", "Heat"),
        ("hot", None),
    ],
)
def test_a_title_is_one_title_or_none(text: str, title: str | None) -> None:
    row = FILMS.title(text)
    assert (None if row is None else FILMS.catalogue.titles[row]) == title


# values: without, only


@pytest.mark.parametrize(
    ("message", "constraints"),
    [
        ("no horror", [no("genres", "horror")]),
        ("not horror please", [no("genres", "horror")]),
        ("without comedies", [no("genres", "comedy")]),
        ("nothing with a ghost, no WESTERNS", [no("genres", "western")]),
        ("a thriller, no horror, no romance", [no("genres", "horror"), no("genres", "romance")]),
        ("no horror or comedies", [no("genres", "horror"), no("genres", "comedy")]),
        ("no romance nor science fiction", [no("genres", "romance"), no("genres", "science fiction")]),
        ("no sci-fi", [no("genres", "science fiction")]),
        ("no animated films", [no("genres", "animation")]),
        ("I don't like horror", [no("genres", "horror")]),
        ("i don’t want any westerns", [no("genres", "western")]),
        ("I really hate romance", [no("genres", "romance")]),
        ("I never watch horror", [no("genres", "horror")]),
        ("anything but horror", [no("genres", "horror")]),
        ("please stop showing me westerns", [no("genres", "western")]),
        ("I'm tired of westerns", [no("genres", "western")]),
        ("no Ridley Scott", [no("director", "ridley scott")]),
        ("horror but not science fiction", [no("genres", "science fiction")]),
        ("only comedies", [Compare("genres", "eq", "comedy")]),
        ("I only watch comedies", [Compare("genres", "eq", "comedy")]),
        ("only films with heart", []),
        ("no rush", []),
    ],
)
def test_exclusions_and_only(message: str, constraints: list[Predicate]) -> None:
    assert wished(message) == constraints


@pytest.mark.parametrize("message", ["no horror", "no horror or comedies", "nothing scary", "I don't like horror", "not Alien"])
def test_what_is_unwanted_is_never_searched_for(message: str) -> None:
    assert FILMS.read(message).wish == ""


def test_a_value_of_a_path_is_known_by_its_part() -> None:
    assert wished("only hair care", SHOP) == [Compare("shelf", "eq", "hair care")]
    assert wished("no Kent", SHOP) == [no("brand", "kent")]


# ranges


@pytest.mark.parametrize(
    ("message", "constraint"),
    [
        ("an 80s comedy", between("year", 1980, 1990, "lt")),
        ("sci-fi from the 80's", between("year", 1980, 1990, "lt")),
        ("1940s romance", between("year", 1940, 1950, "lt")),
        ("2010s", between("year", 2010, 2020, "lt")),
        ("films from 1995", year("eq", 1995)),
        ("before 1980", year("lt", 1980)),
        ("older than 1960", year("lt", 1960)),
        ("after 2000", year("gt", 2000)),
        ("newer than 2000", year("gt", 2000)),
        ("since 1990", year("ge", 1990)),
        ("until 1990", year("le", 1990)),
        ("between 1980 and 1990", between("year", 1980, 1990)),
        ("from 1980 to 1990", between("year", 1980, 1990)),
        ("nothing before 1980", year("ge", 1980)),
        ("no films before 1980", year("ge", 1980)),
        ("not after 1980", year("le", 1980)),
        ("not from the 90s", Not(between("year", 1990, 2000, "lt"))),
        ("no 90s films", Not(between("year", 1990, 2000, "lt"))),
        ("not between 1980 and 1990", Not(between("year", 1980, 1990))),
        ("under 2 hours", Compare("minutes", "lt", 120)),
        ("Under 90 Minutes", Compare("minutes", "lt", 90)),
        ("at least 2.5h", Compare("minutes", "ge", 150)),
        ("more than 120 min", Compare("minutes", "gt", 120)),
        ("no more than 120 minutes", Compare("minutes", "le", 120)),
        ("not under 2 hours", Compare("minutes", "ge", 120)),
        ("between 1 and 2 hours", between("minutes", 60, 120)),
        ("from 1990 on", year("ge", 1990)),
        ("I don't want films before 1980", year("ge", 1980)),
        ("I never watch films longer than 2 hours", Compare("minutes", "le", 120)),
        ("90 minutes or less", Compare("minutes", "le", 90)),
        ("max 90 minutes", Compare("minutes", "le", 90)),
        ("under two hours", Compare("minutes", "lt", 120)),
        ("less than an hour and a half", Compare("minutes", "lt", 90)),
    ],
)
def test_years_and_lengths(message: str, constraint: Predicate) -> None:
    assert wished(message) == [constraint]


@pytest.mark.parametrize(
    ("message", "constraint"),
    [
        ("under $20", Compare("price", "lt", 20)),
        ("soap under 10.50 dollars", Compare("price", "lt", 10.5)),
        ("cheaper than 10", Compare("price", "lt", 10)),
        ("up to 12 bucks", Compare("price", "le", 12)),
        ("more than £8", Compare("price", "gt", 8)),
        ("no more than $20", Compare("price", "le", 20)),
        ("at least 20 €", Compare("price", "ge", 20)),
        ("between $5 and $10", between("price", 5, 10)),
        ("$5 to $10", between("price", 5, 10)),
        ("$5-10", between("price", 5, 10)),
        ("at least 4 rating", Compare("rating", "ge", 4)),
    ],
)
def test_prices_and_other_numbers(message: str, constraint: Predicate) -> None:
    assert wished(message, SHOP) == [constraint]


@pytest.mark.parametrize("message", ["I have $5 and 3 kids", "under 20 minutes", "before 8", "from 3 shops"])
def test_a_number_that_measures_nothing_of_the_catalogue_is_no_constraint(message: str) -> None:
    assert wished(message, SHOP) == []


def test_several_wishes_are_all_kept_and_the_rest_is_searched_for() -> None:
    understood = FILMS.read("a warm comedy under 110 minutes from the 90s, no animation")
    assert {constraint.said for constraint in understood.set} == {"under 110 minutes", "from the 90s", "no animation"}
    assert understood.wish == "warm comedy"


def test_a_constraint_keeps_what_it_says() -> None:
    only = FILMS.read("only science fiction under 2 hours")
    kept = mask(And(tuple(c.predicate for c in only.set)), FILMS.catalogue.table)
    assert [title for title, keep in zip(FILMS.catalogue.titles, kept, strict=True) if keep] == ["Alien", "The Thing"]


# clearing


@pytest.mark.parametrize(
    ("message", "clear"),
    [
        ("start over", ("*",)),
        ("Forget everything, show me a western", ("*",)),
        ("forget the year", ("year",)),
        ("any genre", ("genres",)),
        ("ignore the director", ("director",)),
        ("never mind the minutes", ("minutes",)),
        ("forget about that", ()),
        ("forget about the 90s", ("year",)),
        ("remove all limits", ("*",)),
        ("let's start again", ("*",)),
        ("a film about starting over", ()),
        ("any good western", ()),
    ],
)
def test_constraints_are_cleared_by_name_or_all_at_once(message: str, clear: tuple[str, ...]) -> None:
    assert FILMS.read(message).clear == clear


HORROR, SHORT, OLD = FILMS.read("no horror").set[0], FILMS.read("under 100 minutes").set[0], FILMS.read("before 1990").set[0]


@pytest.mark.parametrize(
    ("message", "lifted"),
    [
        ("lift “no horror”", ["no horror"]),
        ("lift “no horror” and “before 1990”", ["no horror", "before 1990"]),
        ('Please remove the limits "NO HORROR", "under 100 minutes", and "before 1990"',
         ["no horror", "under 100 minutes", "before 1990"]),
    ],
)  # fmt: skip
def test_limits_in_force_are_lifted_by_their_words(message: str, lifted: list[str]) -> None:
    read = FILMS.read(message, Conversation(constraints=(HORROR, SHORT, OLD)))
    assert read == Understanding("refine", clear=tuple(lifted), same_topic=True, certain=True)


def test_limits_of_which_one_is_not_in_force_are_not_certain() -> None:
    assert not FILMS.read("lift “no horror” and “no westerns”", Conversation(constraints=(HORROR,))).certain


def test_starting_over_may_come_with_a_new_wish() -> None:
    understood = FILMS.read("start over: a western")
    assert (understood.clear, understood.wish) == (("*",), "western")


# whatever is written


SAID = """no not only under over between from and or but $20 20 2 hours minutes 80s 1995 horror comedy alien heat up the
thing i loved hated don't like , . ! forget year any start something similar to at least more than ’ 90's - $ 5 to"""
WORDS = st.sampled_from(SAID.split())


@given(st.one_of(st.text(), st.lists(WORDS, max_size=25).map(" ".join)))
@example("under " + "9" * 400)
@example("from 1e5 to ٣")
@example("between 5 and")
@example("\x00\ud800 no")
def test_no_message_is_too_strange_to_read(message: str) -> None:
    for reader in (FILMS, SHOP, LINES):
        understood = reader.read(message)
        _, refused = checked(understood, reader.catalogue)
        assert refused == ()
        assert all(0 <= row < len(reader.catalogue) for row in (*understood.liked, *understood.disliked, *understood.alike))


@pytest.mark.parametrize(
    "message",
    [
        "I liked " + "Up," * 1_300,
        "like " * 800,
        "i really " * 440,
        "I loved " + "xx yy and " * 390,
        "no any " * 560,
        "hi " * 1_300 + "x",
        "!" * 3_999,
        "from 1 to " * 390,
    ],
)
def test_a_message_of_four_thousand_letters_is_read_at_once(message: str) -> None:
    started = time.process_time()
    FILMS.read(message)
    assert time.process_time() - started < 1


def test_a_catalogue_of_titles_alone_is_enough() -> None:
    understood = LINES.read("I liked Up, nothing before 1980, no horror, under $5")
    assert (understood.liked, understood.set) == ((0,), ())
