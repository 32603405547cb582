"""`/v1` over real HTTP: turns, conversations, profiles, feedback, items, and what watches over a server."""

import json
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from duetto.settings import Settings
from tests.langsmith import KEY as LANGSMITH_KEY
from tests.langsmith import LangSmith
from tests.loopback import Loopback, says
from tests.serving import Served, events, serving, speaking, streaming

WISH = "something dark and clever, but no horror"


def test_a_turn_is_answered_as_json(server: Served) -> None:
    answer = server.turn(WISH, user="p042", thread="json", k=3)
    assert (answer["thread"], answer["turn"], answer["user"], answer["known"]) == ("json", 1, "p042", True)
    assert len(answer["recommendations"]) == 3
    assert [c["said"] for c in answer["constraints"]] == ["no horror"]


def test_a_turn_is_told_as_events_and_the_ranking_comes_before_any_reason(server: Served) -> None:
    with streaming(server, message=WISH, user="p042", thread="events") as told:
        names, data = zip(*told, strict=True)
    assert [name for name in dict.fromkeys(names) if name != "node"] == ["ranking", "reason", "answer"]
    assert [node["node"] for name, node in zip(names, data, strict=True) if name == "node"][-1] == "answer"
    assert names[-1] == "answer"
    ranked, answer = data[names.index("ranking")], data[-1]
    assert [r["item_id"] for r in ranked["recommendations"]] == [r["item_id"] for r in answer["recommendations"]]
    assert names.count("reason") == len(answer["recommendations"])


def test_the_accept_header_asks_for_events_too(server: Served) -> None:
    accepts = {"Accept": "text/event-stream"}
    with server.client.stream("POST", f"{server.url}/v1/turns", json={"message": "hello!"}, headers=accepts) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert [name for name, _ in events(reply)][-1] == "answer"


def test_without_anything_a_turn_is_a_silent_visit_in_a_new_conversation(server: Served) -> None:
    first, second = server.turn(), server.turn()
    assert first["thread"] != second["thread"]
    assert first["user"] is None
    assert first["turn"] == second["turn"] == 1


def test_a_conversation_goes_on_and_is_told(server: Served) -> None:
    for message in (WISH, "nothing longer than 100 minutes", None):
        answer = server.turn(message, user="p007", thread="going-on")
    assert answer["turn"] == 3
    assert [c["said"] for c in answer["constraints"]] == ["no horror", "nothing longer than 100 minutes"]
    assert server.told("going-on") == [WISH, "nothing longer than 100 minutes", None]


def test_a_person_s_conversations_are_listed_the_last_one_first(server: Served) -> None:
    for thread in ("one", "two", "one"):
        server.turn(f"a western, {thread}", user="p008", thread=thread)
    listed = server.ask("GET", "/v1/threads", params={"user": "p008"}).json()
    assert [(one["thread"], one["title"], one["turns"]) for one in listed] == [
        ("one", "a western, one", 2),
        ("two", "a western, two", 1),
    ]


def test_a_conversation_that_is_not_there_is_404(server: Served) -> None:
    for thread in ("nowhere", "a%2Fb", "..", "x" * 3_000, "%00", "ünï"):
        assert server.ask("GET", f"/v1/threads/{thread}").status_code == 404, thread


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"message": "x" * 4_001}, "the most is 4,000"),
        ({"message": " "}, "cannot answer an empty message"),
        ({"message": 5}, "message: Input should be a valid string"),
        ({"message": "hello!", "k": 0}, "k: "),
        ({"message": "hello!", "k": 101}, "from 1 to 100"),
        ({"message": "hello!", "thread": "a/b"}, "thread: "),
        ({"message": "hello!", "thread": ""}, "thread: "),
        ({"message": "hello!", "user": 2**63}, "user"),
        ({"message": "hello!", "user": True}, "user"),
        ({"message": "hello!", "user": "x" * 201}, "user"),
        ({"message": "hello!", "user": ""}, "user"),
        ({"message": "hello!", "reasons": "long"}, "reasons: "),
        ({"message": "hello!", "massage": 1}, "massage: "),
        ([], "the body: "),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_no_turn_can_be_made_of_is_told_in_a_sentence(server: Served, asked: Any, told: str, stream: bool) -> None:
    asked = {**asked, "stream": stream} if isinstance(asked, dict) else asked
    reply = server.ask("POST", "/v1/turns", json=asked)
    error = reply.json()["error"]
    assert (reply.status_code, error["type"]) == (422, "bad_input")
    assert told in error["message"]
    assert "\n" not in error["message"]


def test_a_first_message_that_was_refused_does_not_take_the_conversation_s_name(server: Served) -> None:
    assert server.ask("POST", "/v1/turns", json={"message": "x" * 5_000, "thread": "refused"}).status_code == 422
    assert server.ask("GET", "/v1/threads/refused").status_code == 404
    assert server.turn("a western", thread="refused")["turn"] == 1


def test_a_profile_is_shown_changed_and_forgotten(server: Served) -> None:
    item = server.turn("a western", user="zoe", thread="of-zoe")["recommendations"][0]["item_id"]
    changed = server.ask("PATCH", "/v1/profile", json={"user": "zoe", "liked": [item]}).json()
    assert [(o["item_id"], o["kind"]) for o in changed["opinions"]] == [(item, "liked")]
    assert server.ask("GET", "/v1/profile", params={"user": "zoe"}).json() == changed
    dropped = server.ask("PATCH", "/v1/profile", json={"user": "zoe", "dropped": [item]}).json()
    assert dropped["opinions"] == []
    server.ask("POST", "/v1/feedback", json={"user": "zoe", "verdict": "up", "comment": "I am Zoe"})
    gone = server.ask("DELETE", "/v1/profile", params={"user": "zoe"}).json()
    assert (gone["profiles"], gone["conversations"], gone["feedback"]) == (1, 1, 1)
    assert server.ask("GET", "/v1/feedback", params={"user": "zoe"}).json() == []
    assert server.ask("GET", "/v1/threads/of-zoe").status_code == 404
    assert server.ask("DELETE", "/v1/profile", params={"user": "zoe"}).status_code == 404


def test_a_taste_that_a_person_corrects_weighs_so_in_the_next_turn(server: Served) -> None:
    def change(*tastes: dict[str, Any]) -> Any:
        return server.ask("PATCH", "/v1/profile", json={"user": "p011", "tastes": list(tastes)})

    first, *_ = (p["preference"] for p in server.turn("something clever", user="p011")["preferences"])
    changed = change({"preference": first, "weight": 0}, {"preference": " samurai swords ", "weight": 0.8}).json()
    assert [(one["preference"], one["weight"]) for one in changed["corrected"]] == [(first, 0.0), ("samurai swords", 0.8)]
    assert server.ask("GET", "/v1/profile", params={"user": "p011"}).json() == changed
    weights = {p["preference"]: p["weight"] for p in server.turn("something clever", user="p011")["preferences"]}
    assert first not in weights
    assert weights["samurai swords"] == 0.8
    assert (
        change({"preference": first, "weight": None}, {"preference": "SAMURAI SWORDS", "weight": None}).json()["corrected"] == []
    )
    refused = change({"preference": "samurai swords", "weight": None})
    assert refused.status_code == 422
    assert "has no weight for it" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "taste",
    [
        {"preference": "x", "weight": 1.01}, {"preference": "x", "weight": -0.1}, {"preference": "x", "weight": "much"},
        {"preference": "x"}, {"preference": "", "weight": 1}, {"preference": "  ", "weight": 1}, {"weight": 1}, "x",
        {"preference": "x" * 201, "weight": 1}, {"preference": "x", "weight": 1, "at": ""}, {"preference": None, "weight": 1},
    ],
)  # fmt: skip
def test_what_is_no_taste_is_refused_in_a_sentence(server: Served, taste: Any) -> None:
    reply = server.ask("PATCH", "/v1/profile", json={"user": "una", "tastes": [taste]})
    assert (reply.status_code, reply.json()["error"]["type"]) == (422, "bad_input")
    assert reply.json()["error"]["message"].startswith("tastes.0")
    assert server.ask("GET", "/v1/profile", params={"user": "una"}).json()["corrected"] == []


def test_an_item_that_is_disliked_is_not_shown_in_the_next_turn(server: Served) -> None:
    item = server.turn("a western", user="yan", thread="of-yan")["recommendations"][0]["item_id"]
    given = {"user": "yan", "thread": "of-yan", "item_id": item, "kind": "uninterested", "comment": "no"}
    reply = server.ask("POST", "/v1/feedback", json=given)
    assert (reply.status_code, reply.json()["told_langsmith"]) == (201, False)
    again = server.turn("a western", user="yan", thread="of-yan")
    assert item not in [r["item_id"] for r in again["recommendations"]]
    (kept,) = server.ask("GET", "/v1/feedback", params={"user": "yan"}).json()
    assert (kept["item_id"], kept["kind"], kept["comment"]) == (item, "uninterested", "no")


def test_opinions_that_are_given_at_once_are_all_kept(server: Served) -> None:
    items = [r["item_id"] for r in server.turn("a western", k=20)["recommendations"]]
    with ThreadPoolExecutor(10) as pool:
        given = [{"user": "xi", "item_id": item, "kind": "liked"} for item in items]
        assert {r.status_code for r in pool.map(lambda g: server.ask("POST", "/v1/feedback", json=g), given)} == {201}
    known = server.ask("GET", "/v1/profile", params={"user": "xi"}).json()
    assert {o["item_id"] for o in known["opinions"]} == set(items)


@pytest.mark.parametrize(
    "given", [{}, {"kind": "liked"}, {"kind": "liked", "item_id": "no such film"}, {"verdict": "sideways"}, {"run_id": "x"}]
)
def test_feedback_that_says_nothing_is_refused(server: Served, given: dict[str, Any]) -> None:
    assert server.ask("POST", "/v1/feedback", json={"user": "p001", **given}).status_code == 422


def test_an_item_is_told_with_its_attributes(server: Served) -> None:
    shown = server.turn("a western")["recommendations"][0]
    item = server.ask("GET", f"/v1/items/{shown['item_id']}").json()
    assert (item["title"], item["attributes"], item["available"]) == (shown["title"], shown["attributes"], True)
    for stranger in ("0", "a%2Fb", "../x", "%00", "x" * 2_000):
        assert server.ask("GET", f"/v1/items/{stranger}").status_code == 404


def test_a_request_s_id_is_given_back_and_a_bad_one_is_replaced(server: Served) -> None:
    for path in ("/healthz", "/v1/threads/nowhere", "/nothing"):
        assert server.ask("GET", path, headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert server.ask("GET", "/healthz", headers={"X-Request-Id": "a b\tc"}).headers["x-request-id"] != "a b\tc"
    reply = server.ask("GET", "/v1/threads/nowhere", headers={"X-Request-Id": "mine-2"})
    assert reply.json()["error"]["request_id"] == "mine-2"


def test_a_turn_is_logged_with_its_ids_and_nothing_of_what_was_said(server: Served) -> None:
    answer = server.turn("a secret wish for giraffes", user="p009", thread="quiet-thread")
    sent = {"X-Request-Id": "logged-1"}
    server.ask("POST", "/v1/turns", json={"message": "a western with zebras"}, headers=sent)
    logged = [line for line in server.lines() if line.get("request_id") == "logged-1"]
    assert {line["event"] for line in logged} == {"turn", "request"}
    assert answer["run_id"] in [line.get("run_id") for line in server.lines()]
    titles = [r["title"] for r in answer["recommendations"] if len(r["title"]) > 8]
    log = server.log.read_text(encoding="utf-8")
    assert not [word for word in ("giraffe", "zebra", "p009", "quiet-thread", *titles) if word in log]


def test_metrics_count_what_happened(settings: Settings, tmp_path: Path) -> None:
    with serving(settings, data=tmp_path) as own:
        for n in range(3):
            own.turn("a western", thread=f"t{n}")
        own.ask("POST", "/v1/turns", json={"message": " "})
        assert own.metric('duetto_turns_total{intent="recommend",outcome="answered"}') == 3
        assert own.metric("duetto_turns_total") == 3
        assert own.metric("duetto_turn_seconds_count") == 3
        assert own.metric('duetto_node_seconds_count{node="rerank"}') == 3
        for name in ("model_calls_total", "degraded_turns_total", "refused_turns_total", "turns_in_flight", "turns_waiting"):
            assert own.metric(f"duetto_{name}") == 0


def test_health_readiness_and_the_document(server: Served) -> None:
    assert server.ask("GET", "/healthz").text == "ok"
    assert server.ask("GET", "/readyz").text == "ready"
    document = server.ask("GET", "/openapi.json").json()
    assert {"/v1/turns", "/v1/threads/{thread}", "/v1/items/{item_id}", "/v1/chat/completions"} <= set(document["paths"])
    schemas = document["components"]["schemas"]
    for body in ("TurnAsked", "ProfileChanged", "FeedbackGiven"):
        assert schemas[body]["examples"], body
    (example,) = schemas["TurnAsked"]["examples"]
    assert len(server.turn(**example)["recommendations"]) == example["k"]


def test_turns_of_one_conversation_take_turns(server: Served) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: server.turn(f"a western, number {n}", thread="busy"), range(8)))
    assert sorted(answer["turn"] for answer in answers) == list(range(1, 9))
    in_order = [f"a western, number {n}" for n, _ in sorted(enumerate(answers), key=lambda one: one[1]["turn"])]
    assert server.told("busy") == in_order


def test_a_conversation_does_not_wait_for_another(settings: Settings, tmp_path: Path) -> None:
    """What the first one's model is asked hangs until the second has been answered."""
    freed = threading.Event()

    def script(body: Any, n: int) -> Any:
        if "giraffes" in json.dumps(body):
            assert freed.wait(30)
        return says("{}")

    with Loopback(script) as model, serving(settings, data=tmp_path, **speaking(model)) as own, ThreadPoolExecutor() as pool:
        slow = pool.submit(own.turn, "films about giraffes", thread="slow")
        assert own.settled("duetto_turns_in_flight", 1)
        assert own.turn("a warm comedy", thread="quick")["turn"] == 1
        assert not slow.done()
        freed.set()
        assert slow.result()["turn"] == 1


def test_comments_are_sent_while_a_turn_takes_its_time(settings: Settings, tmp_path: Path) -> None:
    with (
        Loopback(says("{}", delay=0.3)) as model,
        serving(settings, data=tmp_path, alive_seconds="0.05", **speaking(model)) as own,
        streaming(own, message="a warm comedy") as told,
    ):
        names = [name for name, _ in told]
    assert names.count("") >= 5
    assert names[-1] == "answer"


def test_a_verdict_reaches_langsmith_and_is_kept_where_it_does_not(settings: Settings, tmp_path: Path) -> None:
    with LangSmith() as langsmith:
        where = {"LANGSMITH_ENDPOINT": langsmith.url, "LANGSMITH_API_KEY": LANGSMITH_KEY}
        with serving(settings, data=tmp_path, **where) as own:
            run = own.turn("a western", user="p001", thread="t")["run_id"]
            given = {"user": "p001", "thread": "t", "run_id": run, "verdict": "down", "comment": "dull"}
            assert own.ask("POST", "/v1/feedback", json=given).json()["told_langsmith"] is True
            langsmith.broken["POST", "/feedback"] = 500
            reply = own.ask("POST", "/v1/feedback", json=given)
            assert (reply.status_code, reply.json()["told_langsmith"]) == (201, False)
            assert len(own.ask("GET", "/v1/feedback", params={"user": "p001"}).json()) == 2
            assert LANGSMITH_KEY not in own.log.read_text(encoding="utf-8")
    (told,) = langsmith.feedback
    assert (told["run_id"], told["score"], told["comment"]) == (run, 0.0, "dull")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_does_a_turn(server: Served) -> None:
    def curl(*options: str) -> str:
        asked = ["-H", "Content-Type: application/json", "-d", json.dumps({"message": WISH}), f"{server.url}/v1/turns"]
        return subprocess.run(["curl", "-sSfN", *options, *asked], check=True, capture_output=True, text=True).stdout

    assert len(json.loads(curl())["recommendations"]) == 10
    told = curl("-H", "Accept: text/event-stream")
    assert told.index("event: ranking\n") < told.index("event: reason\n") < told.index("event: answer\n")
