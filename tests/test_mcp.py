"""`duetto mcp` as other agents see it: a process of its own, and the official client over its stdin and stdout."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from duetto.cli import main
from duetto.settings import Settings
from duetto.tools.feedback import feedback_of
from duetto.tools.threads import EitherSqliteStore
from duetto.wiring import open_turns

pytest.importorskip("mcp", reason="the extra `mcp` is not installed")

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from duetto import mcp_server, mcp_tools

COMMAND = ["-m", "duetto.cli", "mcp", "--index", "sample"]
ALONE = ("--user", "p042")


class Calls:
    """A client with an open session, called from tests as if it were a function."""

    def __init__(self, call: Callable[..., Any], tools: list[Any]) -> None:
        self._call, self.tools = call, {tool.name: tool for tool in tools}

    def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured result."""
        answer = self._call(tool, arguments)
        assert not answer.is_error, answer.content[0].text
        made: dict[str, Any] = answer.structured_content
        return made

    def text(self, tool: str, **arguments: Any) -> str:
        return str(self._call(tool, arguments).content[0].text)

    def refused(self, tool: str, **arguments: Any) -> str:
        """The one sentence."""
        answer = self._call(tool, arguments)
        assert answer.is_error
        assert answer.structured_content is None
        (content,) = answer.content
        sentence: str = content.text
        assert "\n" not in sentence
        assert "Traceback" not in sentence
        return sentence


@contextmanager
def calls(client: Client) -> Iterator[Calls]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(client):
        yield Calls(partial(portal.call, client.call_tool), portal.call(client.list_tools).tools)


@pytest.fixture(scope="module")
def environment(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("mcp")
    kept = {name: os.environ[name] for name in ("OMP_WAIT_POLICY", "XDG_CACHE_HOME", "XDG_DATA_HOME", "SSL_CERT_DIR")}
    return {**kept, "DUETTO_CACHE": str(settings.cache), "DUETTO_DATA": str(home / "data")}


@contextmanager
def process(environment: dict[str, str], *options: str, **how: Any) -> Iterator[Calls]:
    started = StdioServerParameters(command=sys.executable, args=[*COMMAND, *options], env=environment)
    with open(os.devnull, "w") as silent, calls(Client(stdio_client(started, silent), **how)) as opened:
        yield opened


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="module")
def call(environment: dict[str, str], recordings: Path) -> Iterator[Calls]:
    with process(environment, "--record", str(recordings)) as opened:
        yield opened


@pytest.fixture(scope="module")
def alone(environment: dict[str, str]) -> Iterator[Calls]:
    """Speaks for p042 only, to a client that knows the older handshake alone."""
    with process(environment, *ALONE, mode="legacy") as opened:
        yield opened


def ids(turn: dict[str, Any]) -> list[Any]:
    return [item["item_id"] for item in turn["items"]]


# what is offered


def test_five_tools_are_offered_with_arguments_and_results_described(call: Calls) -> None:
    assert set(call.tools) == {"recommend", "why", "search", "facts", "feedback"}
    for tool in call.tools.values():
        assert len(tool.description) > 80
        assert tool.output_schema["type"] == "object"
        assert all("type" in said or "anyOf" in said for said in tool.input_schema["properties"].values())
    assert call.tools["recommend"].input_schema["required"] == ["message"]
    assert call.tools["feedback"].input_schema["properties"]["kind"]["enum"] == ["liked", "disliked", "seen", "uninterested"]


def test_what_reads_says_so_and_filters_can_be_written_from_the_description(call: Calls) -> None:
    assert [name for name, tool in call.tools.items() if tool.annotations.read_only_hint] == ["search", "facts"]
    assert "minutes (number)" in call.tools["search"].description
    assert '"operator"' in call.tools["search"].input_schema["properties"]["where"]["description"]


def test_descriptions_say_that_texts_are_data(call: Calls) -> None:
    assert all("never follow" in tool.description for name, tool in call.tools.items() if name != "feedback")


# a conversation


def test_a_turn_gives_items_with_reasons_and_a_thread_to_go_on_with(call: Calls) -> None:
    turn = call("recommend", message="a western", user="p042", k=3)
    assert len(turn["items"]) == 3
    for item in turn["items"]:
        assert item["title"] in turn["reply"]
        assert item["reason"] in turn["reply"]
        assert sum(item["weights"].values()) == pytest.approx(1, abs=0.01)
    assert any(item["evidence"] for item in turn["items"])
    assert turn["thread"]


def test_the_text_alone_is_enough_to_go_on_with(call: Calls) -> None:
    text = call.text("recommend", message="a western", thread="text", k=1)
    item = call("recommend", message="why the first one?", thread="text")["about"][0]
    assert f'item_id of "{item["title"]}": {item["item_id"]}' in text
    assert text.endswith('thread: "text"')


def test_the_second_one_is_understood_in_the_same_thread_and_the_person_is_remembered(call: Calls) -> None:
    first = call("recommend", message="a drama before 1960", user="p042", k=3)
    second = call("recommend", message="tell me about the second one", thread=first["thread"])
    assert [item["item_id"] for item in second["about"]] == [ids(first)[1]]
    assert (second["turn"], second["user"]) == (2, "p042")
    third = call("recommend", message="with music", thread=first["thread"])
    assert [constraint["said"] for constraint in third["constraints"]] == ["before 1960"]


def test_turns_are_recorded(call: Calls, recordings: Path) -> None:
    thread = call("recommend", message="a western", k=1)["thread"]
    assert any(thread in file.name for file in recordings.iterdir())


# why


def test_why_gives_what_was_known_when_it_was_recommended(call: Calls) -> None:
    first = call("recommend", message="a western", user="p042", k=3)
    call("recommend", message="only comedies from the 90s", thread=first["thread"], k=3)
    why = call("why", item_id=ids(first)[0], thread=first["thread"])
    assert why["turn"] == 1
    assert why["recommendation"]["reason"] == first["items"][0]["reason"]
    assert why["recommendation"]["cites"] == first["items"][0]["evidence"]
    assert why["recommendation"]["steps"]
    parts = [value for voice in why["recommendation"]["parts"].values() for value in voice.values()]
    assert sum(parts) == pytest.approx(why["recommendation"]["score"], abs=1e-3)
    assert "so the likelihood is" in why["reply"]


def test_asking_why_leaves_the_conversation_as_it_was(call: Calls) -> None:
    first = call("recommend", message="a western", user="p042", k=3)
    call("why", item_id=ids(first)[0], thread=first["thread"])
    assert call("recommend", message="tell me about the third", thread=first["thread"])["turn"] == 2


def test_why_not_tells_the_place_or_what_is_in_the_way(call: Calls) -> None:
    thread = call("recommend", message="something dark, nothing after 1980", user="p042", k=3)["thread"]
    why = call("why", title="king kong (1933)", thread=thread)
    assert (why["title"], why["turn"], why["recommendation"]) == ("King Kong", None, None)
    assert "was not recommended" in why["reply"]
    assert "candidates for you now" in why["reply"]
    assert "left out by your limit" in call("why", title="Inception", thread=thread)["reply"]


def test_an_item_that_is_not_there_is_refused(call: Calls) -> None:
    assert "no item 99999" in call.refused("why", item_id=99999)
    assert "no item titled" in call.refused("why", title="No Such Film")
    assert "no item of that id" in call.refused("feedback", user="p042", item_id="99999", kind="liked")
    assert "either its item_id or its title" in call.refused("why")


# the catalogue


def test_search_is_over_the_whole_catalogue_within_the_filter(call: Calls) -> None:
    where = {
        "and": [{"column": "year", "operator": "lt", "value": 1970}, {"column": "genres", "operator": "eq", "value": "Horror"}]
    }
    found = call("search", query="a haunted house", where=where, k=5)["items"]
    assert len(found) == 5
    assert all(item["attributes"]["year"] < 1970 and "Horror" in item["attributes"]["genres"] for item in found)
    assert [item["cosine"] for item in found] == sorted((item["cosine"] for item in found), reverse=True)


def test_a_search_for_no_known_word_says_so(call: Calls) -> None:
    assert call("search", query="zzyzx") == {"items": [], "understood": False}


def test_facts_count_and_name_extremes(call: Calls) -> None:
    facts = call("facts", where={"column": "year", "operator": "ge", "value": 2000}, column="year", order="lowest", k=2)
    assert (facts["lowest"], facts["of"], len(facts["extremes"])) == (2000, 483, 2)
    assert call("facts")["count"] == 483


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("recommend", {}, "message"),
        ("recommend", {"message": "   "}, "empty message"),
        ("recommend", {"message": "a western", "k": 10_000}, "k is a whole number"),
        ("recommend", {"message": "a western", "thread": " "}, "thread"),
        ("search", {"query": "a western", "k": 0}, "k: "),
        ("search", {"query": "a western", "where": {"column": "colour", "operator": "eq", "value": 1}}, "colour"),
        ("search", {"query": "a western", "where": {"year": 1970}}, "cannot read the filter"),
        ("facts", {"column": "colour"}, "colour"),
        ("feedback", {"user": "p042", "item_id": 1, "kind": "hated"}, "kind: "),
        ("feedback", {"item_id": 1, "kind": "liked"}, "name the user"),
        ("forget_everything", {}, "forget_everything"),
    ],
)
def test_a_bad_argument_is_refused_in_one_sentence(call: Calls, tool: str, arguments: dict[str, Any], told: str) -> None:
    assert told in call.refused(tool, **arguments)


# feedback


def test_feedback_counts_at_once_and_in_every_conversation(call: Calls) -> None:
    first = call("recommend", message="a western", user="p077", k=3)
    known = call("feedback", user="p077", item_id=str(ids(first)[0]), kind="seen")
    assert known == {"user": "p077", "opinions": {"seen": [{"item_id": ids(first)[0], "title": first["items"][0]["title"]}]}}
    assert ids(first)[0] not in ids(call("recommend", message="a western", thread=first["thread"], k=3))
    assert ids(first)[0] not in ids(call("recommend", message="a western", user="p077", k=3))


def test_feedback_is_kept_beside_that_of_other_front_doors(call: Calls, environment: dict[str, str]) -> None:
    call("feedback", user="p078", item_id="1", kind="liked")
    with closing(EitherSqliteStore.open(Path(environment["DUETTO_DATA"]) / "threads.sqlite")) as store:
        (kept,) = feedback_of(store, "p078")
    assert (kept.item_id, kept.kind) == (1, "liked")


# one person alone


def test_a_server_of_one_person_speaks_for_nobody_else(alone: Calls) -> None:
    assert alone("recommend", message="a western", k=1)["user"] == "p042"
    assert alone("recommend", message="a western", user="p042", k=1)["user"] == "p042"
    given: list[tuple[str, dict[str, Any]]] = [
        ("recommend", {"message": "hello"}),
        ("why", {"item_id": 1}),
        ("feedback", {"item_id": 1, "kind": "liked"}),
    ]
    for tool, arguments in given:
        assert "this server was started for 'p042' alone" in alone.refused(tool, user="p100", **arguments)


def test_a_server_of_one_person_goes_on_in_their_conversations_only(call: Calls, alone: Calls) -> None:
    call("recommend", message="a western", user="p042", thread="of p042", k=3)
    call("recommend", message="a western", user="p100", thread="of p100", k=3)
    assert alone("recommend", message="tell me about the second one", thread="of p042")["turn"] == 2
    assert "somebody else" in alone.refused("recommend", message="tell me about the second one", thread="of p100")
    assert "somebody else" in alone.refused("why", item_id=1, thread="of p100")


# the process


def test_nothing_but_the_protocol_is_printed_and_the_process_ends_with_its_input(environment: dict[str, str]) -> None:
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}}
    said: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": client},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "recommend", "arguments": {"message": "a western", "k": 1}}},
    ]
    started = [sys.executable, *COMMAND]
    with subprocess.Popen(started, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ran:
        assert ran.stdin is not None
        assert ran.stdout is not None
        ran.stdin.write(b"".join(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n" for message in said))
        ran.stdin.flush()
        answers = [json.loads(ran.stdout.readline()) for _ in range(2)]
        rest, log = ran.communicate(timeout=20)  # closes stdin
    assert [answer["id"] for answer in answers] == [1, 2]
    assert answers[0]["result"]["serverInfo"]["name"] == "duetto"
    assert answers[1]["result"]["structuredContent"]["items"]
    assert (ran.returncode, rest) == (0, b"")
    assert b"Traceback" not in log


def test_what_breaks_here_is_told_without_its_insides(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(InMemoryStore):
        def get(self, *given: Any, **more: Any) -> Any:
            raise RuntimeError("the password is hunter2")

    opened = open_turns("sample", InMemorySaver(), store=Broken(), settings=settings)
    with calls(Client(mcp_server.server(mcp_tools.Tools(opened, Broken(), None)))) as call:
        told = call.refused("feedback", user="ann", item_id=1, kind="liked")
    assert "feedback failed on this side" in told
    assert "hunter2" not in told


def test_a_slow_turn_holds_up_neither_the_other_tools_nor_a_second_one(settings: Settings) -> None:
    opened = open_turns("sample", InMemorySaver(), store=InMemoryStore(), settings=settings)
    tools = mcp_tools.Tools(opened, InMemoryStore(), None)
    done: list[str] = []

    async def both() -> None:
        async def one(name: str, **arguments: Any) -> None:
            await client.call_tool(name, arguments)
            done.append(name)

        async with Client(mcp_server.server(tools)) as client, anyio.create_task_group() as group:
            with tools.turns:
                group.start_soon(partial(one, "recommend", message="a western"))
                await one("facts")
                await one("search", query="a western")

    anyio.run(both)
    assert done == ["facts", "search", "recommend"]


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["mcp", *words])
    assert stop.value.code == 2
    read = capsys.readouterr()
    assert read.out == ""
    return read.err


def test_an_index_that_is_not_there_is_told_before_anything_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUETTO_DATA", str(tmp_path))
    assert "duetto build" in refused(capsys, "--index", str(tmp_path / "nowhere"))


def test_without_the_extra_the_command_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("duetto.mcp_server")
    monkeypatch.delitem(sys.modules, "duetto.mcp_server")
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    assert "duetto[mcp]" in refused(capsys, "--index", "sample")
