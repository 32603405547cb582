"""Reasons in which every clause can be checked."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duetto.tools.language import REQUEST, Preference, Reason, SearchQuery
from duetto.tools.pick import Fit, Pick
from duetto.tools.plain.reasons import likelihood, reason, shared_words
from tests.tools.films import catalogue

CATALOGUE = catalogue()
TASTES = (Preference("Horror", 1.0, (0, 3)), Preference("Comedy", 0.5, (4, 7)))
EVERYTHING = tuple((row, 1.0 - row / 100) for row in range(12))
PICK = Pick(1, 2.0, {"queries": 1.0, "taste": 0.5, "als": 0.5}, {"language": 0.75, "crowd": 0.25}, support=EVERYTHING)
ASKED = (SearchQuery("marines and a creature", REQUEST), 0.8)


def of(pick: Pick, wish: str = "marines and a creature", tastes: tuple[Preference, ...] = TASTES) -> Reason:
    return reason(pick, tastes, wish, CATALOGUE)


def test_a_match_names_the_words_that_both_have() -> None:
    assert (
        of(replace(PICK, queries=(ASKED,))).text
        == "You asked for “marines and a creature”: its text speaks of marines and creature."
    )


def test_a_match_without_a_shared_word_gives_the_cosine() -> None:
    text = of(replace(PICK, queries=((SearchQuery("soldiers in orbit", REQUEST), 0.314),)), wish="soldiers in orbit").text
    assert text == "Its text is close to “soldiers in orbit” (cosine 0.31)."


def test_an_example_is_named() -> None:
    alike = (SearchQuery(CATALOGUE.document(0), "like Alien"), 0.5)
    assert of(replace(PICK, queries=(alike,)), wish="").text == "Its text is close to that of Alien (cosine 0.50)."


def test_the_crowd_s_evidence_is_cited() -> None:
    found = of(replace(PICK, parts={"als": 1.0}, history=((0, 0.6), (3, 0.3), (2, 0.09))))
    assert found.text == "Other people's histories link it with Alien and The Thing from yours."
    assert found.cited == (0, 3)


def test_only_what_the_item_s_place_rests_on_is_cited_what_matters_most_first() -> None:
    pick = replace(PICK, parts={"als": 1.0}, history=((0, 0.5), (2, 0.3), (3, 0.2)), support=((3, 0.4), (0, 0.1), (5, 0.05)))
    assert of(pick).cited == (3, 0)
    assert reason(pick, TASTES, "", CATALOGUE, filtered=False).cited == (0, 2)


def test_a_taste_is_told_without_evidence_that_does_not_matter() -> None:
    found = of(replace(PICK, parts={"als": 0.0}, fits=(Fit(0, 0.9, 1.0),), support=((3, 0.4),)))
    assert "It fits your taste for Horror." in found.text
    assert found.cited == (3,)


def test_where_nothing_matters_nothing_is_cited() -> None:
    found = of(replace(PICK, parts={"als": 1.0, "taste": 1.0}, history=((0, 0.6),), resembles=((3, 0.7),), support=()))
    assert found.text == "It ranks here by a little of everything; no single piece of evidence stands out."
    assert found.cited == ()


def test_history_that_hardly_contributes_is_not_cited() -> None:
    assert of(replace(PICK, parts={"als": 1.0}, history=((0, 0.09),))).cited == ()


def test_where_the_crowd_speaks_against_an_item_it_is_not_cited_for_it() -> None:
    found = of(replace(PICK, parts={"als": -1.0, "taste": 1.0}, history=((0, 0.9),), resembles=((3, 0.7),)))
    assert found.text == "Its text is close to that of The Thing from your history."
    assert found.cited == (3,)


@pytest.mark.parametrize(("fitness", "told"), [(1.0, True), (0.8, True), (0.79, False), (0.0, False)])
def test_a_preference_is_called_met_when_it_is(fitness: float, told: bool) -> None:
    found = of(replace(PICK, parts={"als": 0.0}, fits=(Fit(0, 0.9, fitness),)))
    assert ("It fits your taste for Horror." in found.text) is told
    assert (found.cited == (0, 3)) is told


def test_an_item_that_does_not_match_the_request_says_so() -> None:
    found = of(replace(PICK, parts={"queries": -0.5, "als": 1.0}, queries=(ASKED,), history=((0, 0.6),)))
    assert found.text.endswith("Its text does not match your request; it is here for your history.")
    assert "You asked for" not in found.text


def test_popularity_is_admitted() -> None:
    assert "I know nothing of your taste yet" in of(replace(PICK, parts={"popularity": 2.0})).text


def test_where_nothing_stands_out_that_is_said() -> None:
    assert of(replace(PICK, parts={})).text.startswith("It ranks here by a little of everything")


def test_the_steps_name_why_the_preference_is_believed() -> None:
    steps = of(replace(PICK, fits=(Fit(1, 0.6, 0.9), Fit(0, 0.4, 0.3)))).steps
    assert [(s.preference, s.why, s.likelihood) for s in steps] == [
        ("Comedy", "you have Toy Story and Airplane!", "high"),
        ("Horror", "you have Alien and The Thing", "low"),
    ]


def test_a_preference_without_evidence_was_said() -> None:
    found = of(replace(PICK, fits=(Fit(0, 1.0, 0.9),)), tastes=(Preference("slow films", 1.0, ()),))
    assert found.steps[0].why == "you said so"


@pytest.mark.parametrize(
    ("fitness", "attention", "word"),
    [
        (0.9, 0.5, "high"),
        (0.9, 0.1, "medium"),
        (0.6, 0.9, "medium"),
        (0.49, 1.0, "low"),
        (0.8, 0.2, "high"),
        (0.5, 0.0, "medium"),
    ],
)
def test_a_likelihood_combines_fitness_and_attention(fitness: float, attention: float, word: str) -> None:
    assert likelihood(fitness, attention) == word


SHARES = st.lists(st.tuples(st.integers(0, 11), st.floats(0, 1)), max_size=3).map(tuple)
PARTS = st.dictionaries(st.sampled_from(["queries", "taste", "als", "popularity"]), st.floats(-3, 3))
FITS = st.lists(st.builds(Fit, st.sampled_from([0, 1]), st.floats(0, 1), st.floats(0, 1)), max_size=2).map(tuple)
PICKS = st.builds(
    Pick, st.integers(0, 11), st.just(1.0), PARTS, st.just({}), st.sampled_from([(), (ASKED,)]), SHARES, SHARES, FITS, SHARES
)


@given(PICKS)
def test_every_title_in_a_reason_is_in_its_evidence(pick: Pick) -> None:
    found = of(pick)
    evidence = {row for row, _ in (*pick.history, *pick.resembles)} | {row for p in TASTES for row in p.evidence}
    text = found.text.replace(f"“{ASKED[0].text}”", "")
    for row in set(range(12)) - evidence - {pick.row}:
        title = CATALOGUE.titles[row]
        assert not any(f"{before}{title}{after}" in text for before, after in itertools.product((" ",), (" ", ".", ",")))
    assert set(found.cited) <= evidence
    assert len(found.cited) == len(set(found.cited))


@pytest.mark.parametrize(
    ("wish", "text", "words"),
    [
        ("scary robots", "A robot learns.", ["robots"]),
        ("a robot", "ROBOTS!", ["robot"]),
        ("funny movies", "the movie is funny", ["funny", "movies"]),
        ("stories of cities", "a story of the city", ["stories", "cities"]),
        ("glass", "a glas", []),
        ("skis", "the sky", []),
        ("the and of", "the and of", []),
        ("cats", "cat", ["cats"]),
        ("up", "up", []),
        ("film film", "film", ["film"]),
        ("", "anything", []),
        ("creature", "", []),
    ],
)
def test_words_are_shared_when_both_have_them_plural_endings_aside(wish: str, text: str, words: list[str]) -> None:
    assert shared_words(wish, text) == words


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_shared_word_is_truly_in_both(wish: str, text: str) -> None:
    for word in shared_words(wish, text):
        assert word in wish.lower()
        assert word[:-3] in text.lower()
