"""Hard and soft limits in a message: ranges, values with and without, orders; and which of them are taken back."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from duetto.tools.conversation import Conversation
from duetto.tools.language import Constraint, Leaning
from duetto.tools.plain import grammar
from duetto.tools.plain.columns import Columns, singular
from duetto.tools.predicate import And, Compare, Not, Operator, Predicate


@dataclass
class Limited:
    """What was found so far: the delta of constraints and the soft wishes beside it."""

    set: list[Constraint] = field(default_factory=list)
    clear: list[str] = field(default_factory=list)
    avoid: list[str] = field(default_factory=list)
    leanings: list[Leaning] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


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
class Filters:
    columns: Columns

    def read(self, text: str, said: Conversation, found: Limited) -> str:
        """What is left of the text; what it limits is added to `found`."""
        text = self._cleared(text, said, found)
        text = self._ranges(text, found)
        text = self._values(text, grammar.EXCLUDED, found, Not)
        text = self._values(text, grammar.ONLY, found, lambda p: p)
        text = self._values(text, grammar.ONLY_BEHIND, found, lambda p: p)
        text = self._values(text, grammar.FROM, found, lambda p: p, must=False)
        text = self._orders(text, found)
        self._lifted(text, said, found)
        return text

    def _cleared(self, text: str, said: Conversation, found: Limited) -> str:
        for everything in (grammar.CLEAR_ALL, grammar.NO_LIMITS):
            if everything.search(text):
                found.clear.append("*")
                text = everything.sub(" ", text)

        def note(match: re.Match[str]) -> str:
            what = match["what"]
            column = self.columns.named(what)
            for about, words in grammar.ABOUT.items():
                column = column or (getattr(self.columns, about) if singular(what) in words else None)
            if column is None and re.fullmatch(r"(?:\d\d)?\d0s|\d{4}", what):
                column = self.columns.year
            if column is None and (value := self.columns.values.get(singular(what))) is not None:
                named = [c.said for c in said.constraints if self._names(c, value[1])]
                found.clear += named
                return " " if named else match.group(0)
            if column is None:
                return match.group(0)
            found.clear.append(column)
            return " "

        return grammar.CLEAR.sub(note, text)

    def _lifted(self, text: str, said: Conversation, found: Limited) -> None:
        """Whoever rules a value out and asks for it later wants it again: "no horror" ... "ok, horror then"."""
        words = re.findall(r"[\w'&-]+", text)
        for start in range(len(words)):
            known = self.columns.value(words[start:])
            if known is None:
                continue
            ruled_out = Not(Compare(known[1][0], "eq", known[1][1]))
            found.clear += [c.said for c in said.constraints if c.predicate == ruled_out and c.said not in found.clear]

    def _names(self, constraint: Constraint, value: str) -> bool:
        match constraint.predicate:
            case Compare(_, "eq", named) | Not(Compare(_, "eq", named)):
                return named == value
        return False

    # ranges

    def _ranges(self, text: str, found: Limited) -> str:
        year = self.columns.year

        def decade(match: re.Match[str]) -> str:
            if year is None or (match["century"] is None and match["tens"] == "0"):
                return match.group(0)
            start = int((match["century"] or "19") + match["tens"] + "0")
            span = And((Compare(year, "ge", start), Compare(year, "lt", start + 10)))
            found.set.append(Constraint(match.group(0).strip(), Not(span) if match["no"] else span))
            return " "

        def between(match: re.Match[str]) -> str:
            low, high = float(match["low"]), float(match["n"])
            measure = self._measured(match, low)
            if measure is None:
                return self._unmeasured(match, found)
            span = And(
                (
                    Compare(measure.column, "ge", _whole(low * measure.scale)),
                    Compare(measure.column, "le", _whole(high * measure.scale)),
                )
            )
            found.set.append(Constraint(measure.said(match), Not(span) if match["no"] else span))
            return measure.rest(match)

        def bound(match: re.Match[str]) -> str:
            measure = self._measured(match, float(match["n"]))
            how = match["how"].lower()
            if measure is None:
                return match.group(0) if how in grammar.TIME_ONLY else self._unmeasured(match, found)
            if how in grammar.TIME_ONLY and measure.column != year:
                return match.group(0)
            value = _whole(float(match["n"]) * measure.scale)
            operator: Operator = grammar.OPPOSITE[grammar.OPERATORS[how]] if match["no"] else grammar.OPERATORS[how]
            found.set.append(Constraint(measure.said(match), Compare(measure.column, operator, value)))
            return measure.rest(match)

        for pattern, usual in grammar.USUAL:
            text = pattern.sub(usual, text)
        return grammar.BOUND.sub(bound, grammar.BETWEEN.sub(between, grammar.DECADE.sub(decade, text)))

    def _unmeasured(self, match: re.Match[str], found: Limited) -> str:
        """A limit that is kept as text to search for, and told."""
        found.unchecked.append(re.sub(r"\s+", " ", match.group(0)).strip())
        return match.group(0)

    def _measured(self, match: re.Match[str], value: float) -> _Measure | None:
        """The column that a number with its unit is about, and what the unit is worth in it."""
        columns = self.columns
        unit = (match["unit"] or "").lower()
        named = columns.named(unit) if unit else None
        if named in columns.catalogue.columns("number", "year"):
            return _Measure(named, unit=True)
        if match["currency"] or unit in grammar.MONEY:
            return _Measure(columns.price, unit=unit in grammar.MONEY) if columns.price else None
        if unit in grammar.TIMES:
            return _Measure(columns.length, 60.0 if unit[0] == "h" else 1.0, unit=True) if columns.length else None
        if 1000 <= value < 3000 and value.is_integer():
            return _Measure(columns.year) if columns.year else None
        timely = (match.groupdict().get("how") or "").lower() in grammar.TIME_ONLY
        bare = not unit or unit in ENGLISH_STOP_WORDS or unit == "please"  # "over 4 stars" is no price
        return _Measure(columns.price) if columns.price and bare and not timely else None

    # values

    def _values(
        self, text: str, pattern: re.Pattern[str], found: Limited, build: Callable[[Predicate], Predicate],
        must: bool = True,
    ) -> str:  # fmt: skip
        """What no column knows is told, and stays as text, where it `must` be a limit."""

        def note(match: re.Match[str]) -> str:
            lead, words = match.group(0)[: match.start("what") - match.start()], match["what"].split()
            while (first := self.columns.value(words)) is not None:
                end, (column, value) = first
                found.set.append(Constraint(lead + " ".join(words[:end]), build(Compare(column, "eq", value))))
                words = words[end:]
                if build is not Not:
                    return " " + " ".join(words)
                if words[:1] not in (["and"], ["or"], ["nor"]) or self.columns.value(words[1:]) is None:
                    return " " + self._values(" ".join(words), pattern, found, build)  # "no comedies and no musicals"
                words = words[1:]
            if not must:
                return match.group(0)
            said = match.group(0).strip()
            found.unchecked.append(said)
            if build is Not:
                found.avoid.append(" ".join(words))
                return " "
            return match.group(0)

        return pattern.sub(note, text)

    # orders

    def _orders(self, text: str, found: Limited) -> str:
        def note(match: re.Match[str]) -> str:
            wanted = self.columns.extreme(match["word"])
            if wanted is None:
                return match.group(0)
            found.leanings.append(Leaning(match["word"].lower(), *wanted))
            return " "

        return grammar.LEANING.sub(note, text)


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() else value
