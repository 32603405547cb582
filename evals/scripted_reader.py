"""A chat model without a network, for cases: it reads what the prompts give it as a good model would, by the plain reader."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage
from pydantic import BaseModel

from duetto.graph.explain import ExplainAnswer
from duetto.graph.look_up import AboutAnswer
from duetto.graph.model_reading import ExtractAnswer, FactAnswer, LeaningAnswer, LimitAnswer, PreferenceAnswer, QueryAnswer
from duetto.graph.translate import TranslateAnswer
from duetto.graph.write_queries import QueriesAnswer
from duetto.limits import Limits
from duetto.tools.catalogue import Catalogue
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.chat.scripted import ScriptedChat
from duetto.tools.constraints import parsed
from duetto.tools.conversation import Conversation
from duetto.tools.language import Constraint, Fact, Option, Question, Understanding
from duetto.tools.plain.understand import PlainReader
from duetto.tools.predicate import And, Compare, Not, Predicate
from duetto.tools.profiles import KINDS

NAME = "scripted"
TASTES = ("well made", "out of the ordinary", "good for an evening")
Turn = dict[str, Any]


def scripted_model(catalogue: Catalogue, limits: Limits) -> LanguageModel:
    reader = ScriptedReader(catalogue, PlainReader(catalogue).warm())
    return LanguageModel(ScriptedChat(script=reader.answer), NAME, limits=limits)


@dataclass(frozen=True)
class ScriptedReader:
    catalogue: Catalogue
    reader: PlainReader

    def answer(self, messages: list[BaseMessage], schema: str) -> BaseModel:
        turn = json.loads(str(messages[-1].text))
        return {
            "ExtractAnswer": self._extract, "QueriesAnswer": self._queries, "ExplainAnswer": self._explain,
            "AboutAnswer": self._about, "TranslateAnswer": self._translate,
        }[schema](turn)  # fmt: skip

    def _extract(self, turn: Turn) -> ExtractAnswer:
        said = self._conversation(turn)
        meaning = self.reader.read(turn["message"], said)
        known = [one["preference"] for one in turn.get("known_preferences", ())]
        named: Any = {name: self._ids(getattr(meaning, name)) for name in (*KINDS, "alike", "items")}
        compared = {leaning.column: leaning for leaning in meaning.leanings}
        question, limits = meaning.question, []
        named["ambiguous_as"] = question.role if question else ""
        leanings = [LeaningAnswer(said=one.said, column=one.column, order=one.order) for one in meaning.leanings]
        for constraint in meaning.set:
            than = self._than(constraint)
            if than is not None:
                leanings.append(than)
            elif constraint.said not in compared:
                limits += _limits(constraint, meaning.standing)
        return ExtractAnswer(
            intent=meaning.intent,
            request=meaning.wish,
            same_topic=meaning.same_topic,
            preferences=[] if known else _tastes(turn, meaning),
            ambiguous=self._ids([option.row for option in question.options if option.row is not None]) if question else [],
            avoid=list(meaning.avoid),
            leanings=leanings,
            constraints_set=limits,
            constraints_clear=list(meaning.clear),
            unchecked=list(meaning.unchecked),
            fact=_fact(meaning.fact),
            queries=_written(meaning.wish, known) if known else [],
            **named,
        )

    def _conversation(self, turn: Turn) -> Conversation:
        """What the prompt tells of the turns before."""
        lists = [tuple(self._row(item) for item in items) for items in reversed(turn["shown"])]
        return Conversation(
            lists=tuple(lists),
            focus=tuple(self._row(item) for item in turn["talked_about"]),
            question=self._question(turn["you_asked"]) if "you_asked" in turn else None,
            constraints=parsed(turn["constraints_in_force"]),
        )

    def _question(self, asked: Turn) -> Question:
        """Its options are titles, values of a column, or ranges of the column that the question names."""
        options = []
        for label in asked["options"]:
            known, row = self.reader.columns.value(label.split()), self.reader.title(label)
            if asked["role"] == "limit":
                options.append(Option(label, predicate=self._range(asked["question"], label) if known is None else
                                      Compare(known[1][0], "eq", known[1][1])))  # fmt: skip
            else:
                options.append(Option(label, row))
        return Question(asked["question"], tuple(options), asked["intent"], asked["role"])

    def _range(self, question: str, label: str) -> Predicate | None:
        named = re.match(r"Which (.+?) (?:do|would) you", question)
        column = named[1].replace(" ", "_") if named else ""
        numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", label)]
        if not numbers or column not in self.catalogue.kinds:
            return None
        if len(numbers) == 2:
            return And((Compare(column, "ge", numbers[0]), Compare(column, "le", numbers[1])))
        return Compare(column, "lt" if label.startswith("under") else "gt", numbers[0])

    def _than(self, constraint: Constraint) -> LeaningAnswer | None:
        """ "shorter than Alien", as the prompt wants it: the model is not told how long Alien is."""
        word, _, title = constraint.said.partition(" than ")
        wanted, row = self.reader.columns.extreme(word), self.reader.title(title) if title else None
        if wanted is None or row is None:
            return None
        return LeaningAnswer(said=word, column=wanted[0], order=wanted[1], than=self.catalogue.ids[row])

    def _row(self, item: Turn) -> int:
        row = self.catalogue.row(item["id"])
        assert row is not None
        return row

    def _ids(self, rows: Sequence[int]) -> list[str | int]:
        return [self.catalogue.ids[row] for row in rows]

    def _queries(self, turn: Turn) -> QueriesAnswer:
        return QueriesAnswer(queries=_written(turn["request"], [one["preference"] for one in turn["preferences"]]))

    def _explain(self, turn: Turn) -> ExplainAnswer:
        steps = [
            {"preference": one["number"], "why": "your history shows it", "fitness": 0.5, "likelihood": "medium"}
            for one in turn["preferences"][:1]
        ]
        cited = [item["id"] for item in turn["history"][:1]]
        return ExplainAnswer.model_validate(
            {"steps": steps, "reason": f"{turn['item']['title']} goes with what you like.", "evidence": cited}
        )

    def _about(self, turn: Turn) -> AboutAnswer:
        titles = [str(item["title"]) for item in turn["items"]]
        return AboutAnswer(answer=f"This is what I know of {' and '.join(titles)}.", quotes=titles)

    def _translate(self, turn: Turn) -> TranslateAnswer:
        return TranslateAnswer(sentences=turn["sentences"])


def _tastes(turn: Turn, meaning: Understanding) -> list[PreferenceAnswer]:
    newest = turn["history_oldest_first"][-len(TASTES) :]
    found = [
        PreferenceAnswer(preference=taste, evidence=[item["id"]], weight=1 / n)
        for n, (taste, item) in enumerate(zip(TASTES, reversed(newest), strict=False), start=1)
    ]
    return found or ([PreferenceAnswer(preference=meaning.wish, weight=1.0)] if meaning.wish else [])


def _written(request: str, preferences: list[str]) -> list[QueryAnswer]:
    asked = [QueryAnswer(query=request)] if request else []
    return [*asked, *(QueryAnswer(query=text, serves=n) for n, text in enumerate(preferences[:2], start=1))]


def _limits(constraint: Constraint, always: bool) -> list[LimitAnswer]:
    def limit(column: str, operator: Any, *values: Any) -> LimitAnswer:
        return LimitAnswer(said=constraint.said, column=column, operator=operator, values=list(values), always=always)

    match constraint.predicate:
        case Compare(column, operator, value):
            return [limit(column, operator, *(value if isinstance(value, tuple) else (value,)))]
        case Not(Compare(column, "eq", value)):
            return [limit(column, "ne", value)]
        case And(parts):
            return [limit(part.column, part.operator, part.value) for part in parts if isinstance(part, Compare)]
        case Not(And((Compare(column, "ge", low), Compare(_, "lt", high)))) if isinstance(low, int) and isinstance(high, int):
            return [limit(column, "not_in", *range(low, high))]
    raise ValueError(f"the scripted reader cannot say {constraint.predicate} as limits")


def _fact(fact: Fact | None) -> FactAnswer | None:
    """None for what no columns that the model is told of can check."""
    if fact is None:
        return None
    parts = fact.where.parts if isinstance(fact.where, And) else () if fact.where is None else (fact.where,)
    if not all(isinstance(part, Compare | Not | And) for part in parts):
        return None
    said = [Constraint(fact.said, part) for part in parts]
    return FactAnswer(column=fact.column, order=fact.order, where=[limit for one in said for limit in _limits(one, False)])
