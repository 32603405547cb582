"""What people point at: by place, by description, by title, by what stands out."""

import pytest

from duetto.tools.conversation import NEW, Conversation
from duetto.tools.plain.references import Referent
from duetto.tools.plain.understand import PlainReader
from tests.tools.films import catalogue

FILMS = PlainReader(catalogue()).warm()
TITLES = FILMS.catalogue.titles


def rows(*titles: str) -> tuple[int, ...]:
    return tuple(TITLES.index(title) for title in titles)


EARLIER = rows("Alien", "Casablanca", "Up")
LAST = rows("Heat", "The Thing", "Toy Story", "Amélie")
SAID = Conversation(lists=(EARLIER, LAST))


def meant(text: str, said: Conversation = SAID) -> Referent:
    found = FILMS.references.first(text, said)
    assert found is not None, text
    return found[0]


def titles(some: tuple[int, ...]) -> list[str]:
    return [TITLES[row] for row in some]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("the first one", "Heat"),
        ("the second", "The Thing"),
        ("#3", "Toy Story"),
        ("number 4", "Amélie"),
        ("the 2nd one", "The Thing"),
        ("the last one", "Amélie"),
        ("the first one of the first list", "Alien"),
        ("the oldest one", "The Thing"),
        ("the shortest", "Toy Story"),
        ("the Mann film", "Heat"),
        ("the one with the robbers", "Heat"),
        ("that animation", "Toy Story"),
        ("the one from 1982", "The Thing"),
        ("the Scott film", "Alien"),
        ("the western", ""),
        ("amelie", "Amélie"),
        ("Casablnca", "Casablanca"),
        ("Paddington 2", "Paddington 2"),
    ],
)
def test_one_item_is_meant(text: str, title: str) -> None:
    if title:
        assert titles(meant(text).rows) == [title]
    else:
        found = FILMS.references.first(text, SAID)
        assert found is None or not (found[0].rows or found[0].among)


@pytest.mark.parametrize(
    ("text", "several"),
    [("the first two", ["Heat", "The Thing"]), ("the last two films", ["Toy Story", "Amélie"]), ("all of them", titles(LAST))],
)
def test_several_items_are_meant(text: str, several: list[str]) -> None:
    assert titles(meant(text).rows) == several


def test_it_is_what_the_last_turn_was_about() -> None:
    assert titles(meant("it", Conversation(lists=(LAST,), focus=rows("Up"))).rows) == ["Up"]


def test_it_among_several_is_a_question() -> None:
    assert meant("it").among == LAST


def test_that_one_of_a_list_of_one_is_no_question() -> None:
    assert titles(meant("that one", Conversation(lists=(rows("Up"),))).rows) == ["Up"]


def test_a_description_of_several_is_a_question_among_these() -> None:
    assert titles(meant("the crime film", Conversation(lists=(rows("Heat", "Se7en", "Up"),))).among) == ["Heat", "Se7en"]


def test_a_place_that_is_not_there_means_no_item() -> None:
    assert meant("the ninth one") == Referent("the ninth one")
    assert meant("#12").rows == ()


def test_a_description_of_nothing_shown_says_so() -> None:
    assert meant("the one with the dragons").shown is False


def test_a_title_of_the_catalogue_that_was_not_shown_is_told_from_one_that_was() -> None:
    assert meant("Paddington 2").shown is False
    assert meant("Casablanca").shown is True


@pytest.mark.parametrize("text", ["it", "that one", "them", "this"])
def test_before_anything_is_shown_a_pronoun_is_no_item(text: str) -> None:
    assert meant(text, NEW) == Referent(text)


@pytest.mark.parametrize(
    "text", ["it when people sing", "the last film I saw", "the weather", "the ending", "the creature", "nothing", "you"]
)
def test_what_points_at_no_item_means_none(text: str) -> None:
    found = FILMS.references.first(text, SAID)
    assert found is None or not (found[0].rows or found[0].among)


def test_up_is_a_film_only_where_it_is_named() -> None:
    assert titles(FILMS.read("I loved Up").liked) == ["Up"]
    assert FILMS.read("something to cheer me up", SAID).alike == ()
    assert FILMS.read("what's up").intent == "small_talk"


@pytest.mark.parametrize(
    ("message", "intent", "title"),
    [
        ("the second one sounds good", "about", "The Thing"),
        ("I'll take the first one", "about", "Heat"),
        ("I haven't seen Heat", "about", "Heat"),
        ("would I like the second one?", "about", "The Thing"),
        ("how many minutes is Heat?", "about", "Heat"),
        ("why is Up not on the list?", "why_not", "Up"),
        ("Is Up any good?", "about", "Up"),
    ],
)
def test_a_message_is_about_the_item_it_points_at(message: str, intent: str, title: str) -> None:
    understood = FILMS.read(message, SAID)
    assert (understood.intent, titles(understood.items), understood.liked) == (intent, [title], ())


@pytest.mark.parametrize(
    ("message", "kind", "title"),
    [
        ("I never liked Heat", "disliked", "Heat"),
        ("I didn't love Heat", "disliked", "Heat"),
        ("Heat isn't for me", "uninterested", "Heat"),
        ("not the first one", "uninterested", "Heat"),
        ("already seen the last one", "seen", "Amélie"),
    ],
)
def test_an_opinion_is_not_turned_round(message: str, kind: str, title: str) -> None:
    understood = FILMS.read(message, SAID)
    assert {kind: titles(getattr(understood, kind)) for kind in ("liked", "disliked", "seen", "uninterested")} == {
        "liked": [], "disliked": [], "seen": [], "uninterested": [], kind: [title],
    }  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [
        "Heat is interesting", "I heard Heat is good", "people who liked Heat", "my wife loved Heat",
        "I have kids", "I know what I like", "would I like it?", "I have a question", "no problem",
        "not sure", "I don't know", "I have not seen it", "I haven't seen Heat", "never heard of it", "is it any good?",
        "I loved the music", "I have no idea", "that's not what I meant", "I have to go",
    ],
)  # fmt: skip
def test_talk_is_neither_an_opinion_nor_a_limit(message: str) -> None:
    understood = FILMS.read(message, SAID)
    assert not understood.opinions
    assert (understood.set, understood.unchecked, understood.avoid, understood.clear) == ((), (), (), ())


@pytest.mark.xfail(reason="praise and blame without a verb of liking are searched for, not kept as opinions", strict=True)
@pytest.mark.parametrize("message", ["Heat was great", "the first one was great", "my favourite film is Heat"])
def test_praise_is_an_opinion(message: str) -> None:
    assert titles(FILMS.read(message, SAID).liked) == ["Heat"]


@pytest.mark.xfail(reason="a wish said of an item by its place alone is searched for", strict=True)
@pytest.mark.parametrize("message", ["I prefer the first one", "the first one but longer", "and the first one?"])
def test_every_place_points_at_the_item_there(message: str) -> None:
    understood = FILMS.read(message, SAID)
    assert titles((*understood.items, *understood.alike, *understood.liked)) == ["Heat"]


@pytest.mark.xfail(reason="opinions have no way back but undo", strict=True)
def test_i_have_not_seen_it_after_all() -> None:
    understood = FILMS.read("I haven't seen Heat after all", SAID)
    assert getattr(understood, "unsaid", ()) == rows("Heat")


@pytest.mark.parametrize("message", ["not like Alien", "nothing like Alien", "I don't want something like Alien"])
def test_what_is_not_to_be_like_an_item_is_not_searched_for_by_it(message: str) -> None:
    assert FILMS.read(message, SAID).alike == ()
