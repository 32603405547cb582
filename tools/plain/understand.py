"""A turn read without a language model: English, by a small grammar of ranges, exclusions, titles and likes."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from rapidfuzz import fuzz, process
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from duetto.tools.catalogue import Catalogue
from duetto.tools.language import Constraint, Understanding
from duetto.tools.plain import grammar
from duetto.tools.predicate import And, Compare, Not, Predicate, parts_of


@dataclass(frozen=True)
class _Measure:
    """What a number in a message measures; `unit` tells whether the word behind it belongs to it."""

    column: str
    scale: float = 1.0
    unit: bool = False

    def said(self, match: re.Match[str]) -> str:
        return match.group(0).strip() if self.unit else match.group(0)[: match.end("n") - match.start()].strip()

    def rest(self, match: re.Match[str]) -> str:
        return " " if self.unit else f" {match['unit'] or ''}"


@dataclass(frozen=True)
class PlainReader:
    """Reads messages over one catalogue; what it does not understand stays in the wish, as search text."""

    catalogue: Catalogue

    def warm(self) -> "PlainReader":
        """Computes what the first turn would otherwise wait for."""
        _ = self._by_title, self._most_joints, self._known
        return self

    def read(self, message: str) -> Understanding:
        if not message or grammar.SMALL_TALK.fullmatch(message):
            return Understanding(intent="small_talk" if message else "recommend")
        text, clear = self._cleared(message.replace("’", "'"))
        text, liked, disliked = self._affects(text)
        text, alike = self._alike(text)
        found: list[Constraint] = []
        text = self._ranges(text, found)
        text = self._values(text, grammar.EXCLUDED, found, Not, keep_unknown=False)
        text = self._values(text, grammar.ONLY, found, lambda p: p, keep_unknown=True)
        wish = re.sub(r"\s+", " ", grammar.FILLER.sub(" ", text)).strip(" ,.;:!?-")
        wish = grammar.LOOSE_ENDS.sub("", wish).strip(" ,.;:!?-")
        return Understanding(
            wish=wish if re.search(r"\w", wish) else "", liked=tuple(liked), disliked=tuple(disliked),
            alike=tuple(alike), set=tuple(found), clear=clear,
        )  # fmt: skip

    # likes, dislikes and examples

    def title(self, text: str) -> int | None:
        """The row of the one title this text names, letter case, articles and small typos aside."""
        wanted = _plain_title(text)
        if len(wanted) < 2:
            return None
        exact = self._by_title.get(wanted)
        if exact is not None or len(wanted) < 5:
            return exact
        best = process.extractOne(wanted, list(self._by_title), scorer=fuzz.ratio, score_cutoff=grammar.TITLE_LIKENESS)
        return self._by_title[best[0]] if best else None

    @cached_property
    def _by_title(self) -> dict[str, int]:
        return {_plain_title(title): row for row, title in reversed(list(enumerate(self.catalogue.titles)))}

    def _titles(self, text: str) -> tuple[list[int], str]:
        """Rows of the titles a clause begins with, and what is left of the clause."""
        rows: list[int] = []
        joint, left = "", text
        while (first := self._first_title(left)) is not None:
            row, rest = first
            rows.append(row)
            more = grammar.MORE.match(rest)
            if more is None:
                return rows, rest
            joint, left = more["joint"], more["left"]
        return rows, joint + left

    def _first_title(self, text: str) -> tuple[int, str] | None:
        """The row of the longest title that the text begins with, and the text behind it."""
        pieces = grammar.JOINT.split(text, maxsplit=self._most_joints + 1)[: 2 * self._most_joints + 1]
        for end in range(len(pieces), 0, -2):
            named = "".join(pieces[:end])
            if (row := self.title(named)) is not None:
                return row, text[len(named) :]
        return None

    @cached_property
    def _most_joints(self) -> int:
        """No title has more of what may also stand between two titles."""
        return max((len(grammar.JOINT.findall(title)) for title in self.catalogue.titles), default=0)

    def _affects(self, text: str) -> tuple[str, list[int], list[int]]:
        liked: list[int] = []
        disliked: list[int] = []
        start = 0
        while (match := grammar.AFFECT.search(text, start)) is not None:
            rows, rest = self._titles(match["what"])
            start = match.start() if rows else match.start("what")
            if rows:
                (disliked if match["bad"] else liked).extend(rows)
                text = f"{text[:start]} {rest}{text[match.end() :]}"
        return text, liked, disliked

    def _alike(self, text: str) -> tuple[str, list[int]]:
        alike: list[int] = []
        for match in list(grammar.ALIKE.finditer(text)):
            rows, rest = self._titles(match["what"])
            if rows:
                alike.extend(rows)
                text = text.replace(match.group(0), " " + rest, 1)
        return text, alike

    # constraints

    def _cleared(self, text: str) -> tuple[str, tuple[str, ...]]:
        if grammar.CLEAR_ALL.search(text):
            return grammar.CLEAR_ALL.sub(" ", text), ("*",)
        cleared: list[str] = []

        def note(match: re.Match[str]) -> str:
            column = next((c for c in self.catalogue.kinds if _singular(c) == _singular(match["what"])), None)
            if column is None:
                return match.group(0)
            cleared.append(column)
            return " "

        return grammar.CLEAR.sub(note, text), tuple(cleared)

    def _ranges(self, text: str, found: list[Constraint]) -> str:
        def decade(match: re.Match[str]) -> str:
            column = self._year
            if column is None or (match["century"] is None and match["tens"] == "0"):
                return match.group(0)
            start = int((match["century"] or "19") + match["tens"] + "0")
            span = And((Compare(column, "ge", start), Compare(column, "lt", start + 10)))
            found.append(Constraint(match.group(0).strip(), Not(span) if match["no"] else span))
            return " "

        def between(match: re.Match[str]) -> str:
            low, high = float(match["low"]), float(match["n"])
            measure = self._measured(match, low)
            if measure is None:
                return match.group(0)
            span = And(
                (
                    Compare(measure.column, "ge", _whole(low * measure.scale)),
                    Compare(measure.column, "le", _whole(high * measure.scale)),
                )
            )
            found.append(Constraint(measure.said(match), Not(span) if match["no"] else span))
            return measure.rest(match)

        def bound(match: re.Match[str]) -> str:
            measure = self._measured(match, float(match["n"]))
            how = match["how"].lower()
            if measure is None or (how in grammar.TIME_ONLY and measure.column != self._year):
                return match.group(0)
            value = _whole(float(match["n"]) * measure.scale)
            operator = grammar.OPPOSITE[grammar.OPERATORS[how]] if match["no"] else grammar.OPERATORS[how]
            found.append(Constraint(measure.said(match), Compare(measure.column, operator, value)))
            return measure.rest(match)

        return grammar.BOUND.sub(bound, grammar.BETWEEN.sub(between, grammar.DECADE.sub(decade, text)))

    @cached_property
    def _year(self) -> str | None:
        return next(iter(self.catalogue.columns("year")), None)

    def _measured(self, match: re.Match[str], value: float) -> "_Measure | None":
        """The column that a number with its unit is about, and what the unit is worth in it."""
        columns = self.catalogue.columns("number", "year")
        unit = (match["unit"] or "").lower()
        price = next((c for c in columns if "price" in c.lower()), None)
        if named := next((c for c in columns if unit and _singular(c) == _singular(unit)), None):
            return _Measure(named, unit=True)
        if match["currency"] or unit in grammar.MONEY:
            return _Measure(price, unit=unit in grammar.MONEY) if price else None
        if unit in grammar.TIMES:
            length = next((c for c in columns if c.lower() in grammar.LENGTHS), None)
            return _Measure(length, 60.0 if unit[0] == "h" else 1.0, unit=True) if length else None
        if 1000 <= value < 3000 and value.is_integer():
            return _Measure(self._year) if self._year else None
        timely = (match.groupdict().get("how") or "").lower() in grammar.TIME_ONLY
        bare = not unit or unit in ENGLISH_STOP_WORDS or unit == "please"  # "over 4 stars" is no price
        return _Measure(price) if price and bare and not timely else None

    def _values(
        self, text: str, pattern: re.Pattern[str], found: list[Constraint],
        build: Callable[[Predicate], Predicate], keep_unknown: bool,
    ) -> str:  # fmt: skip
        def note(match: re.Match[str]) -> str:
            lead, words = match.group(0)[: match.start("what") - match.start()], match["what"].split()
            while (first := self._first_value(words)) is not None:
                end, (column, value) = first
                found.append(Constraint(lead + " ".join(words[:end]), build(Compare(column, "eq", value))))
                words = words[end:]
                if build is not Not or words[:1] not in (["and"], ["or"], ["nor"]) or self._first_value(words[1:]) is None:
                    return " " + " ".join(words)
                words = words[1:]
            return match.group(0) if keep_unknown else " "

        return pattern.sub(note, text)

    def _first_value(self, words: list[str]) -> tuple[int, tuple[str, str]] | None:
        """How many words the longest known value at the beginning has, and its column and value."""
        for end in range(len(words), 0, -1):
            if (known := self._known.get(_singular(" ".join(words[:end])))) is not None:
                return end, known
        return None

    @cached_property
    def _known(self) -> dict[str, tuple[str, str]]:
        """Category values by their singular lower-case form; the column with fewer values wins a clash."""
        values: dict[str, tuple[str, str]] = {}
        by_size = []
        for column in self.catalogue.columns("category"):
            parts = self.catalogue.table.select(parts_of(column).alias("v"))["v"].explode().drop_nulls().unique()
            by_size.append((len(parts), column, parts.to_list()))
        for size, column, names in sorted(by_size):
            for value in sorted(names) if size <= grammar.MOST_VALUES else []:
                values.setdefault(_singular(value), (column, value))
        for group in grammar.SYNONYMS:
            if (known := next((values[name] for name in group if name in values), None)) is not None:
                for name in group:
                    values.setdefault(name, known)
        return values


def _plain_title(title: str) -> str:
    """Lower case, without accents, punctuation and a leading or trailing article."""
    words = re.sub(r"[^\w\s]", "", unicodedata.normalize("NFKD", title).casefold()).split()
    if len(words) > 1 and words[0] in ("the", "a", "an"):
        words = words[1:]
    elif len(words) > 1 and words[-1] in ("the", "a", "an"):
        words = words[:-1]
    return " ".join(words)


def _singular(text: str) -> str:
    text = text.lower().strip()
    if text.endswith("ies") and len(text) > 5:
        return text[:-3] + "y"
    return text[:-1] if text.endswith("s") and not text.endswith("ss") else text


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() else value
