"""File -> masked dialogues -> split -> token pairs -> batches."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.batch import Seq2SeqBatch
from core.loading import BatchLoader
from core.progress import progress
from core.runs import Run
from data.dialogues import (
    ColumnsConfig,
    Dialogue,
    Pair,
    load_dialogues,
    mask_dialogues,
    read_dialogues,
    reply_pairs,
    source_hash,
    split_dialogues,
    write_dialogues,
)
from data.entities import placeholders
from data.text import Tokenizer, bucketed_batches, pad_batch, padding_share

logger = logging.getLogger(__name__)
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """How conversations become token sequences.

    Attributes:
        vocab_size: Most tokens of the vocabulary, 256 bytes and the special tokens among them.
        context_turns: Last turns that a reply may depend on, at least 1.
        max_source_tokens: Most tokens of a context; the oldest are cut.
        max_target_tokens: Most tokens of a reply in training; the end is cut.
        batch_size: Pairs a step, at least 1.
        test_share: Share of the dialogues in the test part, above 0; where the data name the
            parts themselves, that counts.
        validation_share: Likewise of the validation part.
        split_seed: Of the split alone, so that several seeds train on the same parts.
    """

    vocab_size: int = 5000
    context_turns: int = 5
    max_source_tokens: int = 160
    max_target_tokens: int = 100
    batch_size: int = 64
    test_share: float = 0.05
    validation_share: float = 0.05
    split_seed: int = 0

    def __post_init__(self) -> None:
        for name in ("context_turns", "max_target_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.max_source_tokens < 8:
            raise ValueError(f"max_source_tokens={self.max_source_tokens} must be at least 8")
        if not (self.test_share > 0 and self.validation_share > 0) or (
            self.test_share + self.validation_share >= 1
        ):
            raise ValueError(
                f"test_share={self.test_share} and validation_share={self.validation_share} must "
                "be above 0 and leave a training part"
            )


class ChatDataModule:
    """The three parts of a corpus, masked, and their batches.

    Args:
        parts: Masked dialogues by part.
        config: The choices.
        source_hash: SHA-256 of where the dialogues came from.
        tokenizer: A fitted one; None fits one on the training part.
    """

    def __init__(
        self,
        parts: dict[str, list[Dialogue]],
        config: TextConfig,
        source_hash: str,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.parts = parts
        self.config = config
        self.source_hash = source_hash
        self.tokenizer = tokenizer or Tokenizer.train(
            (turn.text for dialogue in parts["train"] for turn in dialogue.turns),
            config.vocab_size,
            placeholders(),
        )

    @classmethod
    def from_source(cls, data: str, columns: ColumnsConfig, config: TextConfig) -> "ChatDataModule":
        """Load, mask and split a source; the tokenizer sees the training part alone."""
        dialogues = load_dialogues(data, columns)
        shares = (config.test_share, config.validation_share)
        parts = split_dialogues(dialogues, config.split_seed, *shares)
        digest = source_hash(data)
        with progress("masking", len(dialogues)) as advance:
            masked = {name: mask_dialogues(parts[name], advance) for name in PARTS}
        return cls(masked, config, digest)

    @classmethod
    def from_run(cls, run: Run) -> "ChatDataModule":
        """The parts as a run folder keeps them, with the run's tokenizer."""
        parts = {name: read_dialogues(run.path / "data" / f"{name}.parquet") for name in PARTS}
        tokenizer = Tokenizer.from_json(run.preprocessor["tokenizer"])
        config = TextConfig(**run.config["text"])
        return cls(parts, config, run.manifest["source_sha256"], tokenizer)

    def write(self, path: Path) -> None:
        """Keep the masked parts in a run folder."""
        for name in PARTS:
            write_dialogues(path / "data" / f"{name}.parquet", self.parts[name])

    def encode_source(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        """Token ids of a context."""
        return self.tokenizer.encode_context(
            turns, self.config.context_turns, self.config.max_source_tokens
        )

    def loader(self, part: str, seed: int) -> BatchLoader[Seq2SeqBatch]:
        """Batches of one part; the training part in a new order each epoch."""
        pairs = reply_pairs(self.parts[part])
        sources = []
        with progress(f"tokens of the {part} part", len(pairs)) as advance:
            for pair in pairs:
                sources.append(self.encode_source(pair.context))
                advance(1)
        targets = [
            self.tokenizer.encode(pair.reply)[: self.config.max_target_tokens] for pair in pairs
        ]
        source_lengths = np.array([len(ids) for ids in sources])
        target_lengths = np.array([len(ids) + 2 for ids in targets])
        size = self.config.batch_size

        def plan(generator: np.random.Generator) -> list[np.ndarray]:
            chosen = generator if part == "train" else None
            return bucketed_batches(source_lengths, target_lengths, size, chosen)

        def collate(rows: np.ndarray) -> Seq2SeqBatch:
            return pad_batch([sources[row] for row in rows], [targets[row] for row in rows])

        if part == "train":
            share = padding_share(plan(np.random.default_rng(seed)), source_lengths, target_lengths)
            logger.info(
                "training part: %d dialogues, %d pairs, %.0f source and %.0f target tokens a "
                "pair, padding %.1f %% of tokens",
                len(self.parts[part]),
                len(pairs),
                source_lengths.mean(),
                target_lengths.mean(),
                100 * share,
            )
        return BatchLoader(plan, collate, seed)

    def pairs(self, part: str) -> list[Pair]:
        """The replies of one part with what came before each."""
        return reply_pairs(self.parts[part])
