"""The three tools, called as an agent calls them."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool

from duetto.errors import BadInput
from duetto.limits import Limits
from duetto.tools.agent_tools import Chosen, artifact, catalogue_facts, choose, recommend_from_history, search_catalogue
from duetto.tools.language_voice import TEXTS, Heard
from tests.tools.films import TASTES, films, indexed, people, toolbox

NINETIES = {"and": [{"column": "year", "operator": "ge", "value": 1990}, {"column": "year", "operator": "lt", "value": 2000}]}
BOTH = [search_catalogue, recommend_from_history]


def call(tool: BaseTool, **arguments: Any) -> ToolMessage:
    answer = tool.invoke({"type": "tool_call", "id": "1", "name": tool.name, "args": arguments})
    assert isinstance(answer, ToolMessage)
    return answer


def listed(tool: BaseTool, **arguments: Any) -> list[dict[str, Any]]:
    found = json.loads(str(call(tool, **arguments).content))
    assert isinstance(found, list)
    return found


def ids(tool: BaseTool, **arguments: Any) -> list[Any]:
    return [item["item_id"] for item in listed(tool, **arguments)]


search, recommend, facts = search_catalogue(toolbox()), recommend_from_history(toolbox()), catalogue_facts(toolbox())


# searching


def test_a_search_finds_what_the_text_says() -> None:
    assert ids(search, queries=["a bear in London"])[0] == 11


def test_each_query_brings_its_own_finds_and_the_best_match_counts() -> None:
    found = listed(search, queries=["cowboy doll", "buried gold"], k=2)
    assert {item["item_id"] for item in found} == {5, 9}
    assert found[0]["score"] >= found[1]["score"] > 0.3


def test_what_is_listed_can_be_shown_as_it_is() -> None:
    first = listed(search, queries=["Casablanca"], k=1)[0]
    assert (first["title"], first["year"], first["genres"], first["minutes"]) == ("Casablanca", 1942, "Drama|Romance", 102)


def test_beside_the_text_come_the_arrays_the_graph_goes_on_with() -> None:
    heard = call(search, queries=["creature"], user="ann").artifact
    assert isinstance(heard, Heard)
    assert set(heard.vectors) == {"queries", *TEXTS}
    assert set(heard.moments) == {"queries", "words", *TEXTS}
    assert heard.rows.dtype == np.int64


def test_without_a_query_history_alone_is_heard() -> None:
    heard = call(search, user="ann").artifact
    assert set(heard.vectors) == set(TEXTS)
    assert heard.rows.tolist() == heard.own.tolist()
    assert len(heard.rows) == 12 - 3


def test_a_query_of_unknown_words_finds_nothing_and_says_so() -> None:
    answer = call(search, queries=["zzyzx"])
    assert answer.content == "[]"
    assert answer.artifact.unheard == ("zzyzx",)


# the crowd


def test_the_crowd_recommends_what_people_alike_went_on_to() -> None:
    assert ids(recommend, user="finn", k=1) == [9]


def test_a_stranger_who_likes_something_is_served_like_a_known_person() -> None:
    assert ids(recommend, liked=[3, 10], k=5) == ids(recommend, user="finn", k=5)


@pytest.mark.parametrize("user", [None, "nobody knows", 12345])
def test_the_crowd_has_nothing_for_somebody_without_history(user: str | int | None) -> None:
    answer = call(recommend, user=user)
    assert answer.content == "[]"
    assert len(answer.artifact.rows) == len(answer.artifact.z) == 0


def test_dislikes_alone_are_no_ground_to_recommend_from() -> None:
    assert call(recommend, disliked=[1, 2]).content == "[]"


def test_the_crowd_s_artifact_holds_standard_scores_of_every_item_by_source() -> None:
    chosen = call(recommend, user="ann").artifact
    assert isinstance(chosen, Chosen)
    assert chosen.z.shape == (len(toolbox().crowd.sources), 12)
    assert chosen.z.mean(axis=1) == pytest.approx(np.zeros(len(chosen.z)), abs=1e-5)
    told = chosen.z.any(axis=1)  # noughts where a source knows nothing
    assert told.sum() > 10
    assert chosen.z.std(axis=1) == pytest.approx(told.astype(float), abs=1e-5)
    assert chosen.by_part == toolbox().crowd.by_part


def test_the_crowd_lists_by_all_its_sources_together_best_first() -> None:
    chosen, shown = call(recommend, user="ann").artifact, listed(recommend, user="ann", k=1000)
    together = {toolbox().catalogue.ids[row]: round(float(chosen.z[:, row].mean()), 4) for row in chosen.rows}
    assert {item["item_id"]: item["score"] for item in shown} == pytest.approx(together, abs=1e-4)
    assert [item["score"] for item in shown] == sorted((item["score"] for item in shown), reverse=True)


# choosing


Z = np.array([[9, 0, 0, 1, 0], [7, 0, 0, 0, 1], [-9, 1, 9, 0, 0]], dtype=np.float32)


def test_the_best_of_each_part_are_chosen_and_the_best_of_all_together() -> None:
    chosen = choose(Z, {"als": [0, 1], "next": [2]}, np.ones(5, np.bool_), 1)
    assert chosen.rows.tolist() == [0, 2]
    assert {part: z.tolist() for part, z in chosen.score(np.array([0, 3])).items()} == {"als": [8, 0.5], "next": [-9, 0]}
    middling = np.array([[3, 0, 2], [0, 3, 2]], dtype=np.float32)  # what no part has first may be first in all together
    assert choose(middling, {"als": [0], "next": [1]}, np.ones(3, np.bool_), 1).rows.tolist() == [0, 1, 2]


def test_what_is_not_kept_is_not_chosen_however_high_it_stands() -> None:
    keep = np.array([False, True, False, True, True])
    assert choose(Z, {"als": [0, 1], "next": [2]}, keep, 1).rows.tolist() in ([1, 3], [1, 4])
    assert choose(Z, {"als": [0, 1], "next": [2]}, keep, 99).rows.tolist() == [1, 3, 4]


def test_nothing_kept_is_nothing_chosen_and_still_scored() -> None:
    chosen = choose(Z, {"als": [0, 1], "next": [2]}, np.zeros(5, np.bool_), 3)
    assert len(chosen.rows) == 0
    assert chosen.score(np.array([2]))["next"].tolist() == [9]


# both voices: filters come before candidates


@pytest.mark.parametrize("make", BOTH)
def test_one_candidate_is_taken_after_the_filter_not_before(make: Any) -> None:
    one = make(toolbox(limits=Limits(candidates=1, quota_per_query=1)))
    assert ids(one, user="ann", queries=["a creature in space"], where=NINETIES, k=1)[0] in (3, 5, 10)


@pytest.mark.parametrize("make", BOTH)
def test_what_was_seen_disliked_or_cannot_be_had_is_never_returned(make: Any) -> None:
    table = films().with_columns(available=pl.col("item_id") != 6)
    tool = make(toolbox(indexed(table, people())))
    arguments = {"user": "ann", "liked": [5], "disliked": ["3"], "queries": ["a creature, a crew, a film"], "k": 1000}
    assert not set(ids(tool, **arguments)) & {1, 2, 4, 5, 3, 6}
    assert not set(call(tool, **arguments).artifact.rows.tolist()) & {0, 1, 3, 4, 2, 5}


@pytest.mark.parametrize("make", BOTH)
def test_a_filter_holds_for_everything_returned(make: Any) -> None:
    where = {"not": {"column": "genres", "operator": "in", "value": ["horror", "comedy"]}}
    found = listed(make(toolbox()), user="dan", queries=["a story"], where=where, k=1000)
    assert found
    assert not any(genre in item["genres"] for item in found for genre in ("Horror", "Comedy"))


@pytest.mark.parametrize("make", BOTH)
def test_a_filter_that_keeps_nothing_returns_nothing(make: Any) -> None:
    where = {"column": "year", "operator": "gt", "value": 2050}
    answer = call(make(toolbox()), user="ann", queries=["creature"], where=where)
    assert answer.content == "[]"
    assert not len(answer.artifact.rows)


@pytest.mark.parametrize("make", BOTH)
def test_a_known_person_who_has_everything_gets_nothing(make: Any) -> None:
    answer = call(make(toolbox()), user="ann", liked=list(range(1, 13)), queries=["film"])
    assert answer.content == "[]"


@pytest.mark.parametrize("make", BOTH)
def test_ids_nobody_knows_are_ignored(make: Any) -> None:
    tool = make(toolbox())
    strange = ids(tool, user="ann", liked=["no such", 99], disliked=[""], queries=["creature"])
    assert strange == ids(tool, user="ann", queries=["creature"])


@pytest.mark.parametrize("make", [*BOTH, catalogue_facts])
@pytest.mark.parametrize("where", [{"colour": "red"}, {"column": "colour", "operator": "eq", "value": "red"}, {"and": {}}])
def test_a_filter_that_cannot_be_used_is_bad_input(make: Any, where: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        call(make(toolbox()), where=where)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("k", [0, -1, 1001, "many"])
def test_k_is_checked_before_anything_runs(make: Any, k: Any) -> None:
    with pytest.raises(ValueError, match="k"):
        call(make(toolbox()), k=k)


# facts


def test_facts_count_over_the_whole_catalogue() -> None:
    limited = catalogue_facts(toolbox(limits=Limits(candidates=1)))
    assert call(limited, where=NINETIES).artifact == {"count": 3, "of": 12}
    assert call(facts).artifact == {"count": 12, "of": 12}


def test_facts_tell_a_range_and_the_extremes() -> None:
    told = call(facts, column="minutes", k=2).artifact
    assert told["range"] == {"lowest": 81, "highest": 170}
    assert [item["title"] for item in told["highest"]] == ["Heat", "The Good, the Bad and the Ugly"]


def test_facts_tell_the_lowest_within_a_filter() -> None:
    told = call(facts, where=NINETIES, column="minutes", order="lowest", k=1).artifact
    assert told == {
        "count": 3, "of": 12, "range": {"lowest": 81, "highest": 170},
        "lowest": [{"item_id": 5, "title": "Toy Story", "minutes": 81}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def every_kind() -> BaseTool:
    """Facts over a catalogue with a column of each kind."""
    added, price = pl.date(pl.col("year"), 1, 1), pl.when(pl.col("item_id") == 2).then(9.5)
    table = films().with_columns(queries=pl.concat_list("title"), added=added, flag=pl.col("year") > 1990, price=price)
    return catalogue_facts(toolbox(indexed(table, people())))


@pytest.mark.parametrize("column", [*films().columns, "added", "flag"])
def test_every_column_with_an_order_has_facts_that_are_json(every_kind: BaseTool, column: str) -> None:
    told = json.loads(str(call(every_kind, column=column).content))
    assert len(told["highest"]) == 3


def test_a_column_of_lists_has_no_order(every_kind: BaseTool) -> None:
    with pytest.raises(BadInput, match="'queries'"):
        call(every_kind, column="queries")


def test_facts_pass_over_missing_values(every_kind: BaseTool) -> None:
    told = call(every_kind, column="price").artifact
    assert told["count"] == 12
    assert told["highest"] == [{"item_id": 2, "title": "Aliens", "price": 9.5}]


def test_facts_of_nothing_are_honest() -> None:
    none = {"column": "year", "operator": "gt", "value": 2050}
    assert call(facts, where=none, column="year").artifact == {
        "count": 0, "of": 12, "range": {"lowest": None, "highest": None}, "highest": [],
    }  # fmt: skip


def test_facts_of_a_column_that_is_not_there_are_bad_input() -> None:
    with pytest.raises(BadInput, match=r"'price'.*the columns are item_id, title, year"):
        call(facts, column="price")


def test_unavailable_items_are_not_counted() -> None:
    table = films().with_columns(available=pl.col("item_id") != 3)
    told = call(catalogue_facts(toolbox(indexed(table, people()))), column="minutes").artifact
    assert (told["count"], told["range"]["highest"]) == (11, 161)


# as an agent sees them


@pytest.mark.parametrize("tool", [search, recommend, facts])
def test_every_argument_of_every_tool_is_in_its_schema(tool: BaseTool) -> None:
    schema = tool.get_input_jsonschema()
    assert tool.description
    assert "where" in schema["properties"]
    assert "required" not in schema


@pytest.mark.parametrize("tool", [search, recommend])
def test_artifact_is_what_an_agent_s_call_carries_beside_its_text(tool: BaseTool) -> None:
    kept = artifact(tool, "7", user="ann", queries=["creature"])
    assert kept.rows.tolist() == call(tool, user="ann", queries=["creature"]).artifact.rows.tolist()


async def _later(tool: BaseTool) -> Any:
    return await tool.ainvoke({"type": "tool_call", "id": "1", "name": tool.name, "args": {"user": "ann"}})


def test_tools_serve_asynchronous_callers_too() -> None:
    assert asyncio.run(_later(recommend)).content == call(recommend, user="ann").content


def test_text_ids_come_back_as_text_and_numbers_as_numbers() -> None:
    texts = films().with_columns(pl.col("item_id").cast(pl.String))
    tool = recommend_from_history(toolbox(indexed(texts, people())))
    assert ids(tool, user="finn", k=1) == ["9"]
    assert ids(tool, liked=[3, 10], k=1) == ["9"]


def test_everybody_in_the_log_gets_something_new() -> None:
    for user, seen in TASTES.items():
        assert not set(ids(recommend, user=user, k=100)) & set(seen)
        assert len(ids(recommend, user=user, k=100)) == 12 - len(seen)


def test_a_history_is_read_once_however_it_is_asked_for() -> None:
    box = toolbox()
    asked = replace(box, limits=Limits()).history("ann", [7], [1])
    assert asked.rows.tolist() == [1, 3, 6, 0]
    assert asked.disliked.tolist() == [False, False, False, True]
