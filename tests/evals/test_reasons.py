"""What a reason says is read back: each kind of lie is found, and nothing that a real turn says is taken for one."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from duetto.evals.reasons import Checks, Told
from duetto.graph.build import Node
from duetto.graph.state import NOTHING, Context, Outcome, State, Understood, Written
from duetto.limits import Limits
from duetto.settings import Settings
from duetto.tools.agent_tools import Toolbox
from duetto.tools.histories import NOBODY, History
from duetto.tools.index import Index
from duetto.tools.language import LIKE, REQUEST, Preference, Reason, SearchQuery, Understanding
from duetto.tools.pick import Pick
from duetto.tools.signals import Signals
from duetto.wiring import Graph, graph_of, parts
from tests.tools.films import film_index, indexed, log, toolbox

ALIEN, ALIENS, HEAT, THE_THING, UP, SE7EN, PADDINGTON = 0, 1, 2, 3, 5, 9, 10
HORROR = Preference("Horror, Science Fiction", 1.0, (ALIEN, THE_THING), (0, 1))
FICTION = Preference("Science Fiction", 1.0, (ALIEN, THE_THING), (1,))
FAMILY = Preference("Family", 0.5, (PADDINGTON,), (11,))
LINKED = "Other people's histories link it with Alien from yours."
CREATURE = SearchQuery("a creature", REQUEST)
NO_ACTION = {"not": {"column": "genres", "operator": "contains", "value": "Action"}}


@pytest.fixture(scope="module")
def checks() -> Checks:
    return Checks(toolbox(), film_index().features)


def likes(*rows: int, disliked: int | None = None) -> History:
    mine = np.array([*rows, *([] if disliked is None else [disliked])], np.int32)
    return History(mine, mine == disliked, known=True)


MINE = likes(ALIEN, THE_THING, PADDINGTON, SE7EN)


def told(
    text: str, *cited: int, row: int = ALIENS, history: History = MINE, wish: str = "", alike: tuple[int, ...] = (),
    where: dict[str, Any] | None = None, queries: tuple[tuple[SearchQuery, float], ...] = (),
) -> Told:  # fmt: skip
    """A reason for Aliens, told to somebody who likes the creatures, a bear and a killer."""
    meaning = Understanding(wish=wish, preferences=(HORROR, FICTION, FAMILY), alike=alike)
    understood = Understood(None, wish, history, meaning, where, 10, "plain", 0.0, Outcome(), NOTHING)
    state = State(understood=understood, written=Written(tuple(query for query, _ in queries)))
    return Told(0, state, Pick(row, 1.0, {}, {}, queries), Reason(text, (), cited))


TRUE = {
    "a link": told(LINKED, ALIEN),
    "two links": told("Other people's histories link it with The Thing and Alien from yours.", THE_THING, ALIEN),
    "a likeness": told("Its text is close to that of The Thing from your history.", THE_THING),
    "a taste": told(f"{LINKED} It fits your taste for Science Fiction.", ALIEN),
    "words": told("You asked for “a creature”: its text speaks of creature.", wish="a creature", queries=((CREATURE, 0.31),)),
    "a cosine": told("Its text is close to “a creature” (cosine 0.31).", wish="a creature", queries=((CREATURE, 0.314),)),
    "a negative cosine": told("Its text is close to “a creature” (cosine -0.05).", queries=((CREATURE, -0.05),)),
    "an example": told(
        "Its text is close to that of Se7en (cosine 0.50).", alike=(SE7EN,),
        queries=((SearchQuery("seven sins", f"{LIKE}Se7en"), 0.5),),
    ),
    "its own facts": told("It is from 1986 and takes 137 minutes."),
    "a number in its title": told("Paddington 2 is the one.", row=PADDINGTON, history=likes(ALIEN)),
    "a number in a title cited": told("It goes with Paddington 2.", PADDINGTON),
    "a decade": told("It is of the 1980s."),
    "a little of everything": told("It ranks here by a little of everything; no single piece of evidence stands out."),
}  # fmt: skip


@pytest.mark.parametrize("case", TRUE)
def test_what_is_so_is_grounded_and_contradicts_nothing(checks: Checks, case: str) -> None:
    assert checks.grounding(TRUE[case]) == []
    assert checks.contradictions(TRUE[case]) == []


LIES = {
    "a cited item outside the history": (told(LINKED, ALIEN, HEAT), "cites Heat, which is not in the history"),
    "a cited item that is rejected": (
        told(LINKED, ALIEN, UP, history=likes(ALIEN, disliked=UP)), "cites Up, which is not in the history",
    ),
    "a title that is no evidence": (
        told(f"{LINKED} It beats The Good, the Bad and the Ugly.", ALIEN),
        "names The Good, the Bad and the Ugly, which is no evidence",
    ),
    "a title of the history that is not cited": (
        told(f"{LINKED} It goes with The Thing.", ALIEN), "names The Thing, which is no evidence",
    ),
    "a request of nobody": (
        told("You asked for “a western”: its text speaks of creature.", wish="a creature", queries=((CREATURE, 0.31),)),
        "quotes “a western”, which nobody said",
    ),
    "a request that was made, at greater length": (
        told("You asked for “a creature feature”: its text speaks of creature.", wish="a creature"),
        "quotes “a creature feature”, which nobody said",
    ),
    "a cosine of no query": (
        told("Its text is close to “a creature” (cosine 0.99).", wish="a creature", queries=((CREATURE, 0.31),)),
        "a cosine of 0.99 that no query has",
    ),
    "a cosine of another sign": (
        told("Its text is close to “a creature” (cosine -0.31).", wish="a creature", queries=((CREATURE, 0.31),)),
        "a cosine of -0.31 that no query has",
    ),
    "a number": (told(f"{LINKED} It won 7 Oscars.", ALIEN), "7 stands nowhere"),
    "a year that is another's": (told(f"{LINKED} It is from 1979.", ALIEN), "1979 stands nowhere"),
    "a number that begins as a fact does": (told(f"{LINKED} It made 1986.5 millions.", ALIEN), "1986.5 stands nowhere"),
    "a taste of nobody": (told("It fits your taste for Western."), "“Western.” is no taste of this person"),
    "a taste of somebody else, beginning as one's own": (
        told("It fits your taste for Family reunions."), "“Family reunions.” is no taste of this person",
    ),
    "a taste that it does not fit": (told("It fits your taste for Family."), "it is not Family"),
    "a taste that it half fits": (
        told("It fits your taste for Horror, Science Fiction."), "it is not Horror, Science Fiction",
    ),
    "a link of nobody": (
        told("Other people's histories link it with Paddington 2 from yours.", PADDINGTON),
        "no history links it with Paddington 2",
    ),
    "a link of nobody beside a true one": (
        told("Other people's histories link it with Alien and Paddington 2 from yours.", ALIEN, PADDINGTON),
        "no history links it with Paddington 2",
    ),
    "a likeness of strangers": (
        told("Its text is close to that of Paddington 2 from your history.", PADDINGTON),
        "its text is no closer to Paddington 2 than most",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LIES)
def test_a_lie_is_found_and_nothing_else(checks: Checks, case: str) -> None:
    lie, found = LIES[case]
    assert checks.grounding(lie) == [found]


def test_every_lie_of_a_reason_is_told(checks: Checks) -> None:
    lie = told("Other people's histories link it with Paddington 2 from yours. It fits your taste for Family.", PADDINGTON)
    assert checks.grounding(lie) == ["no history links it with Paddington 2", "it is not Family"]


@pytest.mark.parametrize("title", ["Up", "Heat", "Nosferatu"])
@pytest.mark.parametrize(
    "clause",
    [
        "Other people's histories link it with {} from yours.",
        "Its text is close to that of {} from your history.",
    ],
)
def test_a_link_or_likeness_to_what_is_not_cited_is_a_lie(checks: Checks, clause: str, title: str) -> None:
    assert checks.grounding(told(clause.format(title))) != []


CONTRADICTIONS = {
    "a constraint": (told(LINKED, ALIEN, where=NO_ACTION), "recommends against a constraint"),
    "a rejected item as evidence": (
        told(LINKED, ALIEN, UP, history=likes(ALIEN, disliked=UP)), "cites Up, which the person rejects",
    ),
    "a request": (told("You asked for “a creature”: its text speaks of creature."), "speaks of a request that was not made"),
    "a request not matched": (
        told("Its text does not match your request; it is here for your history."), "speaks of a request that was not made",
    ),
    "a taste denied": (
        told("I know nothing of your taste yet: it is among the items most people chose."),
        "denies a taste that the history shows",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_contradiction_is_found_and_nothing_else(checks: Checks, case: str) -> None:
    against, found = CONTRADICTIONS[case]
    assert checks.contradictions(against) == [found]


@pytest.mark.parametrize("history", [likes(ALIEN, ALIENS), likes(ALIEN, disliked=ALIENS)])
def test_what_the_person_has_or_rejects_must_not_be_recommended(checks: Checks, history: History) -> None:
    assert "recommends what the person has" in checks.contradictions(told(LINKED, ALIEN, history=history))


def test_where_nothing_is_ruled_out_nothing_goes_against_a_constraint(checks: Checks) -> None:
    assert checks.contradictions(told(LINKED, ALIEN, history=likes(ALIEN, ALIENS))) == ["recommends what the person has"]


@pytest.mark.parametrize(
    "honest",
    [
        told("You asked for “a creature”: its text speaks of creature.", wish="a creature"),
        told("Its text does not match your request; it is here for your history.", wish="a creature"),
        told("Its text does not match your request; it is here for your history.", alike=(SE7EN,)),
        told("I know nothing of your taste yet: it is among the items most people chose.", history=NOBODY),
        told("I know nothing of your taste yet: it is among the items most people chose.", history=likes(disliked=UP)),
        told(LINKED, ALIEN, where={"column": "year", "operator": "eq", "value": 1986}),
    ],
)
def test_a_request_a_stranger_and_a_kept_constraint_contradict_nothing(checks: Checks, honest: Told) -> None:
    assert checks.contradictions(honest) == []


# real turns


class Turns:
    """Turns over an index, with every reason that they give."""

    def __init__(self, index: Index, box: Toolbox, signals: Signals) -> None:
        self.kept: list[State] = []
        self.checks, self.histories = Checks(box, index.features), index.histories
        self.graph: Graph = graph_of(index, box, signals, None, self._keeper())

    def _keeper(self) -> Node:
        def keep(state: State) -> dict[str, Any]:
            self.kept.append(state)
            return {}

        return keep

    def told(self, user: str, message: str | None, k: int | None = None) -> list[Told]:
        self.graph.invoke({"user": user, "message": message}, context=Context(k=k, reasons="plain"))
        state = self.kept[-1]
        pairs = zip(state.ranking.picks, state.explained.reasons, strict=True)
        return [Told(0, state, pick, reason) for pick, reason in pairs if reason is not None]

    def wrong(self, reasons: list[Told]) -> list[tuple[str, list[str]]]:
        found = [(t.reason.text, self.checks.grounding(t) + self.checks.contradictions(t)) for t in reasons]
        return [(text, wrong) for text, wrong in found if wrong]


@pytest.fixture(scope="module")
def over_the_sample(settings: Settings, sample_index: Index) -> Turns:
    return Turns(sample_index, *parts(sample_index, settings))


@pytest.mark.parametrize("user", ["p042", "p100", "p333", "nobody"])
@pytest.mark.parametrize("message", [None, "a dark thriller", "something like Alien", "no horror, newer than 1995"])
def test_every_reason_of_a_real_turn_is_grounded_and_consistent(over_the_sample: Turns, user: str, message: str | None) -> None:
    reasons = over_the_sample.told(user, message)
    assert len(reasons) == 10
    assert over_the_sample.wrong(reasons) == []


def test_a_real_reason_told_of_another_item_is_not(over_the_sample: Turns) -> None:
    """The checks depend on the item and not only on the words."""
    reasons = over_the_sample.told("p042", None)
    others = [i for i in range(len(over_the_sample.checks.box.catalogue)) if i not in reasons[0].history]
    moved = [replace(t, pick=replace(t.pick, row=other)) for t in reasons for other in others[::40]]
    assert len(over_the_sample.wrong(moved)) > len(moved) / 4


def test_a_real_reason_told_to_somebody_else_is_not(over_the_sample: Turns) -> None:
    mine, theirs = over_the_sample.told("p042", None), over_the_sample.told("p100", None)
    assert len(over_the_sample.wrong([replace(t, state=theirs[0].state) for t in mine])) == len(mine)


def test_a_request_may_name_a_title(over_the_sample: Turns) -> None:
    assert over_the_sample.wrong(over_the_sample.told("p042", "a dark thriller as good as Blade Runner")) == []


def test_a_number_of_the_request_may_be_in_the_item_s_text(over_the_sample: Turns) -> None:
    assert over_the_sample.wrong(over_the_sample.told("p042", "a space film set around 2001 or so")) == []


def test_a_request_may_have_quotation_marks(over_the_sample: Turns) -> None:
    assert over_the_sample.wrong(over_the_sample.told("p042", "a film called “dark” by everybody")) == []


THINGS = [
    ("Toy Story", "e.l.f. Cosmetics"), ("Toy Story 2", "e.l.f. Cosmetics"), ("Toy Story 2. Part 1.5", "e.l.f. Cosmetics"),
    ("12 Angry Men", "Dr. 9 Ltd."), ("2001: A Space Odyssey", "Dr. 9 Ltd."), ("Mr. & Mrs. Smith, 1st ed.", "Dr. 9 Ltd."),
    ("E.T.", "e.l.f. Cosmetics"), ("Vol. 2 (1,000 pcs.)", "Dr. 9 Ltd."), ("Shampoo 3.5 fl. oz. from yours", "e.l.f. Cosmetics"),
    ("Toy Story 3 and Other Stories", "e.l.f. Cosmetics"), ("1984", "Dr. 9 Ltd."), ("Version -1.0", "Dr. 9 Ltd."),
]  # fmt: skip
SHOPPERS = {
    "a": [0, 1, 6], "b": [1, 2, 0], "c": [0, 2, 8, 1], "d": [3, 4, 5], "e": [4, 5, 7, 3], "f": [7, 11, 10],
    "g": [10, 4, 11], "h": [9, 1, 6], "i": [8, 0, 9], "j": [2, 9], "k": [5, 7],
}  # fmt: skip


@pytest.fixture(scope="module")
def shop() -> Turns:
    """A shop whose names are full of digits, full stops and one another."""
    titles, brands = zip(*THINGS, strict=True)
    items = pl.DataFrame({"item_id": range(len(THINGS)), "title": titles, "brand": brands, "year": [1990] * len(THINGS)})
    index = indexed(items, log(*((user, item) for user, rows in SHOPPERS.items() for item in rows)))
    box = toolbox(index, Limits())
    return Turns(index, box, Signals(index.catalogue, index.features, box.crowd))


@pytest.mark.parametrize("message", [None, "something like Toy Story", "toys and a space odyssey"])
def test_names_with_digits_and_full_stops_and_names_within_names_are_understood(shop: Turns, message: str | None) -> None:
    reasons = [t for user in SHOPPERS for t in shop.told(user, message, k=8)]
    assert shop.wrong(reasons) == []
    texts = [t.reason.text for t in reasons]
    assert any("It fits your taste for e.l.f. Cosmetics." in text for text in texts)
    assert any("link it with Toy Story and Toy Story 2" in text or "Toy Story 2 and Toy Story" in text for text in texts)


def test_a_lie_about_such_names_is_found(shop: Turns) -> None:
    for t in shop.told("a", None, k=8):
        linked = f"Other people's histories link it with {THINGS[1][0]} from yours."
        lie = replace(t, reason=Reason(f"{linked} It fits your taste for Dr. 9 Ltd..", (), (1,)))
        assert "“Dr. 9 Ltd..” is no taste of this person" in shop.checks.grounding(lie)
        longer = replace(t, reason=Reason("It goes with Toy Story 2.", (), (0,)))
        assert "names Toy Story 2, which is no evidence" in shop.checks.grounding(longer) or t.pick.row == 1


def test_a_title_within_a_linked_title_is_not_said_to_be_linked(shop: Turns) -> None:
    box = shop.checks.box
    links = box.crowd.links(likes(1, 0), np.arange(12)).max(axis=0)
    row = next(int(i) for i in np.flatnonzero((links[:, 0] > 0) & (links[:, 1] <= 0)) if i > 1)
    state = shop.told("a", None)[0].state
    mine = replace(state, understood=replace(state.understood, history=likes(1, 0)))
    text = "Other people's histories link it with Toy Story 2 from yours."
    assert shop.checks.grounding(Told(0, mine, Pick(row, 1.0, {}, {}), Reason(text, (), (1, 0)))) == []


def test_a_title_may_have_quotation_marks() -> None:
    items = pl.DataFrame({"item_id": [1, 2, 3], "title": ["The “Burbs” of Ohio", "Alien", "Aliens"]})
    index = indexed(items, log(("a", 1), ("a", 3), ("b", 1), ("b", 3), ("c", 2), ("c", 3)))
    quoting = told("Other people's histories link it with The “Burbs” of Ohio from yours.", 0, row=2, history=likes(0))
    assert Checks(toolbox(index), index.features).grounding(quoting) == []
