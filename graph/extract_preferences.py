"""Understands the turn: who speaks, what they want, like and rule out. Writes `understood` and what persists."""

import hashlib
import json
import re
import time
from dataclasses import dataclass, replace
from typing import Any, cast

from langchain_core.messages import AIMessage
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore

from duetto import prompts
from duetto.errors import ModelMisbehaved
from duetto.graph.carried import carried, conversation, known_to, said_of_items, topic_after, topic_kept, topic_of, wanted
from duetto.graph.input import the_message, the_user, wanted_k, wanted_reasons
from duetto.graph.model_reading import ExtractAnswer, ModelReading
from duetto.graph.state import NOTHING, Carried, Context, ItemId, Outcome, State, TastesKept, Understood, Wanted, since
from duetto.tools.agent_tools import Toolbox
from duetto.tools.barred import barred
from duetto.tools.chat.budget import Usage, remaining
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.constraints import checked, in_force, where
from duetto.tools.conversation import Conversation
from duetto.tools.features import Features
from duetto.tools.histories import History
from duetto.tools.language import RANKED, Constraint, Preference, Understanding
from duetto.tools.plain.english import may_be_english
from duetto.tools.plain.preferences import preferences as plain_preferences
from duetto.tools.plain.understand import PlainReader
from duetto.tools.predicate import Compare, from_json, to_json
from duetto.tools.profiles import KINDS, Profile, keep_profile, note_thread, profile_of

CERTAIN = ("small_talk", "undo", "start_over")  # what the plain reader sees as well as any model


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
        before, profile, lost = self._before(state, user, store)
        told = self._told_by_others(state)
        said = _with(conversation(before, catalogue), told)
        known = self.box.history(user, known_to(before), before["disliked"])
        meaning = self.reader.read(message, said)
        outcome, tastes = Outcome(), before["tastes"]
        if self.model is not None and meaning.intent not in CERTAIN and (message or len(known)):
            meaning, outcome, tastes = self._ask(self.model, message, meaning, known, before, said, deadline)
        elif self.model is None and not may_be_english(message):
            meaning = replace(meaning, notes=(*meaning.notes, "Without a language model I read English only."))
        meaning = replace(meaning, named=tuple(dict.fromkeys((*(told or ()), *meaning.named, *meaning.alike))))
        meaning, refused = checked(meaning, catalogue)
        now, past, meaning = self._after(before, meaning, said)
        history = self.box.history(user, known_to(now), now["disliked"])
        if not meaning.preferences and meaning.intent in (*RANKED, "profile"):
            meaning = replace(meaning, preferences=plain_preferences(history, self.features, limits.preferences))
        if store is not None and user is not None:
            self._remember(store, user, profile, before, now, meaning, tastes, runtime)
        degraded = outcome.degraded + refused + lost
        if meaning.dropped:
            degraded += (f"references of the model that matched no item it may name, dropped: {meaning.dropped}",)
        understood = Understood(
            user, message, history, meaning, self._where(now, meaning), k, reasons, deadline,
            replace(outcome, ms=since(started), degraded=degraded), before,
            hidden=(*now["seen"], *now["uninterested"]), barred=self._barred(meaning, history, now),
        )  # fmt: skip
        return {"understood": understood, "turn": before["turn"] + 1, "person": user, **now, "past": past, "tastes": tastes}

    # what was before

    def _before(
        self, state: State, user: ItemId | None, store: BaseStore | None
    ) -> tuple[Carried, Profile | None, tuple[str, ...]]:
        """What is known from the turns before and, across conversations, from the person's profile."""
        before = carried(state)
        new = _is_new(before, user)
        if new and before["turn"]:  # another person speaks: nothing of the one before is theirs
            before = {**NOTHING, "turn": before["turn"]}
        profile = profile_of(store, user) if store is not None and user is not None else None
        if profile is not None:
            opinions: Any = {kind: profile.of(kind) for kind in KINDS}
            past = [_with_profile(step, before, opinions) for step in before["past"]]
            before = {**before, **opinions, "past": past}
            if new:
                before["constraints"] = [{"said": c.said, "where": c.where} for c in profile.constraints]
            if not before["tastes"]["history"] and profile.tastes:
                before["tastes"] = {"history": profile.tastes["history"], "preferences": profile.tastes["preferences"]}
        parsed = Understanding(set=tuple(Constraint(c["said"], from_json(c["where"])) for c in before["constraints"]))
        still, lost = checked(parsed, self.box.catalogue)  # the catalogue was perhaps rebuilt since
        before = {**before, "constraints": [{"said": c.said, "where": to_json(c.predicate)} for c in still.set]}
        return before, profile, lost

    def _ask(
        self, model: LanguageModel, message: str, plain: Understanding, history: History, before: Carried, said: Conversation,
        deadline: float,
    ) -> tuple[Understanding, Outcome, TastesKept]:  # fmt: skip
        limits = self.box.limits
        tastes, reading, digest = before["tastes"], ModelReading(self.box, self.reader), _digest(history)
        known = self._known(tastes)
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
            kept = [
                {"text": p.text, "weight": p.weight, "evidence": [ids[row] for row in p.evidence]} for p in meaning.preferences
            ]
            tastes = {"history": digest, "preferences": kept}
        return meaning, Outcome.of(budget, used), tastes

    def _known(self, tastes: TastesKept) -> tuple[Preference, ...]:
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

    def _told_by_others(self, state: State) -> tuple[int, ...] | None:
        """The items that somebody in our place named in talk since our last turn, such as a person who took over; None where
        nobody did. A numbered list is no talk, but perhaps our own."""
        told = [message for message in state.messages[-2:] if isinstance(message, AIMessage)]
        if not told or (text := str(told[-1].text)) == state.answer.get("reply") or re.search(r"^\s*1\. ", text, re.MULTILINE):
            return None
        return tuple(self.reader.titles.mentioned(text)[0])

    def _where(self, now: Wanted, meaning: Understanding) -> dict[str, Any] | None:
        """The limits in force; and whoever asks for something like an item does not ask for that item."""
        besides = tuple(self.box.catalogue.ids[row] for row in meaning.besides)
        left_out = [{"where": to_json(Compare("item_id", "not_in", besides))}] if besides else []
        return where([*now["constraints"], *left_out])

    def _barred(self, meaning: Understanding, history: History, now: Wanted) -> tuple[str, ...]:
        if meaning.intent != "why_not":
            return ()
        return tuple(sentence for row in meaning.items for sentence in barred(self.box.catalogue, history, now, row))

    def _remember(
        self, store: BaseStore, user: ItemId, profile: Profile | None, before: Carried, now: Wanted, meaning: Understanding,
        tastes: TastesKept, runtime: Runtime[Context],
    ) -> None:  # fmt: skip
        thread = runtime.execution_info.thread_id if runtime.execution_info else None
        if thread is not None:
            note_thread(store, thread, user, self.recordings)
        kept = profile or Profile(user=user)
        lifted = [c["where"] for c in before["constraints"] if c not in now["constraints"]]
        standing = [{"said": c.said, "where": c.where} for c in kept.constraints if c.where not in lifted]
        if meaning.standing:
            said = {constraint.said for constraint in meaning.set}
            always = [c["where"] for c in standing]
            standing += [
                {"said": c["said"], "where": c["where"]}
                for c in now["constraints"]
                if c["said"] in said and c["where"] not in always
            ]
        opinions: Any = {kind: now[kind] for kind in KINDS}
        changed = kept.with_opinions(opinions, thread).with_constraints(standing, thread)
        if tastes["history"] and tastes["history"] != kept.tastes.get("history"):
            changed = changed.with_tastes(dict(tastes))
        if changed != kept:
            keep_profile(store, changed)


def _with(said: Conversation, told: tuple[int, ...] | None) -> Conversation:
    """What was told in the place of our last list is what can be pointed at."""
    if told is None:
        return said
    return replace(said, lists=(*said.lists[:-1], told) if told else said.lists[:-1], focus=told)


def _with_profile(step: Wanted, then: Carried, now: Any) -> Wanted:
    """A step to undo, with what was said of items in other conversations since: it takes back only what was said in this one."""
    changed: Any = {}
    for kind in KINDS:
        came = {str(item) for item in then[kind]} - {str(item) for item in step[kind]}
        here = {str(item) for item in (*now[kind], *came)}
        back = [item for item in step[kind] if str(item) not in here and item not in then[kind]]
        changed[kind] = [item for item in now[kind] if str(item) not in came] + back
    return cast(Wanted, {**step, **changed})


def _is_new(before: Carried, user: ItemId | None) -> bool:
    """Whether somebody else spoke before, or nobody."""
    return not before["turn"] or before["person"] != user


def _digest(history: History) -> str:
    """Of a history, as this index numbers its items."""
    return hashlib.sha256(history.rows.tobytes() + history.disliked.tobytes()).hexdigest()[:16]
