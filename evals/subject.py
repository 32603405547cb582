"""What is evaluated: the parts of an index, as they are served, and variants of them."""

from dataclasses import dataclass, replace

import numpy as np
from langchain_core.embeddings import Embeddings

from duetto.evals.baselines import Baselines
from duetto.limits import Limits
from duetto.tools.agent_tools import Toolbox
from duetto.tools.fusion import Weights
from duetto.tools.histories import Histories
from duetto.tools.index import Index
from duetto.tools.indexing import fit_crowd
from duetto.tools.opened import opened
from duetto.tools.ranker import Ranker
from duetto.tools.signals import Signals


@dataclass(frozen=True)
class Subject:
    """An index's parts, and the baselines fitted on the same log."""

    box: Toolbox
    signals: Signals
    weights: Weights
    ranker: Ranker | None
    baselines: Baselines


def subject_of(index: Index, embedder: Embeddings | None, limits: Limits) -> Subject:
    """An index as it is served."""
    used: Embeddings = embedder or index.lsa  # type: ignore[assignment]
    return subject_over(index, *opened(index, used, limits))


def subject_over(index: Index, box: Toolbox, signals: Signals) -> Subject:
    """An index whose parts are open already."""
    return Subject(box, signals, index.weights, index.ranker, Baselines(index.histories, len(index.catalogue)))


def unrefitted(subject: Subject) -> Subject:
    """The same, with a crowd that was not fitted on each person's last training event; people still have it behind them."""
    box = subject.box
    lengths = np.diff(box.histories.indptr)
    inner = box.histories.cut(np.where(lengths > 1, 1, 0))
    return with_crowd(subject, inner)


def with_crowd(subject: Subject, histories: Histories) -> Subject:
    """The same weights and ranker over a crowd fitted on other histories."""
    box = subject.box
    crowd = fit_crowd(histories, len(box.catalogue), box.limits).warm()
    signals = replace(subject.signals, crowd=crowd).warm()
    return replace(subject, box=replace(box, crowd=crowd), signals=signals, baselines=Baselines(histories, len(box.catalogue)))
