"""What every place that keeps conversations and profiles must do. A new one inherits the classes and says where it is:

class TestMine(SaverContract):
    @pytest.fixture
    def place(self, settings): return replace(settings, ...)
"""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore
from typing_extensions import TypedDict

from duetto import people
from duetto.cli import main
from duetto.errors import BadInput
from duetto.settings import Settings
from duetto.tools.either import EitherSaver
from duetto.tools.feedback import feedback_of, forget_feedback, keep_feedback, new_feedback
from duetto.tools.profiles import Kind, Profile, all_profiles, forget, keep_profile, note_thread, profile_of, threads_of
from duetto.wiring import Graph, open_graph, open_profiles, open_threads

HORROR: dict[str, Any] = {"not": {"column": "genres", "operator": "eq", "value": "horror"}}
MESSAGES = ("something dark, but no horror", "I loved Blade Runner", "from the 1980s", "more like the second one", "undo")


def joined(old: list[str], new: list[str]) -> list[str]:
    return old + new


class Said(TypedDict):
    said: Annotated[list[str], joined]


def conversation(saver: EitherSaver) -> Any:
    graph = StateGraph(Said)
    graph.add_node("echo", lambda state: {"said": [state["said"][-1].upper()]})
    graph.add_edge(START, "echo")
    graph.add_edge("echo", END)
    return graph.compile(checkpointer=saver)


def thread(name: str) -> RunnableConfig:
    return {"configurable": {"thread_id": name}}


def said(**items: list[str | int]) -> dict[Kind, list[str | int]]:
    none: dict[Kind, list[str | int]] = {"liked": [], "disliked": [], "seen": [], "uninterested": []}
    return {**none, **items}  # type: ignore[dict-item]


class SaverContract:
    @pytest.fixture
    def place(self) -> Settings:
        raise NotImplementedError

    @pytest.fixture
    def saver(self, place: Settings) -> Iterator[EitherSaver]:
        with closing(open_threads(place)) as opened:
            yield opened

    def test_a_thread_goes_on_where_it_stopped(self, saver: EitherSaver) -> None:
        chat = conversation(saver)
        chat.invoke({"said": ["hi"]}, thread("a"))
        assert chat.invoke({"said": ["you"]}, thread("a"))["said"] == ["hi", "HI", "you", "YOU"]

    def test_threads_do_not_mix(self, saver: EitherSaver) -> None:
        chat = conversation(saver)
        chat.invoke({"said": ["hi"]}, thread("a"))
        assert chat.invoke({"said": ["you"]}, thread("b"))["said"] == ["you", "YOU"]

    def test_one_saver_serves_both_kinds_of_caller_on_one_thread(self, saver: EitherSaver) -> None:
        chat = conversation(saver)
        chat.invoke({"said": ["one"]}, thread("a"))
        asyncio.run(chat.ainvoke({"said": ["two"]}, thread("a")))
        assert chat.invoke({"said": ["three"]}, thread("a"))["said"] == ["one", "ONE", "two", "TWO", "three", "THREE"]

    def test_many_awaiting_callers_at_once_keep_their_threads(self, saver: EitherSaver) -> None:
        chat = conversation(saver)

        async def everybody() -> list[Any]:
            return await asyncio.gather(*(chat.ainvoke({"said": [f"u{n}"]}, thread(str(n))) for n in range(12)))

        assert [state["said"] for state in asyncio.run(everybody())] == [[f"u{n}", f"U{n}"] for n in range(12)]

    def test_history_can_be_listed_either_way(self, saver: EitherSaver) -> None:
        chat = conversation(saver)
        chat.invoke({"said": ["hi"]}, thread("a"))

        async def listed() -> list[Any]:
            return [state async for state in chat.aget_state_history(thread("a"))]

        history = [state.values for state in chat.get_state_history(thread("a"))]
        assert history[0] == {"said": ["hi", "HI"]}
        assert [state.values for state in asyncio.run(listed())] == history

    def test_a_thread_can_be_read_while_its_history_is_listed(self, saver: EitherSaver) -> None:
        chat = conversation(saver)
        chat.invoke({"said": ["hi"]}, thread("a"))
        for entry in saver.list(thread("a"), limit=1):
            assert saver.get_tuple(thread("a")) == entry

    @pytest.mark.parametrize("limit", [None, 0, 1, 10, 15, 20])
    def test_a_long_history_is_listed_whole_and_newest_first_or_as_far_as_asked(
        self, saver: EitherSaver, limit: int | None
    ) -> None:
        chat = conversation(saver)
        for n in range(4):  # three checkpoints each
            chat.invoke({"said": [str(n)]}, thread("a"))
            chat.invoke({"said": [str(n)]}, thread("b"))

        async def awaited() -> list[Any]:
            return [entry.config async for entry in saver.alist(thread("a"), limit=limit)]

        listed = [entry.config for entry in saver.list(thread("a"), limit=limit)]
        every = [state.config["configurable"]["checkpoint_id"] for state in chat.get_state_history(thread("a"))]
        assert [config["configurable"]["checkpoint_id"] for config in listed] == every[:limit]
        assert (len(set(every)), every) == (12, sorted(every, reverse=True))
        assert asyncio.run(awaited()) == listed

    def test_a_thread_can_be_forgotten_either_way(self, saver: EitherSaver) -> None:
        chat = conversation(saver)
        for name in ("a", "b", "c"):
            chat.invoke({"said": ["hi"]}, thread(name))
        saver.delete_thread("a")
        asyncio.run(saver.adelete_thread("b"))
        assert [bool(chat.get_state(thread(name)).values) for name in ("a", "b", "c")] == [False, False, True]

    def test_what_was_said_outlives_the_process(self, place: Settings) -> None:
        for turn in (1, 2):
            with closing(open_threads(place)) as saver:
                assert len(conversation(saver).invoke({"said": ["hi"]}, thread("a"))["said"]) == 2 * turn

    def test_two_open_savers_share_one_place(self, place: Settings) -> None:
        with closing(open_threads(place)) as one, closing(open_threads(place)) as two:
            conversation(one).invoke({"said": ["hi"]}, thread("a"))
            assert conversation(two).invoke({"said": ["you"]}, thread("a"))["said"][:2] == ["hi", "HI"]

    def test_many_open_an_empty_place_at_once(self, place: Settings) -> None:
        with ThreadPoolExecutor(6) as pool:
            opened = list(pool.map(lambda open_: open_(place), [open_threads, open_profiles] * 3))
        for each in opened:
            each.close()

    def test_closing_twice_closes_nobody_else(self, place: Settings) -> None:
        with closing(open_threads(place)) as one, closing(open_threads(place)) as two:
            one.close()
            one.close()
            assert conversation(two).invoke({"said": ["you"]}, thread("a"))["said"] == ["you", "YOU"]

    def test_a_conversation_without_a_name_is_refused(self, saver: EitherSaver) -> None:
        with pytest.raises(BadInput, match="name its conversation"):
            saver.get_tuple({"configurable": {}})


class StoreContract:
    @pytest.fixture
    def store(self) -> BaseStore:
        raise NotImplementedError

    def test_a_profile_comes_back_as_it_was_kept(self, store: BaseStore) -> None:
        known = Profile(user=7).with_opinions(said(liked=[1, 2], disliked=["x"]), "t")
        keep_profile(store, known.with_constraints([{"said": "no horror", "where": HORROR}], "t"))
        back = profile_of(store, 7)
        assert back is not None
        assert (back.of("liked"), back.of("disliked"), back.constraints[0].where) == ([1, 2], ["x"], HORROR)

    def test_somebody_unknown_has_none(self, store: BaseStore) -> None:
        assert profile_of(store, "nobody") is None

    @pytest.mark.parametrize("user", ["a/b", "a.b", " ", "ü", "' OR 1=1 --", "100%", "x" * 300])
    def test_strange_names_are_names(self, store: BaseStore, user: str) -> None:
        keep_profile(store, Profile(user=user).with_opinions(said(liked=[1]), None))
        note_thread(store, "t", user, None)
        assert profile_of(store, user) is not None
        assert [note["thread"] for note in threads_of(store, user)] == ["t"]

    def test_all_profiles_are_told_however_many(self, store: BaseStore) -> None:
        for n in range(230):
            keep_profile(store, Profile(user=f"u{n}"))
        assert len({known.user for known in all_profiles(store)}) == 230

    def test_the_conversations_of_a_person_are_told_however_many(self, store: BaseStore) -> None:
        for n in range(130):
            note_thread(store, f"t{n}", "ann", None)
        note_thread(store, "t0", "bob", None)
        assert len(threads_of(store, "ann")) == 130

    def test_every_folder_a_conversation_was_recorded_in_is_noted_once(self, store: BaseStore) -> None:
        for folder in (None, "a", "b", "a"):
            note_thread(store, "t", "ann", folder)
        assert [note["recordings"] for note in threads_of(store, "ann")] == [["a", "b"]]

    def test_whoever_is_forgotten_is_gone_and_nobody_else(self, store: BaseStore) -> None:
        for user in ("ann", "bob"):
            keep_profile(store, Profile(user=user))
            note_thread(store, "t", user, None)
        forget(store, "ann")
        assert (profile_of(store, "ann"), threads_of(store, "ann")) == (None, [])
        assert profile_of(store, "bob") is not None
        assert len(threads_of(store, "bob")) == 1

    def test_those_who_await_read_what_those_who_wait_kept(self, store: BaseStore) -> None:
        keep_profile(store, Profile(user="ann"))
        found = asyncio.run(store.aget(("profiles",), "ann"))
        assert found is not None
        assert found.value["user"] == "ann"

    def test_feedback_comes_back_whoever_it_is_from_and_is_forgotten(self, store: BaseStore) -> None:
        for user in ("ann", "ann", "bob"):
            keep_feedback(store, new_feedback(user, verdict="up", comment="über"))
        assert [one.comment for one in feedback_of(store, "ann")] == ["über"] * 2
        assert forget_feedback(store, "ann") == 2
        assert (len(feedback_of(store, "ann")), len(feedback_of(store, "bob"))) == (0, 1)

    def test_many_keep_profiles_at_once(self, store: BaseStore) -> None:
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda n: keep_profile(store, Profile(user=f"u{n}")), range(60)))
        assert len(list(all_profiles(store))) == 60


class ConversationContract:
    """The sample's graph and the command line over a place; `place` is what their environment says."""

    @pytest.fixture
    def place(self) -> Settings:
        raise NotImplementedError

    @staticmethod
    @contextmanager
    def opened(place: Settings) -> Iterator[tuple[Graph, BaseStore]]:
        with closing(open_threads(place)) as threads, closing(open_profiles(place)) as profiles:
            yield open_graph("sample", threads, store=profiles, settings=place), profiles

    def test_a_conversation_does_not_notice_a_restart_after_each_turn(self, place: Settings) -> None:
        with self.opened(place) as (graph, _):
            whole = [_answer(graph, message, "whole") for message in MESSAGES]
            people_known = profile_of(_, "p100")
            forget(_, "p100")
        parts = []
        for message in MESSAGES:
            with self.opened(place) as (graph, store):
                parts.append(_answer(graph, message, "parts"))
        with self.opened(place) as (_graph, store):
            again = profile_of(store, "p100")
        assert [_telling(answer) for answer in parts] == [_telling(answer) for answer in whole]
        assert (again and again.of("liked")) == (people_known and people_known.of("liked"))

    def test_half_a_character_is_kept_in_what_is_said_and_refused_in_a_name(self, place: Settings) -> None:
        with self.opened(place) as (graph, _):
            assert _answer(graph, "funny \ud800", "t")["turn"] == 1
            with pytest.raises(BadInput, match="a name in it has half a character"):
                _answer(graph, "funny", "t", user="p\ud800")
            with pytest.raises(BadInput, match="a name in it has half a character"):
                _answer(graph, "funny", "t\ud800")
            assert _answer(graph, "funny", "t")["turn"] == 2

    def test_conversations_from_several_threads_at_once_are_as_if_alone(self, place: Settings) -> None:
        def talk(graph: Graph, name: str) -> list[Any]:
            return [_telling(_answer(graph, message, name, user=name)) for message in MESSAGES]

        with self.opened(place) as (graph, store):
            alone = talk(graph, "alone")
            with ThreadPoolExecutor(4) as pool:
                together = list(pool.map(lambda name: talk(graph, name), ["t1", "t2", "t3", "t4"]))
            assert together == [alone] * 4
            assert {known.user for known in all_profiles(store)} == {"alone", "t1", "t2", "t3", "t4"}

    def test_those_who_await_share_a_thread_with_those_who_wait(self, place: Settings) -> None:
        with self.opened(place) as (graph, _):
            _answer(graph, "from the 1980s", "t")
            given: Any = {"user": "p100", "message": "funny"}
            second = asyncio.run(graph.ainvoke(given, thread("t")))["answer"]
        assert (second["turn"], [c["said"] for c in second["constraints"]]) == (2, ["from the 1980s"])

    def test_a_profile_goes_from_thread_to_thread(self, place: Settings) -> None:
        with self.opened(place) as (graph, _):
            _answer(graph, "I never watch horror", "one", user="ann")
            assert [c["said"] for c in _answer(graph, "vampires", "two", user="ann")["constraints"]] == ["I never watch horror"]

    def test_people_are_exported_and_forgotten(self, place: Settings, tmp_path: Path) -> None:
        with self.opened(place) as (graph, store), closing(open_threads(place)) as threads:
            _answer(graph, "I loved Blade Runner, I hated Alien", "t", user="ann")
            assert people.export(store, tmp_path / "log.csv") == 2
            gone = people.forgotten(store, threads, "ann", [], place)
            assert gone == {"profiles": 1, "conversations": 1, "recorded turns": 0, "feedback": 0}
            assert graph.get_state(thread("t")).values == {}
            assert people.export(store, tmp_path / "log.csv") == 0

    def test_the_command_line_keeps_shows_exports_and_forgets(
        self, place: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def run(*words: str, code: int = 0) -> str:
            with pytest.raises(SystemExit) as stop:
                main(list(words))
            assert (stop.value.code or 0) == code
            read = capsys.readouterr()
            return read.err if code else read.out

        asked = ("ask", "--index", "sample", "--user", "ann", "--json")
        run(*asked, "I never watch horror. I loved Alien", "--thread", "t")
        assert json.loads(run("profile", "ann", "--json"))["constraints"][0]["said"] == "I never watch horror"
        assert json.loads(run(*asked, "vampires"))["constraints"], "without a thread the profile counts as well"
        assert json.loads(run(*asked, "funny", "--thread", "t"))["turn"] == 2
        run("export", "--interactions", str(tmp_path / "log.csv"))
        assert pl.read_csv(tmp_path / "log.csv")["rating"].to_list() == [5.0]
        assert "ann is forgotten: 1 profiles, 1 conversations" in run("profile", "ann", "--forget")
        assert "nothing is kept of 'ann'" in run("profile", "ann", code=2)


def _answer(graph: Graph, message: str, name: str, user: str = "p100") -> dict[str, Any]:
    given: Any = {"user": user, "message": message}
    answer: dict[str, Any] = graph.invoke(given, thread(name))["answer"]
    return answer


def _telling(answer: dict[str, Any]) -> tuple[Any, ...]:
    shown = [item["item_id"] for item in answer["recommendations"]]
    return answer["turn"], shown, [c["said"] for c in answer["constraints"]], answer["reply"]
