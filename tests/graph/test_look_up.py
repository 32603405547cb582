"""Turns that look something up: items, reasons, comparisons, facts of the whole catalogue, and the person."""

from typing import Any

import polars as pl
import pytest
from langgraph.checkpoint.memory import InMemorySaver

from duetto.graph.answer import Answer
from duetto.graph.state import Context
from duetto.settings import Settings
from duetto.tools.index import Index
from duetto.tools.plain.telling import compare
from duetto.wiring import open_graph
from tests.graph.parts import graph_over, scripted
from tests.graph.test_conversation import Chat, reading
from tests.tools.films import catalogue


@pytest.fixture
def chat(settings: Settings) -> Chat:
    return Chat(settings)


def titles(answer: Answer) -> list[str]:
    return [told.title for told in answer.items]


def test_an_item_is_told_with_its_facts(chat: Chat) -> None:
    answer = chat.say("tell me about Alien")
    assert titles(answer) == ["Alien"]
    assert "Alien (1979)" in answer.reply
    assert "Ridley Scott" in answer.reply


def test_it_is_the_item_of_the_turn_before(chat: Chat) -> None:
    chat.say("tell me about Alien")
    assert titles(chat.say("how long is it?")) == ["Alien"]
    assert titles(chat.say("I have not seen it")) == ["Alien"]


def test_an_item_of_a_turn_long_ago_is_still_known(chat: Chat) -> None:
    first = chat.say("a western").recommendations[0]
    for message in ("something funny", "vampires", "a musical"):
        chat.say(message)
    assert titles(chat.say(f"tell me about {first.title}")) == [first.title]
    director = first.attributes["director"].split()[-1]
    answer = chat.say(f"who made the {director} film?")
    assert titles(answer) == [first.title] or first.title in (answer.question.options if answer.question else [])


def test_an_ambiguous_reference_is_asked_back_and_the_answer_is_told_of(chat: Chat) -> None:
    shown = chat.say("a western").recommendations
    asked = chat.say("is it any good?")
    assert asked.question is not None
    assert set(asked.question.options) <= {r.title for r in shown}
    assert titles(chat.say("the second one")) == [asked.question.options[1]]


def test_what_was_never_shown_is_said_and_nothing_is_invented(chat: Chat) -> None:
    assert "have not shown you anything yet" in chat.say("tell me about the second one").reply
    chat.say("a western")
    assert "There is no “#12”: the last list had 4 items" in chat.say("#12").reply


def test_why_tells_the_reason_that_was_given(chat: Chat) -> None:
    shown = chat.say("a western", context=Context(k=2, reasons="plain")).recommendations
    answer = chat.say("why the first one?")
    assert shown[0].reason is not None
    assert shown[0].reason in answer.reply


def test_why_of_an_item_that_was_not_recommended_says_so(chat: Chat) -> None:
    chat.say("a western")
    assert "I did not recommend Alien" in chat.say("why Alien?").reply


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("I hated Alien", "you said that you disliked it"),
        ("I've already seen Alien", "you have it already"),
        ("I'm not interested in Alien", "you do not want it"),
        ("no horror", "by your limit “no horror”"),
        ("before 1960", "by your limit “before 1960”"),
    ],
)
def test_why_not_names_what_is_in_the_way(chat: Chat, before: str, told: str) -> None:
    chat.say(before)
    answer = chat.say("why not Alien?")
    assert told in answer.reply
    assert "rerank" not in answer.timings_ms


def test_why_not_of_a_candidate_tells_its_place(chat: Chat) -> None:
    chat.say("a western")
    answer = chat.say("why is Alien not on the list?")
    assert "Alien stands at place" in answer.reply
    assert answer.recommendations == []


def test_a_comparison_tells_what_differs_and_what_is_shared(chat: Chat) -> None:
    answer = chat.say("compare Alien and The Thing")
    assert titles(answer) == ["Alien", "The Thing"]
    assert "year: Alien 1979; The Thing 1982" in answer.reply
    lines, _ = compare(catalogue(), (0, 3))
    assert lines[-1] == "the same genres (Horror, Science Fiction)"


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("how many westerns do you have?", pl.col("genres").str.contains("Western")),
        ("how many films from the 80s are there?", pl.col("year").is_between(1980, 1989)),
        ("how many films under 90 minutes do you have?", pl.col("minutes") < 90),
        ("how many films do you have?", pl.lit(value=True)),
    ],
)
def test_a_count_is_of_the_whole_catalogue(chat: Chat, sample_index: Index, message: str, kept: pl.Expr) -> None:
    chat.say("no comedies")
    assert chat.say(message).facts["count"] == sample_index.catalogue.table.filter(kept).height


def test_a_superlative_is_of_the_whole_catalogue(chat: Chat, sample_index: Index) -> None:
    table = sample_index.catalogue.table
    chat.say("from the 80s")
    assert chat.say("what is your oldest film?").items[0].attributes["year"] == table["year"].min()
    westerns = table.filter(pl.col("genres").str.contains("Western"))
    assert chat.say("what is the longest western?").items[0].attributes["minutes"] == westerns["minutes"].max()


def test_what_no_column_tells_is_said(chat: Chat) -> None:
    answer = chat.say("what is your cheapest film?")
    assert "No column of the catalogue tells" in answer.reply
    assert answer.items == []


@pytest.mark.parametrize("message", ["how many oscars did Alien win?", "how many people like Alien?"])
def test_what_the_catalogue_does_not_count_is_no_number(chat: Chat, message: str) -> None:
    assert "count" not in chat.say(message).facts


def test_the_profile_tells_what_is_known(chat: Chat) -> None:
    chat.say("I hated Alien. I never watch musicals")
    reply = chat.say("what do you know about me?").reply
    assert "You disliked: Alien." in reply
    assert "I never watch musicals" in reply
    assert "Your history has" in reply


# with a language model


def told_by(index: Index, answer: Any) -> Answer:
    def script(messages: Any, schema: str) -> Any:
        if schema == "ExtractAnswer":
            return reading(intent="about", items=["Alien"])
        return answer

    model, _ = scripted(script)
    graph = graph_over(index, model=model, checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    return Answer.model_validate(graph.invoke({"message": "who made Alien?"}, config)["answer"])


def test_a_model_s_answer_stands_where_its_quotes_are_in_the_catalogue(sample_index: Index) -> None:
    answer = told_by(sample_index, {"answer": "Ridley Scott made Alien.", "quotes": ["Ridley Scott"]})
    assert answer.reply == "Ridley Scott made Alien."


@pytest.mark.parametrize(
    "said",
    [
        {"answer": "James Cameron made it.", "quotes": ["James Cameron"]},
        {"answer": " ", "quotes": []},
        {"answer": "It is like The Godfather.", "quotes": ["Ridley Scott"]},
    ],
)
def test_a_model_s_answer_that_the_catalogue_does_not_bear_is_replaced(sample_index: Index, said: Any) -> None:
    answer = told_by(sample_index, said)
    assert answer.reply.startswith("Alien (1979)")
    assert answer.degraded


def test_without_a_thread_a_reference_is_no_error(settings: Settings) -> None:
    answer = open_graph("sample", settings=settings).invoke({"message": "tell me about the second one"})["answer"]
    assert "have not shown you anything yet" in answer["reply"]
