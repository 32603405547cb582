"""The page over real HTTP, as a browser without scripts sees it: what it says, and what it lets nobody do."""

import asyncio
import hashlib
import html
import re
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from duetto.settings import Settings
from tests.loopback import Loopback
from tests.server.page_parts import GENRE, RUNS, TITLE, WISH, Tags, hostile_index, said, taking_its_time
from tests.serving import Served, serving, speaking

escape = pytest.importorskip("markupsafe", reason="needs the extra `serve`").escape

from duetto.server.doors import new_key  # noqa: E402
from duetto.server.live import LOOKS, Live  # noqa: E402
from duetto.server.page import _sent  # noqa: E402
from duetto.server.playing import Play, TooLong  # noqa: E402
from duetto.server.rendering import STATIC, web  # noqa: E402
from duetto.server.turn import Asked  # noqa: E402

PAGES = ("/", "/you?user=p001", "/c/told", "/c/told/voices/1", "/c/nowhere", "/page/sessions?user=p001", "/page/titles?title=al")
VENDORED = ("htmx.org/htmx.min.js", "htmx-ext-sse/sse.min.js", "picocss-pico/pico.min.css")
OWN = ("app.css", "app.js", "icon.svg")
HARMLESS = ("http://www.w3.org/2000/svg", "https://picocss.com")  # a namespace, and the licence's line


@pytest.fixture(scope="module")
def told(server: Served) -> Served:
    """With a conversation of one turn, by p001."""
    assert said(server, WISH, "told").status_code == 303
    return server


@pytest.fixture(scope="module")
def hostile(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("hostile")
    with serving(settings, "--workers", "0", data=folder, index=str(hostile_index(folder, settings))) as served:
        yield served


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_a_strict_policy_and_is_nobody_elses_to_keep(told: Served, page: str) -> None:
    reply = told.ask("GET", page)
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_has_a_script_or_style_of_its_own_or_names_another_site(told: Served, page: str) -> None:
    tags = Tags(told.ask("GET", page).text)
    assert not [name for _, attributes in tags.found for name in attributes if name.startswith("on") or name == "style"]
    assert not [tag for tag, attributes in tags.found if tag == "style" or (tag == "script" and "src" not in attributes)]
    linked = [*tags.of("src"), *tags.of("href"), *tags.of("action"), *tags.of("hx-get"), *tags.of("hx-post"), *tags.of("srcset")]
    assert all(re.match(r"/(?!/)|#|$", address) for address in linked), linked
    assert not {name for _, attributes in tags.found for name in attributes if name.startswith(("hx-on", "hx-vals"))}


@pytest.mark.parametrize("file", [*OWN, *(f"vendor/{file}" for file in VENDORED)])
def test_no_file_leads_to_another_site(server: Served, file: str) -> None:
    text = server.ask("GET", f"/static/{file}").text
    assert {a for a in re.findall(r"https?://[\w.-]+(?:/[\w./-]*)?", text) if a not in HARMLESS} == set()
    assert "sourceMappingURL" not in text
    assert "@import" not in text
    assert not re.search(r"url\(\s*[\"']?(?!data:|[\"']?data:)", text)


def test_what_others_made_is_what_the_list_of_it_says() -> None:
    listed = (STATIC / "vendor" / "README.md").read_text(encoding="utf-8")
    for file in VENDORED:
        path = STATIC / "vendor" / file
        assert f"| {file} | {hashlib.sha256(path.read_bytes()).hexdigest()} |" in listed
        assert list(path.parent.glob("LICENSE*"))


def test_a_form_that_a_browser_sends_by_itself_gives_the_whole_answer(server: Served) -> None:
    thread = uuid4().hex
    reply = said(server, WISH, thread)
    assert reply.status_code == 303
    page = server.ask("GET", reply.headers["location"]).text
    assert page.count('class="card"') == 10
    assert html.unescape(page).count("Other people's histories") > 3
    assert 'value="lift “no horror”"' in page


def test_cards_show_both_voices_evidence_preferences_and_steps(told: Served) -> None:
    page = told.ask("GET", "/c/told").text
    answer = told.ask("GET", "/v1/threads/told").json()["turns"][0]["answer"]
    first = answer["recommendations"][0]
    share = round(100 * first["weights"]["language"])
    assert f"the language voice has {share} percent, the crowd {100 - share} percent" in page
    shown = html.unescape(page)
    assert all(cited["title"] in shown for cited in first["cites"])
    assert f"“{first['found_by']['queries'][0]['query']}”" in shown
    assert first["steps"][0]["why"] in shown
    assert f"{first['preferences'][0]['attention']:.2f}" in shown


def test_an_opinion_is_kept_shown_and_taken_back(server: Served) -> None:
    thread, person = uuid4().hex, f"guest-{uuid4().hex[:6]}"
    said(server, WISH, thread, person)
    first = server.ask("GET", f"/v1/threads/{thread}").json()["turns"][0]["answer"]["recommendations"][0]
    about = {"user": person, "thread": thread, "item_id": first["item_id"], "run_id": str(uuid4()), "place": "1"}
    kept = server.ask("POST", "/page/opinion", data={**about, "kind": "liked"}, headers={"HX-Request": "true"}).text
    assert "Kept: you like it." in kept
    profile = server.ask("GET", f"/v1/profile?user={person}").json()
    assert [(o["item_id"], o["kind"]) for o in profile["opinions"]] == [(first["item_id"], "liked")]
    assert server.ask("GET", f"/v1/feedback?user={person}").json()[0]["thread"] == thread
    assert "Kept: you like it." in server.ask("GET", f"/c/{thread}").text
    taken = server.ask("POST", "/page/opinion", data=about, headers={"HX-Request": "true"}).text
    assert "Kept" not in taken
    assert server.ask("GET", f"/v1/profile?user={person}").json()["opinions"] == []


def test_a_limit_that_always_holds_is_shown_with_the_person_and_can_be_taken_off(server: Served) -> None:
    person = f"guest-{uuid4().hex[:6]}"
    said(server, "I never watch horror. Something dark", uuid4().hex, person)
    assert "for good" in server.ask("GET", f"/you?user={person}").text
    words = server.ask("GET", f"/v1/profile?user={person}").json()["constraints"][0]["said"]
    assert server.ask("POST", "/page/limit", data={"user": person, "said": words}).status_code == 303
    assert "for good" not in server.ask("GET", f"/you?user={person}").text


def test_limits_of_which_none_alone_is_to_blame_can_be_given_up_together(server: Served) -> None:
    thread = uuid4().hex
    said(server, "only westerns", thread)
    page = html.unescape(server.ask("GET", said(server, "from 1850 and under 20 minutes", thread).headers["location"]).text)
    words = "“from 1850” and “under 20 minutes”"
    assert f'value="lift {words}"' in page
    assert f">Give up {words}<" in page
    server.ask("POST", f"/c/{thread}", data={"user": "p001", "quick": f"lift {words}"})
    last = server.ask("GET", f"/v1/threads/{thread}").json()["turns"][-1]["answer"]
    assert [limit["said"] for limit in last["constraints"]] == ["only westerns"]
    assert last["recommendations"]


HTMX = {"HX-Request": "true"}


def tastes(page: str) -> dict[str, str]:
    """Each taste of a panel, as it is shown."""
    shown = page.split('<ul class="tastes">')[1].split("</ul>")[0].split("<li>")[1:] if '<ul class="tastes">' in page else []
    return {html.unescape(one.split('class="name">')[1].split("<")[0]): one for one in shown}


def test_a_taste_can_be_made_weightier_lighter_removed_and_put_back(server: Served) -> None:
    def weigh(taste: str, weight: float | str) -> str:
        reply = server.ask("POST", "/page/taste", data={"user": "p012", "preference": taste, "weight": weight}, headers=HTMX)
        assert reply.status_code == 200
        return reply.text

    was = tastes(server.ask("GET", "/you?user=p012").text)
    first, second = list(was)[:2]
    assert "set by you" not in "".join(was.values())
    set_ = tastes(weigh(second, 0.9))
    assert list(set_) == list(was)
    assert "set by you" in set_[second]
    assert "Weight 90 percent" in set_[second]
    assert 'value="0.7"' in set_[second]
    assert 'value="1.0"' in set_[second]
    assert "as read" in set_[second]
    assert "as read" not in set_[first]
    removed = weigh(first, 0)
    assert first not in tastes(removed)
    assert "Removed by you" in removed
    assert tastes(weigh(first, ""))[first] == was[first]
    assert tastes(weigh(second, "")) == was


def test_a_taste_can_be_added_and_the_next_answer_uses_it(server: Served) -> None:
    person, thread = f"guest-{uuid4().hex[:6]}", uuid4().hex
    added = server.ask(
        "POST", "/page/taste", data={"user": person, "preference": " samurai swords ", "weight": "1", "thread": ""}
    )
    assert (added.status_code, added.headers["location"]) == (303, f"/you?user={person}")
    (one,) = tastes(server.ask("GET", added.headers["location"]).text).values()
    assert "set by you" in one
    assert "as read" not in one  # nothing was
    page = html.unescape(server.ask("GET", said(server, "something clever", thread, person).headers["location"]).text)
    assert "Seven Samurai" in page
    assert "“clever, samurai swords”" in page
    gone = server.ask(
        "POST", "/page/taste", data={"user": person, "preference": "samurai swords", "thread": thread}, headers=HTMX
    ).text
    assert tastes(gone) == {}
    assert "Removed by you" not in gone


def test_tastes_of_what_was_only_named_stay_while_one_is_corrected(server: Served) -> None:
    person, thread = f"guest-{uuid4().hex[:6]}", uuid4().hex
    shown = tastes(server.ask("GET", said(server, "something like Alien and Aliens", thread, person).headers["location"]).text)
    assert shown
    first = next(iter(shown))
    form = {"user": person, "preference": first, "weight": "0.1", "thread": thread}
    assert list(tastes(server.ask("POST", "/page/taste", data=form, headers=HTMX).text)) == list(shown)


def test_what_a_person_calls_a_taste_is_never_obeyed(server: Served) -> None:
    person = f"guest-{uuid4().hex[:6]}"
    for weight in ("1", "0"):
        form = {"user": person, "preference": f'{RUNS}" onclick="x', "weight": weight}
        page = server.ask("POST", "/page/taste", data=form, headers=HTMX).text
        assert RUNS not in page
        assert "&lt;script&gt;window.ran" in page
        assert not [name for _, attributes in Tags(page).found for name in attributes if name.startswith("on")]


@pytest.mark.parametrize(
    "wrong",
    [{"preference": " ", "weight": "1"}, {"preference": "x" * 201, "weight": "1"}, {"preference": "x", "weight": "7"},
     {"preference": "x", "weight": "nan"}, {"preference": "x", "weight": "much"}, {"preference": "never set"}],
)  # fmt: skip
def test_a_taste_that_cannot_be_kept_is_told_on_the_page(server: Served, wrong: dict[str, str]) -> None:
    reply = server.ask("POST", "/page/taste", data={"user": "p013", **wrong}, headers=HTMX)
    assert reply.status_code == 422
    assert 'role="alert"' in reply.text
    assert server.ask("GET", "/v1/profile?user=p013").json()["corrected"] == []


def test_a_conversation_of_nobody_in_particular_goes_on_as_whoever_sits_there(server: Served) -> None:
    thread = uuid4().hex
    server.turn(WISH, thread=thread)
    with httpx2.Client(base_url=server.url) as browser:
        browser.post("/page/person", data={"user": "p009"})
        page = browser.get(f"/c/{thread}").text
        assert 'value="None"' not in page
        about = {"user": "", "item_id": "1", "kind": "seen", "place": "1"}
        assert browser.post("/page/opinion", data=about, headers={"HX-Request": "true"}).status_code == 200
    assert server.ask("GET", "/v1/profile?user=p009").json()["opinions"][0]["kind"] == "seen"


def test_conversations_are_listed_and_lead_on(told: Served) -> None:
    assert f'<a href="/c/told">{WISH}</a>' in told.ask("GET", "/page/sessions?user=p001").text


def test_who_is_forgotten_has_no_conversations_left(server: Served) -> None:
    thread, person = uuid4().hex, f"guest-{uuid4().hex[:6]}"
    said(server, WISH, thread, person)
    assert server.ask("POST", "/page/forget", data={"user": person}).status_code == 303
    assert server.ask("GET", f"/c/{thread}").status_code == 404
    assert server.ask("POST", "/page/forget", data={"user": person}).status_code == 303  # nothing was kept


def test_a_new_visitor_stays_the_same_one(server: Served) -> None:
    with httpx2.Client(base_url=server.url) as browser:
        ids = {re.search(r'name="user" value="(guest-\w+)"', browser.get("/").text)[1] for _ in range(2)}  # type: ignore[index]
        assert len(ids) == 1
        browser.post("/page/person", data={"user": "p002"})
        assert 'name="user" value="p002"' in browser.get("/").text


def test_both_voices_are_told_side_by_side(told: Served) -> None:
    page = told.ask("GET", "/c/told/voices/1").text
    answer = told.ask("GET", "/v1/threads/told").json()["turns"][0]["answer"]
    middle = html.unescape(page.split("Both together</h3>")[1].split("</ol>")[0])
    assert [r["title"] in middle for r in answer["recommendations"]] == [True] * 10
    assert len(re.findall("<li[ >]", page)) == 30
    assert 'class="badge both"' in page
    assert told.ask("GET", "/c/told/voices/7").status_code == 404


def test_titles_are_offered_a_few_at_a_time(server: Served) -> None:
    assert "Alien" in server.ask("GET", "/page/titles?title=alie").text
    assert server.ask("GET", "/page/titles?title=e").text.count("<option") == 8
    assert server.ask("GET", "/page/titles?title=").text.strip() == ""
    assert "p013" in server.ask("GET", "/page/people?user=p01").text


def test_texts_of_items_are_shown_and_never_obeyed(hostile: Served) -> None:
    page = hostile.ask("GET", said(hostile, "a robbery", "harm", "u1").headers["location"]).text
    assert escape(TITLE) in page
    assert escape(GENRE) in page
    for text in (page, *(hostile.ask("GET", path).text for path in ("/page/titles?title=script", "/c/harm/voices/1"))):
        assert RUNS not in text
        assert "script&gt;" in text
        tags = Tags(text)
        assert all(tag != "script" or attributes["src"] for tag, attributes in tags.found)
        assert not [name for _, attributes in tags.found for name in attributes if name.startswith("on")]
    assert "javascript:" not in page
    assert 'rel="noopener noreferrer"' in page
    assert 'loading="lazy"' in page


def test_what_people_say_is_never_obeyed_either(server: Served) -> None:
    page = server.ask("GET", said(server, f"{RUNS} a western", uuid4().hex).headers["location"]).text
    assert RUNS not in page
    assert "&lt;script&gt;window.ran" in page


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", " JAVASCRIPT:x", "data:text/html,x", "//x.invalid/", "/etc", "http://[", ""]
)
def test_only_the_web_is_linked(address: str) -> None:
    assert web(address) is None
    assert web("https://films.invalid/1?a=b") == "https://films.invalid/1?a=b"


def test_no_line_break_in_a_text_can_forge_an_event() -> None:
    lines = re.split("\r\n|\r|\n", _sent("reason", "one\revent: turn\n\ndata: two\u2028three"))
    assert lines[0] == "event: reason"
    assert all(line.startswith("data: ") for line in lines[1:-2])


def test_a_turn_that_is_gone_says_so_once_and_is_not_asked_for_again(server: Served) -> None:
    reply = server.ask("GET", "/page/plays/none")
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.startswith("event: turn\n")
    assert "runs no more" in reply.text


def test_what_cannot_be_said_is_told_on_the_page(server: Served) -> None:
    for htmx, status in (("true", 200), ("false", 422)):
        reply = said(server, "w" * 5_000, "long", headers={"HX-Request": htmx})
        assert reply.status_code == status
        assert "the most is 4,000" in reply.text
    assert said(server, "hello", "bad%20name").status_code == 404
    wrong = server.ask("POST", "/page/opinion", data={"title": "no such film", "kind": "liked"}, headers={"HX-Request": "true"})
    assert wrong.status_code == 422
    assert "no such item" in wrong.text


def test_a_turn_that_nobody_watches_is_stopped(settings: Settings, tmp_path: Path) -> None:
    with (
        Loopback(taking_its_time(2)) as model,
        serving(settings, "--workers", "0", data=tmp_path, grace_seconds="0.3", **speaking(model)) as own,
    ):
        said(own, "a western", "left", headers={"HX-Request": "true"})
        assert own.settled("duetto_turns_in_flight", 1)
        assert own.settled("duetto_turns_in_flight", 0)
        assert own.metric('duetto_turns_total{intent="",outcome="Stopped"}') == 1
        assert "given up" in own.ask("GET", "/c/left").text


def test_a_turn_that_failed_is_shown_until_the_next_one_of_its_conversation() -> None:
    async def played() -> tuple[list[Play], list[Play], list[Play]]:
        live, first, second = Live(), Play(Asked("one")), Play(Asked("one"))
        live.add(first, grace=60)
        first.end(TooLong("it took too long"))
        await asyncio.sleep(2 * LOOKS)
        then = live.of("one")
        live.add(second, grace=60)
        now = live.of("one")
        second.end()
        return then, now, live.of("one")

    then, now, after = asyncio.run(played())
    assert [play.asked.thread for play in then] == ["one"]
    assert len(now) == 1
    assert now[0] is not then[0]
    assert after == []


def test_a_page_of_twenty_turns_is_there_at_once(server: Served) -> None:
    thread = uuid4().hex
    for n in range(20):
        server.turn(f"something dark, number {n}", user="p003", thread=thread)
    took = []
    for _ in range(3):
        started = time.perf_counter()
        assert server.ask("GET", f"/c/{thread}").text.count('<article class="turn"') == 20
        took.append(time.perf_counter() - started)
    assert min(took) < 0.5  # 0.07 s where nothing else runs


@pytest.fixture(scope="module")
def keyed(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    """A server with keys, and the keys by person."""
    folder = tmp_path_factory.mktemp("keyed")
    keys = {person: new_key(folder / "keys.json", person, 1000) for person in ("p001", "p002", "*")}
    with serving(settings, "--workers", "0", "--keys", str(folder / "keys.json"), data=folder) as served:
        yield served, keys


def test_with_keys_the_page_asks_for_one(keyed: tuple[Served, dict[str, str]]) -> None:
    server, _ = keyed
    for path in ("/", "/you", "/c/any", "/page/titles?title=a"):
        reply = server.ask("GET", path)
        assert reply.status_code == 401
        assert 'name="key"' in reply.text
    wrong = server.ask("POST", "/page/sign-in", data={"key": "duetto-wrong"})
    assert wrong.status_code == 401
    assert "none of the keys" in wrong.text
    assert "set-cookie" not in wrong.headers


def test_a_key_is_kept_in_a_cookie_that_no_script_reads(keyed: tuple[Served, dict[str, str]]) -> None:
    server, keys = keyed
    with httpx2.Client(base_url=server.url) as browser:
        reply = browser.post("/page/sign-in", data={"key": keys["p001"]})
        assert reply.status_code == 303
        cookie = reply.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        page = browser.get("/").text
        assert 'name="user" value="p001"' in page
        assert "Be somebody" not in page
        browser.post("/page/sign-out")
        assert browser.get("/").status_code == 401


def test_a_key_for_everybody_may_choose_whom_to_be(keyed: tuple[Served, dict[str, str]]) -> None:
    server, keys = keyed
    assert "Be somebody of the log" in server.ask("GET", "/", keys["*"]).text


def test_of_a_conversation_that_somebody_else_begins_at_the_same_time_nothing_is_shown(
    settings: Settings, tmp_path: Path
) -> None:
    keys = {person: new_key(tmp_path / "keys.json", person, 1000) for person in ("p001", "p002")}
    with (
        Loopback(taking_its_time(1)) as model,
        serving(settings, "--workers", "0", "--keys", str(tmp_path / "keys.json"), data=tmp_path, **speaking(model)) as own,
    ):
        said(own, "a western", "same", key=keys["p001"], headers={"HX-Request": "true"})
        said(own, "a comedy", "same", "p002", key=keys["p002"], headers={"HX-Request": "true"})
        watched = said(own, "and shorter", "same", key=keys["p001"])
        assert watched.status_code == 303
        page = own.ask("GET", "/c/same", keys["p002"]).text
        assert "There is no such conversation." in page
        assert "western" not in page


def test_what_is_somebody_elses_is_not_there(keyed: tuple[Served, dict[str, str]]) -> None:
    server, keys = keyed
    reply = said(server, WISH, "mine", key=keys["p001"])
    run_id = reply.headers["location"].partition("#turn-")[2]
    other = keys["p002"]
    for path in ("/c/mine", "/c/mine/voices/1", "/you?user=p001", "/page/sessions?user=p001", "/page/people?user=p"):
        assert server.ask("GET", path, other).status_code == 404, path
    assert said(server, "mine too", "mine", "p002", key=other).status_code == 404
    assert said(server, "as you", "mine2", "p001", key=other).status_code == 404
    assert "runs no more" in server.ask("GET", f"/page/plays/{run_id}", other).text
    for path, about in (("opinion", {"item_id": "1", "kind": "liked"}), ("limit", {"said": "x"}), ("forget", {})):
        assert server.ask("POST", f"/page/{path}", other, data={"user": "p001", **about}).status_code == 404, path
    assert server.ask("GET", "/c/mine", keys["p001"]).status_code == 200
