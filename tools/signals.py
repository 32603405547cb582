"""What a learned ranker is told of each candidate: every source's z-score and rank, and the item beside the history."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from duetto.tools.catalogue import Catalogue
from duetto.tools.crowd import newest
from duetto.tools.crowd_voice import CrowdVoice, spans
from duetto.tools.features import WORDS, Features
from duetto.tools.histories import History
from duetto.tools.language_voice import TEXTS

Floats = NDArray[np.float32]
NUMBERS = 4  # number columns of the catalogue that are compared with the history
KINDS = {"kind_3": (3, 0.7), "kind_50": (50, 0.95)}
AMONG = 20  # a source backs an item that it has among its best so many


@dataclass(frozen=True)
class Signals:
    """`texts` are the names of the language voice's sources over the history."""

    catalogue: Catalogue
    features: Features
    crowd: CrowdVoice
    texts: tuple[str, ...] = tuple(TEXTS)

    @cached_property
    def parts(self) -> dict[str, str]:
        """Each signal's name and the part of the score it belongs to, in the order of `describe`."""
        sources = [(s.name, s.part) for s in self.crowd.sources] + [(name, "taste") for name in self.texts]
        named = dict(sources) | {f"rank_{name}": part for name, part in sources}
        named |= dict.fromkeys(("backers", "mean", "best_rank", "median_rank"), "agreement")
        named |= dict.fromkeys(("liked", "late", "place", "newest_liked", "history"), "popularity")
        named |= dict.fromkeys(KINDS, "taste")
        for column in self._columns:
            named |= {column: "taste", f"{column}_away": "taste"}
        return named

    @cached_property
    def _columns(self) -> list[str]:
        """Number columns that most items fill, with more than a few values."""
        table = self.catalogue.table
        told = [c for c in self.catalogue.columns("number", "year") if table[c].null_count() * 2 < table.height]
        return [c for c in told if table[c].n_unique() > 5][:NUMBERS]

    @cached_property
    def _numbers(self) -> Floats:
        """Those columns, shape (columns, items), NaN where empty; amounts on a log scale."""
        table = self.catalogue.table.select(pl.col(c).cast(pl.Float64) for c in self._columns)
        values = table.to_numpy().T.astype(np.float64).reshape(len(self._columns), len(self.catalogue))
        pairs = zip(self._columns, values, strict=True)
        amounts = np.array([self.catalogue.kinds[c] == "number" and np.nanmin(v) >= 0 for c, v in pairs], dtype=bool)
        values[amounts] = np.log1p(values[amounts])
        return values.astype(np.float32)

    @cached_property
    def _kinds(self) -> sp.csr_matrix:
        """Items by category values and decades, rarer ones weighing more; unit rows."""
        named = np.array([column != WORDS for column in self.features.columns], dtype=bool)
        kinds = self.features.matrix[:, named]
        rare = kinds @ sp.diags(np.log(1 / np.maximum(self.features.shares[named], 1e-9)))
        norms = np.sqrt(np.asarray(rare.multiply(rare).sum(axis=1)).ravel())
        return (sp.diags(1 / np.maximum(norms, 1e-9)) @ rare).tocsr().astype(np.float32)

    def warm(self) -> "Signals":
        """Computes what the first turn would otherwise wait for."""
        _ = self.parts, self._numbers, self._kinds
        return self

    def describe(self, z: Floats, inner: NDArray[np.bool_], rows: NDArray[np.int64], history: History) -> Floats:
        """Shape (rows, signals). `z` (sources, rows) are z-scores, the crowd's sources first; ranks are among `inner`.

        So an item's description does not depend on what else a request brought in.
        """
        ranks = _ranks(np.sort(z[:, inner], axis=1), z)
        standing, last = self.crowd.standing, history.rows[-1]
        ones = np.ones(len(rows), dtype=np.float32)
        columns = [
            self._heard(z, ranks),
            [np.log1p(standing.liked[rows]), np.log1p(standing.late[rows]), standing.place[rows]],
            [ones * np.log1p(standing.liked[last]), ones * np.log1p(len(history))],
            [self._alike(history, rows, *span) for span in KINDS.values()],
        ]
        if len(self._columns):
            own = self._numbers[:, rows]
            known = self._numbers[:, history.rows[-5:]]
            filled = ~np.isnan(known)
            usual = np.where(filled, known, 0).sum(axis=1) / np.maximum(filled.sum(axis=1), 1)
            usual[~filled.any(axis=1)] = np.nan
            columns.append(np.stack([own, np.abs(own - usual[:, None])], axis=1).reshape(2 * len(own), len(rows)))
        return np.ascontiguousarray(np.concatenate([np.asarray(c, dtype=np.float32) for c in columns]).T)

    def _heard(self, z: Floats, ranks: Floats) -> Floats:
        """The signals that come first: what the sources say, and how far they agree."""
        crowd, places = z[: len(self.crowd.sources)], ranks[: len(self.crowd.sources)]
        agreed = [(places < AMONG).sum(axis=0), crowd.mean(axis=0), places.min(axis=0), np.median(places, axis=0)]
        return np.concatenate([z, ranks, np.array(agreed, dtype=np.float32)])

    def without(
        self, described: Floats, places: list[int], z: Floats, history: History, gone: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> Floats:
        """What `describe` would say of the items at some places (rows) if one event of the history had not been.

        `z` (sources, gone, places) is what the sources then say; `gone` are the events' places in the history. Ranks are
        among the other candidates as they were, and popularity and number columns stay. Shape (gone, places, signals).
        """
        sources = len(z)
        changed = np.repeat(described[places][None], len(gone), axis=0)
        flat = z.reshape(sources, -1)
        heard = self._heard(flat, _ranks(np.sort(described[:, :sources].T, axis=1), flat))
        changed[:, :, : len(heard)] = heard.T.reshape(len(gone), len(places), -1)
        events = history.rows[-1 - max(most for most, _ in KINDS.values()) :]
        alike = (self._kinds[events] @ self._kinds[rows].T).toarray()
        names = list(self.parts)
        for name, span in KINDS.items():
            lost = spans(history, *span, without=gone) - spans(history, *span)
            changed[:, :, names.index(name)] += lost[:, -len(events) :] @ alike
        return changed

    def _alike(self, history: History, rows: NDArray[np.int64], most: int, decay: float) -> Floats:
        taste = newest(history, most, decay)
        mine = self._kinds[taste.rows].T @ taste.weights
        return np.asarray((self._kinds @ mine)[rows], dtype=np.float32)


def _ranks(ordered: Floats, z: Floats) -> Floats:
    """How many of the `ordered` (sources, items) stand above each item, by source; shape as `z`."""
    above = [ordered.shape[1] - np.searchsorted(best, own, side="right") for best, own in zip(ordered, z, strict=True)]
    return np.array(above, dtype=np.float32).reshape(z.shape)
