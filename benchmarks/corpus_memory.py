"""Memory and time of a corpus and of the same corpus ten times, through the Parquet path."""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.record import record

REPEATS = (1, 10)
STEPS = 60  # optimiser steps that are timed


def main() -> None:
    """Prepare both and train a few steps, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="sample", help="what is repeated, as for `chatbot train`")
    parser.add_argument("--measure", type=Path, help="a Parquet file; used by this script itself")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    rows = []
    with TemporaryDirectory() as folder:
        for repeats in REPEATS:
            path = Path(folder) / f"{repeats}.parquet"
            write_corpus(arguments.data, repeats, path)
            words = [sys.executable, "-m", "benchmarks.corpus_memory", "--measure", str(path)]
            child = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            row = {"data": Path(arguments.data).name, "repeats": repeats}
            rows.append(row | json.loads(child.stdout.splitlines()[-1]))
            path.unlink()
    one, ten = rows
    for key in ("prepared_mib", "peak_mib", "prepare_seconds", "epoch_seconds"):
        ten[f"{key}_ratio"] = round(ten[key] / one[key], 3)
    record("corpus_memory", rows)


def write_corpus(source: str, repeats: int, path: Path) -> None:
    """The source's dialogues again and again, each time under other ids, in one row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data.checking import load_dialogues

    dialogues = load_dialogues(source)
    rows = [
        {"dialogue_id": f"{number}-{d.dialogue_id}", "turns": [t._asdict() for t in d.turns]}
        for number in range(repeats)
        for d in dialogues
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


def measure(path: Path) -> dict[str, Any]:
    """Prepare, then train some steps; an epoch's seconds are a step's times the steps it has."""
    import numpy as np
    import torch
    from torch import nn

    from apps.chatbot.datamodule import ChatDataModule, TextConfig
    from apps.chatbot.train import DEFAULT_MODEL
    from core.memory import keep_freed_memory
    from core.modules import Seq2SeqModule
    from core.optim import OptimConfig
    from data.columns import ColumnsConfig

    torch.set_num_threads(1)
    keep_freed_memory()
    with TemporaryDirectory() as folder:
        started, before = time.process_time(), peak_mib()
        datamodule = ChatDataModule.from_source(
            str(path), ColumnsConfig(), TextConfig(), Path(folder)
        )
        loader = datamodule.loader("train", 0)
        prepared, seconds = peak_mib(), time.process_time() - started
        model = replace(DEFAULT_MODEL, hidden_size=64, embedding_size=64)
        module = Seq2SeqModule(datamodule.tokenizer.vocab_size, model, OptimConfig(), 0.1).model
        optimizer = torch.optim.Adam(module.parameters())
        batches = list(islice(loader, STEPS))
        # The longest of all comes first: else the peak depends on which batches are drawn.
        drawn = map(loader.collate, loader.plan(np.random.default_rng(0)))
        longest = max(drawn, key=lambda batch: batch.target.numel() + batch.source.numel())
        for batch in (longest, *batches):
            if batch is batches[0]:
                begun = time.process_time()
            logits, target = module(batch)
            nn.functional.cross_entropy(logits, target).backward()
            optimizer.step()
            optimizer.zero_grad()
        step = (time.process_time() - begun) / STEPS
    return {
        "file_mib": round(os.path.getsize(path) / 2**20, 1),
        "batches": len(loader),
        "longest_batch": longest.target.numel() + longest.source.numel(),
        "imports_mib": round(before),
        "prepared_mib": round(prepared),
        "peak_mib": round(peak_mib()),
        "prepare_seconds": round(seconds, 1),
        "epoch_seconds": round(step * len(loader), 1),
    }


def peak_mib() -> float:
    """The most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
