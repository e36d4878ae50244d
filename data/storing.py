"""Masked dialogues on the disk: Parquet, read and written a few hundred dialogues at a time."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from data.dialogues import Dialogue, Turn

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_GROUP_CHARACTERS = 1 << 20  # of a row group
_READ_DIALOGUES = 256
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, RuntimeError, MemoryError)


class DialogueWriter:
    """Writes masked dialogues as they come; the values behind the placeholders are not written.

    Args:
        path: The Parquet file; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._schema = _schema()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(path, self._schema)
        self._rows: list[dict[str, Any]] = []
        self._characters = 0

    def write(self, dialogue: Dialogue) -> None:
        """Add one; a row group goes to the disk when it is full."""
        turns = [turn._asdict() for turn in dialogue.turns]
        self._rows.append(
            {"dialogue_id": dialogue.dialogue_id, "intent": dialogue.intent, "turns": turns}
        )
        self._characters += sum(len(turn.text) for turn in dialogue.turns)
        if self._characters >= _GROUP_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows, self._characters = [], 0

    def __enter__(self) -> "DialogueWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._rows and error is None:
            self._flush()
        self._writer.close()


def write_dialogues(path: Path, dialogues: Iterable[Dialogue]) -> None:
    """Write masked dialogues as Parquet; the values behind the placeholders are not written."""
    with DialogueWriter(path) as writer:
        for dialogue in dialogues:
            writer.write(dialogue)


def _schema() -> Any:
    import pyarrow as pa

    turn = pa.struct([("speaker", pa.string()), ("text", pa.string())])
    return pa.schema(
        [("dialogue_id", pa.string()), ("intent", pa.string()), ("turns", pa.list_(turn))]
    )


@contextmanager
def _opened(path: Path) -> "Iterator[pq.ParquetFile]":
    """A file of dialogues; what is wrong with it is an error that names it."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(_schema()):
                raise ValueError("its columns are not dialogue_id, intent and turns")
            yield file
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: cannot be read ({reason}); restore it or train again") from None


def stored_dialogues(path: Path) -> Iterator[Dialogue]:
    """Read what was written, one dialogue after the other.

    Raises:
        ValueError: It is no such file.
    """
    with _opened(path) as file:
        for batch in file.iter_batches(_READ_DIALOGUES):
            for row in batch.to_pylist():
                turns = tuple(Turn(**turn) for turn in row["turns"])
                if row["dialogue_id"] is None or not all(map(_is_whole, turns)):
                    raise ValueError("a dialogue has no id, or a turn no speaker or no text")
                yield Dialogue(row["dialogue_id"], turns, row["intent"])


def _is_whole(turn: Turn) -> bool:
    return turn.speaker in ("user", "agent") and isinstance(turn.text, str)


def read_dialogues(path: Path) -> list[Dialogue]:
    """Read what was written, all into memory."""
    return list(stored_dialogues(path))


def num_stored(path: Path) -> int:
    """How many dialogues a file holds."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def has_intents(path: Path) -> bool:
    """Whether any dialogue of a file has an intent; that column alone is read."""
    with _opened(path) as file:
        batches = file.iter_batches(columns=["intent"])
        return any(batch.column(0).null_count < batch.num_rows for batch in batches)


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A folder that gets its name when the block has run to its end, and is gone if it fails.

    Args:
        path: What it will be called; it does not exist yet.

    Yields:
        `<path>.partial`, empty. A process that is killed leaves it behind; the next one clears it.
    """
    partial = path.with_name(f"{path.name}.partial")
    was_there = path.parent.exists()
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        for file in partial.iterdir():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())  # a name must not outlive a power cut without its content
        partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        if not was_there:
            shutil.rmtree(path.parent, ignore_errors=True)
        raise
