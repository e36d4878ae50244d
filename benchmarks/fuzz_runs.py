"""Run folders to be broken: one of each app, trained in seconds."""

import contextlib
import hashlib
import io
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from benchmarks.broken import (
    TEXTS,
    as_json,
    as_parquet,
    byte_changes,
    mostly,
    value_changes,
    with_bytes,
    with_values,
)
from benchmarks.fuzz_files import FOLDER, LINK, YAML_TOKENS, Files, Target, as_yaml
from core.cli import call
from core.runs import load_run, manifest_text
from data.dialogues import Turn

UNREAD = ("checkpoints", "logs")
MISSING = ""  # stands for a file that is not there
OUTSIDE = "outside.json"  # beside the run folder: no name in it may lead there
TINY = {
    "chatbot": [
        *("--text.vocab_size=350", "--text.batch_size=16", "--decoding.beam_size=2"),
        *("--model.hidden_size=8", "--model.embedding_size=8"),
    ],
    "stock_forecast": [
        *("--windows.context_length=20", "--windows.horizons=[1,5]", "--model.hidden_size=4"),
    ],
}
Broken = tuple[str, bytes | str]  # what comes in the place of a file


def trained(folder: Path) -> dict[str, Path]:
    """A tiny run of each app, by its name."""
    from apps.chatbot import train as chatbot
    from apps.stock_forecast import train as stock_forecast

    folder.mkdir(parents=True, exist_ok=True)
    _write_dialogues(folder / "dialogues.jsonl")
    _write_prices(folder / "prices.csv")
    data = {"chatbot": "dialogues.jsonl", "stock_forecast": "prices.csv"}
    commands = {"chatbot": chatbot.train, "stock_forecast": stock_forecast.train}
    with contextlib.redirect_stderr(io.StringIO()):
        for app, command in commands.items():
            words = ["--data", str(folder / data[app]), "--run", str(folder / app), *TINY[app]]
            call(command, [*words, "--trainer.max_epochs=1", "--trainer.progress=false"], "train")
    return {app: folder / app for app in commands}


def _write_dialogues(path: Path) -> None:
    draw = random.Random(0)
    lines = []
    for number in range(40):
        product = draw.choice(["kettle", "phone", "lamp", "chair"])
        said = [("user", f"where is my {product} {number}?"), ("agent", f"the {product} is near")]
        turns = [{"speaker": speaker, "text": text} for speaker, text in said]
        lines.append(json.dumps({"dialogue_id": str(number), "turns": turns}))
    path.write_text("\n".join(lines), encoding="utf-8")


def _write_prices(path: Path, days: int = 120) -> None:
    draw = np.random.default_rng(0)
    close = 50 * np.exp(np.cumsum(0.01 * draw.standard_normal(days)))
    prices = {"Open": close, "High": close * 1.01, "Low": close * 0.99, "Close": close}
    dates = pd.bdate_range("2015-01-05", periods=days).strftime("%Y-%m-%d")
    table = pd.DataFrame({"Ticker": "AB", "Date": dates, **prices, "Volume": 7})
    table.to_csv(path, index=False)


def contents(run: Path) -> dict[str, bytes]:
    """Every file of a run that a reader may open, by its name there."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.relative_to(run).parts[0] not in UNREAD
    }


def sealed(files: dict[str, bytes | str]) -> dict[str, bytes | str]:
    """The same with a manifest whose checksums are right: as if it had been trained so."""
    manifest = json.loads(files["manifest.json"])
    for name in manifest["files"]:
        content = files.get(name)
        if isinstance(content, bytes):
            manifest["files"][name] = hashlib.sha256(content).hexdigest()
    return {**files, "manifest.json": _signed(manifest)}


def _signed(manifest: dict[str, Any]) -> bytes:
    return manifest_text(manifest).encode()


def _values(name: str, content: bytes) -> tuple[Any, Callable[[Any], bytes]] | None:
    """What a file says, in plain containers, and how it is written; None where it is bytes."""
    path = Path(name)
    if name.endswith("tokenizer.json"):  # JSON as a text in JSON
        return json.loads(json.loads(content)), lambda value: json.dumps(
            as_json(value).decode("utf-8", "surrogatepass")
        ).encode()
    if path.suffix == ".json":
        return json.loads(content), as_json
    if path.suffix == ".yaml":
        return yaml.safe_load(content), as_yaml
    if path.suffix == ".parquet":
        table = pd.read_parquet(io.BytesIO(content))
        columns = {column: table[column].tolist() for column in table}
        if "Date" in columns:
            columns["Date"] = [str(date.date()) for date in columns["Date"]]
        return json.loads(json.dumps(columns, default=list)), _as_table
    if path.suffix == ".safetensors":
        end = 8 + int.from_bytes(content[:8], "little")
        return json.loads(content[8:end]), lambda value: _with_header(value, content[end:])
    return None


def _as_table(columns: Any) -> bytes:
    if isinstance(columns, dict) and isinstance(columns.get("Date"), list):
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            columns = {**columns, "Date": pd.to_datetime(columns["Date"])}
    return as_parquet(columns)


def _with_header(header: Any, tensors: bytes) -> bytes:
    written = as_json(header)
    return len(written).to_bytes(8, "little") + written + tensors


def _new_content(name: str, content: bytes) -> SearchStrategy[bytes]:
    """What a file of a run may hold instead."""
    tokens = (b"{", b"[", b'"', b"\0", b"\xff", b"9" * 9)
    if name.endswith(".yaml"):
        tokens += YAML_TOKENS
    by_bytes = byte_changes(tokens).map(lambda changes: with_bytes(content, changes))
    found = _values(name, content)
    if found is None:
        return by_bytes
    document, written = found
    text = json.dumps(document)
    by_values = value_changes().map(lambda made: written(with_values(json.loads(text), made)))
    return mostly(3, by_values, by_bytes)


def _one_broken(name: str, content: bytes) -> SearchStrategy[Broken]:
    """A file of a run with something else in its place."""
    other = st.sampled_from(
        [FOLDER, MISSING, f"{LINK}{Path(name).name}", f"{LINK}/etc/hostname", f"{LINK}nowhere"]
    )
    new = _new_content(name, content)
    return st.tuples(st.just(name), mostly(19, new, other))


def _names(files: dict[str, bytes]) -> SearchStrategy[dict[str, bytes | str]]:
    """A run whose manifest names files that it should not, with checksums that fit."""
    digests = [hashlib.sha256(content).hexdigest() for content in files.values()]
    names = st.sampled_from([*TEXTS, f"../{OUTSIDE}", f"preprocessor/../../{OUTSIDE}", ".", "data"])
    told = st.dictionaries(
        st.one_of(names, names.map("preprocessor/".__add__), st.text(max_size=8)),
        st.one_of(st.sampled_from(digests), st.none(), st.integers()),
        min_size=1,
        max_size=3,
    )

    def made(more: dict[str, Any]) -> dict[str, bytes | str]:
        manifest = json.loads(files["manifest.json"])
        manifest["files"] |= more
        return {**files, "manifest.json": _signed(manifest)}

    return told.map(made)


def _of_run(app: str, run: Path) -> SearchStrategy[Files]:
    files = contents(run)
    names = [name for name in files if name != "manifest.json"]
    names += [name for name in names if name.startswith(("config", "preprocessor"))] * 3
    changed = [_one_broken(name, files[name]) for name in names]

    def made(broken: list[Broken], is_sealed: bool) -> dict[str, bytes | str]:
        new: dict[str, bytes | str] = {**files, **dict(broken)}
        return sealed(new) if is_sealed else new

    with_files = st.builds(
        made,
        st.lists(st.sampled_from(changed).flatmap(lambda one: one), min_size=1, max_size=2),
        st.sampled_from([True] * 9 + [False]),
    )
    manifest = _one_broken("manifest.json", files["manifest.json"]).map(
        lambda one: {**files, **dict([one])}
    )
    outside = {OUTSIDE: b"{}"}
    return mostly(12, with_files, manifest, _names(files)).map(
        lambda new: (
            outside
            | {f"{app}/{name}": content for name, content in new.items() if content != MISSING}
        )
    )


def runs(seeds: Path | None = None) -> tuple[SearchStrategy[Files], Callable[[Path], object]]:
    """Inputs and the reader of run folders.

    Args:
        seeds: Where runs of both apps are to be made; None for a folder that goes again.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = trained(seeds or Path(folder))
        return st.one_of(_of_run(app, run) for app, run in found.items()), read


def read(folder: Path) -> object:
    """Open the run in a folder with everything that its app reads of it, and use it once."""
    if (folder / "chatbot").exists():
        return _read_chatbot(folder / "chatbot")
    return _read_forecaster(folder / "stock_forecast")


def _read_chatbot(path: Path) -> object:
    from apps.chatbot.datamodule import PARTS, ChatDataModule
    from apps.chatbot.inference import Chatbot

    run = load_run(path, "chatbot")
    bot, data = Chatbot.load(run), ChatDataModule.from_run(run)
    said = [list(data.dialogues(part)) for part in PARTS]
    return said, bot.reply([Turn("user", "where is my kettle 402-1234567-7654321?")])


def _read_forecaster(path: Path) -> object:
    from apps.stock_forecast.datamodule import PriceDataModule
    from apps.stock_forecast.inference import StockForecaster

    forecaster = StockForecaster.load(path)
    return PriceDataModule.from_run(forecaster.run), forecaster.forecast()


def run_target() -> Target:
    """The readers of run folders."""
    return Target(*runs())
