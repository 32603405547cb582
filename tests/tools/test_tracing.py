"""What LangSmith is told of a turn, over real HTTP from a process of its own: langsmith reads its environment only once."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from pydantic import BaseModel, SecretStr

from duetto.settings import Settings
from duetto.tools.index import Index
from duetto.tools.tracing import DEPTH, HIDDEN, LENGTH, plain
from tests.graph.test_language_nodes import good, schema_of, turn_of
from tests.langsmith import KEY, LangSmith, closed_port
from tests.loopback import Answer, Body, Loopback, says

ROOT = Path(__file__).parents[2]
USER, NUMBERED = "p042", 904312
WORD = "zzyzxq"  # stands in no catalogue
NODES = {"extract_preferences", "retrieve", "collaborate", "rerank", "explain", "answer"}
Run = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A process that ended: what it answered, what arrived of it, and how long it took to end after its last turn."""

    printed: list[Any]
    stderr: str
    code: int
    lingered: float
    heard: list[tuple[str, bytes]] = field(default_factory=list)

    @cached_property
    def runs(self) -> list[Run]:
        found: dict[str, Run] = {}
        for path, body in self.heard:
            if path == "/runs/batch":
                batch = json.loads(body)
                for run in (*batch.get("post", []), *batch.get("patch", [])):
                    found.setdefault(run["id"], {}).update(run)
        return list(found.values())

    @property
    def roots(self) -> list[Run]:
        return sorted((run for run in self.runs if not run.get("parent_run_id")), key=lambda run: str(run["start_time"]))

    def trace(self, number: int) -> list[Run]:
        return [run for run in self.runs if run["trace_id"] == self.roots[number]["trace_id"]]

    @cached_property
    def bytes(self) -> bytes:
        return b"\n".join(body for _, body in self.heard)

    @cached_property
    def said(self) -> str:
        """Without JSON's escapes."""
        return "\n".join(json.dumps(json.loads(body), ensure_ascii=False) for _, body in self.heard if body)


HEAD = """
import io, json, sys, time, uuid
from contextlib import redirect_stderr, redirect_stdout
from langgraph.checkpoint.memory import InMemorySaver
from duetto.cli import main
from duetto.errors import BadInput
from duetto.wiring import open_graph, open_tools
shown = []

def command(*words):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(list(words))
        except SystemExit as stop:
            shown.append([stop.code or 0, out.getvalue(), err.getvalue()])

def turn(message, user="p042", thread="t", **config):
    config = {"run_name": "turn", "configurable": {"thread_id": thread}, **config}
    shown.append(graph.invoke({"user": user, "message": message}, config)["answer"])
"""
TAIL = """
print(json.dumps([shown, time.time()]))
"""
TURNS = """
graph = open_graph("sample", InMemorySaver())
turn("a warm comedy", run_id=uuid.UUID(int=7))
turn("I loved Alien, nothing before 1960", tags=["mine"])
"""
DOWN = TURNS + 'command("feedback", str(uuid.UUID(int=7)), "up")\n'
ON = """
command("ask", "a western", "--index", "sample", "--user", "p042", "--json")
graph = open_graph("sample", InMemorySaver())
turn("a warm comedy", run_id=uuid.UUID(int=7))
turn("I loved Alien, nothing before 1960", tags=["mine"])
turn("hello!")
turn("zzyzxq", user=None, thread="u")
sys.stdin = io.StringIO("a western\\n/quit\\n")
command("chat", "--index", "sample", "--user", "p100", "--thread", "c", "-k", "3")
command("feedback", str(uuid.UUID(int=7)), "up", "--comment", "just right")
command("feedback", str(uuid.UUID(int=8)), "down")
command("feedback", "7", "up")
command("feedback", str(uuid.UUID(int=7)), "sideways")
"""
OFF = """
from pydantic import SecretStr
from duetto.tools.chat.language_model import open_chat
graph = open_graph("sample", InMemorySaver())
turn("a warm comedy about friendship")
turn("I loved Blade Runner, nothing before 1960")
model = open_chat("some-model", base_url=sys.argv[1], api_key=SecretStr("sk-Very5ecret"))
graph = open_graph("sample", InMemorySaver(), model=model)
turn("a sombre western", thread="v")
"""
LEAKS = """
shown.append(open_tools("sample")[0].invoke({"queries": ["a sombre western"], "k": 3}))
command("eval", "reasons", "--index", "sample", "--users", "1", "--judge", "1", "--json")
import os
del os.environ["DUETTO_MODEL"]
graph = open_graph("sample", InMemorySaver())
turn("zzyzxq", user="p001", thread="w")
turn("a warm comedy", user=904312, thread="x")
turn("a warm comedy", thread="chat-p042")
try:
    turn("a warm comedy", user=[("Jane", "Doe")], thread="y")
except BadInput as error:
    shown.append(str(error))
"""


def told(settings: Settings, play: str, url: str, words: tuple[str, ...] = (), **more: str) -> Told:
    """Plays in a process that is traced to this address."""
    environment = {
        **os.environ, "LANGSMITH_TRACING": "true", "LANGSMITH_ENDPOINT": url, "LANGSMITH_API_KEY": KEY,
        "LANGSMITH_PROJECT": "duetto-tests", "DUETTO_CACHE": str(settings.cache), "DUETTO_DATA": str(settings.data),
        "COLUMNS": "200", **more,
    }  # fmt: skip
    command = [sys.executable, "-c", HEAD + play + TAIL, *words]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    ended = time.time()
    assert done.stdout, done.stderr
    printed, last = json.loads(done.stdout)
    return Told(printed, done.stderr, done.returncode, ended - last)


def heard(settings: Settings, play: str, words: tuple[str, ...] = (), **more: str) -> Told:
    with LangSmith() as ear:
        found = told(settings, play, ear.url, words, **more)
    return Told(found.printed, found.stderr, found.code, found.lingered, ear.heard)


def spoken(body: Body, n: int) -> Answer:
    if "Verdicts" in json.dumps(body):
        return says({"verdicts": [{"dimension": "clarity", "why": "It is short.", "quote": "it", "score": 4}]})
    return says(good(schema_of(body), turn_of(body)))


def redacted(settings: Settings) -> Told:
    with Loopback(spoken) as model:
        return heard(settings, OFF, (model.base_url,), DUETTO_TRACE_TEXT="off")


def leaking(settings: Settings) -> Told:
    with Loopback(spoken) as model:
        return heard(
            settings, LEAKS, DUETTO_TRACE_TEXT="off", DUETTO_MODEL="some-model", OPENAI_BASE_URL=model.base_url,
            OPENAI_API_KEY="sk-Very5ecret",
        )  # fmt: skip


def nobody_listens(settings: Settings) -> Told:
    with closed_port() as url:
        return told(settings, DOWN, url)


def slowly(settings: Settings) -> Told:
    with LangSmith(delay=30) as ear:
        return told(settings, TURNS, ear.url)


PLAYS: dict[str, Callable[[Settings], Told]] = {
    "untraced": lambda settings: heard(settings, TURNS, LANGSMITH_TRACING="false"),
    "slow": slowly,
    "down": nobody_listens,
    "on": lambda settings: heard(settings, ON),
    "off": redacted,
    "leaks": leaking,
}


@pytest.fixture(scope="session")
def played(settings: Settings) -> Iterator[dict[str, Future[Told]]]:
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(play, settings) for name, play in PLAYS.items()}


@pytest.fixture
def on(played: dict[str, Future[Told]]) -> Told:
    return played["on"].result()


@pytest.fixture
def off(played: dict[str, Future[Told]]) -> Told:
    return played["off"].result()


@pytest.fixture
def leaks(played: dict[str, Future[Told]]) -> Told:
    return played["leaks"].result()


@pytest.fixture
def down(played: dict[str, Future[Told]]) -> Told:
    return played["down"].result()


def children(runs: list[Run], parent: Run) -> dict[str, Run]:
    return {run["name"]: run for run in runs if run.get("parent_run_id") == parent["id"]}


def named(runs: list[Run], name: str) -> Run:
    (found,) = [run for run in runs if run["name"] == name]
    return found


def test_every_turn_is_one_trace(on: Told) -> None:
    assert [root["name"] for root in on.roots] == ["turn"] * 6
    for number, root in enumerate(on.roots):
        trace = on.trace(number)
        ids = {run["id"] for run in trace}
        assert root["trace_id"] == root["id"]
        assert all(run["parent_run_id"] in ids for run in trace if run is not root)
    assert sum(len(on.trace(number)) for number in range(6)) == len(on.runs)


def test_no_run_is_left_open_or_failed(on: Told) -> None:
    assert all(run["end_time"] and not run.get("error") for run in on.runs)


@pytest.mark.parametrize("number", [0, 1, 2, 4, 5])
def test_the_nodes_of_a_turn_are_runs_by_name(on: Told, number: int) -> None:
    assert children(on.trace(number), on.roots[number]).keys() == NODES


def test_small_talk_calls_no_tool(on: Told) -> None:
    trace = on.trace(3)
    assert children(trace, on.roots[3]).keys() < NODES
    assert {run["run_type"] for run in trace} == {"chain"}


@pytest.mark.parametrize("number", [0, 1, 2, 4, 5])
def test_the_two_voices_are_tool_runs_under_their_nodes(on: Told, number: int) -> None:
    trace = on.trace(number)
    assert {run["name"] for run in trace if run["run_type"] == "tool"} == {"search_catalogue", "recommend_from_history"}
    assert "search_catalogue" in children(trace, named(trace, "retrieve"))
    assert "recommend_from_history" in children(trace, named(trace, "collaborate"))


def test_a_search_is_a_retriever_run_with_its_documents(on: Told, sample_index: Index) -> None:
    trace = on.trace(0)
    (retriever,) = children(trace, named(trace, "search_catalogue")).values()
    documents = retriever["outputs"]["documents"]
    assert retriever["run_type"] == "retriever"
    assert "western" in retriever["inputs"]["query"]
    for document in documents:
        row = sample_index.catalogue.row(document["metadata"]["item_id"])
        assert row is not None
        assert document["page_content"] == sample_index.catalogue.document(row)
        assert -1 <= document["metadata"]["score"] <= 1
    assert documents


def test_the_root_is_the_run_id_of_the_answer(on: Told) -> None:
    code, shown, _ = on.printed[0]
    assert code == 0
    assert [json.loads(shown)["run_id"], on.printed[1]["run_id"]] == [on.roots[0]["id"], on.roots[1]["id"]]
    assert on.roots[1]["id"] == str(UUID(int=7))


def test_the_root_tells_the_facts_of_its_turn(on: Told, sample_index: Index) -> None:
    told = on.roots[1]["extra"]["metadata"]
    shares = [item["weights"] for item in on.printed[1]["recommendations"]]
    assert (told["index"], told["prompts"], told["degraded"]) == (sample_index.version, {}, [])
    assert told["thread"] == told["thread_id"]
    assert told["thread"].startswith("p-")
    assert told["weights"].keys() == {"language", "crowd"}
    assert told["weights"]["crowd"] == pytest.approx(sum(share["crowd"] for share in shares) / len(shares), abs=1e-3)
    assert (told["known"], told["model_calls"]) == (True, 0)


def test_who_speaks_is_one_pseudonym_for_each_person_and_none_for_nobody(on: Told) -> None:
    users = [root["extra"]["metadata"]["user"] for root in on.roots]
    assert users[4] is None
    assert len(set(users[:4])) == 1
    assert len({users[0], users[5], USER, "p100"}) == 4


def test_tags_tell_the_intent_what_was_missed_and_what_the_caller_gave(on: Told) -> None:
    assert [set(root["tags"]) for root in on.roots] == [
        {"duetto", "recommend"},
        {"duetto", "recommend"},
        {"mine", "duetto", "refine"},
        {"duetto", "small_talk"},
        {"duetto", "recommend", "degraded"},
        {"duetto", "recommend"},
    ]


def test_what_was_missed_is_told_without_what_it_quotes(on: Told) -> None:
    assert WORD in on.printed[4]["degraded"][0]
    assert on.roots[4]["extra"]["metadata"]["degraded"] == ["no word of"]


def test_a_turn_s_trace_is_small_and_tells_arrays_by_their_shape(on: Told) -> None:
    assert all(len(json.dumps(on.trace(number))) < 400_000 for number in range(6))
    history = named(on.trace(1), "answer")["inputs"]["input"]["understood"]["history"]
    assert history["rows"].startswith("array of int32, shape (")


def test_the_message_and_the_titles_arrive_where_text_may(on: Told) -> None:
    assert on.roots[1]["inputs"]["message"] == "a warm comedy"
    assert on.printed[1]["recommendations"][0]["title"] in on.said


@pytest.mark.parametrize("play", ["on", "off", "leaks"])
def test_no_key_arrives_in_a_body(played: dict[str, Future[Told]], play: str) -> None:
    found = played[play].result()
    assert found.heard
    assert KEY.encode() not in found.bytes
    assert b"Very5ecret" not in found.bytes
    assert "Very5ecret" not in found.stderr


def test_the_id_of_a_person_never_arrives(on: Told) -> None:
    assert on.said.count(USER) == 0


# DUETTO_TRACE_TEXT=off


def test_without_text_neither_message_nor_person_arrives(off: Told) -> None:
    said = off.said.lower()
    assert len(off.roots) == 3
    messages = ("warm", "comedy", "friendship", "loved", "blade runner", "sombre", "western")
    assert [word for word in (*messages, USER) if word in said] == []


def test_without_text_no_title_of_the_catalogue_arrives(off: Told, sample_index: Index) -> None:
    titles = [title for title in sample_index.catalogue.titles if len(title) > 5]
    assert len(titles) > 400
    assert [title for title in titles if title in off.said] == []


def test_without_text_nothing_that_a_model_was_told_or_said_arrives(off: Told) -> None:
    assert sum(run["run_type"] == "llm" for run in off.trace(2)) == 5
    assert not [said for said in ("comedies with a heart", "kind and funny", "You judge", "as warm as") if said in off.said]
    assert off.printed[2]["recommendations"][0]["reason_by"] == "model"


def test_without_text_numbers_still_arrive(off: Told) -> None:
    for root, answer in zip(off.roots, off.printed, strict=True):
        told = root["outputs"]["answer"]
        kept = [(item["item_id"], item["score"], item["parts"]) for item in answer["recommendations"]]
        assert [(item["item_id"], item["score"], item["parts"]) for item in told["recommendations"]] == kept
        assert {item["title"] for item in told["recommendations"]} == {HIDDEN}
    assert off.roots[2]["extra"]["metadata"]["model_calls"] == 5
    assert off.roots[2]["extra"]["metadata"]["prompts"] == off.printed[2]["prompts"]


def test_whatever_text_is_not_told_of_is_traced_all_the_same(leaks: Told) -> None:
    assert [root["name"] for root in leaks.roots][-4:] == ["turn"] * 4
    assert json.loads(leaks.printed[1][1])["judge"]["reasons"] == 1
    assert "Jane" in leaks.printed[-1]


def test_without_text_a_word_that_nobody_knows_does_not_arrive(leaks: Told) -> None:
    assert leaks.said.count(WORD) == 0


def test_without_text_the_id_of_a_numbered_person_does_not_arrive(leaks: Told) -> None:
    assert leaks.said.count(str(NUMBERED)) == 0


def test_without_text_the_thread_that_chat_makes_up_tells_no_id(leaks: Told) -> None:
    assert leaks.said.count(USER) == 0


def test_without_text_an_error_quotes_nothing(leaks: Told) -> None:
    assert leaks.said.count("Jane") == 0


def test_without_text_the_tools_of_an_agent_tell_none(leaks: Told) -> None:
    assert leaks.said.count("sombre") == 0


def test_without_text_a_judge_tells_none(leaks: Told) -> None:
    assert leaks.said.count("You judge the reason") == 0


# feedback


def test_feedback_reaches_the_run_as_1_or_0_with_its_comment(on: Told) -> None:
    bodies = [json.loads(body) for path, body in on.heard if path == "/feedback"]
    told = [(body["run_id"], body["score"], body.get("comment")) for body in bodies]
    assert told == [(str(UUID(int=7)), 1, "just right"), (str(UUID(int=8)), 0, None)]
    assert [code for code, _, _ in on.printed[6:8]] == [0, 0]


def test_feedback_that_makes_no_sense_is_one_sentence(on: Told) -> None:
    no_run, no_verdict = on.printed[8:]
    assert (no_run[0], no_run[2].count("\n"), no_verdict[0], no_verdict[2].count("\n")) == (2, 1, 2, 1)
    assert "cannot take '7' for a run" in no_run[2]
    assert "it is up or down" in no_verdict[2]


def test_feedback_to_nobody_is_one_sentence_without_the_key(down: Told) -> None:
    code, out, err = down.printed[2]
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("duetto: LangSmith could not be told")
    assert "LANGSMITH_ENDPOINT" in err
    assert "Traceback" not in err + down.stderr
    assert "lsv2" not in err + down.stderr


# an endpoint that does not work


@pytest.mark.parametrize("play", ["down", "slow"])
def test_an_endpoint_that_fails_neither_costs_an_answer_nor_holds_up_the_end(played: dict[str, Future[Told]], play: str) -> None:
    untraced, found = played["untraced"].result(), played[play].result()
    answers = [[item["item_id"] for item in answer["recommendations"]] for answer in found.printed[:2]]
    assert answers == [[item["item_id"] for item in answer["recommendations"]] for answer in untraced.printed]
    assert [len(items) for items in answers] == [10, 10]
    assert found.code == 0
    assert found.lingered - untraced.lingered < 4
    assert "Traceback" not in found.stderr
    assert "lsv2" not in found.stderr


def test_nothing_is_told_of_a_turn_that_is_not_traced(played: dict[str, Future[Told]]) -> None:
    assert played["untraced"].result().heard == []


# plain


class Colour(Enum):
    RED = "red"


class Person(BaseModel):
    name: str
    ages: list[int]
    key: SecretStr = SecretStr("sk-Very5ecret")


@dataclass(frozen=True)
class Pair:
    left: Any
    right: Any


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (np.bool_(True), True),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.str_("so"), "so"),
        (np.zeros((3, 2), np.float32), "array of float32, shape (3, 2)"),
        (np.array(["so"], object), "array of object, shape (1,)"),
        (Pair(np.zeros(2), {"a": np.int8(1)}), {"left": "array of float64, shape (2,)", "right": {"a": 1}}),
        (Person(name="Jane", ages=[1, 2]), {"name": "Jane", "ages": [1, 2], "key": "SecretStr"}),
        ((1, frozenset([2])), [1, [2]]),
        ({1: "so", None: 2}, {"1": "so", "None": 2}),
        (Colour.RED, "Colour"),
        (Pair, "type"),
        (object(), "object"),
    ],
)
def test_values_are_told_plainly(value: object, expected: object) -> None:
    assert json.dumps(plain(value)) == json.dumps(expected)


@pytest.mark.parametrize("value", [np.datetime64("2020-01-01"), np.timedelta64(1, "D"), np.bytes_(b"so"), np.complex64(1j)])
def test_every_scalar_of_numpy_is_json(value: object) -> None:
    json.dumps(plain(value))


def test_bytes_are_hidden_as_text_is() -> None:
    assert list(b"secret") != plain(b"secret", text=False)


def test_what_lies_too_deep_is_told_by_its_type() -> None:
    deep: Any = "end"
    for _ in range(50):
        deep = [deep]
    assert json.dumps(plain(deep)) == "[" * DEPTH + '"list"' + "]" * DEPTH


def test_what_holds_itself_comes_to_an_end() -> None:
    loop: list[Any] = []
    loop.append(Pair(loop, {"loop": loop}))
    assert len(json.dumps(plain(loop))) < 1_000


def test_what_is_long_is_cut() -> None:
    assert plain(list(range(10_000))) == list(range(LENGTH))
    assert len(plain({str(n): n for n in range(10_000)})) == LENGTH


def test_texts_are_hidden_wherever_they_lie() -> None:
    value = {"a": "secret", "b": [HumanMessage("secret"), Pair("secret", 7), Person(name="secret", ages=[7])], "c": {"secret"}}
    told = json.dumps(plain(value, text=False))
    assert "secret" not in told
    assert told.count("7") == 2
    assert HIDDEN in told


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.builds(np.float32, st.floats(width=32))
ARRAYS = st.lists(st.integers(0, 9), max_size=3).map(np.array)
VALUES = st.recursive(
    SCALARS | ARRAYS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.builds(Pair, inner, inner),
)


@given(VALUES, st.booleans())
def test_whatever_it_is_it_becomes_json(value: object, text: bool) -> None:
    json.dumps(plain(value, text))


def texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


@given(VALUES)
def test_hidden_text_is_gone_and_the_shape_stays(value: object) -> None:
    allowed = (HIDDEN, "array of ", "list", "dict", "Pair")
    assert all(text.startswith(allowed) for text in texts(plain(value, text=False)))
    assert len(texts(plain(value, text=False))) == len(texts(plain(value)))
