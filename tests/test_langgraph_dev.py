"""`langgraph dev` over the repository's langgraph.json, in a process of its own, as Studio and langgraph-sdk see it."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from duetto.graph.answer import Answer
from duetto.settings import Settings

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("langgraph_cli") and importlib.util.find_spec("langgraph_api")),
    reason="langgraph-cli[inmem] is not installed: the extra `studio`",
)
ROOT = Path(__file__).parents[1]
QUIET = {"LANGSMITH_TRACING": "false", "LANGGRAPH_CLI_NO_ANALYTICS": "1", "LANGGRAPH_NO_VERSION_CHECK": "true"}
AUDIT = """
import os, sys
def told(event, args):
    if event == "socket.getaddrinfo" and args[0] not in (None, "localhost", "127.0.0.1", "0.0.0.0", "::1"):
        known = args[0]
    elif event == "socket.connect" and isinstance(args[1], tuple) and not str(args[1][0]).startswith(("127.", "::1")):
        known = args[1]
    else:
        return
    with open(os.environ["AUDITED"], "a") as out:
        out.write(f"{event} {known}\\n")
sys.addaudithook(told)
"""


@dataclass(frozen=True)
class Dev:
    url: str
    folder: Path
    trap: socket.socket  # the proxy of its environment: what is not Python's own socket module would come here
    audited: Path

    def went_out(self) -> str:
        """Where it tried to get to beyond this machine."""
        told = self.audited.read_text() if self.audited.exists() else ""
        try:
            self.trap.accept()[0].close()
        except BlockingIOError:
            return told
        return told + "somewhere, by way of the proxy"


@pytest.fixture(scope="module")
def dev(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("dev")
    shutil.copy(ROOT / "langgraph.json", folder)  # its state goes to the folder it is started in
    (folder / "audit").mkdir()
    (folder / "audit" / "sitecustomize.py").write_text(AUDIT)
    with socket.create_server(("127.0.0.1", 0)) as trap, (folder / "log").open("w") as log:
        trap.setblocking(False)
        proxy = f"http://127.0.0.1:{trap.getsockname()[1]}"
        environment = {
            **os.environ, **QUIET, "PYTHONPATH": str(folder / "audit"), "AUDITED": str(folder / "audited"),
            "DUETTO_CACHE": str(settings.cache), "DUETTO_DATA": str(folder / "data"),
            "HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "ALL_PROXY": proxy, "NO_PROXY": "127.0.0.1,localhost",
        }  # fmt: skip
        url = f"http://127.0.0.1:{free_port()}"
        words = ["dev", "--no-browser", "--no-reload", "--port", url.rpartition(":")[2]]
        started = subprocess.Popen(
            [sys.executable, "-m", "langgraph_cli", *words], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            wait_for(f"{url}/ok", started, folder / "log")
            yield Dev(url, folder, trap, folder / "audited")
        finally:
            started.terminate()
            try:
                started.wait(10)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def wait_for(url: str, started: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 25
    while time.monotonic() < until and started.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                assert json.load(answer)["ok"]
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"langgraph dev does not answer: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def client(dev: Dev) -> Iterator[Any]:
    from langgraph_sdk import get_sync_client

    with get_sync_client(url=dev.url) as opened:
        yield opened


def test_the_graph_is_served_with_its_schemas(client: Any) -> None:
    (assistant,) = client.assistants.search(graph_id="duetto")
    schemas = client.assistants.get_schemas(assistant["assistant_id"])
    assert set(schemas["input_schema"]["properties"]) == {"user", "message", "messages"}
    assert set(schemas["context_schema"]["properties"]) == {"user", "k", "reasons"}
    assert "answer" in schemas["output_schema"]["properties"]
    nodes = {node["id"] for node in client.assistants.get_graph(assistant["assistant_id"])["nodes"]}
    assert {"extract_preferences", "retrieve", "collaborate", "rerank", "answer"} <= nodes


def test_a_conversation_of_two_turns_refers_to_what_was_shown(client: Any) -> None:
    thread = client.threads.create()["thread_id"]
    given = {"user": "p042", "message": "something dark"}
    first = Answer.model_validate(client.runs.wait(thread, "duetto", input=given, context={"k": 3})["answer"])
    assert (first.thread, first.turn, len(first.recommendations)) == (thread, 1, 3)
    second = client.runs.wait(thread, "duetto", input={"user": "p042", "message": "why the first one?"})["answer"]
    assert (second["turn"], second["intent"]) == (2, "why")
    assert [item["item_id"] for item in second["items"]] == [first.recommendations[0].item_id]
    kept = client.threads.get_state(thread)["values"]
    assert kept["answer"] == second
    assert [message["type"] for message in kept["messages"]] == ["human", "ai", "human", "ai"]


def test_the_ranking_streams_before_the_answer(client: Any) -> None:
    thread = client.threads.create()["thread_id"]
    modes = ["updates", "custom"]
    given = {"message": "a western"}
    parts = list(client.runs.stream(thread, "duetto", input=given, stream_mode=modes, context={"user": "p042", "k": 2}))
    events = [part.data["event"] if part.event == "custom" else next(iter(part.data)) for part in parts[1:]]  # 0: the run's id
    assert events.index("ranking") < events.index("reason") < events.index("answer")
    ranking = next(part.data for part in parts if part.event == "custom")
    answer = next(part.data["answer"]["answer"] for part in parts if part.event == "updates" and "answer" in part.data)
    assert [r["item_id"] for r in ranking["recommendations"]] == [r["item_id"] for r in answer["recommendations"]]


def test_a_chat_page_sends_messages_and_gets_one_with_the_same_id_as_the_state(client: Any) -> None:
    thread = client.threads.create()["thread_id"]
    given = {"messages": [{"type": "human", "content": "a western", "id": "mine"}]}
    modes = ["messages-tuple", "values"]
    parts = list(client.runs.stream(thread, "duetto", input=given, stream_mode=modes, context={"user": "p042", "k": 2}))
    (said,) = [part.data[0] for part in parts if part.event == "messages"]
    asked, answered = [part.data for part in parts if part.event == "values"][-1]["messages"]
    assert (asked["id"], asked["content"]) == ("mine", "a western")
    assert (said["type"], said["id"], said["content"]) == ("ai", answered["id"], answered["content"])
    assert said["content"].startswith("Here is what I found")


def test_what_a_caller_did_wrong_is_told(client: Any) -> None:
    thread = client.threads.create()["thread_id"]
    with pytest.raises(Exception, match="k is a whole number from 1"):
        client.runs.wait(thread, "duetto", input={"message": "a western"}, context={"k": 0})


def test_the_graph_is_a_tool_of_its_mcp_endpoint(dev: Dev) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{dev.url}/mcp", json.dumps(asked).encode(), headers)) as answer:
        (tool,) = json.load(answer)["result"]["tools"]
    assert tool["name"] == "duetto"
    assert {"user", "message"} <= set(tool["inputSchema"]["properties"])


def test_nothing_went_out_and_its_files_stay_in_its_folder(dev: Dev, client: Any) -> None:
    client.runs.wait(None, "duetto", input={"message": "a western"})
    assert dev.went_out() == ""
    assert (dev.folder / ".langgraph_api").is_dir()
