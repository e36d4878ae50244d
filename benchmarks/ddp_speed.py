"""How much faster two processes train than one, beside two that have nothing to do with each other.

    python -m benchmarks.ddp_speed --data dialogues.jsonl.gz

In each round, one after the other on the same machine: one process alone; two at once that know
nothing of each other, which is what the machine can give; and two that share a training (DDP). One
thread each. Counted are pairs a second of wall time, from the first step on, without the start.
The ratio is the second speed-up over the first. Processes that share a training are measured with
the batch of one process shared between them, and with a batch for each.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.record import record
from core.progress_file import VARIABLE

NAME = "ddp_speed"
BOUND = 0.8
BATCH = 64
TWO = ("--trainer.devices=2", "--trainer.strategy=ddp")


def main() -> None:
    """Measure in rounds, record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--dialogues", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        data = cut(given.data, given.dialogues, work / "data.jsonl")
        common = ["--data", str(data), f"--trainer.precision={given.precision}"]
        rows = [measure(work / str(number), common, number) for number in range(given.rounds)]
    for batch in ("shared", "each"):
        ratios = [row[f"ratio_{batch}"] for row in rows]
        print(
            f"batch {batch}: ratio {statistics.median(ratios):.3f} (median of {len(ratios)}, "
            f"{min(ratios):.3f} to {max(ratios):.3f}), bound {BOUND}"
        )
    record(NAME, [{**row, "precision": given.precision} for row in rows])


def measure(work: Path, common: Sequence[str], number: int) -> dict[str, Any]:
    """One round: pairs a second, speed-ups, and their ratio."""
    alone = speed([train(work / "alone", [*common, f"--text.batch_size={BATCH}"])], BATCH)
    both = speed(
        [train(work / f"own{n}", [*common, f"--text.batch_size={BATCH}"]) for n in range(2)], BATCH
    )
    shared = speed([train(work / "shared", [*common, f"--text.batch_size={BATCH}", *TWO])], BATCH)
    each = speed(
        [train(work / "each", [*common, f"--text.batch_size={2 * BATCH}", *TWO])], 2 * BATCH
    )
    return {
        "round": number,
        "pairs_per_second": {"alone": alone, "independent": both, "shared": shared, "each": each},
        "speed_up": {"independent": both / alone, "shared": shared / alone, "each": each / alone},
        "ratio_shared": shared / both,
        "ratio_each": each / both,
    }


def train(run: Path, words: Sequence[str]) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a training of one epoch that tells how far it is."""
    run.parent.mkdir(parents=True, exist_ok=True)
    told = run.with_suffix(".progress.json")
    command = [sys.executable, "-m", "apps.chatbot", "train", "--run", str(run), *words]
    command += ["--trainer.max_epochs=1", "--trainer.progress=false"]
    command += ["--trainer.checkpoint_steps=100000"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", VARIABLE: str(told)}
    with run.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stderr=log, stdout=log), told


def speed(processes: Sequence[tuple[subprocess.Popen[bytes], Path]], batch: int) -> float:
    """Wait until all have taken their steps; pairs a second of all together."""
    total = 0.0
    for process, told in processes:
        if process.wait():
            raise RuntimeError(told.with_name(told.stem.split(".")[0] + ".log").read_text())
        progress = json.loads(told.read_text())
        total += progress["step"] * batch / progress["seconds"]
    return total


def cut(data: Path, count: int, path: Path) -> Path:
    """The first dialogues of a file."""
    import gzip

    read = gzip.open if data.suffix == ".gz" else open
    with read(data, "rt", encoding="utf-8") as file:
        path.write_text("".join(line for _, line in zip(range(count), file, strict=False)))
    return path


if __name__ == "__main__":
    main()
