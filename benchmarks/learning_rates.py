"""The learning rate of each network of `chatbot compare`, chosen on the sample's validation part.

Everything else is as in `apps/chatbot/configs/small.yaml`. Goes on where it stopped: a row counts
while the code that decides it is unchanged.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import seed_everything

from apps.chatbot.candidates import NETWORKS, candidate_model
from apps.chatbot.datamodule import ChatDataModule
from apps.chatbot.train import DEFAULT_MODEL
from benchmarks.quality import DECIDES, small_sample
from benchmarks.record import record, standing
from core.modules import Seq2SeqModule
from core.optim import OptimConfig
from core.training import TrainerConfig, fit

RATES = (1e-3, 2e-3, 4e-3, 8e-3)


def main() -> None:
    """Train what is not on record, and print val_loss by network and rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rates", nargs="+", type=float, default=RATES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = {(row["name"], row["rate"]): row for row in standing("learning_rates", DECIDES)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings, datamodule = small_sample(folder / "data")
        for candidate in options.candidates:
            for rate in options.rates:
                if (candidate, rate) not in done:
                    row = measure(
                        candidate, rate, settings, datamodule, folder / f"{candidate}{rate}"
                    )
                    record("learning_rates", [row], DECIDES)
                    done[candidate, rate] = row
    for candidate in options.candidates:
        losses = (f"{rate:g}: {done[candidate, rate]['val_loss']:.3f}" for rate in options.rates)
        print(f"{candidate:16}", *losses, sep="  ")


def measure(
    candidate: str, rate: float, settings: dict[str, Any], datamodule: ChatDataModule, run_dir: Path
) -> dict[str, Any]:
    """Train one network at one rate, seed 0."""
    size = datamodule.tokenizer.vocab_size
    model = candidate_model(candidate, size, replace(DEFAULT_MODEL, **settings["model"]))
    trainer = TrainerConfig(**settings["trainer"], progress=False)
    if candidate == "rnn_unclipped":
        trainer = replace(trainer, clip_norm=0.0)
    seed_everything(0, verbose=False)
    optim = OptimConfig(**{**settings["optim"], "learning_rate": rate})
    module = Seq2SeqModule(size, model, optim, 0.1)
    loaders = (datamodule.loader("train", 0), datamodule.loader("validation", 0))
    started = time.process_time()
    result = fit(module, loaders, trainer, run_dir)
    return {
        "name": candidate,
        "rate": rate,
        "val_loss": round(result.val_loss, 4),
        "cpu_seconds": round(time.process_time() - started, 1),
    }


if __name__ == "__main__":
    main()
