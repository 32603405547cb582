"""What the graph is measured against in other people's conversations."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from duetto.evals.moments import Moment
from duetto.tools.agent_tools import Toolbox
from duetto.tools.embedding import embed_queries

DAMPING = 10
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Rivals:
    """Each scores all items for some moments, shape (moments, items)."""

    box: Toolbox

    def ranks(self, moments: list[Moment]) -> dict[str, list[list[int]]]:
        """By system and moment, the targets' places from 0 among all items not mentioned before."""
        scores = {
            "popularity": np.zeros((len(moments), len(self.box.catalogue))),
            "co-occurrence": self._co_occurrence(moments),
            "message text": self._near([moment.asked for moment in moments]),
            "conversation text": self._near([moment.said for moment in moments]),
        }
        return {name: [self._ranks(row, m) for row, m in zip(of, moments, strict=True)] for name, of in scores.items()}

    def _co_occurrence(self, moments: list[Moment]) -> Scores:
        """How many people of the log had an item and each mentioned one, over the root of the product of how many had either.

        DAMPING in that divisor keeps down what a few people had; without it recall@10 on ReDial is a tenth less.
        """
        rows, places = np.unique([row for moment in moments for row in moment.mentioned], return_inverse=True)
        had, counts = self._had
        shared = (had[:, rows.astype(np.int64)].T @ had).tocoo()
        shared.data = shared.data / (np.sqrt(counts[rows.astype(np.int64)][shared.row] * counts[shared.col]) + DAMPING)
        moment = np.repeat(np.arange(len(moments)), [len(m.mentioned) for m in moments])
        ones = np.ones(len(places), dtype=np.float64)
        named = sp.csr_matrix((ones, (moment, places)), shape=(len(moments), len(rows)))
        return np.asarray((named @ shared.tocsr()).toarray(), dtype=np.float64)

    @cached_property
    def _had(self) -> tuple[sp.csc_matrix, NDArray[np.float64]]:
        """People x items, 1 where the log has them together, liked or not; and each item's people."""
        histories = self.box.histories
        ones = np.ones(len(histories.rows), dtype=np.float32)
        had = sp.csr_matrix((ones, histories.rows, histories.indptr), shape=(len(histories), len(self.box.catalogue)))
        return had.tocsc(), np.asarray(had.sum(axis=0), dtype=np.float64).ravel()

    def _near(self, texts: list[str]) -> Scores:
        said = [place for place, text in enumerate(texts) if text.strip()]
        scores = np.zeros((len(texts), len(self.box.catalogue)))
        if said:
            scores[said] = self.box.store.cosines(embed_queries(self.box.embedder, [texts[place] for place in said]))
        return scores

    def _ranks(self, scores: Scores, moment: Moment) -> list[int]:
        """What a system says nothing of, and what it finds as good, stands in order of popularity."""
        keep = self.box.catalogue.available.copy()
        keep[list(moment.mentioned)] = False
        popular = self._had[1]
        places = []
        for row in moment.targets:
            above = (scores > scores[row]) | ((scores == scores[row]) & (popular > popular[row]))
            before = (scores[:row] == scores[row]) & (popular[:row] == popular[row])
            places.append(int((above & keep).sum() + (before & keep[:row]).sum()))
        return places
