"""Small data and runs that several tests read."""

import json
import random
import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_limits

from core.cli import call, run
from core.files import file_hash
from core.runs import write_manifest

TINY_CHAT = [
    "--text.vocab_size=400",
    "--text.batch_size=16",
    "--model.hidden_size=24",
    "--model.embedding_size=24",
    "--trainer.max_epochs=2",
    "--trainer.checkpoint_steps=4",
    "--trainer.progress=false",
    "--decoding.beam_size=2",
]
TINY_PRICES = [
    "--windows.context_length=20",
    "--windows.horizons=[1,5]",
    "--model.hidden_size=8",
    "--trainer.max_epochs=1",
    "--trainer.progress=false",
]
SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items):
    """Slow tests come last."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def one_blas_thread():
    """NumPy and SciPy sum as they do in a worker: a GARCH fit shows the difference."""
    import scipy.linalg  # loads what is limited

    with threadpool_limits(1):
        yield scipy.linalg


@pytest.fixture(autouse=True)
def own_main():
    """Streamlit puts a page in the place of `__main__`, where a new process would look for it."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


def rewrite(run: Path, name: str, change: Callable[[str], str]) -> None:
    """Change a file of a run as if it had been trained so."""
    path = run / name
    path.write_text(change(path.read_text()))
    told = json.loads((run / "manifest.json").read_text())
    told["files"][name] = file_hash(path)
    write_manifest(run, told)


def hand_nothing_over(run: Path) -> None:
    """Let a chatbot give every reply, however unsure it is."""
    threshold = re.compile(r'"threshold": [^,}]*')
    rewrite(
        run,
        "preprocessor/confidence.json",
        lambda text: threshold.sub('"threshold": -1', text),
    )


def write_dialogues(path: Path, count: int = 60, seed: int = 0, item: str = "order") -> Path:
    """Two-turn and four-turn dialogues with order numbers."""
    generator = random.Random(seed)
    lines = []
    for number in range(count):
        product = generator.choice(["kettle", "phone", "lamp", "chair"])
        order = f"402-{generator.randrange(10**6, 10**7)}-{generator.randrange(10**6, 10**7)}"
        turns = [
            ("user", f"where is my {product}, {item} {order}"),
            ("agent", f"your {product} from {item} {order} is on its way"),
        ]
        if generator.random() < 0.5:
            turns += [("user", "thank you"), ("agent", "you are welcome")]
        said = [{"speaker": speaker, "text": text} for speaker, text in turns]
        lines.append(json.dumps({"dialogue_id": f"{item}-{seed}-{number}", "turns": said}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_prices(path: Path, tickers: str = "AB", days: int = 400, seed: int = 0) -> Path:
    """Random walks in the long form."""
    generator = np.random.default_rng(seed)
    frames = []
    for ticker in tickers:
        close = 50 * np.exp(np.cumsum(0.01 * generator.standard_normal(days)))
        frames.append(
            pd.DataFrame(
                {
                    "Ticker": ticker,
                    "Date": pd.bdate_range("2015-01-05", periods=days).strftime("%Y-%m-%d"),
                    "Open": close * 0.999,
                    "High": close * 1.01,
                    "Low": close * 0.99,
                    "Close": close,
                    "Adj Close": close,
                    "Volume": generator.integers(1000, 2000, days),
                }
            )
        )
    pd.concat(frames).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def chat(tmp_path_factory):
    """A tiny chatbot: `data` and `run`."""
    from apps.chatbot.train import train

    folder = tmp_path_factory.mktemp("chat")
    data = write_dialogues(folder / "dialogues.jsonl")
    call(train, ["--data", str(data), "--run", str(folder / "runs" / "first"), *TINY_CHAT], "train")
    return SimpleNamespace(data=data, run=folder / "runs" / "first")


@pytest.fixture(scope="session")
def stocks(tmp_path_factory):
    """A tiny forecaster: `data` and `run`."""
    from apps.stock_forecast.train import train

    folder = tmp_path_factory.mktemp("stocks")
    data = write_prices(folder / "prices.csv")
    words = ["--data", str(data), "--run", str(folder / "runs" / "first"), *TINY_PRICES]
    call(train, words, "train")
    return SimpleNamespace(data=data, run=folder / "runs" / "first")


@pytest.fixture
def command(capfd) -> Callable[..., SimpleNamespace]:
    """Call a console script in this process: `code`, `out`, `err`."""

    def call_script(name: str, *words: object) -> SimpleNamespace:
        verbs = import_module(f"apps.{name.replace('-', '_')}.__main__").VERBS
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(name, "", verbs, [str(word) for word in words])
        captured = capfd.readouterr()
        return SimpleNamespace(code=ended.value.code, out=captured.out, err=captured.err)

    return call_script
