"""A turn read without a language model: English, by a small grammar of what people say to a recommender."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from duetto.tools.catalogue import Catalogue
from duetto.tools.conversation import NEW, Conversation
from duetto.tools.language import Constraint, Intent, Leaning, Option, Question, Understanding
from duetto.tools.plain import grammar, kinds, pointing
from duetto.tools.plain.asked import Asked, described, not_shown, nothing_shown
from duetto.tools.plain.columns import Columns, Order
from duetto.tools.plain.filters import Filters, Limited
from duetto.tools.plain.references import References, Referent
from duetto.tools.plain.titles import Titles
from duetto.tools.predicate import Compare

LONGEST_TITLE = 200  # characters
NEAR = 80  # characters before a word of liking that may turn its meaning
OPINIONS = ("liked", "disliked", "seen", "uninterested")


@dataclass(frozen=True)
class PlainReader:
    """Reads messages over one catalogue; what it does not understand stays in the wish, as search text."""

    catalogue: Catalogue

    def warm(self) -> "PlainReader":
        """Computes what the first turn would otherwise wait for."""
        self.titles.warm()
        _ = self.columns.values
        return self

    @cached_property
    def titles(self) -> Titles:
        return Titles(self.catalogue)

    @cached_property
    def columns(self) -> Columns:
        return Columns(self.catalogue)

    @cached_property
    def references(self) -> References:
        return References(self.catalogue, self.titles, self.columns)

    @cached_property
    def _filters(self) -> Filters:
        return Filters(self.columns)

    @cached_property
    def _asked(self) -> Asked:
        return Asked(self.catalogue, self.titles, self.columns, self.references, self._filters)

    def title(self, text: str) -> int | None:
        """The row of the one title this text names, letter case, articles and small typos aside."""
        return self.titles.find(text)

    def ask(self, referent: Referent, intent: Intent) -> Question:
        """Which of several items is meant."""
        return self._asked.ask(referent, intent, "")

    def read(self, message: str, said: Conversation = NEW) -> Understanding:
        text = message.replace("’", "'").strip()
        if not text:
            return Understanding()
        if said.question is not None and (answer := self._answer(text, said, said.question)) is not None:
            return answer
        if kinds.NO_IDEA.fullmatch(text) and not said.lists:
            return Understanding()
        if grammar.SMALL_TALK.fullmatch(text) or kinds.CHAT.fullmatch(text) or kinds.NO_IDEA.fullmatch(text):
            return Understanding("small_talk", certain=True)
        if kinds.UNDO.fullmatch(text):
            return Understanding("undo", same_topic=True, certain=True)
        if (lift := kinds.LIFT.fullmatch(text)) and (lifted := _in_force(lift["said"], said)):
            return Understanding("refine", clear=lifted, same_topic=True, certain=True)
        if said.lists and kinds.MORE_PLEASE.fullmatch(text):
            return Understanding("refine", besides=said.shown(), same_topic=True)
        asked = self._asked.read(text, said)
        return asked if asked is not None else self._statement(text, said)

    # answers to a question

    def _answer(self, text: str, said: Conversation, question: Question) -> Understanding | None:
        """None where the message does not answer the question."""
        if kinds.UNDECIDED.fullmatch(text):
            return Understanding(same_topic=True)
        rows = tuple(option.row for option in question.options if option.row is not None)
        if not rows:
            bare = text.strip(" .!?").lower()
            if exact := [option for option in question.options if option.label.lower() == bare]:
                return self._chosen(exact[0], text, "", said)
            if self._asked.read(text, said) is not None:
                return None
            left = self._filters.read(text, said, Limited())  # what is ruled out is no answer
            words = list(re.finditer(r"[\w'&-]+", left))
            for start in range(len(words)):
                known = self.columns.value([word.group(0) for word in words[start:]])
                for option in question.options:
                    if option.predicate is not None and known and option.predicate == Compare(known[1][0], "eq", known[1][1]):
                        return self._chosen(option, text, left[words[start + known[0] - 1].end() :], said)
            labelled = [option for option in question.options if option.label.lower() in left.lower()]
            place = re.fullmatch(r"\W*(?:the\s+)?(\w+)(?:\s+one)?\W*", text)
            number = place and (pointing.ORDINALS.get(place[1].lower()) or (int(place[1]) if place[1].isdecimal() else 0))
            if not labelled and number and number <= len(question.options):
                labelled = [question.options[number - 1]]
            return self._chosen(labelled[0], text, "", said) if labelled else None
        offered = Conversation(lists=(rows,))
        found = self.references.first(
            re.sub(r"^\W*(?:i mean|i meant|it's|the one called|yes)\b\W*", "", text), offered, title=True
        )
        if found is None or found[0].among or not set(found[0].rows) <= set(rows):
            named = text.strip(" .!?")
            titled = self.titles.among(named, rows) or self.titles.among(named, said.last)  # of many, a few were offered
            found = (Referent(text, tuple(titled)), "") if len(titled) == 1 else None
        return None if found is None else self._about(question.intent, question.role, found[0].rows)

    def _chosen(self, option: Option, text: str, behind: str, said: Conversation) -> Understanding:
        """The option, with the other limits of the text and what is wished for `behind` it."""
        assert option.predicate is not None
        limits = Limited()
        self._filters.read(text, said, limits)
        others = tuple(c for c in limits.set if c.predicate != option.predicate)
        chosen = Constraint(option.label, option.predicate)
        return Understanding(wish=_searchable(behind), set=(chosen, *others), same_topic=True)

    def _about(self, intent: Intent, role: str, rows: tuple[int, ...]) -> Understanding:
        if role in OPINIONS:
            opinion: dict[str, Any] = {role: rows}
            return Understanding("feedback", same_topic=True, **opinion)
        if role == "alike":
            return Understanding("refine", alike=rows)
        return Understanding(intent, items=rows)

    # wishes and opinions

    def _statement(self, text: str, said: Conversation) -> Understanding:
        started_over = grammar.CLEAR_ALL.search(text) is not None
        if started_over:
            said = NEW
        joined = kinds.ALSO.match(text) is not None and bool(said.lists)
        remark = bool(said.topic.wish) and kinds.REMARK.search(text) is not None and kinds.REQUEST.search(text) is None
        named, text = self.titles.mentioned(text)
        if named:  # "I have seen Heat (1995) and loved it"
            said = replace(said, focus=tuple(named[-1:]))
        text = kinds.IDIOMS.sub(" ", text)
        opinions: dict[str, list[Referent]] = {}
        text = self._opinions(text, said, opinions)
        text, alike = self._alike(text, said)
        limits = Limited()
        text = self._than(text, said, limits)
        standing = kinds.FOR_GOOD.search(text) is not None
        text = self._filters.read(text, said, limits)
        if not limits.set:
            standing = False
        elif standing:
            text = kinds.FOR_GOOD.sub(" ", text)
        wish = _searchable(text)
        missed = [r for r in alike if not r.rows and not r.among and not r.shown]
        wish = wish or " ".join(described(r.phrase) for r in missed)
        rows = {kind: _rows(referents) for kind, referents in opinions.items()}
        given = [*opinions.items(), ("alike", [r for r in alike if r not in missed])]
        questions = [self._asked.ask(r, "feedback", kind) for kind, found in given for r in found if r.among]
        notes = [note for _, found in given for r in found if not r.rows and (note := _unknown(r, said))]
        notes += [not_shown(r.phrase) for r in missed]
        examples = _rows(alike)
        spoken_of = {*examples, *(row for some in rows.values() for row in some)}
        set_, leanings = self._relative(limits, examples)
        cleared = bool(limits.clear) and not started_over
        changed = bool(set_ or cleared or leanings or limits.avoid)
        wanted = bool(wish or examples or changed)
        same = bool(said.lists) and not wish and not examples and (changed or any(rows.values()))
        intent: Intent = "recommend"
        if started_over and not wanted:
            intent = "start_over"
        elif any(rows.values()) and not wanted:
            intent = "feedback"
        elif said.lists and (same or joined or any(r.shown for r in alike)):
            intent = "refine"
        return Understanding(
            intent, wish=wish, alike=examples, besides=examples, set=set_, clear=tuple(dict.fromkeys(limits.clear)),
            standing=standing, avoid=tuple(limits.avoid), leanings=leanings, unchecked=tuple(limits.unchecked),
            same_topic=same or joined or remark or intent == "feedback", question=next(iter(questions), None), notes=tuple(notes),
            named=tuple(row for row in named if row not in spoken_of), certain=intent == "start_over",
            **rows,  # type: ignore[arg-type]
        )  # fmt: skip

    def _opinions(self, text: str, said: Conversation, found: dict[str, list[Referent]]) -> str:
        """What is left of the text; what was said of items is added to `found`, by kind."""
        for pattern, kind in ((kinds.SEEN, "seen"), (grammar.AFFECT, ""), (kinds.UNINTERESTED, "uninterested"),
                              (kinds.NOT_FOR_ME, "uninterested")):  # fmt: skip
            start = 0
            while (match := pattern.search(text, start)) is not None:
                end = self._end(text, match)
                what = text[match.start("what") : end]
                referents, rest = self.references.several(what, said)
                if not referents:
                    referents, rest = self.references.several(kinds.EMPHASIS.sub("", what), said)
                hearsay = kind == "seen" and kinds.HEARSAY.match(rest) is not None
                if hearsay or (referents and kinds.OTHERS.search(text[max(0, match.start() - NEAR) : match.start()])):
                    referents = []
                start = match.start() if referents else max(match.start("what"), match.start() + 1)
                if referents:
                    found.setdefault(kind or ("disliked" if match["bad"] else "liked"), []).extend(referents)
                    text = f"{text[: match.start()]} {rest}{text[max(end, match.end()) :]}"
        return text

    def _end(self, text: str, match: re.Match[str]) -> int:
        """Where the phrase of a match ends: a title may have full stops of its own."""
        start, end = match.span("what")
        whole = text[start : start + LONGEST_TITLE]
        if len(whole) <= end - start:
            return end
        if start + len(whole) == len(text) and self.titles.find(whole.rstrip(" .;!?")) is not None:
            return len(text)
        return max(end, start + len(self.titles.starting(whole)))

    def _alike(self, text: str, said: Conversation) -> tuple[str, list[Referent]]:
        found: list[Referent] = []
        start = 0
        while (match := grammar.ALIKE.search(text, start)) is not None:
            start = match.start("what")
            end = self._end(text, match)
            referents, rest = self.references.several(text[match.start("what") : end], said)
            if referents and grammar.UNLIKE.search(text[max(0, match.start() - NEAR) : match.start()]) is None:
                found.extend(referents)
                lead = re.sub(r"\b(?:more|some|another|something|anything|one|ones)\s*$", "", text[: match.start()])
                text = f"{lead} {rest}{text[end:]}"
                break
        return text, found

    def _than(self, text: str, said: Conversation, limits: Limited) -> str:
        """ "shorter than the second one", as a limit."""

        def note(match: re.Match[str]) -> str:
            wanted, found = self.columns.extreme(match["word"]), self.references.first(match["what"], said)
            if wanted is None or found is None or len(found[0].rows) != 1:
                return match.group(0)
            limit = self._compared(match["word"], *wanted, found[0].rows[0])
            limits.set += [limit] if limit is not None else []
            return f" {found[1]}" if limit is not None else match.group(0)

        return kinds.THAN.sub(note, text)

    def _relative(self, limits: Limited, examples: tuple[int, ...]) -> tuple[tuple[Constraint, ...], tuple[Leaning, ...]]:
        """ "like Alien but shorter" is a limit, by what Alien has; without an example "shorter" is a leaning."""
        if len(examples) != 1:
            return tuple(limits.set), tuple(limits.leanings)
        made = [(one, self._compared(one.said, one.column, one.order, examples[0])) for one in limits.leanings]
        hard = [constraint for _, constraint in made if constraint is not None]
        return (*limits.set, *hard), tuple(leaning for leaning, constraint in made if constraint is None)

    def _compared(self, word: str, column: str, order: Order, row: int) -> Constraint | None:
        comparative = word.split()[0] in ("more", "less", "lower", "higher") or word.endswith("er")
        return self.columns.beyond(word, column, order, row) if comparative else None


def _unknown(referent: Referent, said: Conversation) -> str:
    phrase = referent.phrase.strip()
    if referent.among:
        return ""
    if not said.lists:
        return nothing_shown(phrase)
    return f"I have not shown you “{phrase}”; the last list had {len(said.last)} items."


def _rows(referents: Iterable[Referent]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(row for referent in referents for row in referent.rows))


def _searchable(text: str) -> str:
    """What is left to search for when everything understood and every filler is gone."""
    wish = re.sub(r"\s+", " ", grammar.FILLER.sub(" ", text)).strip(" ,.;:!?-")
    wish = grammar.LOOSE_ENDS.sub("", wish).strip(" ,.;:!?-")
    return wish if re.search(r"\w", wish) else ""


def _in_force(words: str, said: Conversation) -> tuple[str, ...]:
    """The limits of these words, one or several; none where not all of them are in force."""
    limits = {limit.said.lower(): limit.said for limit in said.constraints}
    whole = words.strip().lower()
    named = [whole] if whole in limits else [part.strip() for part in kinds.BETWEEN.split(whole)]
    return tuple(limits[name] for name in named) if all(name in limits for name in named) else ()
