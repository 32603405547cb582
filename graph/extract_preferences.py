"""Understands the turn: who speaks, what they want, like and rule out. Writes `understood` and what persists."""

import hashlib
import json
import time
from dataclasses import dataclass, replace
from typing import Any, cast

from langgraph.runtime import Runtime

from duetto import prompts
from duetto.errors import ModelMisbehaved
from duetto.graph.carried import conversation, known_to, said_of_items, topic_after, topic_kept, topic_of, wanted
from duetto.graph.input import the_message, the_user, told_by_others, wanted_k, wanted_reasons
from duetto.graph.memory import Memory
from duetto.graph.model_reading import ExtractAnswer, ModelReading
from duetto.graph.state import NOTHING, Carried, Context, Outcome, State, TastesKept, Understood, Wanted, since
from duetto.graph.write_queries import at_hand
from duetto.tools.agent_tools import Toolbox
from duetto.tools.barred import barred
from duetto.tools.chat.budget import Usage, remaining
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.constraints import checked, in_force, where
from duetto.tools.conversation import Conversation
from duetto.tools.features import Features
from duetto.tools.histories import History
from duetto.tools.language import RANKED, Preference, Understanding
from duetto.tools.plain.english import may_be_english
from duetto.tools.plain.preferences import preferences as plain_preferences
from duetto.tools.plain.understand import PlainReader
from duetto.tools.predicate import Compare, to_json
from duetto.tools.profiles import KINDS
from duetto.tools.tastes import corrected, with_own


@dataclass(frozen=True)
class ExtractPreferences:
    """`recordings` is the folder that turns are recorded in, if they are."""

    box: Toolbox
    features: Features
    reader: PlainReader
    model: LanguageModel | None
    recordings: str | None = None

    def __call__(self, state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        started = time.perf_counter()
        limits, catalogue = self.box.limits, self.box.catalogue
        deadline = time.monotonic() + limits.turn_seconds
        message = the_message(state.message, state.messages, limits.message_chars)
        user = self.box.histories.own_id(the_user(state.user, runtime.context))
        k = wanted_k(runtime.context, limits.top_k, limits.max_top_k)
        reasons = wanted_reasons(runtime.context, self.model is not None)
        store = runtime.store if user is not None else None
        memory = Memory(catalogue, self.recordings)
        before, lost = memory.before(state, user, store)
        told = told_by_others(state)
        named = None if told is None else tuple(self.reader.titles.mentioned(told)[0])
        said = _with(conversation(before, catalogue), named)
        known = self.box.history(user, known_to(before), before["disliked"])
        meaning = self.reader.read(message, said)
        outcome, tastes = Outcome(), before["tastes"]
        own = [(one["preference"], one["weight"]) for one in before["corrected"]]
        read = self._read(tastes)
        tastes_told = corrected(read, own, limits.preferences) if read else ()  # a model is told of none before it read some
        if self.model is not None and not meaning.certain and (message or len(known)):
            meaning, outcome, tastes = self._ask(self.model, message, meaning, known, before, said, tastes_told, deadline)
        elif self.model is None and not may_be_english(message):
            meaning = replace(meaning, notes=(*meaning.notes, "Without a language model I read English only."))
        meaning = replace(meaning, named=tuple(dict.fromkeys((*(named or ()), *meaning.named, *meaning.alike))))
        meaning, refused = checked(meaning, catalogue)
        now, past, meaning = self._after(before, meaning, said)
        history = self.box.history(user, known_to(now), now["disliked"])
        if not meaning.preferences and meaning.intent in (*RANKED, "profile"):
            meaning = replace(meaning, preferences=plain_preferences(history, self.features, limits.preferences))
        if meaning.preferences or meaning.intent in (*RANKED, "profile"):
            meaning = with_own(meaning, own, limits.preferences)
        if store is not None and user is not None:
            memory.keep(store, user, before, now, meaning, tastes, _thread(runtime))
        tried = bool(outcome.usage.calls and tastes_told)
        queries = at_hand(meaning, self.reader.columns, limits.queries, self.model, tried) if meaning.intent in RANKED else ()
        degraded = outcome.degraded + refused + lost
        if meaning.dropped:
            degraded += (f"references of the model that matched no item it may name, dropped: {meaning.dropped}",)
        understood = Understood(
            user, message, history, meaning, self._where(now, meaning), k, reasons, deadline,
            replace(outcome, ms=since(started), degraded=degraded), before,
            hidden=(*now["seen"], *now["uninterested"]), queries=queries, barred=self._barred(meaning, history, now), told=told,
        )  # fmt: skip
        kept = {"past": past, "tastes": tastes, "corrected": before["corrected"]}
        return {"understood": understood, "turn": before["turn"] + 1, "person": user, **now, **kept}

    def _ask(
        self, model: LanguageModel, message: str, plain: Understanding, history: History, before: Carried, said: Conversation,
        known: tuple[Preference, ...], deadline: float,
    ) -> tuple[Understanding, Outcome, TastesKept]:  # fmt: skip
        limits = self.box.limits
        tastes, reading, digest = before["tastes"], ModelReading(self.box, self.reader), _digest(history)
        turn = reading.told(message, history, before, said, known, tastes["history"] != digest)
        prompt = prompts.render(
            "extract_preferences", least="3", most=str(limits.preferences), queries=str(limits.queries),
            turn=json.dumps(turn, ensure_ascii=False, default=str),
        )  # fmt: skip
        budget = remaining(limits, Usage(), deadline)
        used = (prompt.name, prompt.version)
        try:
            answer = model.ask(prompt, ExtractAnswer, budget)
        except ModelMisbehaved as error:
            note = f"preferences are plain: {error}"
            return plain, Outcome.of(budget, used, note), tastes
        meaning = reading.understood(answer, message, plain, history, said, known)
        if meaning.preferences:
            ids = self.box.catalogue.ids
            read = self._read(tastes) if meaning.preferences == known else meaning.preferences  # not what the person set of them
            kept = [{"text": p.text, "weight": p.weight, "evidence": [ids[row] for row in p.evidence]} for p in read]
            tastes = {"history": digest, "preferences": kept}
        return meaning, Outcome.of(budget, used), tastes

    def _read(self, tastes: TastesKept) -> tuple[Preference, ...]:
        rows = self.box.catalogue.rows
        return tuple(Preference(p["text"], p["weight"], tuple(rows(p["evidence"]))) for p in tastes["preferences"])

    # what is after

    def _after(self, before: Carried, meaning: Understanding, said: Conversation) -> tuple[Wanted, list[Wanted], Understanding]:
        """What is wanted from this turn on, what may be undone, and the meaning with the whole topic."""
        was, past, catalogue = wanted(before), before["past"], self.box.catalogue
        if meaning.intent == "undo":
            now = past[-1] if past else was
            past = past[:-1]
            note = "I took back what you said last." if before["past"] else "There is nothing left to take back."
            meaning = replace(meaning, notes=(*meaning.notes, note))
        else:
            now = self._changed(was, meaning, said)
            if now != was:
                past = [*past, was][-self.box.limits.undo_steps :]
        if meaning.intent in RANKED:
            topic = topic_of(now["topic"], catalogue)
            meaning = replace(
                meaning, wish=topic.wish, alike=topic.alike, avoid=topic.avoid, leanings=topic.leanings,
                unchecked=topic.unchecked, besides=tuple(dict.fromkeys((*meaning.besides, *topic.alike))),
            )  # fmt: skip
        return now, past, meaning

    def _changed(self, was: Wanted, meaning: Understanding, said: Conversation) -> Wanted:
        ids = self.box.catalogue.ids
        new = {kind: [ids[row] for row in getattr(meaning, kind)] for kind in KINDS}
        opinions: Any = {
            kind: said_of_items(was[kind], new[kind], [item for other in KINDS if other != kind for item in new[other]])
            for kind in KINDS
        }
        judged = [item for items in new.values() for item in items]
        known = {str(item) for kind in KINDS for item in opinions[kind]}
        named = [item for row in meaning.named if str(item := ids[row]) not in known]
        opinions["named"] = said_of_items(was["named"], named, judged)
        topic = was["topic"]
        if meaning.intent == "start_over":
            topic = NOTHING["topic"]
        elif meaning.intent in RANKED and meaning.intent != "why_not" and meaning.question is None:
            topic = topic_kept(topic_after(meaning, said.topic), self.box.catalogue)
        return cast(Wanted, {"constraints": in_force(was["constraints"], meaning), "topic": topic, **opinions})

    def _where(self, now: Wanted, meaning: Understanding) -> dict[str, Any] | None:
        """The limits in force; and whoever asks for something like an item does not ask for that item."""
        besides = tuple(self.box.catalogue.ids[row] for row in meaning.besides)
        left_out = [{"where": to_json(Compare("item_id", "not_in", besides))}] if besides else []
        return where([*now["constraints"], *left_out])

    def _barred(self, meaning: Understanding, history: History, now: Wanted) -> tuple[str, ...]:
        if meaning.intent != "why_not":
            return ()
        return tuple(sentence for row in meaning.items for sentence in barred(self.box.catalogue, history, now, row))


def _with(said: Conversation, named: tuple[int, ...] | None) -> Conversation:
    """What somebody named in the place of our last list is what can be pointed at."""
    if named is None:
        return said
    return replace(said, lists=(*said.lists[:-1], named) if named else said.lists[:-1], focus=named)


def _digest(history: History) -> str:
    """Of a history, as this index numbers its items."""
    return hashlib.sha256(history.rows.tobytes() + history.disliked.tobytes()).hexdigest()[:16]


def _thread(runtime: Runtime[Context]) -> str | None:
    return runtime.execution_info.thread_id if runtime.execution_info else None
