"""Masked dialogues -> parts on the disk, in three passes that keep a few numbers a dialogue."""

from array import array
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.data_report import DataReport, dialogue_hash
from data.dialogues import PARTS, Dialogue
from data.splitting import HeldOutOpenings, draw_parts, split_hash
from data.storing import DialogueWriter, stored_dialogues


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """How dialogues are split.

    Attributes:
        seed: Of the draw.
        test_share: Share of the dialogues, above 0.
        validation_share: Likewise.
        num_fixed: So many dialogues, the first ones, name their part and keep it, whatever the
            others say.
        least_test: Test dialogues among the others, at least so many where that is no more than
            half of them.
    """

    seed: int
    test_share: float
    validation_share: float
    num_fixed: int = 0
    least_test: int = 0

    def shares(self, count: int) -> tuple[float, float]:
        """Shares of the test and the validation part of so many dialogues that are drawn."""
        least = min(self.least_test / max(count, 1), 0.5)
        return max(self.test_share, least), self.validation_share


def write_parts(
    masked: Iterable[Dialogue],
    folder: Path,
    split: SplitConfig,
    report: DataReport,
    advance: Callable[[int], None] | None = None,
) -> None:
    """Write `train.parquet`, `validation.parquet` and `test.parquet`.

    An opening question of eight words or more stands in one part alone: equal ones are drawn
    together, and a training dialogue whose opening is nearly that of a held-out one is left out,
    as is a validation dialogue near a test one. That holds where the data name their own split too:
    the support sample loses 1 of its 5,366 training dialogues.

    Args:
        masked: The dialogues, read once.
        folder: An existing folder for the files.
        split: Shares and seed.
        report: Counts what is written and what is left out.
        advance: Called with the number of dialogues done since the last call.

    Raises:
        ValueError: A part would be empty.
    """
    everything = folder / "all.parquet"
    hashes, named, said = array("Q"), array("b"), array("Q")
    with DialogueWriter(everything) as writer:
        for dialogue in masked:
            hashes.append(split_hash(dialogue, split.seed))
            named.append(PARTS.index(dialogue.part) if dialogue.part in PARTS else -1)
            said.append(dialogue_hash(dialogue))
            report.count(dialogue)
            writer.write(dialogue)
            if advance is not None:
                advance(1)
    report.exact_duplicates = len(said) - len(np.unique(np.asarray(said)))
    codes, fixed = np.asarray(named), split.num_fixed
    shares = split.shares(len(codes) - fixed)
    drawn = draw_parts(np.asarray(hashes)[fixed:], codes[fixed:], *shares)
    _write(everything, folder, np.concatenate([codes[:fixed], drawn]), fixed, report)
    everything.unlink()


def _write(
    everything: Path, folder: Path, parts: np.ndarray, fixed: int, report: DataReport
) -> None:
    held_out = HeldOutOpenings()
    for dialogue, part in zip(stored_dialogues(everything), parts.tolist(), strict=True):
        if part:
            held_out.add(dialogue.opening, part)
    held_out.index()
    report.parts = {name: {"dialogues": 0, "pairs": 0} for name in PARTS}
    report.fixed = {name: {"dialogues": 0, "pairs": 0} for name in PARTS}
    with ExitStack() as stack:
        writers = [
            stack.enter_context(DialogueWriter(folder / f"{name}.parquet")) for name in PARTS
        ]
        known = zip(stored_dialogues(everything), parts.tolist(), strict=True)
        for number, (dialogue, part) in enumerate(known):
            if held_out.is_near(dialogue.opening, part):
                report.near_duplicates[PARTS[part]] += 1
                continue
            writers[part].write(dialogue)
            told = (report.parts, report.fixed) if number < fixed else (report.parts,)
            for parts_told in told:
                parts_told[PARTS[part]]["dialogues"] += 1
                parts_told[PARTS[part]]["pairs"] += dialogue.num_pairs
    for name, counts in report.parts.items():
        if not counts["dialogues"]:
            raise ValueError(
                f"{len(parts)} dialogues: every opening of the {name} part is nearly one of a "
                "held-out dialogue; add dialogues that begin differently"
            )
