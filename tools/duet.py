"""Where the two voices meet: the candidates of both, every one of them scored by both."""

import numpy as np
from numpy.typing import NDArray

from duetto.tools.agent_tools import Chosen
from duetto.tools.fusion import Evidence
from duetto.tools.language_voice import Heard, LanguageVoice


def join(
    voice: LanguageVoice, heard: Heard | None, chosen: Chosen | None, history: int, asked: bool
) -> tuple[NDArray[np.int64], Evidence]:
    """The union of the candidates (rows, ascending) and their parts; a voice that is None or silent has no part."""
    rows = [np.zeros(0, dtype=np.int64)]
    rows += [heard.rows] if heard is not None else []
    rows += [chosen.rows] if chosen is not None else []
    union = np.unique(np.concatenate(rows))
    parts = voice.score(heard, union) if heard is not None else {}
    if chosen is not None and len(chosen.scores):
        parts["als"] = chosen.score(union)
    return union, Evidence(parts, history, asked)
