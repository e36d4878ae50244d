"""Token ids of contexts and replies in a flat file, read row by row."""

import os
import tempfile
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

import numpy as np

from core.batch import Seq2SeqBatch
from data.data_report import ROLES, Lengths
from data.dialogues import Dialogue, reply_positions
from data.text import Tokenizer, cut_context, pad_batch


class TokenFile:
    """The pairs of one part as token ids.

    Without a name the file is gone with the process, however that ends. Rows are read with `pread`
    and not through a memory map, whose pages count as the process's own memory. Sixteen bytes a
    pair stay in memory, and nothing of the words.

    Args:
        dialogues: Masked; read once.
        tokenizer: Its ids take two bytes each, four where it has more than 65,536.
        folder: On the disk that holds the file.
        path: A name for the file, under which other processes can `open` it; None for none.
        context_turns: Last turns that a context keeps, at least 1.
        max_source_tokens: Most tokens of a context, at least 1.
        max_target_tokens: Most tokens of a reply; the end is cut.
        advance: Called with the number of dialogues done since the last call.

    Attributes:
        source_lengths: Tokens of each context, (N,) int32.
        target_lengths: Tokens of each reply, BOS and EOS among them, (N,) int32.
        uncut: How many messages and replies have how many tokens.
    """

    def __init__(
        self,
        dialogues: Iterable[Dialogue],
        tokenizer: Tokenizer,
        folder: Path,
        *,
        context_turns: int,
        max_source_tokens: int,
        max_target_tokens: int,
        path: Path | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> None:
        self.uncut = {role: Lengths() for role in ROLES}
        self._dtype = _dtype_of(tokenizer)
        partial = None if path is None else path.with_name(f"{path.name}.partial")
        self._file: IO[bytes] = (
            tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
            if partial is None
            else partial.open("w+b")
        )
        sources, targets = array("i"), array("i")
        for dialogue in dialogues:
            turns = [tokenizer.encode_turn(*turn) for turn in dialogue.turns]
            for position in reply_positions(dialogue.turns):
                context = turns[max(0, position - context_turns) : position]
                source = cut_context(context, max_source_tokens)
                target = turns[position][1:]
                self.uncut["message"][len(turns[position - 1]) - 1] += 1
                self.uncut["reply"][len(target)] += 1
                target = target[:max_target_tokens]
                self._file.write(np.array([*source, *target], dtype=self._dtype).tobytes())
                sources.append(len(source))
                targets.append(len(target))
            if advance is not None:
                advance(1)
        self._file.flush()
        self.source_lengths = np.array(sources, dtype=np.int32)
        self.target_lengths = np.array(targets, dtype=np.int32) + 2
        self._find()
        if path is not None and partial is not None:
            with _lengths_of(path).open("wb") as file:
                lengths = np.stack([self.source_lengths, self.target_lengths])
                np.save(file, lengths, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            os.fsync(self._file.fileno())
            partial.rename(path)  # the last to come: what has its name is whole

    @classmethod
    def open(cls, path: Path, tokenizer: Tokenizer) -> "TokenFile":
        """Read a file that has a name, together with whoever wrote it.

        Raises:
            OSError: It is not there.
            ValueError: It is spoilt.
        """
        found = cls.__new__(cls)
        found.uncut = {role: Lengths() for role in ROLES}
        found._dtype = _dtype_of(tokenizer)
        found._file = path.open("rb")
        lengths = np.load(_lengths_of(path), allow_pickle=False)
        found.source_lengths, found.target_lengths = lengths
        found._find()
        return found

    def _find(self) -> None:
        """Where each pair begins."""
        ends = np.cumsum(self.source_lengths + self.target_lengths - 2, dtype=np.int64)
        self._starts = np.concatenate([[0], ends[:-1]])

    def __len__(self) -> int:
        return len(self.source_lengths)

    def batch(self, rows: np.ndarray) -> Seq2SeqBatch:
        """Read these rows, padded."""
        sources, targets = [], []
        for row in rows.tolist():
            source, target = int(self.source_lengths[row]), int(self.target_lengths[row]) - 2
            size = self._dtype.itemsize
            start = int(self._starts[row]) * size
            found = os.pread(self._file.fileno(), (source + target) * size, start)
            ids = np.frombuffer(found, dtype=self._dtype).tolist()
            sources.append(ids[:source])
            targets.append(ids[source:])
        return pad_batch(sources, targets)


def _dtype_of(tokenizer: Tokenizer) -> np.dtype:
    return np.dtype(np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32)


def _lengths_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lengths.npy")
