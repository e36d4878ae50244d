"""File -> masked dialogues -> split -> token pairs -> batches, all of it on the disk."""

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from core.batch import Seq2SeqBatch
from core.files import read_json, write_json
from core.loading import BatchLoader, Rehearsal
from core.processes import is_first_process, wait_for
from core.progress import progress
from core.runs import Run
from core.stored import conformed, kept, section
from data.checking import stream_dialogues
from data.columns import ColumnsConfig
from data.data_report import DataReport, table
from data.dialogues import PARTS, Dialogue, Pair, mask_dialogue, reply_pairs
from data.entities import placeholders
from data.preparing import SplitConfig, write_parts
from data.sources import source_hash
from data.storing import num_stored, staged, stored_dialogues
from data.text import Tokenizer, bucketed_batches, padding_share
from data.token_file import TokenFile

logger = logging.getLogger(__name__)
REPORT = "data_report.json"
TOKENIZER = "preprocessor/tokenizer.json"
TOKENS = "tokens"  # read by every process of a training, and gone when it has ended
LEARNED = ("train", "validation")


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

    def encode_source(self, tokenizer: Tokenizer, turns: Sequence[tuple[str, str]]) -> list[int]:
        """Token ids of a context, cut to the limits."""
        return tokenizer.encode_context(turns, self.context_turns, self.max_source_tokens)


class ChatDataModule:
    """The three parts of a corpus, masked, in a folder, and their batches.

    No more than a few numbers a pair is held in memory, but for what `pairs` gives.

    Args:
        folder: Holds `data/{train,validation,test}.parquet` and `data_report.json`.
        config: The choices.
        source_hash: SHA-256 of where the dialogues came from.
        tokenizer: A fitted one.
        tokens: Token ids of parts, where they are there already.

    Attributes:
        rehearsal: How much of the training part is old, where the network has learned it already.
    """

    def __init__(
        self,
        folder: Path,
        config: TextConfig,
        source_hash: str,
        tokenizer: Tokenizer,
        tokens: dict[str, TokenFile] | None = None,
    ) -> None:
        self.rehearsal = Rehearsal(0, 0.0)
        self.folder = folder
        self.config = config
        self.source_hash = source_hash
        self.tokenizer = tokenizer
        self._tokens = tokens or {}

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which opens the files in the folder by itself."""
        return {**vars(self), "folder": self.folder.absolute(), "_tokens": {}}

    @classmethod
    def from_source(
        cls, data: str, columns: ColumnsConfig, config: TextConfig, folder: Path
    ) -> "ChatDataModule":
        """Check, mask and split a source into a folder; the tokenizer sees the training part alone.

        A folder that holds the parts already (a training that is resumed) is read instead.
        """
        digest = source_hash(data)
        if not is_first_process():
            wait_for(folder / "data")
        report = DataReport(data)
        dialogues = map(mask_dialogue, stream_dialogues(data, columns, report.dropped))
        split = SplitConfig(
            seed=config.split_seed,
            test_share=config.test_share,
            validation_share=config.validation_share,
        )
        if not (folder / "data").is_dir():
            return cls.from_dialogues(
                dialogues, folder, config, source_hash=digest, split=split, report=report
            )
        return cls.resumed(folder, config, digest)

    @classmethod
    def resumed(cls, folder: Path, config: TextConfig, source_hash: str) -> "ChatDataModule":
        """The parts that a folder holds already, with the tokenizer that was fitted to them."""
        tokenizer = Tokenizer.from_json(read_json(folder / TOKENIZER))
        return cls(folder, config, source_hash, tokenizer)

    @classmethod
    def from_dialogues(
        cls,
        masked: Iterable[Dialogue],
        folder: Path,
        config: TextConfig,
        *,
        source_hash: str,
        split: SplitConfig,
        report: DataReport,
        fitted: Callable[[Path], Tokenizer] | None = None,
    ) -> "ChatDataModule":
        """Split masked dialogues into a folder and report on them.

        Args:
            masked: The dialogues, read once.
            folder: Gets `data/`, `data_report.json` and the tokenizer.
            config: The choices.
            source_hash: SHA-256 of where the dialogues came from.
            split: How they are split.
            report: Counts what is kept.
            fitted: Gives the tokenizer, told where the parts lie; None trains one on the training
                part.
        """
        with staged(folder / "data") as partial:
            with progress("checking and masking", None) as advance:
                write_parts(masked, partial, split, report, advance)
            tokenizer = _fitted(partial, config) if fitted is None else fitted(partial)
            (folder / TOKENS).mkdir(exist_ok=True)
            tokens = {
                part: _encoded(partial, part, config, tokenizer, folder / TOKENS / part)
                for part in LEARNED
            }
            report.tokens = tokens["train"].uncut
            write_json(folder / REPORT, report.as_dict())
            write_json(folder / TOKENIZER, tokenizer.to_json())
        logger.info(table(report.as_dict()))
        return cls(folder, config, source_hash, tokenizer, tokens)

    @classmethod
    def from_run(cls, run: Run) -> "ChatDataModule":
        """The parts as a run folder keeps them, with the run's tokenizer."""
        with kept(run, "tokenizer") as stored:
            tokenizer = Tokenizer.from_json(conformed(stored, str))
        config = section(run, "text", TextConfig)
        return cls(run.path, config, run.manifest["source_sha256"], tokenizer)

    def write(self, path: Path) -> None:
        """Keep the masked parts and the report in a run folder."""
        if path.resolve() == self.folder.resolve():
            return
        (path / "data").mkdir(parents=True, exist_ok=True)
        for name in (*(f"data/{part}.parquet" for part in PARTS), REPORT):
            shutil.copyfile(self.folder / name, path / name)

    def forget_tokens(self) -> None:
        """Remove the files of token ids from the folder; no other process needs them any more."""
        shutil.rmtree(self.folder / TOKENS, ignore_errors=True)

    def encode_source(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        """Token ids of a context."""
        return self.config.encode_source(self.tokenizer, turns)

    def loader(self, part: str, seed: int) -> BatchLoader[Seq2SeqBatch]:
        """Batches of one part; the training part in a new order each epoch."""
        if part not in self._tokens:
            named = self.folder / TOKENS / part
            self._tokens[part] = (
                TokenFile.open(named, self.tokenizer)
                if named.exists()
                else _encoded(self.folder / "data", part, self.config, self.tokenizer)
            )
        tokens, size = self._tokens[part], self.config.batch_size
        lengths = (tokens.source_lengths, tokens.target_lengths)

        def plan(generator: np.random.Generator) -> list[np.ndarray]:
            if part != "train":
                return bucketed_batches(*lengths, size)
            rows = self.rehearsal.draw(len(tokens), generator)
            batches = bucketed_batches(lengths[0][rows], lengths[1][rows], size, generator)
            return [rows[batch] for batch in batches]

        if part == "train":
            share = padding_share(plan(np.random.default_rng(seed)), *lengths)
            logger.info(
                "training part: %d pairs, %.0f source and %.0f target tokens a pair, padding "
                "%.1f %% of tokens",
                len(tokens),
                lengths[0].mean(),
                lengths[1].mean(),
                100 * share,
            )
        return BatchLoader(plan, tokens.batch, seed, is_training=part == "train")

    def dialogues(self, part: str) -> Iterator[Dialogue]:
        """The masked dialogues of one part, one after the other."""
        return stored_dialogues(self.folder / "data" / f"{part}.parquet")

    def pairs(self, part: str, most: int | None = None) -> list[Pair]:
        """The replies of one part with what came before each, in memory.

        Args:
            part: Which.
            most: Of so many, evenly spread over the pairs of the part; None takes all.
        """
        if most is None:
            return reply_pairs(self.dialogues(part))
        count = sum(dialogue.num_pairs for dialogue in self.dialogues(part))
        rows = {row * count // most for row in range(most)} if count > most else range(count)
        pairs = chain.from_iterable(reply_pairs([dialogue]) for dialogue in self.dialogues(part))
        return [pair for row, pair in enumerate(pairs) if row in rows]


def _fitted(folder: Path, config: TextConfig) -> Tokenizer:
    texts = (t.text for d in stored_dialogues(folder / "train.parquet") for t in d.turns)
    return Tokenizer.train(texts, config.vocab_size, placeholders())


def _encoded(
    folder: Path, part: str, config: TextConfig, tokenizer: Tokenizer, path: Path | None = None
) -> TokenFile:
    parquet = folder / f"{part}.parquet"
    with progress(f"tokens of the {part} part", num_stored(parquet)) as advance:
        return TokenFile(
            stored_dialogues(parquet),
            tokenizer,
            folder,
            context_turns=config.context_turns,
            max_source_tokens=config.max_source_tokens,
            max_target_tokens=config.max_target_tokens,
            path=path,
            advance=advance,
        )
