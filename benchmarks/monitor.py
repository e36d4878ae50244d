"""What the gradient monitor costs: the same batches with and without it, block by block."""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning import seed_everything
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from apps.chatbot.datamodule import ChatDataModule, TextConfig
from apps.chatbot.train import DEFAULT_MODEL
from apps.stock_forecast.datamodule import PriceDataModule, WindowConfig
from apps.stock_forecast.train import OPTIM, make_module
from benchmarks.record import record
from core.clipping import Clipping
from core.comparison import interval
from core.loading import BatchLoader
from core.memory import keep_freed_memory
from core.modules import Seq2SeqModule, TaskModule
from core.monitor import GradientMonitor
from core.nn.forecaster import ForecasterConfig
from core.optim import OptimConfig
from data.columns import ColumnsConfig

STEPS = 50  # a block: the default interval, so that one step of it is measured
SMALL = Path(__file__).parents[1] / "apps" / "chatbot" / "configs" / "small.yaml"


class Switched(GradientMonitor):
    """On in every other block; notes the processor's time where a block begins.

    The blocks of a pair train on the same batches, in the orders on-off, off-on, on-off, ...
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, STEPS)
        self.started: list[float] = []
        self.own: list[float] = []  # seconds inside the monitor, one a block in which it is on

    def run(self, hook: Callable[..., None], *args: Any) -> None:
        """Run one of the monitor's hooks where it is on."""
        if len(self.started) % 4 in (1, 0):
            before = time.thread_time()
            hook(*args)
            self.own[-1] += time.thread_time() - before

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """Begin a block, in the first step of it."""
        if trainer.global_step % STEPS == 0:
            self.started.append(time.process_time())
            self.own += [0.0] * (len(self.started) % 4 in (1, 0))
        self.run(super().on_train_batch_start, trainer, *args)

    def on_before_backward(self, *args: Any) -> None:
        """Only where it is on."""
        self.run(super().on_before_backward, *args)

    def on_before_optimizer_step(self, *args: Any) -> None:
        """Only where it is on."""
        self.run(super().on_before_optimizer_step, *args)

    def on_train_batch_end(self, *args: Any) -> None:
        """Only where it is on."""
        self.run(super().on_train_batch_end, *args)

    def on_train_end(self, *_: Any) -> None:
        """End the last block."""
        self.started.append(time.process_time())


def chatbot() -> tuple[TaskModule, BatchLoader[Any]]:
    """The network of small.yaml on the sample."""
    options = yaml.safe_load(SMALL.read_text())
    with tempfile.TemporaryDirectory() as folder:
        datamodule = ChatDataModule.from_source(
            "sample", ColumnsConfig(), TextConfig(**options["text"]), Path(folder)
        )
        loader = datamodule.loader("train", 0)
    seed_everything(0, verbose=False)
    model = replace(DEFAULT_MODEL, **options["model"])
    optim = OptimConfig(**options["optim"])
    module = Seq2SeqModule(datamodule.tokenizer.vocab_size, model, optim, 0.1)
    return module, loader


def stock_forecast() -> tuple[TaskModule, BatchLoader[Any]]:
    """The default network on the sample."""
    datamodule = PriceDataModule.from_source("sample", None, WindowConfig())
    return make_module(datamodule, ForecasterConfig(), OPTIM, 0), datamodule.loader("train", 0)


def endless(loader: BatchLoader[Any]) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from loader


def measure(module: TaskModule, loader: BatchLoader[Any], num_pairs: int) -> dict[str, float]:
    """Train on pairs of blocks; the first pair warms up and does not count."""
    module.clipping = Clipping(norm=1.0)
    batches = list(islice(endless(loader), STEPS * (num_pairs + 1)))
    blocks = np.arange(len(batches)).reshape(-1, 1, STEPS, 1).repeat(2, axis=1)
    twice = BatchLoader(lambda _: list(blocks.reshape(-1, 1)), lambda rows: batches[rows[0]])
    with tempfile.TemporaryDirectory() as folder:
        monitor = Switched(Path(folder) / "gradients.json")
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=1,
            callbacks=[monitor],
            logger=[CSVLogger(folder, "", ""), TensorBoardLogger(folder, "", "")],
            log_every_n_steps=10,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        trainer.fit(module.train(), twice)
    seconds = np.diff(monitor.started).reshape(-1, 2)[1:]  # (pairs, 2)
    is_flipped = np.arange(1, num_pairs + 1) % 2 == 1
    seconds[is_flipped] = seconds[is_flipped, ::-1]  # (on, off)
    overhead, half = interval((100 * (seconds[:, 0] / seconds[:, 1] - 1)).tolist())
    block = float(seconds[:, 1].mean())
    return {
        "pairs": num_pairs,
        "step_ms": round(1e3 * block / STEPS, 2),
        "overhead_percent": round(overhead, 2),
        "half_interval": round(half, 2),
        "inside_percent": round(100 * float(np.mean(monitor.own[1:])) / block, 2),
        "lag_seconds": round(monitor.summary["lag_seconds"], 2),
    }


def main() -> None:
    """Measure both apps, one thread each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12, help="pairs of blocks of 50 steps")
    num_pairs = parser.parse_args().pairs
    torch.set_num_threads(1)
    keep_freed_memory()
    for name, make in (("stock_forecast", stock_forecast), ("chatbot small", chatbot)):
        record("monitor", [{"app": name, **measure(*make(), num_pairs)}])


if __name__ == "__main__":
    main()
