"""Dialogues, prices, news and configurations to be broken, and how each is read."""

import functools
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from benchmarks.broken import (
    DEEP,
    LONG,
    as_csv,
    as_json,
    as_lines,
    as_parquet,
    byte_changes,
    value_changes,
    with_bytes,
    with_values,
)
from core.cli import call
from core.plain import plain
from data.checking import stream_dialogues
from data.columns import ColumnsConfig
from data.dialogues import mask_dialogue
from data.news import load_news
from data.prices import load_prices

FOLDER, LINK = "a folder", "a link to "  # what stands in the place of a file's content
Files = Mapping[str, bytes | str]


@dataclass(frozen=True)
class Target:
    """One reader and what it is fed with.

    Attributes:
        inputs: Files by name; a text is FOLDER, or LINK and where to.
        read: Reads what lies in a folder; raises what the reader raises.
        names_option: Whether an error may name an option instead of the file.
    """

    inputs: SearchStrategy[Files]
    read: Callable[[Path], object]
    names_option: bool = False


def broken(
    names: tuple[str, ...],
    document: Any,
    written: Callable[[Any], bytes],
    tokens: tuple[bytes, ...] = (),
) -> SearchStrategy[Files]:
    """One file, broken in its values, in its bytes or in both, and compressed where it is .gz.

    Args:
        names: What it may be called.
        document: What it says, in plain containers.
        written: How it is written.
        tokens: What means something in the format.
    """
    text = json.dumps(document)

    def made(name: str, values: Any, inside: Any, outside: Any) -> Files:
        content = with_bytes(written(with_values(json.loads(text), values)), inside)
        if name.endswith(".gz"):
            content = with_bytes(gzip.compress(content, 1, mtime=0), outside)
        return {name: content}

    return st.one_of(
        st.builds(made, st.sampled_from(names), values, inside, outside)
        for values, inside, outside in (
            (value_changes(), st.just([]), st.just([])),
            (value_changes(0), byte_changes(tokens), byte_changes(least=0)),
        )
    )


def misplaced(one: SearchStrategy[Files], good: Files) -> SearchStrategy[Files]:
    """A file that may stand beside a good one, be a folder or a link, or be missing."""

    def made(files: Files, kind: str) -> Files:
        name = next(iter(files))
        match kind:
            case "beside":
                return {**good, **{f"0-{name}": content for name, content in files.items()}}
            case "folder":
                return {**good, f"0-{name}": FOLDER}
            case "itself":
                return {f"0-{name}": f"{LINK}0-{name}"}
            case "nowhere":
                return {**good, f"0-{name}": f"{LINK}../nowhere"}
        return files

    kinds = ("alone",) * 10 + ("beside", "beside", "folder", "itself", "nowhere")
    return st.builds(made, one, st.sampled_from(kinds))


def source(folder: Path) -> str:
    """What is given to a reader: the one file, or the folder."""
    files = list(folder.iterdir())
    return str(files[0] if len(files) == 1 else folder)


TURNS = [
    {"speaker": "user", "text": "where is order 402-1234567-7654321?"},
    {"speaker": "agent", "text": "On its way, Ana Lopez. Write to ana@example.com."},
]
DIALOGUES = [
    {"dialogue_id": "a", "intent": "order", "split": "train", "turns": TURNS},
    {"dialogue_id": 7, "turns": [*TURNS, {"speaker": "system", "text": ""}, *TURNS]},
]
PAIRS = [["question", "answer", "intent"], ["hi", "hello", "greet"], ["where?", "here", ""]]
ROWS = [["id", "who", "said"], ["1", "user", "hi"], ["1", "agent", "hello"], ["2", "user", "and?"]]
COLUMNS = {"question": ["hi", "where?"], "answer": ["hello", "here"], "intent": ["greet", None]}
LONG_FORM = ColumnsConfig(conversation="id", speaker="who", text="said")
JSON_TOKENS = (b"{", b"}", b"[", b'"', b"\\ud800", b"\0", b"\xff", b"NaN", b"1e999", b"\n")
CSV_TOKENS = (
    b",",
    b'"',
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b";",
    b"1e9999",
)


def _dialogues() -> Target:
    inputs = st.one_of(
        broken(("d.jsonl", "d.jsonl.gz"), DIALOGUES, as_lines, JSON_TOKENS),
        broken(("d.csv",), PAIRS, as_csv, CSV_TOKENS),
        broken(("long.csv",), ROWS, as_csv, CSV_TOKENS),
        broken(("d.parquet",), COLUMNS, as_parquet, (b"PAR1", b"\0\0\0\0")),
        broken(("d.parquet",), DIALOGUES, as_parquet, (b"PAR1", b"\0\0\0\0")),
        broken(("d.txt", "d.jsonl.bz2", "d"), DIALOGUES, as_lines),
    )

    def read(folder: Path) -> object:
        path = source(folder)
        columns = LONG_FORM if path.endswith("long.csv") else None
        return [mask_dialogue(dialogue) for dialogue in stream_dialogues(path, columns)]

    return Target(misplaced(inputs, {"good.jsonl": as_lines(DIALOGUES[:1])}), read)


def _prices() -> Target:
    header = ["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"]
    days = [f"2015-01-{day:02}" for day in (5, 6, 7, 8, 9, 12, 13, 14)]
    close = np.linspace(10, 11, len(days)).round(3).tolist()
    rows = [[day, p, p + 1, p - 1, p, p, 100] for day, p in zip(days, close, strict=True)]
    wide = [[str(cell) for cell in row] for row in (header, *rows)]
    long = [
        ["Ticker", *header],
        *(["AB" if k % 2 else "C", *row] for k, row in enumerate(wide[1:])),
    ]
    inputs = st.one_of(
        broken(("p.csv", "p.csv.gz", "p.CSV", "p.txt"), wide, as_csv, CSV_TOKENS),
        broken(("p.csv", "p.csv.gz"), long, as_csv, CSV_TOKENS),
    )
    good = {"good.csv": as_csv(wide)}
    return Target(misplaced(inputs, good), lambda folder: load_prices(source(folder)))


def _news() -> Target:
    times = ("2014-02-11T18:58:49Z", "2014-02-12", "2014-02-12T01:00:00+05:30")
    lines = [{"ticker": "AB", "published_at": time, "text": "up again"} for time in times]
    inputs = broken(("n.jsonl", "n.jsonl.gz", "n.gz", "n"), lines, as_lines, JSON_TOKENS)
    return Target(
        misplaced(inputs, {"good.jsonl": as_lines(lines)}),
        lambda folder: load_news(Path(source(folder))),
    )


YAML_TOKENS = (
    *(b"&a ", b"*a", b"<<: ", b"? ", b"- ", b": ", b"{", b"[", b"|\n", b"---\n", b"%YAML 9\n"),
    *(b"!!int ", b"!!float ", b"!!bool ", b"!!timestamp ", b"!!binary ", b"!!set ", b"!!omap "),
    *(b"!!python/object/apply:os.system [false]", b"2001-99-99", b"0x", b".nan", b"1:99:99"),
    *(b"\n", b"\t", b"\0", b"\xff", b"\xfe\xff", b"#", b"'", b'"'),
)


def _config() -> Target:
    from apps.chatbot import train as chatbot
    from apps.stock_forecast import train as stock_forecast

    commands = {"chatbot": chatbot.train, "stock_forecast": stock_forecast.train}
    inputs = [
        broken((f"{app}.yaml",), _defaults(command), written, YAML_TOKENS)
        for app, command in commands.items()
        for written in (as_json, as_yaml)
    ]

    def read(folder: Path) -> object:
        path = next(folder.iterdir())
        command = commands[path.stem.removeprefix("0-")]
        return call(_options_of(command), ["--config", str(path)], "train")

    return Target(misplaced(st.one_of(inputs), {}), read, names_option=True)


def _defaults(command: Callable[..., Any]) -> dict[str, Any]:
    """What a command takes, with its defaults."""
    defaults = {name: p.default for name, p in signature(command).parameters.items()}
    return plain({k: asdict(v) if is_dataclass(v) else v for k, v in defaults.items()})


def _options_of(command: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """A command that takes the same options and gives them back."""

    @functools.wraps(command)
    def options(**given: Any) -> dict[str, Any]:
        return given

    return options


def as_yaml(value: Any) -> bytes:
    """A value as YAML in block style."""
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    text = text.replace(DEEP, "[" * 3000 + "]" * 3000).replace(LONG, "9" * 5000)
    return text.encode("utf-8", "surrogatepass")


FILES = {
    "dialogues": _dialogues,
    "prices": _prices,
    "news": _news,
    "config": _config,
}
