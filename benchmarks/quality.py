"""What each choice of the chatbot's network buys: one left out or put in at a time, on the sample.

Everything else is as in `apps/chatbot/configs/small.yaml`. Goes on where it stopped: a row counts
while the code that decides it is unchanged.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from pytorch_lightning import seed_everything
from torch import Tensor, nn

from apps.chatbot.datamodule import ChatDataModule, TextConfig
from apps.chatbot.evaluate import answer_all, perplexity, raw_dialogues, with_raw
from apps.chatbot.held_out import HeldOut
from apps.chatbot.inference import Chatbot
from apps.chatbot.train import DEFAULT_MODEL
from benchmarks.record import record, standing
from core.comparison import interval
from core.decoding import DecodingConfig
from core.modules import Seq2SeqModule
from core.nn.seq2seq import Seq2Seq, Seq2SeqConfig
from core.optim import OptimConfig
from core.training import TrainerConfig, fit
from data.columns import ColumnsConfig

SMALL = Path(__file__).parents[1] / "apps" / "chatbot" / "configs" / "small.yaml"
DECIDES = ("core/nn", "core/training.py", "core/modules.py", "core/optim.py", "data", str(SMALL))
SCORES = ("val_loss", "perplexity", "bleu", "chrf", "entity_accuracy", "cpu_seconds")


@dataclass(frozen=True)
class Choices:
    """What the variants differ in."""

    model: Seq2SeqConfig
    trainer: TrainerConfig
    label_smoothing: float = 0.1
    network: type[Seq2Seq] = Seq2Seq


@dataclass(frozen=True)
class Task:
    """What all variants learn and are scored on."""

    settings: dict[str, dict[str, Any]]
    datamodule: ChatDataModule
    test: HeldOut


class Untied(Seq2Seq):
    """An encoder-decoder whose output layer has weights of its own."""

    def __init__(self, vocab_size: int, config: Seq2SeqConfig) -> None:
        super().__init__(vocab_size, config)
        self.output_weight = nn.Parameter(torch.empty_like(self.embedding.weight))
        nn.init.normal_(self.output_weight, std=config.embedding_size**-0.5)

    def logits(self, features: Tensor) -> Tensor:
        """Scores of every token."""
        return nn.functional.linear(features, self.output_weight, self.output_bias)


class Unscaled(Seq2Seq):
    """An encoder-decoder whose layers read the word vectors as small as the output layer does."""

    def embed(self, tokens: Tensor) -> Tensor:
        """Word vectors as they are."""
        return self.embedding(tokens)


VARIANTS: Mapping[str, Callable[[Choices], Choices]] = {
    "as it is": lambda own: own,
    "output layer of its own": lambda own: replace(own, network=Untied),
    "word vectors not scaled": lambda own: replace(own, network=Unscaled),
    "input feeding": lambda own: replace(own, model=replace(own.model, input_feeding=True)),
    "no label smoothing": lambda own: replace(own, label_smoothing=0.0),
    "mean of the last 3 epochs": lambda own: replace(
        own, trainer=replace(own.trainer, average_last=3)
    ),
}


def main() -> None:
    """Train and score what is not on record, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    done = {(row["variant"], row["seed"]): row for row in standing("quality", DECIDES)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings, datamodule = small_sample(folder / "data")
        raw = raw_dialogues("sample", ColumnsConfig(), datamodule.dialogues("test"))
        pairs, references = with_raw(raw)
        test = HeldOut(pairs, references, [datamodule.encode_source(p.context) for p in pairs])
        for seed in range(options.seeds):
            for variant in VARIANTS:
                if (variant, seed) not in done:
                    run_dir = folder / f"{variant}-{seed}"
                    row = measure(variant, seed, Task(settings, datamodule, test), run_dir)
                    record("quality", [row], DECIDES)
                    done[variant, seed] = row
    for variant in VARIANTS:
        rows = [done[variant, seed] for seed in range(options.seeds)]
        parts = (f"{n} {m:.3f} ± {h:.3f}" for n in SCORES for m, h in [spread(rows, n)])
        print(f"{variant:28}", *parts, sep="  ")


def small_sample(folder: Path) -> tuple[dict[str, dict[str, Any]], ChatDataModule]:
    """What `small.yaml` says, and the sample prepared by it."""
    settings = yaml.safe_load(SMALL.read_text())
    text = TextConfig(**settings["text"])
    return settings, ChatDataModule.from_source("sample", ColumnsConfig(), text, folder)


def measure(variant: str, seed: int, task: Task, run_dir: Path) -> dict[str, Any]:
    """Train one variant from one seed, and score its replies to the test part."""
    settings, datamodule, test = task.settings, task.datamodule, task.test
    trainer = TrainerConfig(**settings["trainer"], seed=seed, progress=False)
    chosen = VARIANTS[variant](Choices(replace(DEFAULT_MODEL, **settings["model"]), trainer))
    seed_everything(seed, verbose=False)
    size, optim = datamodule.tokenizer.vocab_size, OptimConfig(**settings["optim"])
    module = Seq2SeqModule(size, chosen.model, optim, chosen.label_smoothing)
    if chosen.network is not Seq2Seq:
        module.model = chosen.network(size, chosen.model)
    loaders = (datamodule.loader("train", seed), datamodule.loader("validation", seed))
    started = time.process_time()
    result = fit(module, loaders, chosen.trainer, run_dir)
    seconds = time.process_time() - started
    decoding = DecodingConfig(**settings["decoding"])
    bot = Chatbot(module.model, datamodule.tokenizer, datamodule.config, decoding)
    metrics = test.score([reply.text for reply in answer_all(bot, test.pairs)]).metrics
    return {
        "variant": variant,
        "seed": seed,
        "parameters": sum(p.numel() for p in module.parameters()),
        "cpu_seconds": round(seconds, 1),
        "val_loss": round(result.val_loss, 4),
        "perplexity": round(perplexity(bot, test), 3),
        **{name: round(metrics[name], 3) for name in ("bleu", "chrf", "entity_accuracy")},
    }


def spread(rows: list[dict[str, Any]], name: str) -> tuple[float, float]:
    """Mean and half-width of the 95 % interval over the seeds."""
    return interval([row[name] for row in rows])


if __name__ == "__main__":
    main()
