"""Training on the accelerator that Lightning picks, and replies there beside the processor's.

Both apps train with their commands and defaults, in each precision; a run's scores come from its
`evaluate`, which works on the processor and starts as soon as the run is there, on a quarter of
the cores. Rates are over the whole of `fit`: validations, logs and checkpoints count. Of a reply
the whole time counts, from the masked conversation to its text.

    python -m benchmarks.gpu --data dialogues.jsonl.gz --prices prices.csv.gz --folder runs/gpu
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from apps.chatbot.datamodule import ChatDataModule
from apps.chatbot.inference import Chatbot
from benchmarks.record import ROOT, record
from core.decoding import StepDecoder
from core.nn.seq2seq import EncoderDecoder, Memory
from core.runs import load_run
from data.dialogues import Pair

PRECISIONS = ("bf16-mixed", "32-true")
BEAMS = (1, 4)
SCORES = {"chatbot": ("bleu", "chrf", "perplexity"), "stock_forecast": ("crps", "coverage_80")}


def main() -> None:
    """Train, time replies, wait for the scores and record the rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="dialogues")
    parser.add_argument("--prices", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for the runs; must not exist")
    parser.add_argument("--replies", type=int, default=30, help="single ones that are timed")
    parser.add_argument("--together", type=int, default=128, help="replies in batches of 64")
    parser.add_argument("--option", action="append", default=[], help="of chatbot train, as --x=1")
    options = parser.parse_args()
    apps = {"chatbot": (options.data, options.option), "stock_forecast": (options.prices, [])}
    rows, evaluations = [], []
    for app, (source, more) in apps.items():
        for precision in PRECISIONS:
            run = options.folder / f"{app}-{precision}"
            words = ["--data", str(source), "--run", str(run), "--trainer.progress=false"]
            started = time.perf_counter()
            words += [f"--trainer.precision={precision}", *more]
            if command(app, "train", *words).wait():
                sys.exit(f"{app} train {' '.join(words)}: failed, see above")
            rows.append(training_row(app, run, precision, time.perf_counter() - started))
            print(rows[-1], flush=True)
            threads = max(1, (os.cpu_count() or 1) // 4)
            evaluations.append(
                (run, command(app, "evaluate", "--run", str(run), "--json", cpus=threads))
            )
    rows += reply_rows(options.folder / f"chatbot-{PRECISIONS[0]}", options)
    for row, (run, process) in zip(rows, evaluations, strict=False):
        scores = json.loads(process.communicate()[0])
        run.with_suffix(".json").write_text(json.dumps(scores))
        for name in SCORES[row["what"].removesuffix(" train")]:
            by_horizon = scores[name] if isinstance(scores[name], dict) else {"": scores[name]}
            row |= {f"{name}_{h}".strip("_"): round(x, 5) for h, x in by_horizon.items()}
    record("gpu", rows)


def command(app: str, *words: str, cpus: int | None = None) -> subprocess.Popen[str]:
    """Start a command of an app; its standard output can be read, its errors are shown."""
    env = os.environ if cpus is None else {**os.environ, "OMP_NUM_THREADS": str(cpus)}
    line = [sys.executable, "-m", f"apps.{app}", *words]
    pipe = subprocess.PIPE if "--json" in words else None
    return subprocess.Popen(line, stdout=pipe, text=True, env=env, cwd=ROOT)


def training_row(app: str, run: Path, precision: str, seconds: float) -> dict[str, Any]:
    """How fast a run was trained."""
    metrics = json.loads((run / "metrics.json").read_text())
    row = {
        "what": f"{app} train",
        "device": device_name(),
        "precision": precision,
        "seconds": round(seconds, 1),
        "fit_seconds": round(metrics["seconds"], 1),
        "epochs": metrics["epochs"],
        "steps": metrics["steps"],
        "steps_per_second": round(metrics["steps"] / metrics["seconds"], 1),
        "val_loss": round(metrics["val_loss"], 5),
    }
    if app == "chatbot":
        loader = ChatDataModule.from_run(load_run(run, app)).loader("train", 0)
        tokens = sum(int((batch.target[:, 1:] != 0).sum()) for batch in loader)
        row["target_tokens_per_second"] = round(tokens * metrics["epochs"] / metrics["seconds"])
    return row


def device_name() -> str:
    """What Lightning trains on."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


class OnDevice(StepDecoder):
    """A network on an accelerator, for a chatbot whose tokens come from the processor."""

    def __init__(self, model: EncoderDecoder, device: str) -> None:
        self.model = model.to(device)
        self.device = device

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, Any]:
        """Read the sources there."""
        return self.model.encode(source.to(self.device), lengths.to(self.device))

    def decode_step(self, tokens: Tensor, state: Any, memory: Memory) -> tuple[Tensor, Any, Any]:
        """Score the next tokens there."""
        return self.model.decode_step(tokens, state, memory)


def reply_rows(path: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Single replies and batches of them, on each device."""
    run = load_run(path, "chatbot")
    pairs = ChatDataModule.from_run(run).pairs("test", options.together)
    places = [("CPU", 1), ("CPU", max(1, (os.cpu_count() or 1) // 2))]
    if torch.cuda.is_available():
        places.append(("cuda", 1))
    rows = []
    for beam in BEAMS:
        first: list[str] = []
        for device, threads in places:
            torch.set_num_threads(threads)
            bot = Chatbot.load(run, beam)
            if device != "CPU":
                bot.engine = OnDevice(bot.model, device)
            timed_replies(bot, pairs[:2])
            single = [timed_replies(bot, [pair])[0] for pair in pairs[: options.replies]]
            seconds, texts = timed_replies(bot, pairs)
            first = first or texts
            rows.append(
                {
                    "what": "chatbot reply",
                    "device": device_name() if device == "cuda" else device,
                    "threads": threads,
                    "beam_size": beam,
                    "ms_median": round(1000 * float(np.median(single)), 1),
                    "ms_quantile_95": round(1000 * float(np.quantile(single, 0.95)), 1),
                    "replies_per_second_in_batches": round(len(pairs) / seconds, 1),
                    "same_texts_as_first": round(float(np.mean(np.array(texts) == first)), 3),
                }
            )
            print(rows[-1], flush=True)
    return rows


def timed_replies(bot: Chatbot, pairs: list[Pair]) -> tuple[float, list[str]]:
    """Wall seconds of some replies, and their texts: no kernel is still at work."""
    started = time.perf_counter()
    found = bot.reply_all([pair.dialogue for pair in pairs], [pair.position for pair in pairs])
    return time.perf_counter() - started, [reply.text for reply in found]


if __name__ == "__main__":
    main()
