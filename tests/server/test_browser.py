"""The page in headless Chromium: what people do with it, with a mouse, by keyboard and on a phone."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from duetto.settings import Settings
from tests.loopback import Loopback
from tests.server.page_parts import CHROMIUM, TITLE, WISH, chromium, hostile_index, said, taking_its_time
from tests.serving import Served, serving, speaking

pytest.importorskip("playwright", reason="needs the extra `browser`")
pytest.importorskip("axe_playwright_python", reason="needs the extra `browser`")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs Chromium as {CHROMIUM}")

from axe_playwright_python.sync_playwright import Axe  # noqa: E402
from playwright.sync_api import Browser, BrowserContext, Page, expect  # noqa: E402

HERE = ("--workers", "0")  # no process of its own for turns: it starts sooner
WIDE: Any = {"width": 1280, "height": 900}
PHONE: Any = {"width": 360, "height": 740}
ENDED = ".turn:last-child .cost"
NAME = "(e => e === document.body ? '' : e.getAttribute('aria-label') || e.innerText || '')(document.activeElement)"
DRAWN = "[document.documentElement.scrollWidth, window.innerWidth]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport=WIDE) as opened:
        opened.set_default_timeout(15_000)
        yield opened


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of a browser that says nothing of errors, at the end, and asked nobody but the server."""
    opened, wrong, asked = context.new_page(), [], []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None)
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    assert wrong == []
    assert all(url.startswith(("http://127.0.0.1:", "data:", "https://x.invalid/")) for url in asked)


def be(page: Page, server: Served, person: str) -> None:
    page.goto(server.url)
    page.locator(".who summary").click()
    page.get_by_label("Be somebody of the log").fill(person)
    page.get_by_role("button", name="Be", exact=True).click()
    expect(page.locator(".who summary")).to_contain_text(person)


def say(page: Page, message: str) -> None:
    turns = page.locator(".turn").count()
    page.get_by_label("Say what you are in the mood for").fill(message)
    page.keyboard.press("Enter")
    expect(page.locator(".turn")).to_have_count(turns + 1)
    expect(page.locator(ENDED)).to_be_visible()


def titles(page: Page) -> list[str]:
    return page.locator(".turn:last-child .card h3").all_inner_texts()


def test_four_turns_with_an_opinion_and_a_limit_taken_off(server: Served, page: Page) -> None:
    be(page, server, "p001")
    say(page, WISH)
    assert len(titles(page)) == 10
    liked = titles(page)[1]
    card = page.locator(".turn:last-child .card").nth(1)
    card.get_by_role("button", name=re.compile("^Like:")).click()
    expect(card.get_by_text("Kept: you like it. It counts")).to_be_visible()
    expect(card.get_by_role("button", name=re.compile("^Like:"))).to_have_attribute("aria-pressed", "true")
    say(page, "nothing longer than 100 minutes")
    assert liked not in titles(page)
    limits = page.locator("#in-force .limit")
    expect(limits).to_have_text(["no horror", "nothing longer than 100 minutes"])
    limits.first.click()
    expect(page.locator(".turn")).to_have_count(3)
    expect(limits).to_have_text(["nothing longer than 100 minutes"])
    page.locator(".turn:last-child .card").first.get_by_role("button", name=re.compile("^Why ")).click()
    expect(page.locator(".turn")).to_have_count(4)
    expect(page.locator(".turn:last-child .line").first).to_contain_text("Its score: language")
    assert page.url.count("/c/") == 1


def test_the_ranking_is_there_before_the_reasons_and_a_reload_in_the_middle_loses_nothing(
    settings: Settings, tmp_path: Any, page: Page
) -> None:
    with Loopback(taking_its_time(2)) as model, serving(settings, *HERE, data=tmp_path, **speaking(model)) as own:
        be(page, own, "p001")
        page.get_by_label("Say what you are in the mood for").fill("a western")
        page.keyboard.press("Enter")
        expect(page.locator(".live .card")).to_have_count(10)
        assert page.locator(".live .reason.waits").count() > 0
        ranked = titles(page)
        page.reload()
        expect(page.locator(".live .card")).to_have_count(10)
        assert page.locator(".live .reason.waits").count() > 0
        expect(page.locator(".said")).to_have_text("a western")
        expect(page.locator(ENDED)).to_be_visible()
        assert titles(page) == ranked
        expect(page.locator(".reason.waits")).to_have_count(0)
        page.wait_for_timeout(1_000)  # a browser that asked again would have run it again by now
        assert own.metric("duetto_turns_total") == 1
        page.reload()
        assert titles(page) == ranked


def test_what_a_turn_failed_at_is_said_and_can_be_tried_again(settings: Settings, tmp_path: Any, page: Page) -> None:
    with (
        Loopback(taking_its_time(4)) as model,
        serving(settings, *HERE, data=tmp_path, served_seconds="1", **speaking(model)) as own,
    ):
        be(page, own, "p001")
        page.get_by_label("Say what you are in the mood for").fill("a western")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").filter(has_text="took longer than 1 seconds")).to_be_visible()
        page.get_by_role("button", name="Try again").click()
        expect(page.locator(".turn")).to_have_count(2)


def test_back_and_forward_lead_through_the_conversations(server: Served, page: Page) -> None:
    be(page, server, "p008")
    say(page, WISH)
    page.go_back()
    expect(page.get_by_role("heading", name="What are you in the mood for?")).to_be_visible()
    page.go_forward()
    expect(page.locator(".turn .card")).to_have_count(10)


def test_two_tabs_on_one_conversation_show_the_same(server: Served, context: BrowserContext, page: Page) -> None:
    be(page, server, "p002")
    say(page, WISH)
    other = context.new_page()
    other.goto(page.url)
    expect(other.locator(".turn")).to_have_count(1)
    other.get_by_label("Say what you are in the mood for").fill("half-typed")
    say(page, "nothing longer than 100 minutes")
    expect(other.locator(".turn")).to_have_count(2)
    expect(other.locator(ENDED)).to_be_visible()
    assert titles(other) == titles(page)
    expect(other.locator("#in-force .limit")).to_have_count(2)
    assert other.get_by_label("Say what you are in the mood for").input_value() == "half-typed"
    say(other, "undo")
    expect(page.locator(".turn")).to_have_count(3)


def test_a_script_in_a_title_does_not_run(settings: Settings, tmp_path: Any, page: Page) -> None:
    with serving(settings, *HERE, data=tmp_path, index=str(hostile_index(tmp_path, settings))) as own:
        be(page, own, "u1")
        say(page, "a robbery <script>window.ran = 1</script>")
        expect(page.get_by_role("heading", name=TITLE, exact=False)).to_be_visible()
        card = page.locator(".card", has_text="Heat")
        card.get_by_role("button", name=re.compile("^Like:")).click()
        expect(card.get_by_text("Kept: you like it. It counts")).to_be_visible()
        card.locator(".more summary").click()
        page.locator(".whynot summary").click()
        page.get_by_label("A title you miss in this list").press_sequentially("scri")
        expect(page.locator("#titles option")).to_have_count(1)
        page.get_by_role("link", name="Two voices, side by side").click()
        expect(page.locator("dialog[open]")).to_be_visible()
        page.keyboard.press("Escape")
        card.get_by_role("button", name=re.compile("^Why ")).click()
        expect(page.locator(".turn")).to_have_count(2)
        expect(page.locator(ENDED)).to_be_visible()
        assert page.evaluate("window.ran") is None
        assert page.locator("main script, aside script, .card svg[onload]").count() == 0
        page.reload()
        assert page.evaluate("window.ran") is None
        assert own.ask("GET", "/v1/profile?user=u1").json()["opinions"][0]["kind"] == "liked"


def test_a_title_that_is_missed_can_be_asked_for(server: Served, page: Page) -> None:
    be(page, server, "p004")
    say(page, WISH)
    page.locator(".whynot summary").click()
    box = page.get_by_label("A title you miss in this list")
    box.press_sequentially("the thi")
    expect(page.locator('#titles option[value="The Thing"]')).to_be_attached()
    box.fill("The Thing")
    box.press("Enter")
    expect(page.locator(".turn:last-child .said")).to_have_text('why not "The Thing"?')
    expect(page.locator(".turn:last-child .line").first).to_contain_text("The Thing")


def test_what_is_known_of_a_person_can_be_changed(server: Served, page: Page) -> None:
    be(page, server, "p005")
    side = page.get_by_role("complementary")
    expect(side.locator(".tastes li").first).to_be_visible()
    side.get_by_label("Title of an item that you have an opinion of").fill("Alien")
    side.get_by_label("Your opinion of it").select_option("disliked")
    side.get_by_role("button", name="Keep").click()
    side.get_by_role("button", name="Drop what is kept of Alien").click()
    expect(side.get_by_role("button", name="Drop what is kept of Alien")).to_have_count(0)
    say(page, "I never watch horror. Something funny")
    expect(side.get_by_role("button", name=re.compile("for good$"))).to_be_visible()
    side.get_by_text("Your conversations").click()
    expect(side.locator(".talks a")).to_have_text(["I never watch horror. Something funny"])
    side.get_by_text("Forget me").click()
    side.get_by_role("button", name="Forget everything").click()
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.get_by_text("What you said")).to_be_visible()
    assert server.ask("GET", "/v1/profile?user=p005").json()["constraints"] == []


def reach(page: Page, name: str, most: int = 60) -> None:
    """By the Tab key alone."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if name in page.evaluate(NAME):
            return
    raise AssertionError(f"Tab does not reach {name!r}")


def test_tastes_can_be_changed_by_keyboard_and_the_next_ranking_shows_it(server: Served, page: Page) -> None:
    def press(key: str) -> None:
        """And waits until htmx minds what came."""
        with page.expect_response("**/page/taste"):
            page.keyboard.press(key)
        expect(page.locator("#panel.htmx-added, #panel .htmx-added, #panel.htmx-settling, #panel .htmx-request")).to_have_count(0)

    be(page, server, "p007")
    side = page.get_by_role("complementary")
    names = side.locator(".tastes .name")
    first, second = names.all_inner_texts()[:2]
    say(page, "something clever")
    assert "Seven Samurai 1954" not in titles(page)
    reach(page, f"less: {second}", 200)
    page.locator("#panel").evaluate("panel => panel.dataset.was = 'here'")
    press("Enter")
    expect(page.locator("#panel[data-was]")).to_have_count(0)
    assert f"less: {second}" in page.evaluate(NAME)  # the focus stays where it was
    expect(side.locator(".tastes li", has_text=second)).to_contain_text("set by you")
    page.keyboard.press("Shift+Tab")
    while f"remove: {first}" not in page.evaluate(NAME):
        page.keyboard.press("Shift+Tab")
    press("Enter")
    expect(side.get_by_role("button", name=f"{first}: put back")).to_be_visible()
    expect(names.filter(has_text=first)).to_have_count(0)
    reach(page, "A taste of yours")
    page.keyboard.type(" ")
    press("Enter")
    expect(side.get_by_role("alert")).to_have_text("Cannot keep a taste without words: say in a few words what you like.")
    page.keyboard.type("samurai swords")
    press("Enter")
    expect(names.filter(has_text="samurai swords")).to_be_visible()
    assert "A taste of yours" in page.evaluate(NAME)
    say(page, "something clever")
    assert "Seven Samurai 1954" in titles(page)
    expect(side.get_by_role("button", name=f"{first}: put back")).to_be_visible()  # the answer renewed the list
    page.locator(".turn:last-child .more summary").first.click()
    weighed = page.locator(".turn:last-child .weights").first
    expect(weighed).to_contain_text("samurai swords")
    assert first not in weighed.inner_text()


def test_everything_can_be_done_by_keyboard(server: Served, page: Page) -> None:
    page.goto(server.url)
    assert page.evaluate("document.activeElement.id") == "message"
    page.keyboard.type(WISH)
    page.keyboard.press("Enter")
    expect(page.locator(ENDED)).to_be_visible()
    assert page.evaluate("document.activeElement.className") == "turn"
    reach(page, "Like")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_text("Kept: you like it. It counts")).to_be_visible()
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    reach(page, "Steps and weights")
    page.keyboard.press("Enter")
    assert page.locator(".more[open]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator(".more[open]").count() == 0
    assert "Steps and weights" in page.evaluate(NAME)
    reach(page, "Two voices", 120)
    page.keyboard.press("Enter")
    expect(page.locator("dialog[open]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert "Two voices" in page.evaluate(NAME)
    reach(page, "Remove the limit no horror")
    page.keyboard.press("Enter")
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.locator("#in-force .limit")).to_have_count(0)
    page.keyboard.press("Shift+Tab")
    page.goto(server.url)
    page.keyboard.press("Shift+Tab")
    reach(page, "a new visitor")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Be somebody of the log")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Be somebody of the log")).to_be_hidden()


def test_a_phones_width_is_enough(server: Served, page: Page) -> None:
    page.set_viewport_size(PHONE)
    be(page, server, "p006")
    say(page, WISH)
    page.locator(".more summary").first.click()
    page.locator(".whynot summary").click()
    width, room = page.evaluate(DRAWN)
    assert width <= room == 360
    page.get_by_role("link", name="Two voices, side by side").click()
    expect(page.locator("dialog[open]")).to_be_visible()
    assert page.evaluate("document.querySelector('#voices').scrollWidth <= document.querySelector('#voices').clientWidth")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="You", exact=True).click()
    expect(page.get_by_role("heading", name="Your taste, as I see it")).to_be_visible()
    width, room = page.evaluate(DRAWN)
    assert width <= room == 360
    small = page.locator("button:visible, summary:visible").evaluate_all(
        "all => all.map(e => [e.innerText, e.getBoundingClientRect().height]).filter(([, height]) => height < 18)"
    )
    assert small == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(server: Served, browser: Browser, scheme: Any) -> None:
    def check(where: str) -> None:
        violations = Axe().run(opened).response["violations"]
        serious = [v for v in violations if v["impact"] in ("serious", "critical")]
        told = [(where, v["id"], [node["html"][:200] for node in v["nodes"][:3]]) for v in serious]
        assert told == []

    with browser.new_context(viewport=WIDE, color_scheme=scheme, reduced_motion="reduce") as context:
        context.set_default_timeout(10_000)
        opened = context.new_page()
        opened.goto(server.url)
        check("a new visitor's start")
        be(opened, server, "p001")
        check("the start")
        say(opened, "something dark and clever, but no horror, and I loved Alien")
        opened.locator(".card .more summary").first.click()
        opened.locator(".card").first.get_by_role("button", name="Seen:").click()
        expect(opened.get_by_text("Kept: you have seen it. It counts")).to_be_visible()
        opened.locator(".whynot summary").click()
        opened.locator(".sessions summary").click()
        expect(opened.locator(".talks a").first).to_be_visible()
        taste = opened.locator(".tastes .name").first.inner_text()
        opened.get_by_role("button", name=f"remove: {taste}").click()
        expect(opened.get_by_role("button", name=f"{taste}: put back")).to_be_visible()
        opened.get_by_label("A taste of yours").fill("samurai swords")
        opened.get_by_role("button", name="Add", exact=True).click()
        expect(opened.get_by_role("button", name="remove: samurai swords")).to_be_visible()
        check("a conversation")
        opened.get_by_role("link", name="Two voices, side by side").click()
        expect(opened.locator("dialog[open]")).to_be_visible()
        check("the two voices")
        opened.goto(f"{server.url}/you")
        check("the person")
        opened.goto(f"{server.url}/c/nowhere")
        check("what is not there")


def test_a_server_that_is_gone_is_said_so(settings: Settings, tmp_path: Any, page: Page) -> None:
    with serving(settings, *HERE, data=tmp_path) as own:
        be(page, own, "p001")
    page.get_by_label("Say what you are in the mood for").fill("hello?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()
    assert page.get_by_label("Say what you are in the mood for").input_value() == "hello?"


def test_without_scripts_the_page_still_answers(server: Served, browser: Browser) -> None:
    with browser.new_context(viewport=WIDE, java_script_enabled=False) as context:
        opened = context.new_page()
        opened.goto(server.url)
        opened.get_by_label("Say what you are in the mood for").fill(WISH)
        opened.keyboard.press("Enter")
        opened.wait_for_url("**/c/*")
        assert opened.locator(".card").count() == 10
        opened.get_by_role("button", name="Remove the limit no horror").click()
        opened.wait_for_url("**/c/*")
        expect(opened.locator(".turn")).to_have_count(2)


def test_signing_in_and_out(settings: Settings, tmp_path: Any, page: Page) -> None:
    from duetto.server.doors import new_key

    key = new_key(tmp_path / "keys.json", "p001", 1000)
    with serving(settings, *HERE, "--keys", str(tmp_path / "keys.json"), data=tmp_path) as own:
        page.goto(own.url)
        page.get_by_label("Your key").fill(key)
        page.keyboard.press("Enter")
        expect(page.locator(".who summary")).to_contain_text("p001")
        say(page, WISH)
        assert len(titles(page)) == 10
        assert key not in page.evaluate("document.cookie")
        page.locator(".who summary").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Your key")).to_be_visible()
        assert said(own, "hello", "t").status_code == 401
