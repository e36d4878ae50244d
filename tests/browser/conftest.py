"""A real server, a real browser."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from core import jobs
from core.cli import call
from tests.conftest import hand_nothing_over, rewrite

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PRELOAD = "apps.chatbot.answers,apps.stock_forecast.as_of,apps.gradient_lab.live"
HOME = ("core.demo", str(ROOT / "apps" / "home.py"), f"--preload={PRELOAD}")
STARTS = 90.0  # seconds that a server may take to start on a busy machine


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: `apt-get install chromium` runs this test")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Server:
    """The demo's server in a folder of its own."""

    def __init__(self, folder: Path, words: tuple[str, ...] = HOME):
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self.log = (folder / "server.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words, f"--port={self.port}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=self.log,
            stderr=self.log,
        )
        deadline = time.monotonic() + STARTS
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health") as answer:
                    assert answer.read() == b"ok"
                    return
            except OSError:
                assert time.monotonic() < deadline, (folder / "server.log").read_text()
                assert self.process.poll() is None, (folder / "server.log").read_text()
                time.sleep(0.2)

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        for job in (self.folder / "runs").glob("*/.job"):
            jobs.cancel(job)


@pytest.fixture
def serve(tmp_path):
    """Start a server in a folder that is empty or holds the runs that a test put there."""
    started = []

    def start(words: tuple[str, ...] = HOME) -> Server:
        started.append(Server(tmp_path / "site", words))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def site(chat, stocks, tmp_path_factory):
    """A server with a tiny run of each app, for tests that change none of them."""
    folder = tmp_path_factory.mktemp("site")
    put_run(folder, "chatbot", chat.run)
    put_run(folder, "stock_forecast", stocks.run)
    server = Server(folder)
    yield server
    server.close()


def put_run(folder: Path, app: str, run: Path) -> Path:
    """Copy a run where a server looks for it, as its champion."""
    place = folder / "runs" / app / "first"
    shutil.copytree(run, place)
    (place.parent / "champion").symlink_to("first")
    return place


@pytest.fixture
def visit(chromium):
    """Open pages; the test fails on an error of the page's, and on a request to elsewhere."""
    contexts, troubles = [], []

    def open_page(url: str, **options):
        options = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US", **options}
        context = chromium.new_context(**options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(f"script error: {error}"))
        page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: note_request(request.url))
        page.goto(url)
        return page

    def note_request(url: str):
        if not url.startswith(("http://localhost:", "ws://localhost:", "data:", "blob:")):
            troubles.append(f"asked for {url}")

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture(scope="session")
def slow_chat(tmp_path_factory):
    """A chatbot whose one long reply takes a second or two, so that it can be stopped."""
    from apps.chatbot.train import train

    folder = tmp_path_factory.mktemp("slow")
    reply = " ".join(f"and then word {number} of the long answer" for number in range(16))
    lines = [
        {
            "dialogue_id": str(number),
            "turns": [
                {"speaker": "user", "text": f"please tell me all about thing {number % 7}"},
                {"speaker": "agent", "text": reply},
            ],
        }
        for number in range(60)
    ]
    data = folder / "dialogues.jsonl"
    data.write_text("\n".join(map(json.dumps, lines)) + "\n")
    words = ["--text.vocab_size=400", "--text.batch_size=8", "--model.hidden_size=768"]
    words += ["--model.embedding_size=64", "--model.num_layers=2", "--trainer.max_epochs=8"]
    words += [
        "--decoding.no_repeat_ngram=0",
        "--decoding.max_length=30",
        "--trainer.progress=false",
        "--text.test_share=0.05",
    ]
    words += ["--text.validation_share=0.1", "--optim.warmup_steps=10"]
    run = folder / "run"
    call(train, [f"--data={data}", f"--run={run}", *words], "train")
    # Short replies while it is trained and judged, a very long one for the visitor.
    rewrite(run, "config.yaml", lambda text: text.replace("max_length: 30", "max_length: 400"))
    hand_nothing_over(run)  # what is sure of itself is shown as it is written
    return SimpleNamespace(data=data, run=run)
