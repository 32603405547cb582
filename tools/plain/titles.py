"""Titles as people write them: letter case, articles, accents and small typos aside."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rapidfuzz import fuzz, process

from duetto.tools.catalogue import Catalogue
from duetto.tools.plain import grammar

LIKENESS = 88.0  # of 100, from which a text is a title with a typo
MOST = 5
LONGEST = 12  # words of a title
_YEAR = re.compile(r"\s*\(((?:18|19|20)\d\d)\)")
_CASED = re.compile(
    r"(?<![\w'])[A-Z0-9][\w'’&.:-]*(?:,?\s+(?:[A-Z0-9][\w'’&.:-]*|of|the|and|a|an|in|on|to|for|at|with|from|by|vs))+"
)


@dataclass(frozen=True)
class Titles:
    catalogue: Catalogue

    def warm(self) -> None:
        _ = self._by_title, self._most_joints, self._by_year

    def find(self, text: str) -> int | None:
        """The row of the one title this text names."""
        wanted = plain(text)
        if len(wanted) < 2:  # "M" is a film, "m" is a letter
            row = self._by_title.get(wanted)
            return row if row is not None and self.catalogue.titles[row] == text.strip() else None
        exact = self._by_title.get(wanted)
        if exact is not None or len(wanted) < 5:
            return exact
        best = process.extractOne(wanted, self._names, scorer=fuzz.ratio, score_cutoff=LIKENESS)
        return self._by_title[best[0]] if best else None

    def beginning(self, text: str) -> tuple[int, str] | None:
        """The row of the longest title that the text begins with, and the text behind it."""
        pieces = grammar.JOINT.split(text, maxsplit=self._most_joints + 1)[: 2 * self._most_joints + 1]
        for end in range(len(pieces), 0, -2):
            named = "".join(pieces[:end])
            if (row := self.find(named)) is not None:
                return row, text[len(named) :]
        return None

    def leading(self, text: str) -> tuple[int, str] | None:
        """The row of the longest title, letter for letter, that the words of the text begin with, and the rest."""
        words = text.split()
        for end in range(min(len(words), LONGEST), 0, -1):
            named = " ".join(words[:end]).rstrip("?!.,")
            row = self._by_title.get(plain(named))
            if row is not None and (len(plain(named)) > 3 or named == self.catalogue.titles[row]):
                return row, " ".join(words[end:])
        return None

    def starting(self, text: str) -> str:
        """The longest title, letter for letter, that the text begins with, as it stands there; empty where there is none."""
        ends = [match.end() for match in re.finditer(r"\S+", text)][:LONGEST]
        found = (text[:end].rstrip("?!.,;") for end in reversed(ends))
        return next((name for name in found if plain(name) in self._by_title), "")

    def mentioned(self, text: str) -> tuple[list[int], str]:
        """Rows of the titles that running text names, in order, and the text without their years.

        With its year behind it, "Heat (1995)", any title counts; without, one of two words or more, cased as titles are.
        """
        found: list[tuple[int, int]] = []
        floor = 0
        for match in _YEAR.finditer(text):
            for start in [word.start() for word in re.finditer(r"\S+", text[floor : match.start()])][-LONGEST:]:
                row = self._of_year(text[floor + start : match.start()], int(match[1]))
                if row is not None:
                    found.append((floor + start, row))
                    break
            floor = match.end()
        told = _YEAR.sub(" ", text)
        for match in _CASED.finditer(told):
            words = match.group(0).split()
            for end in range(min(len(words), LONGEST), 1, -1):
                row = self._by_title.get(plain(" ".join(words[:end])))
                if row is not None:
                    found.append((match.start(), row))
                    break
        return list(dict.fromkeys(row for _, row in sorted(found))), told

    def _of_year(self, title: str, year: int) -> int | None:
        """The row of a title of this year; one a year off will do."""
        years = self._by_year.get(plain(title), {})
        return next((years[near] for near in (year, year + 1, year - 1) if near in years), None)

    @cached_property
    def _by_year(self) -> dict[str, dict[int, int]]:
        column = next(iter(self.catalogue.columns("year")), None)
        years = self.catalogue.table[column].to_list() if column else []
        found: dict[str, dict[int, int]] = {}
        for row, (title, year) in enumerate(zip(self.catalogue.titles, years, strict=False)):
            for name in (title, *re.split(r"\s*[()]\s*", title)):
                if year is not None and plain(name):
                    found.setdefault(plain(name), {}).setdefault(year, row)
        return found

    def holding(self, text: str) -> list[int]:
        """Rows whose titles hold these words in this order, at most a few."""
        wanted = f" {plain(text)} "
        if len(wanted) < 6:
            return []
        return [row for name, row in self._by_title.items() if wanted in f" {name} "][:MOST]

    def among(self, text: str, rows: Sequence[int]) -> list[int]:
        """Those of a few rows whose title this text names, or part of whose title it is."""
        wanted = plain(text)
        if len(wanted) < 2:
            return []
        names = {row: plain(self.catalogue.titles[row]) for row in rows}
        if exact := [row for row, name in names.items() if name == wanted]:
            return exact
        if len(wanted) < 4:
            return []
        if parts := [row for row, name in names.items() if f" {wanted} " in f" {name} "]:
            return parts
        return [row for row, name in names.items() if fuzz.ratio(wanted, name) >= (80 if len(name) > 8 else LIKENESS)]

    @cached_property
    def _by_title(self) -> dict[str, int]:
        return {plain(title): row for row, title in reversed(list(enumerate(self.catalogue.titles)))}

    @cached_property
    def _names(self) -> list[str]:
        return list(self._by_title)

    @cached_property
    def _most_joints(self) -> int:
        """No title has more of what may also stand between two titles."""
        return max((len(grammar.JOINT.findall(title)) for title in self.catalogue.titles), default=0)


def plain(title: str) -> str:
    """Lower case, without accents, punctuation and a leading or trailing article."""
    words = re.sub(r"[^\w\s]", "", unicodedata.normalize("NFKD", title).casefold()).split()
    if len(words) > 1 and words[0] in ("the", "a", "an"):
        words = words[1:]
    elif len(words) > 1 and words[-1] in ("the", "a", "an"):
        words = words[:-1]
    return " ".join(words)
