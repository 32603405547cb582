"""Draws the README's pictures of the page: python docs/screenshots.py http://127.0.0.1:8000 docs/img

The server is to be a fresh one over the sample (`DUETTO_DATA=$(mktemp -d) duetto serve --index sample`); Chromium is Debian's.
"""

import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

WISH = "something dark and clever, but no horror"


def say(page: Page, message: str) -> None:
    page.get_by_label("Say what you are in the mood for").fill(message)
    page.keyboard.press("Enter")
    page.locator(".said", has_text=message).last.wait_for()
    page.locator(".turn:last-child .cost").wait_for()


def draw(page: Page, file: Path) -> None:
    page.mouse.move(0, 0)
    page.screenshot(path=file)
    with Image.open(file) as drawn:
        drawn.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, optimize=True)


def main(url: str, folder: Path) -> None:
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path="/usr/bin/chromium", args=["--headless", "--no-sandbox", "--disable-gpu"])
        page = browser.new_context(
            viewport={"width": 1240, "height": 980}, device_scale_factor=1.5, reduced_motion="reduce"
        ).new_page()
        page.goto(url)
        page.locator(".who summary").click()
        page.get_by_label("Be somebody of the log").fill("p100")
        page.get_by_role("button", name="Be", exact=True).click()
        page.locator(".who summary", has_text="p100").wait_for()
        say(page, WISH)
        page.locator(".card").nth(1).get_by_role("button", name="Like:").nth(0).click()
        page.get_by_text("Kept: you like it. It counts").wait_for()
        page.locator(".card .more summary").first.click()
        draw(page, folder / "page.png")
        say(page, "nothing longer than two hours")
        page.get_by_role("link", name="Two voices, side by side").last.click()
        page.locator("dialog[open]").wait_for()
        draw(page, folder / "voices.png")
        address = page.url
        phone = browser.new_context(
            viewport={"width": 380, "height": 780}, device_scale_factor=1.5, color_scheme="dark"
        ).new_page()
        phone.goto(address)
        phone.locator(".card").first.wait_for()
        phone.locator(".turn").last.evaluate("turn => turn.scrollIntoView()")
        draw(phone, folder / "phone.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
