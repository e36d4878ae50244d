"""Twenty visitors at once: time to the first token of a reply on the chatbot's page.

    python -m benchmarks.page_load --run runs/chatbot/champion

Browsers and server share the machine's cores. Each visitor is a context of one chromium and sends a
message every ten seconds for two minutes. The clock runs inside the page, from the key that sends
the message until the reply's first text stands there.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.record import record
from core.progress import progress

ROOT = Path(__file__).parents[1]
NAME = "page_load"
# As in the Makefile.
PRELOAD = ",".join(
    f"apps.{name}"
    for name in (
        "chatbot.answers",
        "stock_forecast.as_of",
        "stock_forecast.plots",
        "gradient_lab.live",
    )
)
VISITORS = 20
EVERY = 10.0  # seconds between two messages of a visitor
LASTS = 120.0  # seconds
NEW_AFTER = 4  # messages after which a visitor begins a new conversation
BOUND = 2.0  # seconds, of the 95 % quantile
MESSAGES = (
    "where is my laptop? my order number is A-7522119",
    "how do I return my tent, it is too small, order SO89873736",
    "do you ship a backpack to Norway",
    "I want to cancel order A-1234567",
    "my parcel is late, order A-7654321",
)
WATCH = """
() => {
  window.took = []; window.failed = 0;
  const count = () => document.querySelectorAll('[data-testid="stChatMessage"]').length;
  const last = () => [...document.querySelectorAll('[data-testid="stChatMessage"]')].at(-1);
  let asked = null, before = 0;
  document.addEventListener('keydown', event => {
    if (event.key === 'Enter') { asked = performance.now(); before = count(); }
  }, true);
  const look = () => {
    if (document.querySelector('[data-testid="stException"]')) window.failed += 1;
    if (asked === null || count() < before + 2) return;
    const text = last().querySelector('[data-testid="stText"]');
    if (text && text.textContent.trim()) {
      window.took.push(performance.now() - asked);
      asked = null;
    }
  };
  new MutationObserver(look).observe(document.body,
    {subtree: true, childList: true, characterData: true});
}
"""


def main() -> None:
    """Serve, visit, measure, record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("runs/chatbot/champion"))
    parser.add_argument("--visitors", type=int, default=VISITORS)
    parser.add_argument("--seconds", type=float, default=LASTS)
    given = parser.parse_args()
    if not (given.run / "manifest.json").exists():
        parser.error(f"{given.run}: no run there; train one first, or give --run")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "runs" / "chatbot"
        shutil.copytree(given.run.resolve(), place / "measured")
        server, site = serve(Path(folder))
        try:
            row = measure(f"{site}/chatbot", given.visitors, given.seconds)
        finally:
            server.terminate()
            server.wait(20)
    for name, value in row.items():
        print(f"{name:<22}{value}")
    record(NAME, [row])


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start the demo, as `make demo` does, with the runs of a folder; gives its address too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [str(ROOT / "apps" / "home.py"), f"--port={port}", f"--preload={PRELOAD}"]
    server = subprocess.Popen(
        [sys.executable, "-m", "core.demo", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    url = f"http://localhost:{port}"
    while True:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health").close()
        except OSError:
            if server.poll() is not None:
                raise SystemExit("the server did not start") from None
            time.sleep(0.2)
        else:
            return server, url


def measure(url: str, visitors: int, lasts: float) -> dict[str, float | int | str]:
    """Let the visitors talk; gives times in seconds and counts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        opened, pages = [], []
        for _ in range(visitors):
            started = time.perf_counter()
            page = browser.new_context(locale="en-US").new_page()
            page.goto(url)
            page.get_by_test_id("stChatInputTextArea").wait_for(timeout=60_000)
            opened.append(time.perf_counter() - started)
            page.evaluate(WATCH)
            pages.append(page)
        sent = talk(pages, lasts)
        time.sleep(EVERY)
        took = np.array([t for page in pages for t in page.evaluate("window.took")]) / 1000
        failed = sum(page.evaluate("window.failed") for page in pages)
        browser.close()
    p50, p95 = np.quantile(took, [0.5, 0.95]).round(3).tolist()
    return {
        "visitors": visitors,
        "messages": sent,
        "replies": len(took),
        "errors": failed + sent - len(took),
        "first_token_p50": p50,
        "first_token_p95": p95,
        "first_token_max": round(float(took.max()), 3),
        "bound_p95": BOUND,
        "opened_p50": round(float(np.median(opened)), 2),
        "opened_max": round(max(opened), 2),
    }


def talk(pages: list[Page], lasts: float) -> int:
    """Send each visitor's message every EVERY seconds, one visitor after the other."""
    started, sent = time.perf_counter(), 0
    rounds = round(lasts / EVERY)
    with progress("messages", rounds * len(pages)) as advance:
        for turn in range(rounds):
            for number, page in enumerate(pages):
                due = started + EVERY * (turn + number / len(pages))
                time.sleep(max(0.0, due - time.perf_counter()))
                if turn and turn % NEW_AFTER == 0:
                    page.get_by_role("button", name="New conversation").first.click()
                    page.get_by_test_id("stChatMessage").first.wait_for(state="detached")
                page.get_by_test_id("stChatInputTextArea").fill(MESSAGES[turn % len(MESSAGES)])
                page.keyboard.press("Enter")
                sent += 1
                advance(1)
    return sent


if __name__ == "__main__":
    main()
