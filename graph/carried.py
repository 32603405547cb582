"""What is kept between turns, as plain values by id, and the same by rows, as readers of a turn want it."""

from collections.abc import Mapping
from typing import Any, cast

from duetto.graph.state import Carried, ItemId, QuestionKept, State, TopicKept, Wanted
from duetto.tools.catalogue import Catalogue
from duetto.tools.constraints import parsed
from duetto.tools.conversation import Conversation, Topic
from duetto.tools.language import Intent, Leaning, Option, Question, Understanding
from duetto.tools.predicate import from_json, to_json

WANTED = tuple(Wanted.__annotations__)
CARRIED = tuple(Carried.__annotations__)


def carried(state: State) -> Carried:
    return cast(Carried, {name: getattr(state, name) for name in CARRIED})


def wanted(before: Carried) -> Wanted:
    """The part of it that a turn may change, and undo."""
    return cast(Wanted, {name: before[name] for name in WANTED})  # type: ignore[literal-required]


def conversation(before: Carried, catalogue: Catalogue) -> Conversation:
    """Items that the catalogue, perhaps rebuilt since, no longer has are left out."""
    rows = catalogue.rows
    return Conversation(
        lists=tuple(tuple(rows(item["item_id"] for item in items)) for items in before["shown"]),
        focus=tuple(rows(before["focus"])),
        question=_question(before["question"], catalogue),
        topic=topic_of(before["topic"], catalogue),
        constraints=parsed(before["constraints"]),
    )


def topic_of(kept: TopicKept, catalogue: Catalogue) -> Topic:
    leanings = tuple(Leaning(leaning["said"], leaning["column"], leaning["order"]) for leaning in kept["leanings"])
    alike = tuple(catalogue.rows(kept["alike"]))
    return Topic(kept["wish"], alike, tuple(kept["avoid"]), leanings, tuple(kept["unchecked"]))


def topic_kept(topic: Topic, catalogue: Catalogue) -> TopicKept:
    return {
        "wish": topic.wish,
        "alike": [catalogue.ids[row] for row in topic.alike],
        "avoid": list(topic.avoid),
        "leanings": [{"said": one.said, "column": one.column, "order": one.order} for one in topic.leanings],
        "unchecked": list(topic.unchecked),
    }


def topic_after(meaning: Understanding, topic: Topic) -> Topic:
    """What is wanted from this turn on: something new, or what was wanted before with what the turn adds."""
    if not meaning.same_topic:
        return Topic(meaning.wish, meaning.alike, meaning.avoid, meaning.leanings, meaning.unchecked)
    turned = {leaning.column for leaning in meaning.leanings}
    return Topic(
        " ".join(part for part in (topic.wish, meaning.wish) if part),
        meaning.alike or topic.alike,
        tuple(dict.fromkeys((*topic.avoid, *meaning.avoid))),
        (*(leaning for leaning in topic.leanings if leaning.column not in turned), *meaning.leanings),
        tuple(dict.fromkeys((*topic.unchecked, *meaning.unchecked))),
    )


def question_kept(question: Question | None, catalogue: Catalogue) -> QuestionKept | None:
    if question is None:
        return None
    options: list[Any] = [
        {
            "label": option.label,
            "item_id": None if option.row is None else catalogue.ids[option.row],
            "where": None if option.predicate is None else to_json(option.predicate),
        }
        for option in question.options
    ]
    return {"text": question.text, "intent": question.intent, "role": question.role, "options": options}


def _question(kept: QuestionKept | None, catalogue: Catalogue) -> Question | None:
    if kept is None:
        return None
    options = tuple(
        Option(
            option["label"],
            None if option["item_id"] is None else catalogue.row(option["item_id"]),
            None if option["where"] is None else from_json(option["where"]),
        )
        for option in kept["options"]
    )
    return Question(kept["text"], options, cast(Intent, kept["intent"]), kept["role"])


def known_to(said: Mapping[str, Any]) -> list[ItemId]:
    """Items that speak for a taste: what was liked, and, as in any log, what somebody has or talks of and did not dislike."""
    return [*said["named"], *said["seen"], *said["liked"]]


def said_of_items(kept: list[ItemId], new: list[ItemId], gone: list[ItemId]) -> list[ItemId]:
    """An opinion's items so far with this turn's, newest last; what another opinion took is gone."""
    left_out = {str(item) for item in (*new, *gone)}
    return [item for item in kept if str(item) not in left_out] + list({str(item): item for item in new}.values())
