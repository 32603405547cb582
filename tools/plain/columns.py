"""Which of a catalogue's columns words are about, and the values that its categories hold."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from duetto.tools.catalogue import Catalogue
from duetto.tools.language import Constraint
from duetto.tools.plain import grammar
from duetto.tools.predicate import Compare, parts_of

Order = Literal["highest", "lowest"]


@dataclass(frozen=True)
class Columns:
    catalogue: Catalogue

    def named(self, word: str) -> str | None:
        """The column that this word is the name of, plural endings aside."""
        return next((name for name in self.catalogue.kinds if singular(name) == singular(word)), None)

    @cached_property
    def year(self) -> str | None:
        return next(iter(self.catalogue.columns("year")), None)

    @cached_property
    def time(self) -> str | None:
        return self.year or next(iter(self.catalogue.columns("date")), None)

    @cached_property
    def price(self) -> str | None:
        return next((name for name in self.catalogue.columns("number", "year") if "price" in name.lower()), None)

    @cached_property
    def length(self) -> str | None:
        return next((name for name in self.catalogue.columns("number", "year") if name.lower() in grammar.LENGTHS), None)

    @cached_property
    def rating(self) -> str | None:
        return next((name for name in self.catalogue.columns("number") if "rating" in name.lower()), None)

    def extreme(self, word: str) -> tuple[str, Order] | None:
        """The column and the end of it that "oldest", "cheaper" or "highest price" ask for; None where no column tells."""
        word = re.sub(r"\s+", " ", word.lower().strip())
        for (about, order), words in grammar.EXTREMES.items():
            if word in words:
                column = getattr(self, about)
                return (column, order) if column is not None else None
        end, _, name = word.partition(" ")
        ending = grammar.ENDS.get(end)
        column = self.named(name) if name else None
        return (
            (column, ending)
            if column is not None and ending is not None and column in self.catalogue.columns("number", "year", "date")
            else None
        )

    def beyond(self, word: str, column: str, order: Order, row: int) -> Constraint | None:
        """ "shorter than Alien" as a limit, by what Alien has; None where that is not known."""
        value = self.catalogue.table[column][row]
        if not isinstance(value, int | float):
            return None
        return Constraint(
            f"{word} than {self.catalogue.titles[row]}", Compare(column, "gt" if order == "highest" else "lt", value)
        )

    def value(self, words: Sequence[str]) -> tuple[int, tuple[str, str]] | None:
        """How many words the longest known value at the beginning has, and its column and value."""
        for end in range(min(len(words), self._longest), 0, -1):
            if (known := self.values.get(singular(" ".join(words[:end])))) is not None:
                return end, known
        return None

    def spelled(self, column: str, value: str) -> str | None:
        """A value of this category as the column spells it, lower-case; None for one that it does not hold."""
        known = self.values.get(singular(value))
        if known is not None and known[0] == column:
            return known[1]
        return next((held for held in self._parts.get(column, ()) if singular(held) == singular(value)), None)

    @cached_property
    def _parts(self) -> dict[str, list[str]]:
        """The values of each category, lower-case."""
        table = self.catalogue.table
        return {
            column: sorted(table.select(parts_of(column).alias("v"))["v"].explode().drop_nulls().unique().to_list())
            for column in self.catalogue.columns("category")
        }

    @cached_property
    def _longest(self) -> int:
        return max((name.count(" ") + 1 for name in self.values), default=0)

    @cached_property
    def values(self) -> dict[str, tuple[str, str]]:
        """Category values by their singular lower-case form; the column with fewer values wins a clash."""
        values: dict[str, tuple[str, str]] = {}
        for column, names in sorted(self._parts.items(), key=lambda held: (len(held[1]), held[0])):
            for value in names if len(names) <= grammar.MOST_VALUES else []:
                values.setdefault(singular(value), (column, value))
        for group in grammar.SYNONYMS:
            if (known := next((values[name] for name in group if name in values), None)) is not None:
                for name in group:
                    values.setdefault(name, known)
        return values


def singular(text: str) -> str:
    text = text.lower().strip()
    if text.endswith("ies") and len(text) > 5:
        return text[:-3] + "y"
    return text[:-1] if text.endswith("s") and not text.endswith("ss") else text
