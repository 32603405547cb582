"""Where the voices meet: every candidate of either is scored by both."""

from dataclasses import replace

import numpy as np
import pytest

from duetto.tools.agent_tools import Chosen, artifact, recommend_from_history, search_catalogue
from duetto.tools.crowd_voice import Standing
from duetto.tools.duet import join, popular
from duetto.tools.histories import NOBODY
from duetto.tools.language_voice import TEXTS, Heard
from duetto.tools.signals import Signals
from tests.tools.films import film_index, toolbox

BOX = toolbox()
ANN = BOX.history("ann", [], [])
SIGNALS = Signals(BOX.catalogue, film_index().features, BOX.crowd)
SILENT = Heard((), (), (), np.zeros(0, np.int64), np.zeros(0, np.int64), {}, {}, {})


def heard(*queries: str, user: str | None = "ann") -> Heard:
    found = artifact(search_catalogue(BOX), "1", user=user, queries=list(queries))
    assert isinstance(found, Heard)
    return found


def chosen(user: str | None = "ann") -> Chosen:
    found = artifact(recommend_from_history(BOX), "1", user=user)
    assert isinstance(found, Chosen)
    return found


def test_candidates_are_the_union_and_every_part_scores_all_of_them() -> None:
    rows, evidence = join(BOX.voice, heard("creature"), chosen(), ANN, True)
    assert rows.tolist() == sorted(set(heard("creature").rows.tolist()) | set(chosen().rows.tolist()))
    parts = ("queries", "words", "taste", "als", "together", "next")
    assert {part: len(scores) for part, scores in evidence.parts.items()} == dict.fromkeys(parts, len(rows))
    assert (evidence.history, evidence.asked, evidence.signals) == (3, True, None)


def test_a_part_is_the_same_z_score_whoever_brought_the_candidate() -> None:
    rows, evidence = join(BOX.voice, heard("creature"), chosen(), ANN, True)
    everywhere = BOX.store.cosines(heard("creature").vectors["queries"]).max(axis=0)
    expected = (everywhere - everywhere.mean()) / everywhere.std()
    assert evidence.parts["queries"] == pytest.approx(expected[rows], abs=1e-5)


def test_a_part_is_the_mean_of_its_sources() -> None:
    rows, evidence = join(BOX.voice, heard("creature"), chosen(), ANN, True)
    said = BOX.voice.score(heard("creature"), rows)
    assert evidence.parts["taste"] == pytest.approx(np.mean([said[name] for name in TEXTS], axis=0))
    z = BOX.crowd.hear([ANN])[:, 0]
    for part, sources in BOX.crowd.by_part.items():
        assert evidence.parts[part] == pytest.approx(z[sources][:, rows].mean(axis=0), abs=1e-5)


def test_a_failed_crowd_leaves_the_language_voice() -> None:
    rows, evidence = join(BOX.voice, heard("creature"), None, ANN, True, SIGNALS)
    assert set(evidence.parts) == {"queries", "words", "taste"}
    assert rows.tolist() == heard("creature").rows.tolist()
    assert evidence.signals is None


def test_a_failed_search_leaves_the_crowd() -> None:
    rows, evidence = join(BOX.voice, None, chosen(), ANN, False, SIGNALS)
    assert set(evidence.parts) == {"als", "together", "next"}
    assert rows.tolist() == sorted(chosen().rows.tolist())
    assert evidence.signals is None


def test_a_crowd_that_knows_nothing_has_no_part() -> None:
    _, evidence = join(BOX.voice, heard("creature", user=None), chosen(None), NOBODY, True, SIGNALS)
    assert set(evidence.parts) == {"queries", "words"}
    assert evidence.signals is None


@pytest.mark.parametrize("silent", [None, SILENT])
def test_two_silent_voices_bring_nothing(silent: Heard | None) -> None:
    rows, evidence = join(BOX.voice, silent, None, NOBODY, False)
    assert len(rows) == 0
    assert evidence.parts == {}


# what a ranker reads


def test_a_ranker_reads_of_every_candidate_when_both_voices_know_the_history() -> None:
    rows, evidence = join(BOX.voice, heard(), chosen(), ANN, False, SIGNALS)
    assert evidence.signals is not None
    assert evidence.signals.shape == (len(rows), len(SIGNALS.parts))


def test_what_a_ranker_reads_of_an_item_does_not_depend_on_what_was_asked() -> None:
    few = replace(BOX, limits=replace(BOX.limits, candidates=3, candidates_by_taste=2))
    silent, asked = (
        join(
            few.voice,
            artifact(search_catalogue(few), "1", user="ann", queries=queries),
            artifact(recommend_from_history(few), "1", user="ann", k=1),
            ANN,
            bool(queries),
            SIGNALS,
        )
        for queries in ([], ["a bear in London", "gunmen"])
    )
    assert set(silent[0]) < set(asked[0])
    assert silent[1].signals is not None
    assert asked[1].signals is not None
    assert asked[1].signals[np.isin(asked[0], silent[0])] == pytest.approx(silent[1].signals, abs=1e-5, nan_ok=True)


# who nobody knows


def test_what_most_people_chose_is_standardised_over_the_catalogue_and_kept_to_the_filter() -> None:
    liked = np.array([4, 0, 2, 2], np.float32)
    standing = Standing(liked, liked, liked)
    rows, evidence = popular(standing)
    assert (rows.tolist(), evidence.asked, evidence.history) == ([0, 1, 2, 3], False, 0)
    assert evidence.parts["popularity"] == pytest.approx((liked - 2) / np.sqrt(2))
    rows, evidence = popular(standing, np.array([False, True, True, False]))
    assert rows.tolist() == [1, 2]
    assert evidence.parts["popularity"] == pytest.approx([-np.sqrt(2), 0])


def test_where_everything_is_as_popular_nothing_stands_out() -> None:
    same = np.ones(3, np.float32)
    assert popular(Standing(same, same, same))[1].parts["popularity"].tolist() == [0, 0, 0]
