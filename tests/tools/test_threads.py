"""Conversations in SQLite, for callers that wait and for callers that await."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from duetto.errors import NotReady
from duetto.tools.threads import EitherSqliteSaver


def joined(old: list[str], new: list[str]) -> list[str]:
    return old + new


class Said(TypedDict):
    said: Annotated[list[str], joined]


def conversation(saver: EitherSqliteSaver) -> Any:
    graph = StateGraph(Said)
    graph.add_node("echo", lambda state: {"said": [state["said"][-1].upper()]})
    graph.add_edge(START, "echo")
    graph.add_edge("echo", END)
    return graph.compile(checkpointer=saver)


def thread(name: str) -> RunnableConfig:
    return {"configurable": {"thread_id": name}}


@pytest.fixture
def saver(tmp_path: Path) -> Any:
    opened = EitherSqliteSaver.open(tmp_path / "deep" / "threads.sqlite")
    yield opened
    opened.close()


def test_a_thread_goes_on_where_it_stopped(saver: EitherSqliteSaver) -> None:
    chat = conversation(saver)
    chat.invoke({"said": ["hi"]}, thread("a"))
    assert chat.invoke({"said": ["you"]}, thread("a"))["said"] == ["hi", "HI", "you", "YOU"]


def test_threads_do_not_mix(saver: EitherSqliteSaver) -> None:
    chat = conversation(saver)
    chat.invoke({"said": ["hi"]}, thread("a"))
    assert chat.invoke({"said": ["you"]}, thread("b"))["said"] == ["you", "YOU"]


def test_one_saver_serves_both_kinds_of_caller_on_one_thread(saver: EitherSqliteSaver) -> None:
    chat = conversation(saver)
    chat.invoke({"said": ["one"]}, thread("a"))
    asyncio.run(chat.ainvoke({"said": ["two"]}, thread("a")))
    assert chat.invoke({"said": ["three"]}, thread("a"))["said"] == ["one", "ONE", "two", "TWO", "three", "THREE"]


def test_many_awaiting_callers_at_once_keep_their_threads(saver: EitherSqliteSaver) -> None:
    chat = conversation(saver)

    async def everybody() -> list[Any]:
        return await asyncio.gather(*(chat.ainvoke({"said": [f"u{n}"]}, thread(str(n))) for n in range(12)))

    assert [state["said"] for state in asyncio.run(everybody())] == [[f"u{n}", f"U{n}"] for n in range(12)]


def test_history_can_be_listed_either_way(saver: EitherSqliteSaver) -> None:
    chat = conversation(saver)
    chat.invoke({"said": ["hi"]}, thread("a"))

    async def listed() -> list[Any]:
        return [state async for state in chat.aget_state_history(thread("a"))]

    assert [state.values for state in asyncio.run(listed())] == [state.values for state in chat.get_state_history(thread("a"))]


def test_a_thread_can_be_forgotten_either_way(saver: EitherSqliteSaver) -> None:
    chat = conversation(saver)
    for name in ("a", "b"):
        chat.invoke({"said": ["hi"]}, thread(name))
    saver.delete_thread("a")
    asyncio.run(saver.adelete_thread("b"))
    assert chat.get_state(thread("a")).values == chat.get_state(thread("b")).values == {}


def test_what_was_said_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "threads.sqlite"
    first = EitherSqliteSaver.open(path)
    conversation(first).invoke({"said": ["hi"]}, thread("a"))
    first.close()
    second = EitherSqliteSaver.open(path)
    assert conversation(second).get_state(thread("a")).values["said"] == ["hi", "HI"]
    second.close()


def test_two_open_savers_share_one_file(tmp_path: Path) -> None:
    one, two = (EitherSqliteSaver.open(tmp_path / "threads.sqlite") for _ in range(2))
    conversation(one).invoke({"said": ["hi"]}, thread("a"))
    assert conversation(two).invoke({"said": ["you"]}, thread("a"))["said"][:2] == ["hi", "HI"]
    one.close()
    two.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "threads.sqlite"
    path.write_text("these are not the pages you are looking for" * 100)
    with pytest.raises(NotReady, match=r"could not open the conversations in .*set DUETTO_DATA"):
        EitherSqliteSaver.open(path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotReady, match="set DUETTO_DATA to a folder that can be written"):
        EitherSqliteSaver.open(tmp_path / "file" / "threads.sqlite")
