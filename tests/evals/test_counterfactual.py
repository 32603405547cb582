"""What is cited is taken away and the ranking made anew: the places are the turn's, and what is gone stays masked."""

import math
from dataclasses import replace

import numpy as np
import pytest

from duetto.evals.baselines import Baselines
from duetto.evals.counterfactual import DRAWS, Claim, Fall, faithfulness, falls
from duetto.evals.subject import Subject, subject_of
from duetto.graph.state import Context
from duetto.limits import Limits
from duetto.settings import Settings
from duetto.tools.agent_tools import Toolbox
from duetto.tools.fusion import Weights, rank
from duetto.tools.histories import History
from duetto.tools.index import Index
from duetto.tools.practice import turns
from duetto.tools.signals import Signals
from duetto.wiring import graph_of
from tests.tools.eras import era_index
from tests.tools.films import film_index, toolbox

ALIEN, ALIENS, HEAT, THE_THING, UP, SE7EN, PADDINGTON = 0, 1, 2, 3, 5, 9, 10


@pytest.fixture(scope="module")
def films() -> Subject:
    return over(toolbox())


@pytest.fixture(scope="module")
def era() -> Subject:
    subject = subject_of(era_index(), None, Limits())
    assert subject.ranker is not None
    return subject


def over(box: Toolbox) -> Subject:
    signals = Signals(box.catalogue, film_index().features, box.crowd)
    return Subject(box, signals, Weights(), None, Baselines(box.histories, len(box.catalogue)))


def likes(*rows: int, disliked: int | None = None) -> History:
    mine = np.array([*rows, *([] if disliked is None else [disliked])], np.int32)
    return History(mine, mine == disliked, known=True)


MINE = likes(UP, PADDINGTON, ALIEN)


def fall(subject: Subject, row: int, *cited: int, history: History = MINE) -> Fall:
    found = falls(subject, [Claim(0, history, row, cited)])[0]
    assert found is not None
    return found


def candidates(subject: Subject, history: History) -> list[int]:
    """A silent turn's candidates, best first."""
    rows, evidence = next(turns(subject.box, subject.signals, [history]))
    order = rank(evidence, subject.weights, subject.box.limits, subject.ranker).order
    return [int(row) for row in rows[order]]


# what falls


def test_without_its_only_support_an_item_falls_and_without_others_it_does_not(films: Subject) -> None:
    found = fall(films, ALIENS, ALIEN)
    assert found.shown <= 1
    assert found.without > 3
    assert found.others <= found.shown


def test_without_something_unrelated_it_does_not_fall(films: Subject) -> None:
    found = fall(films, ALIENS, PADDINGTON)
    assert found.without <= found.shown
    assert found.others >= found.without


def test_both_supports_together_count_more_than_one(films: Subject) -> None:
    history = likes(UP, PADDINGTON, HEAT, THE_THING, ALIEN)
    both, one = fall(films, ALIENS, ALIEN, THE_THING, history=history), fall(films, ALIENS, ALIEN, history=history)
    assert both.shown == one.shown
    assert both.without > one.without


def test_the_order_in_which_items_are_cited_does_not_matter(films: Subject) -> None:
    history = likes(UP, PADDINGTON, HEAT, THE_THING, ALIEN)
    assert fall(films, ALIENS, ALIEN, THE_THING, history=history) == fall(films, ALIENS, THE_THING, ALIEN, history=history)


# what is gone stays masked


def test_items_taken_away_are_never_ranked(films: Subject) -> None:
    """The items left share the places between them, so none is that of an item taken away."""
    left = [row for row in range(12) if row not in MINE.rows]
    found = falls(films, [Claim(0, MINE, row, (ALIEN,)) for row in left])
    assert sorted(f.without for f in found if f is not None) == list(range(len(left)))
    assert sorted(f.shown for f in found if f is not None) == list(range(len(left)))


def test_an_item_taken_away_stands_behind_all_where_somebody_claims_it(films: Subject) -> None:
    assert fall(films, ALIEN, ALIEN) == Fall(9, 9, 9.0)


def test_a_rejected_item_stays_masked_too(films: Subject) -> None:
    history = likes(UP, PADDINGTON, ALIEN, disliked=THE_THING)
    left = [row for row in range(12) if row not in history.rows]
    found = falls(films, [Claim(0, history, row, (ALIEN,)) for row in left])
    assert sorted(f.without for f in found if f is not None) == list(range(len(left)))


def test_an_item_that_is_no_candidate_any_more_stands_behind_all() -> None:
    narrow = over(toolbox(limits=Limits(candidates=1, candidates_by_taste=1)))
    assert ALIENS in candidates(narrow, MINE)
    shorter = candidates(narrow, likes(UP, PADDINGTON))
    assert not {ALIENS, ALIEN} & set(shorter)
    assert fall(narrow, ALIENS, ALIEN).without == len(shorter)


# where an item stood as it was shown


def shown(subject: Subject, index: Index, people: list[str], k: int) -> tuple[list[Claim], list[int]]:
    """The ten best of each person's turn in the graph, as claims that cite their newest like, and their places."""
    graph, claims = graph_of(index, subject.box, subject.signals, None), []
    for person, user in enumerate(people):
        history = index.histories.of_user(user)
        answer = graph.invoke({"user": user}, context=Context(k=k, reasons="none"))["answer"]
        rows = index.catalogue.rows(item["item_id"] for item in answer["recommendations"])
        claims += [Claim(person, history, row, (history.liked_rows()[-1],)) for row in rows]
    return claims, list(range(k)) * len(people)


def test_the_place_as_shown_is_the_place_in_the_turn(sample_index: Index, settings: Settings) -> None:
    subject = subject_of(sample_index, None, settings.limits)
    claims, places = shown(subject, sample_index, ["p042", "p100", "p333"], 5)
    assert [found.shown for found in falls(subject, claims) if found is not None] == places


def test_the_place_as_shown_is_the_place_in_a_learned_turn(era: Subject) -> None:
    claims, places = shown(era, era_index(), ["p001", "p044", "p333", "p512"], 10)
    assert [found.shown for found in falls(era, claims) if found is not None] == places


@pytest.mark.parametrize("gone", [UP, PADDINGTON, ALIEN])
def test_the_place_without_is_that_of_a_shorter_history_less_what_was_taken(films: Subject, gone: int) -> None:
    anew = [row for row in candidates(films, likes(*(row for row in MINE.rows.tolist() if row != gone))) if row != gone]
    assert [fall(films, row, gone).without for row in anew] == list(range(9))


def test_what_is_cited_and_gone_leaves_the_place_of_a_learned_turn(era: Subject) -> None:
    """Three things of an era: without one of them the rest of the era is still expected, and less so than with it."""
    claims, _ = shown(era, era_index(), ["p001", "p044", "p333", "p512"], 10)
    found = [each for each in falls(era, claims) if each is not None]
    assert np.mean([each.without for each in found]) > np.mean([each.shown for each in found])


def test_many_people_at_once_and_each_alone_fall_alike(era: Subject) -> None:
    """All claims draw from one stream, so what is compared is what no draw touches."""
    histories = [era.box.histories.at(person) for person in (1, 7, 99)]
    claims = [Claim(n, h, candidates(era, h)[3], (int(h.rows[-1]),)) for n, h in enumerate(histories)]
    together = falls(era, claims)
    alone = [falls(era, [claim])[0] for claim in claims]
    assert None not in (*together, *alone)
    assert [(f.shown, f.without) for f in together if f] == [(f.shown, f.without) for f in alone if f]


# what it is compared with


LONG = likes(SE7EN, HEAT, UP, PADDINGTON, 4, ALIEN)
CLAIMS = [Claim(n, LONG, row, (UP,)) for n, row in enumerate((ALIENS, 6, 7, 8, 11))]


def test_the_same_seed_gives_the_same_and_another_one_other_draws(films: Subject) -> None:
    once, again, other = (falls(films, CLAIMS, seed) for seed in (3, 3, 4))
    assert once == again
    assert once != other
    assert [(f.shown, f.without) for f in once if f] == [(f.shown, f.without) for f in other if f]


def test_the_others_are_a_mean_over_the_draws(films: Subject) -> None:
    assert all(f is not None and (f.others * DRAWS).is_integer() for f in falls(films, CLAIMS))


def test_where_only_one_other_set_is_left_every_draw_is_that_one(films: Subject) -> None:
    """Two of four are cited: the other two are what it is compared with."""
    history = likes(UP, PADDINGTON, THE_THING, ALIEN)
    ours = fall(films, ALIENS, THE_THING, ALIEN, history=history)
    theirs = fall(films, ALIENS, UP, PADDINGTON, history=history)
    assert (ours.others, theirs.others) == (theirs.without, ours.without)
    assert ours.without > ours.others


def test_what_is_rejected_is_not_taken_away_for_comparison(films: Subject) -> None:
    history = likes(UP, ALIEN, disliked=THE_THING)
    assert fall(films, ALIENS, ALIEN, history=history).others == fall(films, ALIENS, UP, history=history).without


@pytest.mark.parametrize(
    ("history", "cited"),
    [
        (likes(ALIEN), (ALIEN,)),
        (likes(ALIEN, THE_THING, UP), (ALIEN, THE_THING)),
        (likes(ALIEN, disliked=UP), (ALIEN,)),
    ],
)
def test_where_too_few_others_are_left_nothing_is_compared(films: Subject, history: History, cited: tuple[int, ...]) -> None:
    claims = [Claim(0, history, ALIENS, cited), Claim(1, MINE, ALIENS, (ALIEN,))]
    first, second = falls(films, claims)
    assert first is None
    assert second is not None


def test_without_claims_nothing_falls(films: Subject) -> None:
    assert falls(films, []) == []


# in numbers


FOUND = [Fall(0, 5, 1.0), Fall(2, 4, 4.0), None, Fall(1, 0, 3.0)]
TOLD = [Claim(person, MINE, ALIENS, (ALIEN,)) for person in (7, 7, 7, 40)]


def test_faithfulness_by_hand_with_the_tie_against_us() -> None:
    told = faithfulness(TOLD, FOUND, reasons=5)
    ln = math.log1p
    means = {
        "faithful": 1 / 3,
        "rank loss": (5 + 2 - 1) / 3,
        "rank loss without others": (1 + 2 + 2) / 3,
        "log-rank loss": (ln(5) - ln(0) + ln(4) - ln(2) + ln(0) - ln(1)) / 3,
        "log-rank loss without others": (ln(1) - ln(0) + ln(4) - ln(2) + ln(3) - ln(1)) / 3,
    }
    counts = {name: told.pop(name) for name in ("reasons", "without history evidence", "compared")}
    assert counts == {"reasons": 5, "without history evidence": 0.2, "compared": 3}
    assert {name: value["mean"] for name, value in told.items() if isinstance(value, dict)} == {
        name: round(mean, 4) for name, mean in means.items()
    }


def test_intervals_are_over_people_and_not_over_claims() -> None:
    """Of two people either both are drawn, or the one whose claims are half faithful, or the one whose claim is not."""
    told = faithfulness(TOLD, FOUND, reasons=5)
    assert told["faithful"] == {"mean": 0.3333, "low": 0.0, "high": 0.5}
    assert told["rank loss"] == {"mean": 2.0, "low": -1.0, "high": 3.5}


def test_of_one_person_there_is_no_more_to_know() -> None:
    told = faithfulness([replace(claim, person=7) for claim in TOLD], FOUND, reasons=4)
    assert told["faithful"] == {"mean": 0.3333, "low": 0.3333, "high": 0.3333}


@pytest.mark.parametrize(("claims", "found", "reasons"), [([], [], 0), ([], [], 9), (TOLD[:2], [None, None], 4)])
def test_where_nothing_was_compared_no_share_is_told(claims: list[Claim], found: list[Fall | None], reasons: int) -> None:
    told = faithfulness(claims, found, reasons)
    assert set(told) == {"reasons", "without history evidence", "compared"}
    assert told["compared"] == 0
    assert told["reasons"] == reasons
