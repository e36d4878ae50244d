"""Pictures of every view in every look, of a server that runs: look at them.

python -m tests.browser.pictures http://localhost:8501
"""

import shutil
import sys
from collections.abc import Collection
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

FOLDER = Path(__file__).parents[2] / "runs" / "screenshots"
VIEWS = {  # the address, and the place of the view in the page's switch
    "home": ("", None),
    "chatbot": ("chatbot", 0),
    "chatbot-side": ("chatbot", 1),
    "chatbot-data": ("chatbot", 2),
    "stock": ("stock", 0),
    "stock-judged": ("stock", 1),
    "stock-data": ("stock", 2),
    "lab": ("gradients", 0),
    "lab-own": ("gradients", 1),
}
LOOKS = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "korean": {"locale": "ko-KR"},
    "phone": {"viewport": {"width": 400, "height": 800}},
    "wide": {"viewport": {"width": 1920, "height": 1080}},
}
QUESTION = "where is my laptop? my order number is A-7522119"
TALLEST = 4000  # pixels


def open_page(browser: Browser, url: str, look: str) -> Page:
    """A page as one visitor sees it."""
    options = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US", **LOOKS[look]}
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(60_000)
    page.goto(url)
    return page


def settle(page: Page) -> None:
    """Wait until the script has run and the plots are drawn."""
    page.locator("h1").wait_for()
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=60_000)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=60_000)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    page.wait_for_timeout(1_000)


def take(page: Page, name: str, folder: Path = FOLDER) -> Path:
    """Keep the whole page, below the fold too."""
    settle(page)
    size = page.viewport_size or {"width": 1280, "height": 900}
    tall = page.evaluate(
        "Math.max(...[...document.querySelectorAll('[data-testid=stMain],"
        " [data-testid=stAppScrollToBottomContainer]')].map(part => part.scrollHeight))"
    )
    page.set_viewport_size({**size, "height": min(TALLEST, max(size["height"], tall))})
    page.wait_for_timeout(500)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    page.screenshot(path=path)
    page.set_viewport_size(size)
    return path


def show(page: Page, name: str) -> None:
    """Choose a view and do there what its picture is to show."""
    place = VIEWS[name][1]
    if place:
        views = page.get_by_test_id("stMain").get_by_test_id("stButtonGroup").first
        views.get_by_role("button").or_(views.get_by_role("radio")).nth(place).click()
    if name == "chatbot":
        page.get_by_test_id("stChatInputTextArea").fill(QUESTION)
        page.keyboard.press("Enter")
        page.get_by_test_id("stFeedback").wait_for()
        page.get_by_test_id("stMain").get_by_test_id("stBaseButton-tertiary").click()
        page.get_by_test_id("stDialog").get_by_test_id("stDataFrame").wait_for()
    if name == "lab":
        page.get_by_test_id("stBaseButton-primary").click()
        page.get_by_test_id("stAlert").wait_for(timeout=150_000)


def take_all(
    browser: Browser, site: str, looks: Collection[str] = LOOKS, folder: Path = FOLDER
) -> list[Path]:
    """Each view in each of the looks."""
    kept = []
    for name, look in product(VIEWS, looks):
        page = open_page(browser, f"{site}/{VIEWS[name][0]}", look)
        settle(page)
        show(page, name)
        kept.append(take(page, f"{name}-{look}", folder))
        page.context.close()
    return kept


def main() -> None:
    """Take them and say where they are."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        print(*take_all(browser, sys.argv[1].rstrip("/")), sep="\n")
        browser.close()


if __name__ == "__main__":
    main()
