"""Masked dialogues on the disk: Parquet, read and written a few hundred dialogues at a time."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from data.dialogues import Dialogue, Turn

_GROUP_CHARACTERS = 1 << 20  # of a row group
_READ_DIALOGUES = 256


class DialogueWriter:
    """Writes masked dialogues as they come; the values behind the placeholders are not written.

    Args:
        path: The Parquet file; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        turn = pa.struct([("speaker", pa.string()), ("text", pa.string())])
        self._schema = pa.schema(
            [("dialogue_id", pa.string()), ("intent", pa.string()), ("turns", pa.list_(turn))]
        )
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


def stored_dialogues(path: Path) -> Iterator[Dialogue]:
    """Read what was written, one dialogue after the other."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_READ_DIALOGUES):
            for row in batch.to_pylist():
                turns = tuple(Turn(**turn) for turn in row["turns"])
                yield Dialogue(row["dialogue_id"], turns, row["intent"])


def read_dialogues(path: Path) -> list[Dialogue]:
    """Read what was written, all into memory."""
    return list(stored_dialogues(path))


def num_stored(path: Path) -> int:
    """How many dialogues a file holds."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def has_intents(path: Path) -> bool:
    """Whether any dialogue of a file has an intent; that column alone is read."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
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
        partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        if not was_there:
            shutil.rmtree(path.parent, ignore_errors=True)
        raise
