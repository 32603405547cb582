"""Where the voices meet: every candidate of either is scored by both."""

import numpy as np
import pytest

from duetto.tools.agent_tools import Chosen, artifact, recommend_from_history, search_catalogue
from duetto.tools.duet import join
from duetto.tools.language_voice import Heard
from tests.tools.films import toolbox

BOX = toolbox()


def heard(*queries: str, user: str | None = "ann") -> Heard:
    found = artifact(search_catalogue(BOX), "1", user=user, queries=list(queries))
    assert isinstance(found, Heard)
    return found


def chosen(user: str | None = "ann") -> Chosen:
    found = artifact(recommend_from_history(BOX), "1", user=user)
    assert isinstance(found, Chosen)
    return found


def test_candidates_are_the_union_and_every_part_scores_all_of_them() -> None:
    rows, evidence = join(BOX.voice, heard("creature"), chosen(), 3, True)
    assert rows.tolist() == sorted(set(heard("creature").rows.tolist()) | set(chosen().rows.tolist()))
    assert {part: len(scores) for part, scores in evidence.parts.items()} == dict.fromkeys(("queries", "taste", "als"), len(rows))
    assert (evidence.history, evidence.asked) == (3, True)


def test_a_part_is_the_same_z_score_whoever_brought_the_candidate() -> None:
    rows, evidence = join(BOX.voice, heard("creature"), chosen(), 3, True)
    everywhere = BOX.store.cosines(heard("creature").vectors["queries"]).max(axis=0)
    expected = (everywhere - everywhere.mean()) / everywhere.std()
    assert evidence.parts["queries"] == pytest.approx(expected[rows], abs=1e-5)


def test_a_failed_crowd_leaves_the_language_voice() -> None:
    rows, evidence = join(BOX.voice, heard("creature"), None, 3, True)
    assert set(evidence.parts) == {"queries", "taste"}
    assert rows.tolist() == heard("creature").rows.tolist()


def test_a_failed_search_leaves_the_crowd() -> None:
    rows, evidence = join(BOX.voice, None, chosen(), 3, False)
    assert set(evidence.parts) == {"als"}
    assert rows.tolist() == sorted(chosen().rows.tolist())


def test_a_crowd_that_knows_nothing_has_no_part() -> None:
    _, evidence = join(BOX.voice, heard("creature", user=None), chosen(None), 0, True)
    assert set(evidence.parts) == {"queries"}


@pytest.mark.parametrize("silent", [None, Heard((), (), (), np.zeros(0, np.int64), {}, {})])
def test_two_silent_voices_bring_nothing(silent: Heard | None) -> None:
    rows, evidence = join(BOX.voice, silent, None, 0, False)
    assert len(rows) == 0
    assert evidence.parts == {}
