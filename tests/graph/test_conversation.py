"""What is said stays said: across turns, threads and people; and what a turn of a conversation costs."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from duetto.graph.answer import Answer
from duetto.graph.state import Context
from duetto.settings import Settings
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.chat.scripted import Script, ScriptedChat
from duetto.tools.profiles import profile_of
from duetto.wiring import open_graph

FEW = Context(k=4, reasons="none")
RANKED = {"write_queries", "retrieve", "collaborate", "rerank"}


class Chat:
    """People who talk to one graph; `asked` are the schemas the scripted model was asked for, since the last turn began."""

    def __init__(self, settings: Settings, script: Script | None = None) -> None:
        self.asked: list[str] = []
        self.store = InMemoryStore()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        model = None
        if script is not None:
            self._script = script
            model = LanguageModel(ScriptedChat(script=self._heard), "scripted")
        self.graph = open_graph("sample", InMemorySaver(), store=self.store, model=model, settings=settings)

    def _heard(self, messages: list[BaseMessage], schema: str) -> Any:
        self.asked.append(schema)
        self.calls.append((schema, json.loads(messages[1].text)))
        return self._script(messages, schema)

    def say(self, message: str | None, user: str | None = "p001", thread: str = "t", context: Context = FEW) -> Answer:
        self.asked.clear()
        given: Any = {"user": user, "message": message}
        return Answer.model_validate(self.graph.invoke(given, {"configurable": {"thread_id": thread}}, context=context)["answer"])

    def state(self, thread: str = "t") -> dict[str, Any]:
        return dict(self.graph.get_state({"configurable": {"thread_id": thread}}).values)


@pytest.fixture
def chat(settings: Settings) -> Chat:
    return Chat(settings)


def titles(answer: Answer) -> list[str]:
    return [r.title for r in answer.recommendations]


def said(answer: Answer) -> list[str]:
    return [constraint.said for constraint in answer.constraints]


def item(chat: Chat, title: str) -> Any:
    return chat.say(f"tell me about {title}", user=None, thread="asking").items[0].item_id


# across threads


def test_an_opinion_holds_in_the_next_conversation(chat: Chat) -> None:
    best = titles(chat.say("a western"))[0]
    chat.say(f"I've already seen {best}")
    assert best not in titles(chat.say("a western", thread="another"))


def test_i_never_watch_horror_holds_in_every_later_conversation(chat: Chat) -> None:
    chat.say("I never watch horror")
    answer = chat.say("vampires", thread="another", context=Context(k=20, reasons="none"))
    assert said(answer) == ["I never watch horror"]
    assert all("Horror" not in r.attributes["genres"] for r in answer.recommendations)


def test_a_limit_of_one_evening_does_not(chat: Chat) -> None:
    chat.say("no horror tonight")
    assert said(chat.say("vampires", thread="another")) == []


def test_a_standing_limit_that_is_taken_back_holds_nowhere_any_more(chat: Chat) -> None:
    chat.say("I never watch horror")
    assert said(chat.say("ok, horror then")) == []
    assert said(chat.say("vampires", thread="another")) == []


def test_a_standing_limit_holds_for_somebody_who_joins_a_conversation(chat: Chat) -> None:
    chat.say("I never watch horror")
    chat.say("a western", user="p017", thread="shared")
    assert said(chat.say("vampires", user="p001", thread="shared")) == ["I never watch horror"]


def test_nothing_of_one_person_is_told_to_another_in_the_same_thread(chat: Chat) -> None:
    chat.say("I hated Alien. No comedies, from the 80s")
    answer = chat.say("something good", user="p017")
    assert said(answer) == []
    assert "Alien" not in chat.say("what do you know about me?", user="p017").reply
    assert chat.say("why the first one?", user=None).recommendations == []


def test_everybody_who_speaks_in_a_thread_is_noted_with_it(chat: Chat) -> None:
    chat.say("a western")
    chat.say("a western", user="p017")
    noted = {note.value["user"] for note in chat.store.search(("threads",))}
    assert noted == {"p001", "p017"}


def test_nothing_is_kept_of_somebody_without_a_name(chat: Chat) -> None:
    chat.say("I hated Alien", user=None)
    assert not chat.store.search(()) or all(not note.value for note in chat.store.search(()))


def test_the_evidence_tells_when_and_where_an_opinion_was_learned(chat: Chat) -> None:
    chat.say("I hated Alien")
    known = profile_of(chat.store, "p001")
    assert known is not None
    assert [(o.kind, o.thread, o.at[:2]) for o in known.opinions] == [("disliked", "t", "20")]


# undo


def test_undo_takes_back_the_last_change_and_then_the_one_before(chat: Chat) -> None:
    chat.say("from the 80s")
    chat.say("no comedies")
    assert said(chat.say("undo")) == ["from the 80s"]
    assert said(chat.say("undo")) == []
    assert "nothing left" in chat.say("undo").reply


def test_undo_skips_turns_that_changed_nothing(chat: Chat) -> None:
    chat.say("from the 80s")
    chat.say("tell me about the first one")
    chat.say("thanks!")
    assert said(chat.say("undo")) == []


def test_undo_takes_back_an_opinion(chat: Chat) -> None:
    chat.say("a western")
    best = titles(chat.say("I hated Alien"))
    chat.say("undo")
    assert chat.state()["disliked"] == []
    assert best


def test_undo_takes_back_a_start_over(chat: Chat) -> None:
    chat.say("from the 80s")
    assert said(chat.say("start again")) == []
    assert said(chat.say("undo")) == ["from the 80s"]


def test_undo_leaves_what_was_said_in_another_conversation_meanwhile(chat: Chat) -> None:
    chat.say("I hated Alien")
    chat.say("I hated Jaws", thread="another")
    chat.say("undo")
    jaws = item(chat, "Jaws")
    known = profile_of(chat.store, "p001")
    assert known is not None
    assert known.of("disliked") == [jaws] == chat.state()["disliked"]


def test_undo_before_anything_was_said_ranks_nothing_new_and_says_so(chat: Chat) -> None:
    answer = chat.say("undo")
    assert (answer.intent, "nothing left to take back" in answer.reply) == ("undo", True)


# feedback


def test_feedback_changes_the_next_ranking_and_says_why(chat: Chat) -> None:
    before = titles(chat.say(None))
    answer = chat.say(f"I hated {before[0]} and {before[1]}")
    assert answer.changes is not None
    assert answer.changes.because == [f"you disliked {before[0]}", f"you disliked {before[1]}"]
    assert {cited.title for cited in answer.changes.left} >= set(before[:2])
    assert not set(before[:2]) & set(titles(answer))


def test_what_was_liked_is_folded_into_the_crowd_at_once(chat: Chat) -> None:
    chat.say("a western", user="a stranger")
    answer = chat.say("I loved Alien and The Thing", user="a stranger")
    assert answer.known is False or answer.recommendations
    assert "crowd" in chat.say(None, user="a stranger").recommendations[0].parts


def test_an_opinion_in_a_new_request_tells_no_changes(chat: Chat) -> None:
    chat.say("a western")
    assert chat.say("I hated Alien. Now something funny").changes is None


# what costs nothing


@pytest.mark.parametrize(
    "message",
    [
        "thanks!", "no problem", "tell me a joke", "start over", "tell me about the first one", "why the first one?",
        "compare the first and the second", "what is your oldest film?", "how many westerns do you have?",
        "what do you know about me?", "is it any good?", "I have not seen it", "tell me about Alien",
    ],
)  # fmt: skip
def test_a_turn_that_needs_no_retrieval_does_none(chat: Chat, message: str) -> None:
    chat.say("a western")
    answer = chat.say(message)
    assert not RANKED & set(answer.timings_ms)
    assert answer.recommendations == []


@pytest.mark.parametrize("message", ["no problem", "not sure", "I don't know", "I have not seen it", "never heard of it", "hm"])
def test_chat_neither_limits_nor_forgets_what_is_wanted(chat: Chat, message: str) -> None:
    chat.say("a western from the 60s")
    before = chat.state()
    chat.say(message)
    assert all(chat.state()[name] == before[name] for name in ("constraints", "topic", "seen", "uninterested", "past"))


# a stranger


def test_a_stranger_who_says_little_is_asked_one_question_and_never_two_in_a_row(chat: Chat) -> None:
    first = chat.say("something good", user="a stranger")
    assert first.recommendations
    assert first.question is not None
    assert chat.say("something else good", user="a stranger").question is None


def test_an_answer_to_the_question_is_a_limit(chat: Chat) -> None:
    first = chat.say(None, user="a stranger")
    assert first.question is not None
    answer = chat.say(first.question.options[0], user="a stranger")
    assert len(answer.constraints) == 1


def test_whoever_rules_an_option_out_did_not_choose_it(chat: Chat) -> None:
    chat.say("comedy", user="a stranger")
    chat.graph.update_state({"configurable": {"thread_id": "t"}}, {"question": _genres()}, as_node="answer")
    answer = chat.say("anything but drama", user="a stranger")
    assert all("Drama" not in r.attributes["genres"] for r in answer.recommendations)


def _genres() -> Any:
    options = [
        {"label": value, "item_id": None, "where": {"column": "genres", "operator": "eq", "value": value}}
        for value in ("drama", "comedy")
    ]
    return {"text": "Which genres: drama or comedy?", "intent": "recommend", "role": "", "options": options}


# the second look


def test_a_request_of_unknown_words_gets_one_second_look_and_no_false_answer(chat: Chat) -> None:
    answer = chat.say("zzqx", user="a stranger")
    assert answer.recommendations
    assert "No word of “zzqx” occurs in the catalogue" in answer.reply
    assert [note for note in answer.degraded if note.startswith("a second search")] == answer.degraded[:1] or answer.degraded


def test_a_misspelt_request_is_read_again_and_that_is_said(chat: Chat) -> None:
    answer = chat.say("vampyres", user="a stranger")
    assert any("I read “vampyres” as “vampires”" in note or "vampir" in note for note in answer.degraded)
    assert answer.recommendations


def test_a_request_that_was_found_gets_no_second_look(chat: Chat) -> None:
    assert "repair" not in chat.say("vampires in a castle").timings_ms


# with a language model


def reading(**fields: Any) -> dict[str, Any]:
    return {
        "intent": "recommend", "request": "", "preferences": [], "liked": [], "disliked": [], "alike": [],
        "constraints_set": [], "constraints_clear": [], **fields,
    }  # fmt: skip


def scripted(*, language: str = "English", translate: Any = None, **fields: Any) -> Script:
    def script(messages: list[BaseMessage], schema: str) -> dict[str, Any]:
        turn = json.loads(messages[1].text)
        if schema == "ExtractAnswer":
            newest = [str(one["id"]) for one in turn["history_oldest_first"]][:2]
            preferences = [] if turn.get("known_preferences") and not turn["history_changed"] else [
                {"preference": "westerns", "evidence": newest, "weight": 0.9}
            ]  # fmt: skip
            queries = [{"query": "dusty roads", "serves": 1}] if turn.get("known_preferences") else []
            return reading(request=turn["message"] or "", preferences=preferences, queries=queries, language=language, **fields)
        if schema == "QueriesAnswer":
            return {"queries": [{"query": "dusty roads", "serves": 0}]}
        if schema == "TranslateAnswer":
            return {"sentences": [translate(sentence) for sentence in turn["sentences"]]}
        return {"steps": [], "reason": "", "evidence": []}

    return script


def test_the_first_turn_asks_for_tastes_and_queries_a_later_one_only_once(settings: Settings) -> None:
    chat = Chat(settings, scripted())
    chat.say("a western")
    assert chat.asked == ["ExtractAnswer", "QueriesAnswer"]
    answer = chat.say("under 120 minutes")
    assert chat.asked == ["ExtractAnswer"]
    assert "dusty roads" in [query.query for query in answer.queries]


def test_tastes_go_with_the_person_to_the_next_thread(settings: Settings) -> None:
    chat = Chat(settings, scripted())
    chat.say("a western")
    chat.say("a musical", thread="another")
    assert chat.asked == ["ExtractAnswer"]
    assert chat.calls[-1][1]["known_preferences"] == [{"number": 1, "preference": "westerns"}]


def test_a_changed_history_is_told_to_the_model(settings: Settings) -> None:
    chat = Chat(settings, scripted())
    chat.say("a western")
    chat.say("a musical")
    assert chat.calls[-1][1]["history_changed"] is False
    chat.graph.update_state({"configurable": {"thread_id": "t"}}, {"disliked": []}, as_node="answer")
    liking = Chat(settings, scripted(liked=["Alien"]))
    liking.say("I loved it")
    liking.say("a musical")
    assert liking.calls[-1][1]["history_changed"] is True


def test_several_limits_are_lifted_by_their_words_and_no_model_is_asked(settings: Settings) -> None:
    limits = [
        {"said": words, "column": "year", "operator": operator, "values": [year]}
        for words, operator, year in (("from 1850 on", "ge", 1850), ("before 1860", "lt", 1860))
    ]
    chat = Chat(settings, scripted(constraints_set=limits))
    (relaxation,) = chat.say("a western").relaxations[:1]
    assert said(chat.say("a western")) == ["from 1850 on", "before 1860"]
    answer = chat.say("lift “from 1850 on” and “before 1860”")
    assert "ExtractAnswer" not in chat.asked
    assert relaxation.count > 0
    assert said(answer) == []
    assert answer.recommendations


GERMAN = {"Here is what I found:": "Das habe ich gefunden:"}


def test_a_german_gets_german_sentences(settings: Settings) -> None:
    chat = Chat(settings, scripted(language="German", translate=lambda s: GERMAN.get(s, f"de: {s}")))
    answer = chat.say("ein Western")
    assert answer.language == "German"
    assert answer.reply.startswith("Das habe ich gefunden:")
    assert all(f"{r.rank}. {r.title}" in answer.reply for r in answer.recommendations)


@pytest.mark.parametrize("broken", [lambda s: "eine andere Zahl: 7", lambda s: ""])
def test_a_sentence_whose_numbers_did_not_survive_stays_english(settings: Settings, broken: Any) -> None:
    chat = Chat(settings, scripted(language="German", translate=broken, intent="out_of_scope"))
    answer = chat.say("wie ist das Wetter heute")
    assert "483 items" in answer.reply
    assert any("left in English" in note for note in answer.degraded)


def test_a_title_in_a_reason_survives_its_translation_or_the_reason_stays(settings: Settings) -> None:
    chat = Chat(
        settings, scripted(language="German", translate=lambda s: "ohne jeden Titel" if not any(c.isdigit() for c in s) else s)
    )
    answer = chat.say("ein Western", context=Context(k=2, reasons="plain"))
    assert all(r.reason for r in answer.recommendations)


def test_as_many_sentences_come_back_as_went_or_all_stays_english(settings: Settings) -> None:
    def short(messages: Sequence[BaseMessage], schema: str) -> Any:
        return {"sentences": []} if schema == "TranslateAnswer" else scripted(language="German")(list(messages), schema)

    answer = Chat(settings, short).say("ein Western")
    assert answer.reply.startswith("Here is what I found:")
    assert any("the reply is in English" in note for note in answer.degraded)


def test_the_plain_path_says_that_it_reads_english(chat: Chat) -> None:
    assert "English" in chat.say("etwas Lustiges ohne Horror, das nicht zu lang ist").reply
