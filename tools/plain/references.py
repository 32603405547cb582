"""What "the second one", "that one", "the Coen film" or a title with a typo points at: an item that was shown, or one of
the catalogue."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz import fuzz
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from duetto.tools.catalogue import Catalogue
from duetto.tools.conversation import Conversation
from duetto.tools.plain import grammar, pointing
from duetto.tools.plain.columns import Columns, singular
from duetto.tools.plain.titles import Titles

MOST_ASKED = 4  # items a question offers


@dataclass(frozen=True)
class Referent:
    """What a phrase points at: `rows`; or, where it may mean several items, `among`; neither where nothing shown is it.

    `shown` tells whether the items were shown in this conversation.
    """

    phrase: str
    rows: tuple[int, ...] = ()
    among: tuple[int, ...] = ()
    shown: bool = True


def one_of(phrase: str, rows: Sequence[int], shown: bool = True) -> Referent:
    """What a phrase points at that fits these rows: the one, or a few to ask about."""
    if len(rows) == 1:
        return Referent(phrase, tuple(rows), shown=shown)
    return Referent(phrase, among=tuple(rows[:MOST_ASKED]), shown=shown)


@dataclass(frozen=True)
class References:
    catalogue: Catalogue
    titles: Titles
    columns: Columns

    def several(self, text: str, said: Conversation, title: bool = True) -> tuple[list[Referent], str]:
        """What the text points at from its beginning on ("the first and the last one"), and what is left of it."""
        found: list[Referent] = []
        joint, left = "", text
        while (first := self.first(left, said, title)) is not None:
            referent, rest = first
            found.append(referent)
            more = grammar.MORE.match(rest)
            if more is None:
                return found, rest
            joint, left = more["joint"], more["left"]
        return found, joint + left

    def first(self, text: str, said: Conversation, title: bool = True) -> tuple[Referent, str] | None:
        """What the text begins with pointing at, and what stands behind; None where it points at nothing."""
        text = text.lstrip()
        if not said.lists and not said.focus and (nothing := pointing.PRONOUN.match(text)):
            return Referent(nothing.group(0)), text[nothing.end() :]
        if said.lists or said.focus:
            for pattern, meant in (
                (pointing.ORDINAL, self._ordinal),
                (pointing.FEW, self._few),
                (pointing.PRONOUN, self._pronoun),
                (pointing.SUPERLATIVE_ONE, self._superlative),
            ):
                match = pattern.match(text)
                if match and (referent := meant(match, said)) is not None:
                    return referent, text[match.end() :]
        if title and (known := self.titles.beginning(text)) is not None:
            row, rest = known
            return Referent(text[: len(text) - len(rest)].strip(), (row,), shown=row in said.shown()), rest
        if said.lists:
            return self._of_the_shown(text, said, title)
        return None

    # by place

    def _ordinal(self, match: re.Match[str], said: Conversation) -> Referent | None:
        word = (match["word"] or match["number"]).lower()
        place = -1 if word == "last" else pointing.ORDINALS.get(word) or int(re.sub(r"\D", "", word) or 0)
        rows = said.last
        if match["early"]:
            rows = said.lists[0]
        if place == -1:
            return Referent(match.group(0), rows[-1:])
        if not 1 <= place <= len(rows):
            return Referent(match.group(0)) if match["number"] is None or match["noun"] or match["mark"] else None
        return Referent(match.group(0), (rows[place - 1],))

    def _few(self, match: re.Match[str], said: Conversation) -> Referent | None:
        if match["all"]:
            return Referent(match.group(0), said.last)
        count = pointing.NUMBERS.get(match["count"].lower()) or int(match["count"])
        rows = said.last[:count] if match["end"].lower() == "first" else said.last[-count:]
        return Referent(match.group(0), rows)

    def _pronoun(self, match: re.Match[str], said: Conversation) -> Referent | None:
        if match["many"]:
            return Referent(match.group(0), said.focus if len(said.focus) > 1 else said.last)
        return one_of(match.group(0), said.focus or said.last)

    def _superlative(self, match: re.Match[str], said: Conversation) -> Referent | None:
        wanted = self.columns.extreme(match["word"])
        if wanted is None:
            return None
        column, order = wanted
        values = [(row, self.catalogue.table[column][row]) for row in said.last]
        known = [(row, value) for row, value in values if value is not None]
        if not known:
            return None
        best = (max if order == "highest" else min)(value for _, value in known)
        return one_of(match.group(0), [row for row, value in known if value == best])

    # by description

    def _of_the_shown(self, text: str, said: Conversation, title: bool) -> tuple[Referent, str] | None:
        for pattern in (pointing.DESCRIBED, pointing.DESCRIBED_BARE):
            match = pattern.match(text)
            if match is None:
                continue
            what = next(group for group in (match.groupdict().get("d"), match.groupdict().get("e")) if group)
            for rows in (*([said.last] if match.groupdict().get("early") is None else []), *reversed(said.lists[:-1])):
                meant = self.described(what, rows, named=pattern is pointing.DESCRIBED_BARE)
                if meant:
                    return one_of(match.group(0).strip(), meant), text[match.end() :]
            if pattern is pointing.DESCRIBED:
                return Referent(match.group(0).strip(), shown=False), text[match.end() :]
        phrase = _clause(text)
        if title and (titled := self.titles.among(phrase, said.shown())):
            return one_of(phrase, titled), text[len(phrase) :]
        return None

    def described(self, what: str, rows: Sequence[int], named: bool = False) -> list[int]:
        """Those of these rows that have all the words of a description in their title, facts or, unless `named`, text."""
        words = [singular(word) for word in re.findall(r"[\w']+", what.lower()) if word not in ENGLISH_STOP_WORDS]
        return [row for row in rows if words and self._has(row, words, named)]

    def _has(self, row: int, words: list[str], named: bool) -> bool:
        facts: dict[str, Any] = self.catalogue.facts_of(row)
        texts = self.catalogue.columns("text") if named else ()
        told = [str(value) for name, value in facts.items() if name not in texts]
        text = f"{self.catalogue.titles[row] if named else self.catalogue.document(row)} {' '.join(told)}".lower()
        there = {singular(word) for word in re.findall(r"[\w']+", text)}
        there |= {f"{str(year)[:3]}0" for name in self.catalogue.columns("year") if (year := facts.get(name))}
        there |= {f"{str(year)[2]}0" for name in self.catalogue.columns("year") if (year := facts.get(name))}
        return all(word in there or (len(word) > 4 and any(fuzz.ratio(word, other) >= 88 for other in there)) for word in words)


def _clause(text: str) -> str:
    """The text up to where another thought begins."""
    return re.split(r"[,.;:!?]|\s+(?:and|but|or|then|instead|please|was|is|were|are|as)\b", text, maxsplit=1)[0].strip()
