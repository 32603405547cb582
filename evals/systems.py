"""Every recommender that is evaluated, in one table: a name, and a function that scores all items for a batch of people.

To add one, write one function and give it a line in SYSTEMS.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from duetto.errors import BadInput
from duetto.evals.subject import Subject
from duetto.tools.crowd import events_matrix, newest
from duetto.tools.duet import popular
from duetto.tools.fusion import Evidence, rank
from duetto.tools.histories import History
from duetto.tools.language_voice import TEXTS
from duetto.tools.practice import Queries, joined
from duetto.tools.vector_store import Rows

Scores = NDArray[np.float32]
BELOW = 1e3  # what was no candidate stands below every candidate, near enough for float32 to keep its order


@dataclass(frozen=True)
class Batch:
    """Some people at once; what several systems need is computed once.

    `queries[i]`, when given, are searched for the i-th person, who asked for them or did not.
    """

    subject: Subject
    histories: list[History]
    queries: list[Queries] | None = None
    asked: bool = True

    @cached_property
    def z(self) -> Scores:
        """The crowd's sources, shape (sources, people, items)."""
        return self.subject.box.crowd.hear(self.histories)

    @cached_property
    def texts(self) -> Scores:
        """Cosines of each history with every item by span, shape (texts, people, items)."""
        if self._near is None:
            raise BadInput("cannot score a catalogue this large with text alone: leave the system out with --systems")
        return self._near.transpose(1, 0, 2)

    @cached_property
    def _near(self) -> Scores | None:
        return self.subject.box.voice.own_cosines(self.histories)

    @cached_property
    def evidence(self) -> list[tuple[Rows, Evidence]]:
        return list(joined(self.subject.box, self.subject.signals, self.histories, self.z, self._near, self.queries, self.asked))

    def source(self, name: str) -> Scores:
        """One source of the crowd, shape (people, items)."""
        names = [source.name for source in self.subject.box.crowd.sources]
        return np.asarray(self.z[names.index(name)])

    @property
    def beneath(self) -> Scores:
        """Where what is no candidate stands: below every candidate, in the crowd's order."""
        return np.asarray(self.z.mean(axis=0) - BELOW)

    def fused(self, strategy: str) -> Scores:
        """Scores of the candidates by a fusion strategy."""
        limits = replace(self.subject.box.limits, fusion=strategy)
        scores = self.beneath
        for row, (rows, evidence) in zip(scores, self.evidence, strict=True):
            if not evidence.parts:
                rows, evidence = popular(self.subject.box.crowd.standing)
            row[rows] = rank(evidence, self.subject.weights, limits, self.subject.ranker).scores
        return scores

    def voice(self, *parts: str) -> Scores:
        """The candidates by some parts alone, evenly."""
        scores = self.beneath
        for row, (rows, evidence) in zip(scores, self.evidence, strict=True):
            spoken = [evidence.parts[part] for part in parts if part in evidence.parts]
            if spoken:
                row[rows] = np.sum(spoken, axis=0)
        return scores


def popularity(batch: Batch) -> Scores:
    liked = batch.subject.box.crowd.standing.liked
    return np.tile(liked, (len(batch.histories), 1))


def co_occurrence(batch: Batch) -> Scores:
    return batch.source("together_3")


def recency_als(batch: Batch) -> Scores:
    return batch.source("als_fold")


def transitions(batch: Batch) -> Scores:
    return batch.source("next_3")


def semantic(batch: Batch) -> Scores:
    return np.asarray(batch.texts[list(TEXTS).index("text_3")])


def star(batch: Batch) -> Scores:
    """STAR's retrieval (arXiv 2410.16458): half text, half co-occurrence, three newest items, decay 0.7."""
    box = batch.subject.box
    events = events_matrix([newest(history, 3, 0.7) for history in batch.histories], len(box.catalogue))
    together: sp.csr_matrix = events @ box.crowd.relations["together"]
    return np.asarray(0.5 * semantic(batch) + 0.5 * together.toarray(), dtype=np.float32)


def language(batch: Batch) -> Scores:
    if batch.queries is not None and batch.asked:
        return batch.voice("queries", "words")
    spread = batch.texts.std(axis=2, keepdims=True)
    return np.asarray((batch.texts / np.where(spread > 0, spread, 1)).mean(axis=0), dtype=np.float32)


def retrieval(batch: Batch) -> Scores:
    return batch.voice("queries")


def crowd(batch: Batch) -> Scores:
    return np.asarray(batch.z.mean(axis=0))


SYSTEMS: dict[str, Callable[[Batch], Scores]] = {
    "popularity": popularity,
    "item-knn": lambda batch: batch.subject.baselines.item_knn(batch.histories),
    "item-knn-bm25": lambda batch: batch.subject.baselines.item_knn_bm25(batch.histories),
    "als": lambda batch: batch.subject.baselines.als(batch.histories),
    "ease": lambda batch: batch.subject.baselines.ease(batch.histories),
    "recency-als": recency_als,
    "co-occurrence": co_occurrence,
    "transitions": transitions,
    "semantic": semantic,
    "star": star,
    "retrieval": retrieval,
    "language": language,
    "crowd": crowd,
    "rrf": lambda batch: batch.fused("rrf"),
    "fixed": lambda batch: batch.fused("fixed"),
    "adaptive": lambda batch: batch.fused("adaptive"),
    "learned": lambda batch: batch.fused("learned"),
}


DEFAULT = tuple(name for name in SYSTEMS if name != "retrieval")  # it has nothing to say without a request
