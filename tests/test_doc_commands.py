"""Every command of the documentation runs, small, beside tiny runs of each app."""

import io
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pandas as pd
import pytest

from apps.gradient_lab.show import TOPICS
from core.champions import promote, promote_first
from tests.conftest import TINY_CHAT, TINY_PRICES, write_dialogues, write_prices
from tests.data.test_yahoo_news import story
from tests.data.test_yahoo_news import yahoo as yahoo_of_news  # noqa: F401
from tests.data.test_yahoo_remote import yahoo as yahoo_of_prices  # noqa: F401

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "apps").glob("*/README.md"))]
PAGES += sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
APPS = {
    "chatbot": "apps.chatbot",
    "stock-forecast": "apps.stock_forecast",
    "gradient-lab": "apps.gradient_lab",
}
CHAT, PRICES = shlex.join(TINY_CHAT), shlex.join(TINY_PRICES)
FEW = f"{CHAT} --seeds 1 --data conversations.jsonl"
LAB = "--seeds 1 --max_steps 100"
# What makes a command small, by its start, the longest that fits: sizes, which are put behind its
# words, and lists, where it has none of its own. A list of the documentation runs as it stands.
RULES = {
    "chatbot train": (CHAT, ""),
    "chatbot compare": (FEW, "--candidates rules,lstm_attention"),
    "chatbot compare --data conversations.jsonl --cpu_minutes": (
        f"{FEW} --cpu_minutes .05",
        "--candidates rules,lstm_attention",
    ),
    "stock-forecast train": (PRICES, ""),
    "stock-forecast backtest": (f"{PRICES} --refit 60", ""),
    "stock-forecast compare": (
        f"{PRICES} --seeds 1 --contexts 20 --data prices.csv",
        "--candidates random_walk,rnn",
    ),
    "gradient-lab memory": (f"{LAB} --lengths 10", "--cells rnn"),
    "gradient-lab ablate": (f"{LAB} --length 10", "--remedies clip_norm"),
    "gradient-lab gradients": ("--seeds 1 --length 10 --hidden_size 8 --steps 100", "--cells rnn"),
}
# What cannot run here, by the start of the command, and why.
LEFT_OUT = {
    "make ": "the tests would run themselves; each app's verbs run here one by one",
    "podman ": "tests/test_deploy.py reads the Containerfile; an image takes minutes and a network",
    "torchrun ": "it needs four hosts; tests/apps/test_distributed.py starts two",
    "chatbot train --data corpus/": "eight processes; tests/apps/test_distributed.py starts two",
    "new-app ": "it changes the repository; tests/test_new_app.py runs it in copies of it",
    "python -m apps.": "new-app makes it; tests/test_new_app.py and test_examples.py run its verbs",
    "../demand/": "the same, in a repository of its own",
    "git apply ": "tests/test_examples.py applies it to a copy",
    "gradient-lab show": "minutes; tests/apps/gradient_lab/test_show.py makes small ones",
    "gradient-lab report": "tests/apps/gradient_lab/test_lab_report.py makes a small one",
}
ORDER = ("train", "evaluate", "export", "retrain", "rollback")  # all others come last


def commands_of(text: str) -> list[str]:
    """The lines of every bash block without comments, continued lines joined."""
    lines = []
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            lines.append(re.sub(r"(^|\s+)#\s.*$", "", line).strip())
    return [line for line in lines if line]


def in_order(command: str) -> int:
    """Runs are trained before they are used, and exported before they are served."""
    verb = command.split()[1]
    return ORDER.index(verb) if verb in ORDER else len(ORDER)


FOUND = dict.fromkeys(line for page in PAGES for line in commands_of(page.read_text("utf-8")))
COMMANDS = sorted((line for line in FOUND if not line.startswith(tuple(LEFT_OUT))), key=in_order)


def runs(folder: Path, app: str, made: Path) -> None:
    """The runs that the documentation speaks of, and a champion that has two before it."""
    for name in ("mine", "prices"):
        shutil.copytree(made, folder / "runs" / name)
    for home in (folder / "runs", folder / "runs" / app):
        first, second, third = (home / f"2026110{day}-lstm" for day in (1, 2, 3))
        for run in (first, second, third):
            shutil.copytree(made, run)
        promote_first(first, app)
        promote(second, app, "better", {}, first.name)
        promote(third, app, "better", {}, second.name)


def chatbot_folder(folder: Path, made: Path) -> None:
    write_dialogues(folder / "conversations.jsonl")
    write_dialogues(folder / "newer.jsonl", seed=1)
    (folder / "inbox").mkdir()
    write_dialogues(folder / "inbox" / "new.jsonl", seed=2)
    (folder / "messages.txt").write_text("where is my lamp\nthank you\n")
    rows = [(f"where is my lamp number {i}", f"lamp {i} is on its way") for i in range(60)]
    pd.DataFrame(rows, columns=["instruction", "response"]).to_csv(folder / "table.csv")
    runs(folder, "chatbot", made)


def stock_folder(folder: Path, made: Path) -> None:
    everything = pd.read_csv(write_prices(folder / "newer.csv", ["AAPL", "MSFT"], days=500))
    older = everything[everything["Date"] < sorted(everything["Date"].unique())[400]]
    older.to_csv(folder / "prices.csv", index=False)
    write_prices(folder / "other.csv", ["IBM"], seed=1)
    (folder / "news.jsonl").write_text(
        '{"ticker": "AAPL", "published_at": "2015-03-09T20:59:00Z", "text": "a good year"}\n'
    )
    runs(folder, "stock_forecast", made)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, chat):
    """A working directory for each app, with what its commands read."""
    from apps.stock_forecast.train import train
    from core.cli import call

    made = {name: tmp_path_factory.mktemp(name) for name in (*APPS, "bash")}
    chatbot_folder(made["chatbot"], chat.run)
    first = tmp_path_factory.mktemp("first")
    prices = write_prices(first / "prices.csv", ["AAPL", "MSFT"])
    words = ["--data", str(prices), "--run", str(first / "run"), *TINY_PRICES]
    call(train, words, "train")
    stock_folder(made["stock-forecast"], first / "run")
    for folder in made.values():
        (folder / "apps").symlink_to(ROOT / "apps")
        (folder / ".venv").symlink_to(Path(sys.prefix))
    return made


def made_small(command: str) -> list[str]:
    """The words of a command with those of its rule behind them."""
    words = shlex.split(command)
    fitting = [start for start in RULES if command.startswith(start)]
    sizes, lists = RULES[max(fitting, key=len)] if fitting else ("", "")
    more = shlex.split(lists)
    return [*words, *shlex.split(sizes), *(more if more and more[0] not in words else [])]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(address: str, server: subprocess.Popen) -> bool:
    """Wait until a server says that it is well."""
    for _ in range(240):
        if server.poll() is not None:
            return False
        try:
            with urlopen(address, timeout=5) as reply:
                return reply.status == 200
        except (URLError, OSError):
            time.sleep(0.25)
    return False


def serve(module: str, words: list[str], folder: Path, root: Path = ROOT) -> None:
    """Start a server, ask whether it is well, stop it."""
    port = free_port()
    place = "health" if words[0] == "serve" else "_stcore/health"
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", module, *words, "--port", str(port)]
    log = folder / f"{port}.log"
    with log.open("w") as out:
        server = subprocess.Popen(line, cwd=folder, env=environment, stdout=out, stderr=out)
        try:
            well = answers(f"http://127.0.0.1:{port}/{place}", server)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    assert well, log.read_text()


@pytest.fixture
def yahoo(request, monkeypatch, tmp_path):
    """The stand-ins for Yahoo, with prices up to today and a story."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    days = pd.bdate_range("2015-01-05", pd.Timestamp.today().normalize())
    for ticker in ("AAPL", "MSFT"):
        request.getfixturevalue("yahoo_of_prices").add(ticker, days)
        request.getfixturevalue("yahoo_of_news").stories[ticker] = [story(1)]


@pytest.mark.slow
@pytest.mark.parametrize("command_line", COMMANDS)
def test_the_command_runs(command_line, folders, command, monkeypatch, request):
    words = made_small(command_line)
    if "yahoo:" in command_line:
        request.getfixturevalue("yahoo")
    folder = folders.get(words[0], folders["bash"])
    if words[0] not in APPS:
        subprocess.run(["bash", "-euc", command_line], cwd=folder, check=True)
    elif words[1] in ("demo", "serve"):
        serve(APPS[words[0]], words[1:], folder)
    else:
        monkeypatch.chdir(folder)
        monkeypatch.setattr("sys.stdin", io.StringIO("where is my lamp\n"))
        if words[1] in ("train", "backtest", "compare") and "--run" in words:
            shutil.rmtree(words[words.index("--run") + 1], ignore_errors=True)
        done = command(*words)
        assert done.code == 0, done.err


def test_no_command_is_left_out_for_nothing():
    for start in LEFT_OUT:
        assert any(line.startswith(start) for line in FOUND), f"nothing begins with {start!r}"
    for start in RULES:
        assert any(line.startswith(start) for line in COMMANDS), f"nothing begins with {start!r}"


def test_every_topic_that_is_shown_is_there():
    shown = {line.split()[2] for line in FOUND if line.startswith("gradient-lab show")}
    assert shown == {*TOPICS} | shown & {"all"}


def test_no_bash_block_is_empty_or_left_open():
    for page in PAGES:
        fences = re.findall(r"^```.*", page.read_text("utf-8"), re.M)
        assert len(fences) % 2 == 0, page
        assert "```bash\n```" not in page.read_text("utf-8"), page


def test_commands_are_read_without_comments_and_continued_lines_are_one():
    text = "```bash\n# a\na b  # c\n\nd \\\n    e '#f'\n```\n\n```\nnot this\n```\n"
    assert commands_of(text) == ["a b", "d e '#f'"]
