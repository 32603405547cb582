"""The crowd's voice: what people with a history like this one had together with it, and what they went on to.

Implicit ALS and the relations of items are each read over a few spans of the newest events: one `Source` each. All of
them are linear in the history, so what each of its items adds to a score is exact.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from duetto.tools.crowd import Crowd, Taste, events_matrix, newest
from duetto.tools.histories import Histories, History
from duetto.tools.relations import Relations

Floats = NDArray[np.float32]
Number = float | NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """A relation read over the `newest` events before the `skip` newest ones, the t-th newest weighing `decay**t`."""

    name: str
    part: str
    relation: str
    newest: int
    decay: float
    skip: int = 0


SOURCES = (
    Source("als_fold", "als", "fold_in", 20, 0.7),
    Source("als_5", "als", "neighbours", 5, 0.5),
    Source("als_50", "als", "neighbours", 50, 0.95),
    Source("together_3", "together", "together", 3, 0.7),
    Source("together_50", "together", "together", 50, 0.95),
    Source("soon_1", "next", "soon", 1, 1.0),
    Source("step_1", "next", "step_1", 1, 1.0),
    Source("step_2", "next", "step_2", 1, 1.0, skip=1),
    Source("step_3", "next", "step_3", 1, 1.0, skip=2),
    Source("next_3", "next", "next", 3, 0.7),
    Source("next_10", "next", "next", 10, 0.8),
    Source("rare_10", "next", "next_rare", 10, 0.8),
    Source("before_3", "next", "before", 3, 0.7),
    Source("around_10", "next", "around", 10, 0.8),
    Source("linear_20", "next", "linear", 20, 0.7),
    Source("linear_long_20", "next", "linear_long", 20, 0.9),
)
ALS = ("fold_in", "neighbours")
TOGETHER = 16  # people whose sources are read in one product
REACH = {  # how many events back any source reads a relation, where one event between may be missing
    relation: max(source.newest + source.skip for source in SOURCES if source.relation == relation) + 1
    for relation in dict.fromkeys(source.relation for source in SOURCES)
}


@dataclass(frozen=True)
class Standing:
    """Of each item: how many liked it, how many in the last tenth of their history, and its mean place there, 0 to 1."""

    liked: Floats
    late: Floats
    place: Floats

    @classmethod
    def of(cls, histories: Histories, items: int) -> "Standing":
        person, rows = histories.likes()
        length = np.bincount(person, minlength=len(histories))
        place = np.arange(len(rows)) - np.concatenate([[0], np.cumsum(length)])[person]
        last = place >= length[person] - np.maximum(1, length[person] // 10)
        liked = np.bincount(rows, minlength=items)
        far = np.bincount(rows, place / np.maximum(length[person] - 1, 1), minlength=items)
        late = np.bincount(rows[last], minlength=items)
        return cls(*(np.asarray(a, dtype=np.float32) for a in (liked, late, far / np.maximum(liked, 1))))


class CrowdVoice:
    """`als` may be any collaborative filter with item factors; `relations` are (items, items)."""

    def __init__(self, als: Crowd, relations: Relations, standing: Standing) -> None:
        self.als, self.standing = als, standing
        self.relations, self._stacked = stacked(relations)
        self._first = {name: place * len(standing.liked) for place, name in enumerate(relations)}  # its rows in the stack
        self.sources = tuple(s for s in SOURCES if s.relation in ALS or s.relation in relations)

    def __len__(self) -> int:
        return len(self.standing.liked)

    @cached_property
    def by_part(self) -> dict[str, list[int]]:
        """The places of each part's sources."""
        parts = dict.fromkeys(source.part for source in self.sources)
        return {part: [place for place, source in enumerate(self.sources) if source.part == part] for part in parts}

    @cached_property
    def _als(self) -> dict[str, Crowd]:
        """The same factors, read over each ALS source's span."""
        return {s.name: self.als.read_as(s.relation, s.newest, s.decay) for s in self.sources if s.relation in ALS}  # type: ignore[arg-type]

    @cached_property
    def _read(self) -> tuple[NDArray[Any], ...]:
        """Of each source: newest, decay, skip, and what an event of weight 1 counts."""
        als = {source.name: self._als[source.name].settings.confidence for source in self.sources if source.relation in ALS}
        told = [(s.newest, s.decay, s.skip, als.get(s.name, 1.0)) for s in self.sources]
        return tuple(np.array(told, dtype=np.float64).reshape(-1, 4).T)

    def warm(self) -> "CrowdVoice":
        """Computes what the first turn would otherwise wait for."""
        for als in self._als.values():
            als.warm()
        return self

    def hear(self, histories: list[History]) -> Floats:
        """z-scores over the catalogue, shape (sources, people, items); zeros where a source knows nothing."""
        return self.hear_closely(histories)[0]

    def hear_closely(self, histories: list[History]) -> tuple[Floats, Floats]:
        """`hear`, and the deviations that the scores were divided by, shape (sources, people)."""
        heard = np.empty((len(self.sources), len(histories), len(self)), dtype=np.float32)
        for scores, source in zip(heard, self.sources, strict=True):
            if source.relation in ALS:
                als = self._als[source.name]
                scores[:] = als.scores([als.taste(history) for history in histories])
        related = [place for place, source in enumerate(self.sources) if source.relation not in ALS]
        for start in range(0, len(histories) if related else 0, TOGETHER):
            some = histories[start : start + TOGETHER]
            tastes = [self._events(history, self.sources[place]) for place in related for history in some]
            read = events_matrix(tastes, self._stacked.shape[0]) @ self._stacked
            heard[related, start : start + TOGETHER] = read.toarray().reshape(len(related), len(some), len(self))
        heard -= heard.mean(axis=2, keepdims=True)
        deviation = heard.std(axis=2, keepdims=True)
        deviation[deviation == 0] = 1
        heard /= deviation
        return heard, deviation[:, :, 0]

    def _events(self, history: History, source: Source) -> Taste:
        """What a source reads of a history, as rows of the stack."""
        taste = newest(history, source.newest, source.decay, source.skip)
        return Taste(taste.rows + self._first[source.relation], taste.weights)

    def links(self, history: History, rows: NDArray[np.int64]) -> Floats:
        """What each event says of these items in each source before it is weighed, shape (sources, rows, events)."""
        found = np.zeros((len(self.sources), len(rows), len(history)), dtype=np.float32)
        newest_of = {name: history.rows[-REACH[name] :] + first for name, first in self._first.items()}
        ends = np.cumsum([len(events) for events in newest_of.values()])
        events = np.concatenate([np.zeros(0, np.int32), *newest_of.values()])
        spoken = self._stacked[events[:, None], rows].toarray().T if len(events) else np.zeros((len(rows), 0), np.float32)
        between = dict(zip(newest_of, np.split(spoken, ends[:-1], axis=1), strict=True)) if newest_of else {}
        for link, source in zip(found, self.sources, strict=True):
            if source.relation in ALS:
                als = self._als[source.name]
                taste = als.taste(history)
                if len(taste):
                    link[:, len(history) - len(taste) :] = als.contributions(taste, rows) / taste.weights
            else:
                own = between[source.relation]
                link[:, len(history) - own.shape[1] :] = own
        return found

    def weights(self, history: History, without: NDArray[np.int64] | None = None) -> Floats:
        """How each source weighs the events, shape (sources, events); with `without` (n,), as it weighs them where the event
        at that place never happened: (sources, n, events)."""
        along = (-1, 1) if without is None else (-1, 1, 1)
        most, decay, skip, confidence = (each.reshape(along) for each in self._read)
        return np.asarray(spans(history, most, decay, skip, without) * confidence, dtype=np.float32)

    def contributions(self, history: History, links: Floats) -> dict[str, Floats]:
        """What each event adds to items in the sources of each part, (rows, events); each source sums to 1 at most."""
        said = np.maximum(links * np.maximum(self.weights(history), 0)[:, None, :], 0)
        said[:, :, history.disliked] = 0  # a dislike speaks for nothing
        said /= np.maximum(said.sum(axis=2, keepdims=True), 1e-12)
        return {part: said[places].sum(axis=0) for part, places in self.by_part.items()}


def stacked(relations: Relations) -> tuple[Relations, sp.csr_matrix]:
    """The relations below one another, (relations * items, items), and each of them again as a part of that: no copy.

    A person's every source is then one product, where scipy's overhead for a product each was most of it.
    """
    if not relations:
        return {}, sp.csr_matrix((0, 0), dtype=np.float32)
    stack = sp.vstack(list(relations.values()), format="csr")
    parts, row = {}, 0
    for name, relation in relations.items():
        indptr = stack.indptr[row : row + relation.shape[0] + 1]
        inside = slice(indptr[0], indptr[-1])
        parts[name] = sp.csr_matrix((stack.data[inside], stack.indices[inside], indptr - indptr[0]), shape=relation.shape)
        row += relation.shape[0]
    return parts, stack


def spans(history: History, most: Number, decay: Number, skip: Number = 0, without: NDArray[np.int64] | None = None) -> Floats:
    """`newest` for every event: its weight (events,), 0 outside the span; or (n, events), each without one place.

    `most`, `decay` and `skip` may be arrays that broadcast against that: many spans at once.
    """
    places = np.arange(len(history))
    age = len(history) - 1 - places
    if without is not None:
        age = age[None, :] - (without[:, None] > places)
    inside = (age >= skip) & (age < skip + most)
    weights = np.where(inside, decay ** np.where(inside, age - skip, 0), 0.0)
    if without is not None:
        weights[..., np.arange(len(without)), without] = 0
    return np.where(history.disliked, -weights, weights).astype(np.float32)
