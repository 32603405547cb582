"""Where the two voices meet: the candidates of both, every one of them scored by both."""

import numpy as np
from numpy.typing import NDArray

from duetto.tools.agent_tools import Chosen
from duetto.tools.crowd_voice import Standing
from duetto.tools.fusion import Evidence
from duetto.tools.histories import History
from duetto.tools.language_voice import PARTS_OF, TEXTS, Heard, LanguageVoice
from duetto.tools.signals import Signals
from duetto.tools.vector_store import Mask

NONE = np.zeros(0, dtype=np.int64)


def join(
    voice: LanguageVoice,
    heard: Heard | None,
    chosen: Chosen | None,
    history: History,
    asked: bool,
    signals: Signals | None = None,
    extra: NDArray[np.int64] = NONE,
) -> tuple[NDArray[np.int64], Evidence]:
    """The union of the candidates and `extra` rows, ascending, and their parts; a voice that is None or silent has no part.

    With `signals` the evidence also holds what a learned ranker reads, where both voices know the history.
    """
    rows = [extra]
    rows += [heard.rows] if heard is not None else []
    rows += [chosen.rows] if chosen is not None else []
    union = np.unique(np.concatenate(rows))
    said = voice.score(heard, union) if heard is not None else {}
    parts = {}
    for part in dict.fromkeys(PARTS_OF[source] for source in said):
        parts[part] = np.mean([z for source, z in said.items() if PARTS_OF[source] == part], axis=0)
    read = None
    if chosen is not None and len(chosen.z):
        parts |= chosen.score(union)
        if signals is not None and heard is not None and set(TEXTS) <= set(said):
            z = np.concatenate([chosen.z[:, union], [said[name] for name in TEXTS]]).astype(np.float32)
            own = np.isin(union, np.union1d(chosen.rows, heard.own), assume_unique=True)
            read = signals.describe(z, own, union, history)
    return union, Evidence(parts, len(history), asked, read)


def popular(standing: Standing, keep: Mask | None = None) -> tuple[NDArray[np.int64], Evidence]:
    """What most people chose, for somebody of whom nothing is known and who said nothing."""
    liked = standing.liked.astype(np.float64)
    rows = np.arange(len(liked)) if keep is None else np.flatnonzero(keep)
    return rows, Evidence({"popularity": (liked[rows] - liked.mean()) / (liked.std() or 1.0)}, 0, asked=False)
