"""Which events of a history an item's place rests on: what its score would lose if one of them had never happened.

First-order: the sources are read again without the event, exactly but for the ALS fold-in, whose term it is; their means
and deviations over the catalogue, and the weights of the parts, stay as they were. `duetto eval reasons` measures
against rankings that are made anew.
"""

import numpy as np
from numpy.typing import NDArray

from duetto.tools.agent_tools import Chosen
from duetto.tools.crowd_voice import CrowdVoice, Floats, spans
from duetto.tools.fusion import CROWD, LEARNED, Array, Evidence, Ranked, Weights
from duetto.tools.histories import History
from duetto.tools.language_voice import TEXTS, Heard
from duetto.tools.ranker import Ranker
from duetto.tools.signals import Signals
from duetto.tools.vector_store import Searchable


def support(
    crowd: CrowdVoice, links: Floats, store: Searchable, signals: Signals, ranker: Ranker | None, weights: Weights,
    history: History, chosen: Chosen, heard: Heard | None, evidence: Evidence, ranked: Ranked, rows: NDArray[np.int64],
    places: list[int], tried: NDArray[np.int64],
) -> Array:  # fmt: skip
    """What the score of each item loses without each event, shape (items, tried); negative where it gains.

    `rows` are the items, `places` theirs among the candidates; `tried` are places of events in the history, all liked.
    `links` are the crowd's of these items.
    """
    lost = crowd.weights(history, tried) - crowd.weights(history)[:, None, :]
    z = chosen.z[:, rows][:, None, :] + lost @ links.transpose(0, 2, 1) / chosen.spread[:, None, None]
    texts = [name for name in TEXTS if heard is not None and name in heard.moments]
    if heard is not None and texts:
        z = np.concatenate([z, _texts(store, heard, texts, history, rows, tried)])
    sources = len(chosen.z)
    if LEARNED in ranked.contributions and ranker is not None and evidence.signals is not None:
        changed = signals.without(evidence.signals, places, z.astype(np.float32), history, tried, rows)
        told = ranker.score(changed.reshape(-1, changed.shape[2])).reshape(len(tried), len(rows))
        drop = ranked.contributions[LEARNED][places] / ranked.weights[LEARNED] - told
        if weights.variety:
            drop -= weights.variety * (evidence.parts["taste"][places] - z[sources:].mean(axis=0))
        return np.asarray(drop.T * ranked.weights[LEARNED])
    drop = np.zeros((len(tried), len(rows)))
    for part, of_part in chosen.by_part.items():
        if part in CROWD and part in ranked.weights:
            drop += ranked.weights[part] * (evidence.parts[part][places] - z[of_part].mean(axis=0))
    if texts and "taste" in ranked.weights:
        drop += ranked.weights["taste"] * (evidence.parts["taste"][places] - z[sources:].mean(axis=0))
    return np.asarray(drop.T)


def _texts(
    store: Searchable, heard: Heard, texts: list[str], history: History, rows: NDArray[np.int64], tried: NDArray[np.int64]
) -> Floats:
    """The text sources' z-scores without each event, shape (texts, tried, items)."""
    liked = History(history.rows[~history.disliked], history.disliked[~history.disliked], history.known)
    place = np.cumsum(~history.disliked) - 1
    reach = max(most for most, _ in TEXTS.values()) + 1
    near = store.vectors_of(liked.rows[-reach:].astype(np.int64)) @ store.vectors_of(rows).T
    found = []
    for name in texts:
        weighed = spans(liked, *TEXTS[name], without=place[tried])[:, -len(near) :]
        mean, deviation = heard.moments[name]
        found.append((weighed @ near - mean) / deviation)
    return np.stack(found).astype(np.float32)
