"""Who interacted with what, in order: one compressed row of item rows a person, oldest first."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from duetto.tools.catalogue import Catalogue, ItemId

Rows = NDArray[np.int32]


@dataclass(frozen=True)
class History:
    """One person's items, oldest first: `rows` (n,) and `disliked` (n,). `known` is false for a stranger."""

    rows: Rows
    disliked: NDArray[np.bool_]
    known: bool

    def __len__(self) -> int:
        return len(self.rows)

    def with_feedback(self, liked: list[int], disliked: list[int]) -> "History":
        """The history with this feedback as its newest events; an item's last event counts, a dislike after a like."""
        events = np.array([*self.rows.tolist(), *liked, *disliked], dtype=np.int32)
        signs = np.array([*self.disliked.tolist(), *[False] * len(liked), *[True] * len(disliked)], dtype=np.bool_)
        _, newest_first = np.unique(events[::-1], return_index=True)
        order = np.sort(len(events) - 1 - newest_first)
        return History(events[order], signs[order], self.known)

    def liked_rows(self, newest: int | None = None) -> list[int]:
        """Rows not disliked, oldest first; at most the `newest` ones."""
        rows: list[int] = self.rows[~self.disliked].tolist()
        return rows if newest is None else rows[-newest:] if newest else []


NOBODY = History(np.zeros(0, np.int32), np.zeros(0, np.bool_), known=False)


@dataclass(frozen=True)
class Histories:
    """All people: `indptr` (people + 1,), `rows` (interactions,), `disliked` (interactions,)."""

    users: list[ItemId]
    indptr: NDArray[np.int64]
    rows: Rows
    disliked: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.users)

    @classmethod
    def of(cls, interactions: pl.DataFrame, catalogue: Catalogue) -> "Histories":
        """`interactions` has user_id, item_id (as text known to the catalogue), position and perhaps rating.

        A rating below the middle of the log's own scale is a dislike: seen, but no sign of taste.
        """
        numbered = interactions.with_columns(person=pl.col("user_id").rank("dense").cast(pl.Int64) - 1)
        ordered = numbered.sort("person", "position", maintain_order=True)
        ids = pl.Series(ordered["item_id"].cast(pl.String))
        lookup = pl.DataFrame({"item_id": [str(i) for i in catalogue.ids]}).with_row_index("row")
        rows = pl.DataFrame({"item_id": ids}).join(lookup, on="item_id", how="left", maintain_order="left")["row"]
        counts = np.bincount(ordered["person"].to_numpy()) if ordered.height else np.zeros(0, np.int64)
        disliked = np.zeros(ordered.height, dtype=np.bool_)
        if "rating" in ordered.columns and ordered["rating"].count():
            ratings = ordered["rating"].to_numpy().astype(np.float64)
            disliked = np.nan_to_num(ratings, nan=np.inf) < (np.nanmin(ratings) + np.nanmax(ratings)) / 2
        users = ordered.unique("person", keep="first", maintain_order=True)["user_id"].to_list()
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(users, indptr, rows.to_numpy().astype(np.int32), disliked)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {str(user): place for place, user in enumerate(self.users)}

    def of_user(self, user: object) -> History:
        """The history of a person by `str(id)`; a stranger's is empty, which is no error."""
        place = None if user is None else self._places.get(str(user))
        return NOBODY if place is None else self.at(place)

    def own_id(self, user: ItemId | None) -> ItemId | None:
        """A known person's id in the log's own type; a stranger's as it was given."""
        place = None if user is None else self._places.get(str(user))
        return user if place is None else self.users[place]

    def at(self, place: int) -> History:
        span = slice(int(self.indptr[place]), int(self.indptr[place + 1]))
        return History(self.rows[span], self.disliked[span], known=True)

    def cut(self, newest: NDArray[np.int64]) -> "Histories":
        """Without each person's `newest[i]` last events, shape (people,)."""
        lengths = np.diff(self.indptr)
        person = np.repeat(np.arange(len(self)), lengths)
        kept = np.arange(len(self.rows)) - self.indptr[person] < (lengths - newest)[person]
        indptr = np.concatenate([[0], np.cumsum(np.maximum(lengths - newest, 0))]).astype(np.int64)
        return Histories(self.users, indptr, self.rows[kept], self.disliked[kept])

    def likes(self) -> tuple[NDArray[np.int64], Rows]:
        """Everything liked, in each person's order: people and rows, both (likes,)."""
        person = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        return person[~self.disliked], self.rows[~self.disliked]

    def positives(self, items: int) -> sp.csr_matrix:
        """People x items, 1 where liked."""
        person, rows = self.likes()
        ones = np.ones(len(rows), dtype=np.float32)
        return sp.csr_matrix((ones, (person, rows)), shape=(len(self), items))
