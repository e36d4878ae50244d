"""Dialogues from the sample, JSONL, CSV, Parquet or the Hugging Face hub, all through `datasets`.

Everything streams: `datasets` would otherwise keep a copy of the raw text, personal data and all,
in its cache.
"""

import hashlib
import json
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from data.entities import EntityTable

logger = logging.getLogger(__name__)

MAX_CHARACTERS = 20_000  # of a turn; a reply depends on its first few hundred words at most
_KINDS = {".jsonl": "jsonl", ".jsonl.gz": "jsonl", ".csv": "csv", ".parquet": "parquet"}


class Turn(NamedTuple):
    """One message: `speaker` is `user` or `agent`."""

    speaker: str
    text: str


@dataclass(frozen=True)
class Dialogue:
    """A conversation.

    Attributes:
        dialogue_id: Unique within a source.
        turns: Oldest first, none of them empty, at least one by the agent after one by the user.
        intent: What it is about, where the data say so.
        part: The split it belongs to, where the data say so.
        values: What stands behind each placeholder once it is masked.
    """

    dialogue_id: str
    turns: tuple[Turn, ...]
    intent: str | None = None
    part: str | None = None
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


class Pair(NamedTuple):
    """An agent's reply and all that was said before it."""

    dialogue: Dialogue
    position: int

    @property
    def context(self) -> tuple[Turn, ...]:
        """The turns before the reply, oldest first."""
        return self.dialogue.turns[: self.position]

    @property
    def reply(self) -> str:
        """The agent's words."""
        return self.dialogue.turns[self.position].text


@dataclass(frozen=True, kw_only=True)
class ColumnsConfig:
    """Names of the text columns of a CSV or Parquet file of question-answer pairs.

    Attributes:
        question: The user's message.
        answer: The agent's reply.
    """

    question: str = "question"
    answer: str = "answer"


@dataclass
class LoadReport:
    """What was read and what was dropped."""

    dialogues: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def log(self, source: str) -> None:
        """Say it on the log."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.dropped.items())
        logger.info(
            "%s: %d dialogues%s", source, self.dialogues, f"; dropped {reasons}" * bool(reasons)
        )


def load_dialogues(source: str, columns: ColumnsConfig | None = None) -> list[Dialogue]:
    """Read and check dialogues.

    Args:
        source: `sample`, a path (.jsonl, .jsonl.gz, .csv, .parquet, or a folder of them) or
            `hf:owner/name`.
        columns: Text columns of question-answer pairs.

    Returns:
        The dialogues, in the order of the source. Empty turns are dropped and counted, and so are
        dialogues in which no agent answers a user.

    Raises:
        FileNotFoundError: No such path.
        ValueError: Nothing usable in it, or something that is there and wrong; the message says
            what, in which file and line, and what to do.
    """
    columns = columns or ColumnsConfig()
    report = LoadReport()
    dialogues: list[Dialogue] = []
    seen: set[str] = set()
    for place, row in _rows(source, columns):
        dialogue = _parse(row, place, columns, report)
        if dialogue is None:
            continue
        if dialogue.dialogue_id in seen:
            raise ValueError(
                f"{place}: dialogue_id {dialogue.dialogue_id!r} comes twice; give each its own"
            )
        seen.add(dialogue.dialogue_id)
        dialogues.append(dialogue)
    report.dialogues = len(dialogues)
    if not dialogues:
        what = ", ".join(report.dropped) or "it is empty"
        raise ValueError(f"{source}: no usable dialogue ({what}); add dialogues with agent turns")
    report.log(source)
    return dialogues


def mask_dialogues(
    dialogues: Sequence[Dialogue], advance: Callable[[int], None] | None = None
) -> list[Dialogue]:
    """Replace every entity by its placeholder, numbered per dialogue.

    Args:
        dialogues: As they were said.
        advance: Called with the number of dialogues done since the last call.
    """
    masked = []
    for dialogue in dialogues:
        table = EntityTable()
        turns = tuple(Turn(turn.speaker, table.mask(turn.text)) for turn in dialogue.turns)
        masked.append(
            Dialogue(dialogue.dialogue_id, turns, dialogue.intent, dialogue.part, table.values)
        )
        if advance is not None:
            advance(1)
    return masked


def reply_pairs(dialogues: Sequence[Dialogue]) -> list[Pair]:
    """Every agent turn that follows a user turn."""
    return [
        Pair(dialogue, position)
        for dialogue in dialogues
        for position, turn in enumerate(dialogue.turns)
        if turn.speaker == "agent" and position and dialogue.turns[position - 1].speaker == "user"
    ]


def split_dialogues(
    dialogues: Sequence[Dialogue], seed: int, test_share: float, validation_share: float
) -> dict[str, list[Dialogue]]:
    """Split by conversation: as the data say, else shuffled by the seed.

    Raises:
        ValueError: Too few dialogues to give each part one.
    """
    import numpy as np

    parts: dict[str, list[Dialogue]] = {"train": [], "validation": [], "test": []}
    if all(dialogue.part in parts for dialogue in dialogues):
        for dialogue in dialogues:
            parts[str(dialogue.part)].append(dialogue)
    else:
        if any(dialogue.part in parts for dialogue in dialogues):
            logger.warning("not every dialogue names its split: it is drawn by the seed instead")
        order = np.random.default_rng(seed).permutation(len(dialogues))
        shuffled = [dialogues[index] for index in order]
        num_test = max(1, round(len(shuffled) * test_share))
        num_validation = max(1, round(len(shuffled) * validation_share))
        parts["test"] = shuffled[:num_test]
        parts["validation"] = shuffled[num_test : num_test + num_validation]
        parts["train"] = shuffled[num_test + num_validation :]
    for name, members in parts.items():
        if not members:
            raise ValueError(
                f"{len(dialogues)} dialogues leave the {name} part empty; add data: each of train, "
                "validation and test needs one"
            )
    return parts


def source_hash(source: str) -> str:
    """SHA-256 over the files of a source; of its name where it is not on this disk."""
    digest = hashlib.sha256(source.encode() if not Path(source).exists() else b"")
    for path in _files(source) if Path(source).exists() else ():
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def write_dialogues(path: Path, dialogues: Sequence[Dialogue]) -> None:
    """Write masked dialogues as Parquet; the values behind the placeholders are not written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {
            "dialogue_id": dialogue.dialogue_id,
            "intent": dialogue.intent,
            "turns": [turn._asdict() for turn in dialogue.turns],
        }
        for dialogue in dialogues
    ]
    turn_type = pa.struct([("speaker", pa.string()), ("text", pa.string())])
    schema = pa.schema(
        [("dialogue_id", pa.string()), ("intent", pa.string()), ("turns", pa.list_(turn_type))]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def read_dialogues(path: Path) -> list[Dialogue]:
    """Read what `write_dialogues` wrote."""
    import pyarrow.parquet as pq

    return [
        Dialogue(row["dialogue_id"], tuple(Turn(**turn) for turn in row["turns"]), row["intent"])
        for row in pq.read_table(path).to_pylist()
    ]


def _files(source: str) -> list[Path]:
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"{source}: no such file or folder; check --data")
    found = sorted(p for p in path.iterdir() if _kind(p)) if path.is_dir() else [path]
    if not found or not all(_kind(p) for p in found):
        raise ValueError(f"{source}: not a dialogue file; give .jsonl, .jsonl.gz, .csv or .parquet")
    for file in found:
        if file.stat().st_size == 0:
            raise ValueError(f"{file}: the file is empty; give one with dialogues")
    return found


def _kind(path: Path) -> str | None:
    return next((kind for ending, kind in _KINDS.items() if path.name.endswith(ending)), None)


def _rows(source: str, columns: ColumnsConfig) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every record with the place it stands at."""
    if source == "sample":
        from data.support_sample import generate_dialogues

        for made in generate_dialogues():
            yield f"sample {made['dialogue_id']}", made
        return
    if source.startswith("hf:"):
        for number, row in enumerate(_stream(source[3:], {"split": "train"}, source), 1):
            yield f"{source} row {number}", row
        return
    for path in _files(source):
        kind = _kind(path)
        if kind == "jsonl":
            stream = _stream("text", {"data_files": escape(str(path)), "split": "train"}, str(path))
            for number, row in enumerate(stream, 1):
                if row["text"].strip():
                    yield f"{path} line {number}", _json_line(row["text"], f"{path} line {number}")
            continue
        options: dict[str, Any] = {"data_files": escape(str(path)), "split": "train"}
        if kind == "csv":
            # Text stays as it is written: "NA" is a word and "007" no number.
            as_text = dict.fromkeys((columns.question, columns.answer, "intent"), str)
            options |= {"converters": as_text, "keep_default_na": False, "index_col": False}
        for number, row in enumerate(_stream(str(kind), options, str(path)), 1):
            yield f"{path} row {number}", row


def _stream(builder: str, options: dict[str, Any], place: str) -> Iterator[Mapping[str, Any]]:
    import datasets

    datasets.disable_progress_bars()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # a local file is nobody's business
    try:
        with warnings.catch_warnings():
            # A row with more cells than the header would lose the last ones with a warning alone.
            warnings.filterwarnings("error", message="Length of header or names")
            yield from datasets.load_dataset(builder, streaming=True, **options)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, EOFError, Warning) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{place}: cannot be read ({reason}); check the file or name") from None


def _json_line(line: str, place: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: not JSON ({error}); mend or delete the line") from None
    if not isinstance(row, dict):
        raise ValueError(
            f"{place}: a JSON object with 'turns' is expected, not {type(row).__name__}"
        )
    return row


def _parse(
    row: Mapping[str, Any], place: str, columns: ColumnsConfig, report: LoadReport
) -> Dialogue | None:
    """Check one record; None where it is dropped."""
    if "turns" not in row:
        row = _pair_row(row, place, columns)
    turns: list[Turn] = []
    if not isinstance(row["turns"], (list, tuple)):
        raise ValueError(f"{place}: 'turns' must be a list of {{speaker, text}}; mend the line")
    for number, turn in enumerate(row["turns"], 1):
        where = f"{place}, turn {number}"
        if not isinstance(turn, Mapping) or "speaker" not in turn or "text" not in turn:
            raise ValueError(f"{where}: needs 'speaker' and 'text'; mend the line")
        if turn["speaker"] not in ("user", "agent"):
            raise ValueError(f"{where}: speaker {turn['speaker']!r} must be 'user' or 'agent'")
        if turn["text"] is not None and not isinstance(turn["text"], str):
            raise ValueError(f"{where}: 'text' must be a string, got {turn['text']!r}")
        text = " ".join((turn["text"] or "").split())
        check_characters(text, f"{where}: 'text'")
        if len(text) > MAX_CHARACTERS:
            text = text[:MAX_CHARACTERS]
            report.dropped["ends of very long turns"] += 1
        if text:
            turns.append(Turn(turn["speaker"], text))
        else:
            report.dropped["empty turns"] += 1
    speakers = [turn.speaker for turn in turns]
    if ("user", "agent") not in pairwise(speakers):
        report.dropped["dialogues without an agent's answer to a user"] += 1
        return None
    dialogue_id = row.get("dialogue_id", place)
    if not isinstance(dialogue_id, (str, int)):
        raise ValueError(f"{place}: 'dialogue_id' must be a string, got {dialogue_id!r}")
    intent, part = row.get("intent"), row.get("split")
    if part is not None and not isinstance(part, str):
        raise ValueError(f"{place}: 'split' must be a string, got {part!r}; mend or delete it")
    check_characters(f"{dialogue_id} {intent}", f"{place}: 'dialogue_id' or 'intent'")
    return Dialogue(str(dialogue_id), tuple(turns), None if intent is None else str(intent), part)


def check_characters(text: str, where: str) -> None:
    """Refuse half a character (a lone surrogate), which no file and no tokenizer can hold.

    Raises:
        ValueError: There is one.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{where} has half a character (a lone surrogate); write it as UTF-8")


def _pair_row(row: Mapping[str, Any], place: str, columns: ColumnsConfig) -> Mapping[str, Any]:
    missing = [name for name in (columns.question, columns.answer) if name not in row]
    if missing:
        raise ValueError(
            f"{place}: no column {' and no column '.join(map(repr, missing))} (it has "
            f"{', '.join(map(str, row))}); name the text columns with --columns.question and "
            "--columns.answer, or give 'turns'"
        )
    turns = [
        {"speaker": "user", "text": row[columns.question]},
        {"speaker": "agent", "text": row[columns.answer]},
    ]
    return {"turns": turns, "intent": row.get("intent"), "dialogue_id": place}
