"""Seconds from opening a page until it can be used, in a browser that never saw it before.

    python -m benchmarks.page_open --runs runs

A page can be used when its main part stands there: the place to write, the plot, the button. The
server runs already, as `make demo` leaves it once it has printed its address.
"""

import argparse
import shutil
import statistics
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.page_load import serve
from benchmarks.record import record

NAME = "page_open"
PARTS = {
    "": "[data-testid=stPageLink]",
    "chatbot": "[data-testid=stChatInputTextArea]",
    "stock": ".js-plotly-plot .main-svg",
    "gradients": "[data-testid=stBaseButton-primary]",
}
BOUND = 3.0  # seconds
TIMES = 5


def main() -> None:
    """Serve, open, measure, record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    given = parser.parse_args()
    for app in ("chatbot", "stock_forecast"):
        if not list((given.runs / app).glob("*/manifest.json")):
            parser.error(f"{given.runs / app}: no run there; `make run` trains one of each app")
    server, site = serve(given.runs.resolve().parent)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            rows = [measure(browser, site, page) for page in PARTS]
            browser.close()
    finally:
        server.terminate()
        server.wait(20)
    for row in rows:
        print(f"/{row['page']:<12}median {row['median']} s, most {row['most']} s, bound {BOUND} s")
    record(NAME, rows)


def measure(browser: Browser, site: str, page: str) -> dict[str, float | str]:
    """Open a page some times, each in a context that has nothing in its cache."""
    took = []
    for _ in range(TIMES):
        context = browser.new_context(locale="en-US")
        opened = context.new_page()
        started = time.perf_counter()
        opened.goto(f"{site}/{page}")
        opened.locator(PARTS[page]).first.wait_for(timeout=60_000)
        took.append(time.perf_counter() - started)
        context.close()
    return {
        "page": page,
        "median": round(statistics.median(took), 2),
        "most": round(max(took), 2),
        "bound": BOUND,
    }


if __name__ == "__main__":
    main()
