"""The items: their ids, columns and texts, and which of them a predicate keeps."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from duetto.errors import BadInput
from duetto.tools import predicate as predicates
from duetto.tools.predicate import Predicate

Kind = Literal["id", "title", "number", "year", "date", "flag", "category", "text", "queries", "key", "link"]
ItemId = str | int

LINKS = ("url", "image")
_PUNCTUATION = "\"'`<>[](){}.,;:=# "
_LABEL = re.compile(r"^(?:item[ _]?id|item|id)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Catalogue:
    """Items in a fixed order; a row is an item's place in that order, an id is what the owner calls it."""

    table: pl.DataFrame
    kinds: dict[str, Kind] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pl.DataFrame) -> "Catalogue":
        """`table` has item_id, title and any other columns; raises BadInput for ids equal after str()."""
        made = cls(table, {name: kind_of(table[name]) for name in table.columns})
        _ = made._rows
        return made

    def __len__(self) -> int:
        return self.table.height

    @cached_property
    def ids(self) -> list[ItemId]:
        return self.table["item_id"].to_list()

    @cached_property
    def titles(self) -> list[str]:
        return self.table["title"].to_list()

    @cached_property
    def _rows(self) -> dict[str, int]:
        rows = {str(item_id): row for row, item_id in enumerate(self.ids)}
        if len(rows) < len(self.ids):
            raise BadInput("two items have ids that are equal as text: give each item an id of its own")
        return rows

    @cached_property
    def available(self) -> NDArray[np.bool_]:
        """Items not marked unavailable, shape (items,)."""
        if "available" not in self.table.columns:
            return np.ones(len(self), dtype=np.bool_)
        return self.table["available"].fill_null(True).to_numpy().astype(np.bool_)

    def row(self, item_id: object) -> int | None:
        """The row of an item by `str(id)`, None when there is none."""
        return self._rows.get(str(item_id))

    def rows(self, item_ids: Iterable[object]) -> list[int]:
        """The rows of the known ids among these, in their order."""
        return [row for item_id in item_ids if (row := self.row(item_id)) is not None]

    def resolve(self, reference: object) -> int | None:
        """The row a model's reference means: an id, perhaps in brackets, quotes or after 'item'; else an exact title.

        42% of the references written by models in a peer's threads were ids in such decoration.
        """
        whole = str(reference).strip()
        bare = whole.strip(_PUNCTUATION)
        for form in (whole, bare, _LABEL.sub("", bare).strip(_PUNCTUATION)):
            if (row := self.row(form)) is not None:
                return row
        titled = (self._titles.get(form.casefold()) for form in (whole, whole.strip("\"'`<>[]{} "), bare))
        return next((row for row in titled if row is not None), None)

    @cached_property
    def _titles(self) -> dict[str, int]:
        by_title: dict[str, int] = {}
        ambiguous = set()
        for row, title in enumerate(self.titles):
            if by_title.setdefault(title.casefold(), row) != row:
                ambiguous.add(title.casefold())
        return {title: row for title, row in by_title.items() if title not in ambiguous}

    def mask(self, predicate: Predicate | None) -> NDArray[np.bool_]:
        """Available items that satisfy the predicate, shape (items,)."""
        if predicate is None:
            return self.available
        return predicates.mask(predicate, self.table) & self.available

    def facts_of(self, row: int) -> dict[str, Any]:
        """The attributes of one item that a person may be shown, without nulls."""
        shown: tuple[Kind, ...] = ("number", "year", "date", "flag", "category", "text", "link")
        values = self.table.row(row, named=True)
        return {c: v for c, v in values.items() if v is not None and self.kinds[c] in shown and c != "available"}

    def columns(self, *kinds: Kind) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind in kinds and name != "available"]

    def documents(self) -> list[str]:
        """The text that stands for each item in the vector space: title, year, categories, description, queries."""
        return [document(values) for values in self._texts.iter_rows()]

    def document(self, row: int) -> str:
        return document(self._texts.row(row))

    def text_values(self, row: int) -> dict[str, Any]:
        """The values an item's document is made of, by column."""
        return self._texts.row(row, named=True)

    @cached_property
    def _texts(self) -> pl.DataFrame:
        return self.table.select(self.columns("title", "year", "category", "text", "queries"))


def document(values: Iterable[Any]) -> str:
    """Joins one item's values: `|` and `>` become commas, lists become sentences, nulls are left out."""
    pieces: list[str] = []
    for value in values:
        if value is None or value == "":
            continue
        if isinstance(value, list):
            pieces.extend(str(v) for v in value)
        else:
            pieces.append(str(value).replace(predicates.SEPARATOR, ", ").replace("|", ", "))
    return ". ".join(pieces)


def kind_of(column: pl.Series) -> Kind:
    """What a column is, judged by its name, type and values."""
    if column.name == "item_id":
        return "id"
    if column.name == "title":
        return "title"
    if column.name in LINKS:
        return "link"
    if isinstance(column.dtype, pl.List):
        return "queries"
    if column.dtype == pl.Boolean:
        return "flag"
    if column.dtype.is_temporal():
        return "date"
    values = column.drop_nulls()
    if column.dtype.is_numeric():
        whole = column.dtype.is_integer() and len(values) > 0
        return "year" if whole and int(values.min()) >= 1000 and int(values.max()) < 3000 else "number"  # type: ignore[arg-type]
    texts = values.cast(pl.String)
    if len(texts) and texts.n_unique() == len(texts) > 1 and not texts.str.contains(r"[\s|]").any():
        return "key"
    parts = texts.str.replace_all(predicates.SEPARATOR, "|", literal=True).str.split("|").explode()
    short = len(parts) > 0 and float(parts.str.len_chars().mean() or 0) <= 40  # type: ignore[arg-type]
    return "category" if short and parts.n_unique() <= max(20, 0.9 * len(parts)) else "text"
