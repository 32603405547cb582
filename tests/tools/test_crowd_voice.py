"""The crowd's voice: many sources, each a standard score, and each item's share in it."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from duetto.limits import Limits
from duetto.tools.crowd import Crowd, CrowdSettings
from duetto.tools.crowd_voice import ALS, SOURCES, CrowdVoice, Standing
from duetto.tools.histories import NOBODY, History
from duetto.tools.relations import fit_relations
from tests.tools.test_relations import people

ITEMS = 30
RNG = np.random.default_rng(4)
LOG = people(*(RNG.permutation(ITEMS)[: RNG.integers(2, 15)].tolist() for _ in range(80)))
PEOPLE = [LOG.at(0), NOBODY, LOG.at(3).with_feedback([5], [7]), NOBODY.with_feedback([], [2]), NOBODY.with_feedback([11], [])]


@pytest.fixture(scope="module")
def voice() -> CrowdVoice:
    als = Crowd.fit(LOG.positives(ITEMS), CrowdSettings(factors=6, regularization=0.1))
    return CrowdVoice(als, fit_relations(LOG, ITEMS, Limits()), Standing.of(LOG, ITEMS)).warm()


def bare(**relations: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> CrowdVoice:
    """A voice of these relations alone; the collaborative filter knows nothing."""
    sparse = {name: sp.csr_matrix(matrix) for name, matrix in relations.items()}
    size = next(iter(sparse.values())).shape[0]
    nothing = np.zeros(size, np.float32)
    return CrowdVoice(Crowd(np.zeros((size, 1), np.float32), CrowdSettings(factors=1)), sparse, Standing(*[nothing] * 3))


def contributions(voice: CrowdVoice, history: History, rows: NDArray[np.int64], part: str) -> NDArray[np.float32]:
    return voice.contributions(history, voice.links(history, rows))[part]


def source(voice: CrowdVoice, name: str) -> int:
    return [s.name for s in voice.sources].index(name)


# hearing


def test_every_source_is_standard_over_the_catalogue(voice: CrowdVoice) -> None:
    z = voice.hear([LOG.at(0), LOG.at(10)])
    assert z.shape == (len(SOURCES), 2, ITEMS)
    assert z.mean(axis=2) == pytest.approx(np.zeros((len(SOURCES), 2)), abs=1e-5)
    assert z.std(axis=2) == pytest.approx(np.ones((len(SOURCES), 2)), abs=1e-5)


def test_who_is_not_known_is_heard_as_noughts(voice: CrowdVoice) -> None:
    assert not voice.hear([NOBODY]).any()


def test_several_people_are_heard_as_if_alone(voice: CrowdVoice) -> None:
    together = voice.hear(PEOPLE)
    for place, history in enumerate(PEOPLE):
        assert together[:, place] == pytest.approx(voice.hear([history])[:, 0], abs=1e-4)


def test_a_relation_is_read_from_what_a_person_had_to_what_it_speaks_for() -> None:
    voice = bare(next=np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]], np.float32))
    z = voice.hear([NOBODY.with_feedback([0], []), NOBODY.with_feedback([1], [])])[source(voice, "next_3")]
    assert z[0].argmax() == 1
    assert not z[1].any()


def test_each_source_looks_at_its_own_span_and_the_newest_weighs_most() -> None:
    voice = bare(together=np.eye(8, dtype=np.float32))
    history = NOBODY.with_feedback([0, 1, 2, 3, 4], [])
    short, long = (voice.hear([history])[source(voice, name), 0] for name in ("together_3", "together_50"))
    assert np.argsort(-short, kind="stable")[:3].tolist() == [4, 3, 2]
    assert short[0] == pytest.approx(short[7])
    assert np.argsort(-long, kind="stable")[:5].tolist() == [4, 3, 2, 1, 0]
    raw = np.array([0, 0, 0.49, 0.7, 1, 0, 0, 0])
    assert short == pytest.approx((raw - raw.mean()) / raw.std(), abs=1e-5)


def test_a_dislike_speaks_against_what_its_item_speaks_for(voice: CrowdVoice) -> None:
    before, after = LOG.at(5), LOG.at(5).with_feedback([], [int(LOG.at(6).rows[0])])
    row = int(after.rows[-1])
    for place, s in enumerate(voice.sources):
        if s.relation in ALS or s.relation.startswith("linear") or s.skip:
            continue
        spoken_for = voice.relations[s.relation][row].toarray()[0]
        best = int(spoken_for.argmax())
        z = voice.hear([before.with_feedback([row], []), after])[place]
        assert z[1, best] < z[0, best]


def test_steps_are_counted_from_the_end_of_the_history() -> None:
    voice = bare(step_1=np.eye(6, dtype=np.float32), step_2=np.eye(6, dtype=np.float32), step_3=np.eye(6, dtype=np.float32))
    long, short = NOBODY.with_feedback([0, 1, 2, 3], []), NOBODY.with_feedback([4], [])
    for name, row in (("step_1", 3), ("step_2", 2), ("step_3", 1)):
        z = voice.hear([long, short])[source(voice, name)]
        assert np.flatnonzero(z[0] > 0).tolist() == [row]
        assert z[1].any() == (name == "step_1")
    assert contributions(voice, long, np.array([0, 1, 2, 3]), "next").tolist() == np.diag([0.0, 1, 1, 1]).tolist()
    assert contributions(voice, short, np.array([4]), "next").tolist() == [[1.0]]


def test_order_is_heard(voice: CrowdVoice) -> None:
    forth, back = (NOBODY.with_feedback(rows, []) for rows in ([3, 9, 14], [14, 9, 3]))
    z = voice.hear([forth, back])
    for name in ("als_5", "next_3", "next_10", "soon_1", "linear_20"):
        assert np.abs(z[source(voice, name), 0] - z[source(voice, name), 1]).max() > 0.1


def test_a_relation_that_is_not_there_has_no_source() -> None:
    voice = bare(next=np.eye(3, dtype=np.float32))
    assert [s.name for s in voice.sources] == ["als_fold", "als_5", "als_50", "next_3", "next_10"]
    assert voice.by_part == {"als": [0, 1, 2], "next": [3, 4]}
    assert len(voice) == 3


def test_the_parts_together_are_all_the_sources(voice: CrowdVoice) -> None:
    assert list(voice.by_part) == ["als", "together", "next"]
    assert sorted(place for places in voice.by_part.values() for place in places) == list(range(len(voice.sources)))


def test_warming_changes_nothing(voice: CrowdVoice) -> None:
    cold = CrowdVoice(voice.als, voice.relations, voice.standing)
    assert cold.hear(PEOPLE).tolist() == voice.hear(PEOPLE).tolist()


# shares of the history


@pytest.mark.parametrize("part", ["als", "together", "next"])
@pytest.mark.parametrize("history", [LOG.at(0), PEOPLE[2], PEOPLE[4]], ids=["known", "disliking", "single"])
def test_shares_are_positive_and_sum_to_one_a_source_at_most(voice: CrowdVoice, part: str, history: History) -> None:
    shares = contributions(voice, history, np.arange(ITEMS), part)
    assert shares.shape == (ITEMS, len(history))
    assert (shares >= 0).all()
    assert shares.sum(axis=1).max() <= len(voice.by_part[part]) + 1e-4
    assert shares.any()


def test_a_share_goes_to_the_item_that_speaks() -> None:
    matrix = np.zeros((6, 6), np.float32)
    matrix[0, 5], matrix[2, 5], matrix[3, 4] = 3, 1, 1
    voice, history = bare(together=matrix), NOBODY.with_feedback([3, 0, 2], [])
    shares = contributions(voice, history, np.array([5, 4, 1]), "together")
    near, far = 3 * 0.7 / (3 * 0.7 + 1), 3 * 0.95 / (3 * 0.95 + 1)
    assert shares == pytest.approx(np.array([[0, near + far, 2 - near - far], [2, 0, 0], [0, 0, 0]]), abs=1e-5)


def test_events_before_a_source_s_span_have_no_share_in_it() -> None:
    voice = bare(soon=np.ones((6, 6), np.float32))
    shares = contributions(voice, NOBODY.with_feedback([0, 1, 2], []), np.array([5]), "next")
    assert shares.tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("part", ["als", "together", "next"])
def test_what_was_disliked_speaks_for_nothing(voice: CrowdVoice, part: str) -> None:
    history = LOG.at(3).with_feedback([5, 6], [7, 8])
    assert not contributions(voice, history, np.arange(ITEMS), part)[:, history.disliked].any()


def test_nobody_has_no_shares(voice: CrowdVoice) -> None:
    assert contributions(voice, NOBODY, np.arange(3), "als").shape == (3, 0)


# standing


def test_standing_counts_likes_and_where_in_a_history_they_stood() -> None:
    log = people([0, 1, 2], [0, 2], [3, 1], disliked={(2, 3)})
    standing = Standing.of(log, 5)
    assert standing.liked.tolist() == [2, 2, 2, 0, 0]
    assert standing.late.tolist() == [0, 1, 2, 0, 0]  # the last like of each
    assert standing.place == pytest.approx([0, 0.25, 1, 0, 0])


def test_the_last_tenth_of_a_long_history_is_late() -> None:
    assert np.flatnonzero(Standing.of(people(list(range(25))), 25).late).tolist() == [23, 24]


def test_nobody_s_standing_is_nought() -> None:
    standing = Standing.of(people(), 2)
    assert (standing.liked.tolist(), standing.late.tolist(), standing.place.tolist()) == ([0, 0], [0, 0], [0, 0])


@pytest.mark.parametrize("person", range(0, 20, 3))
def test_links_and_weights_make_the_scores_again(voice: CrowdVoice, person: int) -> None:
    history = LOG.at(person)
    raw = np.einsum("se,sie->si", voice.weights(history), voice.links(history, np.arange(ITEMS)))
    z, spread = (heard[:, 0] for heard in voice.hear_closely([history]))
    assert (raw - raw.mean(axis=1, keepdims=True)) / spread[:, None] == pytest.approx(z, abs=2e-3)


@pytest.mark.parametrize("gone", [0, 1, -1])
def test_weights_without_an_event_are_those_of_the_history_without_it(voice: CrowdVoice, gone: int) -> None:
    history = LOG.at(4)
    place = len(history) + gone if gone < 0 else gone
    kept = np.arange(len(history)) != place
    shorter = History(history.rows[kept], history.disliked[kept], known=True)
    without = voice.weights(history, np.array([place]))[:, 0]
    assert not without[:, place].any()
    assert without[:, kept] == pytest.approx(voice.weights(shorter))
