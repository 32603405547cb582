"""What an item's place rests on: the first-order loss against rankings made anew."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from duetto.limits import Limits
from duetto.tools.agent_tools import Chosen, Toolbox, choose
from duetto.tools.duet import join
from duetto.tools.fusion import Evidence, Ranked, Weights, rank
from duetto.tools.histories import History
from duetto.tools.index import Index
from duetto.tools.language_voice import Heard
from duetto.tools.opened import opened
from duetto.tools.ranker import Ranker
from duetto.tools.signals import Signals
from duetto.tools.support import support
from tests.tools.eras import era_index

Strategy = Literal["learned", "adaptive"]
PEOPLE = range(0, 600, 60)


@pytest.fixture(scope="module")
def era() -> Index:
    return era_index()


def parts(index: Index) -> tuple[Toolbox, Signals]:
    assert index.lsa is not None
    return opened(index, index.lsa, Limits())


def ranked(
    box: Toolbox, signals: Signals, history: History, seen: History, weights: Weights, fusion: Strategy, ranker: Ranker | None
) -> tuple[NDArray[np.int64], Evidence, Ranked, Chosen, Heard]:
    keep = box.eligible(seen, None)
    z, spread = (heard[:, 0] for heard in box.crowd.hear_closely([history]))
    chosen = replace(choose(z, box.crowd.by_part, keep, box.limits.candidates), spread=spread)
    heard = box.voice.listen((), np.zeros((0, 1), np.float32), history, keep)
    rows, evidence = join(box.voice, heard, chosen, history, False, signals)
    return rows, evidence, rank(evidence, weights, Limits(fusion=fusion), ranker), chosen, heard


def losses(index: Index, person: int, fusion: Strategy, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each of ten items loses without each event: as told, and where the turn is played again without it."""
    box, signals = parts(index)
    ranker, history = index.ranker if fusion == "learned" else None, index.histories.at(person)
    rows, evidence, order, chosen, heard = ranked(box, signals, history, history, weights, fusion, ranker)
    places, tried = order.order[:10].tolist(), np.arange(len(history))
    links = box.crowd.links(history, rows[places])
    told = support(
        box.crowd, links, box.store, signals, ranker, weights, history, chosen, heard, evidence, order, rows[places], places,
        tried,
    )  # fmt: skip
    again = np.full(told.shape, np.nan)
    for gone in tried:
        kept = np.arange(len(history)) != gone
        shorter = History(history.rows[kept], history.disliked[kept], known=True)
        left, _, anew, _, _ = ranked(box, signals, shorter, history, weights, fusion, ranker)
        scores = dict(zip(left.tolist(), anew.scores.tolist(), strict=True))
        again[:, gone] = [order.scores[place] - scores.get(int(rows[place]), np.nan) for place in places]
    return told, again


@pytest.mark.parametrize(("fusion", "least"), [("learned", 0.5), ("adaptive", 0.6)])
def test_what_is_told_goes_with_what_a_new_ranking_shows(era: Index, fusion: Strategy, least: float) -> None:
    pairs = [losses(era, person, fusion, era.weights) for person in PEOPLE]
    told, again = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    known = ~np.isnan(again)
    assert known.sum() > 100
    assert np.corrcoef(told[known], again[known])[0, 1] > least


def test_variety_is_part_of_what_is_lost(era: Index) -> None:
    plain, _ = losses(era, 0, "learned", replace(era.weights, variety=0.0))
    varied, _ = losses(era, 0, "learned", replace(era.weights, variety=0.5))
    assert not np.allclose(plain, varied)
