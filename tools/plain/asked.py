"""What a turn asks about: items, reasons, comparisons, facts of the catalogue, the person's own profile."""

import re
from dataclasses import dataclass

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from duetto.tools.catalogue import Catalogue
from duetto.tools.conversation import NEW, Conversation
from duetto.tools.language import Fact, Intent, Option, Question, Understanding
from duetto.tools.plain import kinds, pointing
from duetto.tools.plain.columns import Columns, Order, singular
from duetto.tools.plain.filters import Filters, Limited
from duetto.tools.plain.references import References, Referent, one_of
from duetto.tools.plain.telling import listed
from duetto.tools.plain.titles import Titles
from duetto.tools.predicate import And, Compare, Or, Predicate

LONGEST = 300  # characters of a question


@dataclass(frozen=True)
class Asked:
    catalogue: Catalogue
    titles: Titles
    columns: Columns
    references: References
    filters: Filters

    def read(self, text: str, said: Conversation) -> Understanding | None:
        """None where the text asks for none of these."""
        if len(text) > LONGEST:
            return None
        if kinds.PROFILE.search(text):
            return Understanding("profile")
        text = kinds.FRONTED.sub(r"\g<asks>\g<what>\g<rest>", text)
        for found in (
            self._why_not,
            self._why,
            self._compare,
            self._extreme,
            self._count,
            self._about,
            self._not_had,
            self._placed,
        ):
            if (understood := found(text, said)) is not None:
                return understood
        return Understanding("out_of_scope") if kinds.OUT_OF_SCOPE.search(text) else None

    # items

    def _why_not(self, text: str, said: Conversation) -> Understanding | None:
        for pattern in (kinds.WHY_NOT, kinds.WHY_MISSING):
            match = pattern.search(text)
            referent = match and self._item(match["what"], said)
            if referent:
                return self._on("why_not", referent, said)
        return None

    def _why(self, text: str, said: Conversation) -> Understanding | None:
        match = kinds.WHY.search(text)
        if match is None or kinds.WHY_NOT.search(text):
            return None
        what = (match["what"] or "").strip()
        if not said.lists:
            pointed = pointing.ORDINAL.match(what) or pointing.PRONOUN.match(what)
            return self._on("why", Referent(pointed.group(0)), said) if pointed else None
        if not what or what.lower() in ("that", "these", "those", "them", "this list", "the list"):
            return Understanding("why", items=said.focus[:1] if len(said.focus) == 1 else said.last[:3])
        referent = self._item(what, said)
        return self._on("why", referent, said) if referent else None

    def _compare(self, text: str, said: Conversation) -> Understanding | None:
        match = kinds.COMPARE.search(text)
        if match is None:
            return None
        if match["all"]:
            found = self.references.first(match["all"], said)
            return Understanding("compare", items=found[0].rows[:4]) if found and found[0].rows else None
        named = [match[name] for name in ("one", "two", "three", "four", "five", "six") if match[name]]
        referents = [self._item(re.sub(r"^(?:between|both)\s+", "", name), said) for name in named]
        known = [r for r in referents if r is not None]
        if len(known) < 2:
            return None
        if unclear := next((r for r in known if r.among), None):
            return Understanding("compare", question=self.ask(unclear, "about", ""))
        rows = tuple(dict.fromkeys(row for r in known for row in r.rows))
        notes = tuple(f"I do not know which item “{r.phrase}” is." for r in known if not r.rows)
        return Understanding("compare", items=rows, notes=notes)

    def _about(self, text: str, said: Conversation) -> Understanding | None:
        if said.lists and (match := kinds.WHICH_OF.search(text)) is not None:
            found = self.references.first(f"the {match['word']} of these", said)
            if found is not None:
                return self._on("about", found[0], said)
        if said.focus and kinds.MORE_OF_IT.fullmatch(text):
            return Understanding("about", items=said.focus)
        if said.focus and (also := kinds.AND_THAT.fullmatch(text)) is not None:
            found = self.references.first(also["what"], said)
            if found is not None and found[0].rows and not found[1].strip():
                return self._on("about", found[0], said)
        match = kinds.TELL.search(text)
        asks = match or kinds.ASKS.search(text)
        if asks is None:
            return None
        what = re.sub(r"\s+(?:about|called)$", "", asks["what"].strip())
        if match is not None and kinds.OFFERS.match(match.group(0)) and self._limits(what):
            return None
        referent = self._item(what, said, strictly=match is None)
        if referent is not None:
            return self._on("about", referent, said)
        if match is None or kinds.HAVE.search(text) is None or not re.search(r"[A-Z0-9“\"']", what[:1]):
            return None
        return self._searched(what)

    def _not_had(self, text: str, said: Conversation) -> Understanding | None:
        """Whoever has not seen an item may want to know about it."""
        match = kinds.NOT_HAD.fullmatch(text.strip(" .!?"))
        referent = self._item(match["what"], said, strictly=True) if match else None
        return self._on("about", referent, said) if referent else None

    def _placed(self, text: str, said: Conversation) -> Understanding | None:
        """Nothing but an item that was shown, or that it sounds good."""
        match = kinds.TAKES.fullmatch(text)
        found = self.references.first(match["what"], said, title=False) if match and said.lists else None
        if found is None or found[1].strip(" .!?"):
            return None
        pointed = found[0].rows or found[0].among or pointing.ORDINAL.match(found[0].phrase)
        return self._on("about", found[0], said) if pointed else None

    def _limits(self, what: str) -> bool:
        """Whether a phrase, all of it, is a value or a range of a column: "what about the 80s?"."""
        limits = Limited()
        left = re.findall(r"[\w'&-]+", self.filters.read(re.sub(r"^(?:an?|the|any|some)\s+", "", what), NEW, limits))
        known = self.columns.value(left)
        rest = left[known[0] :] if known is not None else left
        return bool(limits.set or known) and all(pointing.ANY_NOUN.fullmatch(word) for word in rest)

    def _item(self, what: str, said: Conversation, strictly: bool = False) -> Referent | None:
        """The item a phrase begins with; `strictly` no phrase that only might be one."""
        what = re.sub(r"^(?:the (?:film|movie|book|item|product) (?:called )?)(?=[A-Z\"“])", "", what.strip()).strip('"“”')
        if (found := self.references.first(what, said)) is not None and not (strictly and not (found[0].rows or found[0].among)):
            return found[0]
        if (leading := self.titles.leading(what)) is not None:
            return Referent(what, (leading[0],), shown=leading[0] in said.shown())
        if not strictly and (several := self.titles.holding(re.sub(r"\W*(?:please|then)\W*$", "", what))):
            return one_of(what, several, shown=False)
        if not said.lists and (place := pointing.ORDINAL.match(what) or pointing.PRONOUN.match(what)):
            return Referent(place.group(0), shown=False)
        return None

    def _on(self, intent: Intent, referent: Referent, said: Conversation) -> Understanding:
        if referent.among:
            return Understanding(intent, question=self.ask(referent, intent, ""))
        if referent.rows:
            return Understanding(intent, items=referent.rows)
        if not said.lists:
            return Understanding(intent, notes=(nothing_shown(referent.phrase),))
        if referent.shown:
            last = len(said.last)
            return Understanding(intent, notes=(f"There is no “{referent.phrase.strip()}”: the last list had {last} items.",))
        return self._searched(described(referent.phrase))

    def _searched(self, what: str) -> Understanding:
        what = what.strip(' ?.!"“”')
        return Understanding("recommend", wish=what, notes=(not_shown(what),))

    def ask(self, referent: Referent, intent: Intent, role: str) -> Question:
        """Which of several items is meant."""
        titles = [self.catalogue.titles[row] for row in referent.among]
        options = tuple(Option(title, row) for title, row in zip(titles, referent.among, strict=True))
        return Question(f"Which one do you mean by “{referent.phrase.strip()}”: {listed(titles, 'or')}?", options, intent, role)

    # facts

    def _extreme(self, text: str, said: Conversation) -> Understanding | None:
        match = kinds.EXTREME.search(text)
        if match is None or match["what"].split()[-1:] == ["about"]:
            return None
        wanted = self.columns.extreme(match["word"])
        if wanted and said.lists and kinds.OF_SHOWN.search(match["what"]) and " your " not in f" {text.lower()} ":
            found = self.references.first(f"the {match['word']} of these", said)
            return self._on("about", found[0], said) if found is not None else None
        if wanted is None:
            said_word = match["word"].strip()
            return Understanding("facts", notes=(f"No column of the catalogue tells what is {said_word}, so I cannot say.",))
        return self._fact(match["word"], match["what"], *wanted)

    def _count(self, text: str, said: Conversation) -> Understanding | None:
        match = kinds.COUNT.search(text)
        if match is None:
            return None
        what = " ".join(part for part in (match["what"], match["more"]) if part)
        measured = kinds.MEASURED.match(what)
        if measured and (referent := self._item(measured["what"], said)) is not None:
            return self._on("about", referent, said)
        if kinds.UNCOUNTED.search(what):
            return Understanding("facts")
        return self._fact("", what)

    def _fact(self, word: str, what: str, column: str | None = None, order: Order = "highest") -> Understanding:
        """Words that would leave nothing, though columns know the rest of it, are left out, and that is said."""
        parts, words = self._where(what)
        known = self.catalogue.mask(And(tuple(parts)))
        texts = self.catalogue.columns("title", "text")
        told = [Or(tuple(Compare(text, "contains", singular(one)) for text in texts)) for one in words]
        notes: tuple[str, ...] = ()
        if parts and told and known.any() and not (self.catalogue.mask(And(tuple(told))) & known).any():
            notes = (f"No title or text has “{' '.join(words)}” there, so I went by the rest.",)
            what, told = re.sub("|".join(rf"\b{re.escape(one)}\b" for one in words), "", what), []
        every = (*parts, *told)
        fact = Fact(_said(word, what), And(every) if every else None, column, order)
        return Understanding("facts", fact=fact, notes=notes)

    def _where(self, text: str) -> tuple[list[Predicate], list[str]]:
        """What a noun phrase says of columns, known values and ranges, and its other words."""
        limits = Limited()
        left = self.filters.read(text, NEW, limits)
        parts = [constraint.predicate for constraint in limits.set]
        words, others = re.findall(r"[\w'&-]+", left), []
        while words:
            if (known := self.columns.value(words)) is not None:
                end, (column, value) = known
                parts.append(Compare(column, "eq", value))
                words = words[end:]
            else:
                others.append(words.pop(0))
        empty = ENGLISH_STOP_WORDS | kinds.EMPTY
        return parts, [w for w in others if w.lower() not in empty and not pointing.ANY_NOUN.fullmatch(w)]


def _said(word: str, what: str) -> str:
    return re.sub(r"\s+", " ", f"{word} {what}").strip(" ?.!")


def described(phrase: str) -> str:
    """What "the Coen film" says of an item, as search text."""
    return re.sub(r"^(?:the|that)\s+|\s+(?:one|film|movie|book|item|product)$", "", phrase.strip())


def nothing_shown(phrase: str) -> str:
    return f"I have not shown you anything yet, so I do not know what “{phrase.strip()}” is."


def not_shown(phrase: str) -> str:
    return f"I have not shown you “{phrase.strip()}”, so I searched the whole catalogue for it."
