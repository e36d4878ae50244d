"""Each remedy alone, on and off, on one task: which one mattered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from apps.gradient_lab.jobs import Row, run_jobs
from apps.gradient_lab.recipes import with_model
from apps.gradient_lab.train import Job
from core.cli import verb
from core.clipping import Clipping
from core.comparison import align, choose, interval
from core.nn.recurrent import RecurrentConfig
from core.optim import OptimConfig
from data.synthetic import TASKS, TaskName

OFF = "nothing"


@dataclass(frozen=True)
class Remedy:
    """One change to a vanilla RNN.

    Attributes:
        about: What it is, in a few words.
        apply: From the vanilla job to the changed one.
    """

    about: str
    apply: Callable[[Job], Job]


def model(about: str, **changes: object) -> Remedy:
    """A remedy of the network."""
    return Remedy(about, lambda job: with_model(job, **changes))


def optim(about: str, **changes: object) -> Remedy:
    """A remedy of the optimiser."""
    return Remedy(
        about,
        lambda job: replace(job, optim=replace(job.optim, **changes)),  # type: ignore[arg-type]
    )


def clip(about: str, **thresholds: float) -> Remedy:
    """A remedy of clipping."""
    return Remedy(about, lambda job: replace(job, clipping=Clipping(**thresholds)))


REMEDIES: dict[str, Remedy] = {
    OFF: Remedy("two layers of tanh RNN, torch's start, Adam, no clipping", lambda job: job),
    "clip_norm": clip("gradient norm at most 1", norm=1.0),
    "clip_value": clip("each entry of the gradient at most 0.01", value=0.01),
    "clip_adaptive": clip("each unit's gradient at most 0.1 of its weights", adaptive=0.1),
    "orthogonal": model("orthogonal recurrent matrices", start="orthogonal"),
    "identity": model("identity recurrent matrices", start="identity"),
    "irnn": model("ReLU and identity start", cell="irnn", start="identity"),
    "lstm": model("LSTM, torch's start", cell="lstm"),
    "lstm_forget": model("LSTM, orthogonal, forget bias 1", cell="lstm", start="forget"),
    "lstm_chrono": model("LSTM, chrono start", cell="lstm", start="chrono"),
    "gru": model("GRU, torch's start", cell="gru"),
    "gru_chrono": model("GRU, chrono start", cell="gru", start="chrono"),
    "mingru_chrono": model("minGRU, chrono start", cell="mingru", start="chrono"),
    "lru": model("LRU", cell="lru"),
    "attention": Remedy("attention over all states", lambda j: replace(j, reading="attention")),
    "bidirectional": model("both directions", bidirectional=True),
    "residual": model("residual connection of the second layer", residual=True),
    "layer_norm": model("layer norm between the layers", norm="layer"),
    "batch_norm": model("batch norm between the layers", norm="batch"),
    "dropout": model("dropout of 0.2 between the layers", dropout=0.2),
    "locked_dropout": model(
        "the same units dropped at every step", dropout=0.2, locked_dropout=True
    ),
    "weight_drop": model("recurrent weights dropped, 0.2", weight_drop=0.2),
    "zoneout": model("units keep their state, 0.1", zoneout=0.1),
    "l1": optim("L1 penalty of 1e-5", l1=1e-5),
    "l2": optim("L2 penalty of 1e-4", l2=1e-4),
    "label_smoothing": Remedy("labels smoothed by 0.1", lambda j: replace(j, label_smoothing=0.1)),
    "warmup_cosine": optim("warm-up, then half a cosine", schedule="warmup_cosine"),
    "one_cycle": optim("one-cycle schedule", schedule="one_cycle"),
    "step": optim("rate cut to a tenth after each 30 %", schedule="step"),
    "plateau": optim("rate halved when the loss stalls", schedule="plateau"),
    "early_stopping": Remedy("stop after 3 checks without gain", lambda j: replace(j, patience=3)),
}


def table(rows: Sequence[Row]) -> str:
    """Remedies from the best to the worst, beside the vanilla RNN."""
    task = TASKS[rows[0]["task"]]
    is_share = task.name == "temporal_order"
    grouped = {
        name: [row for row in rows if row["remedy"] == name]
        for name in dict.fromkeys(row["remedy"] for row in rows)
    }
    scores = {name: [_score(row) for row in own] for name, own in grouped.items()}
    base = float(np.mean(scores[OFF])) if OFF in scores else float("nan")
    header = ["remedy", "what is switched on", "solved", task.metric, "gain", "steps", "seconds"]
    lines = [header]
    for name in sorted(grouped, key=lambda n: -float(np.mean(scores[n])) * (1 if is_share else -1)):
        own = grouped[name]
        mean, half = interval(scores[name])
        gain = (mean - base) if is_share else (base - mean)
        lines.append(
            [
                name,
                REMEDIES[name].about,
                f"{sum(row['solved'] for row in own)}/{len(own)}",
                f"{mean:.3f} ±{half:.3f}",
                "-" if name == OFF else f"{gain:+.3f}",
                f"{np.mean([row['steps'] for row in own]):.0f}",
                f"{np.mean([row['seconds'] for row in own]):.0f}",
            ]
        )
    about = f"{task.name} at T={rows[0]['length']}; without reading: "
    return f"{about}{task.baseline(rows[0]['length']):.3f}\n\n" + align(lines, num_names=2)


@verb(table)
def ablate(
    task: TaskName = "temporal_order",
    length: int = 50,
    remedies: str = "all",
    *,
    seeds: int = 3,
    max_steps: int = 1000,
    store: Path | None = None,
) -> list[dict[str, Any]]:
    """Switch on one remedy at a time on a vanilla RNN that has none, and see which one mattered.

    Args:
        task: `adding`, `copy` or `temporal_order`.
        length: T of the task, in steps.
        remedies: Comma-separated, or `all`: clip_norm, clip_value, clip_adaptive, orthogonal,
            identity, irnn, lstm, lstm_forget, lstm_chrono, gru, gru_chrono, mingru_chrono, lru,
            attention, bidirectional, residual, layer_norm, batch_norm, dropout, locked_dropout,
            weight_drop, zoneout, l1, l2, label_smoothing, warmup_cosine, one_cycle, step, plateau,
            early_stopping. The RNN with `nothing` always runs beside them.
        seeds: How many, at least 1.
        max_steps: Optimiser steps a run may take, a multiple of 100.
        store: A JSONL file that keeps finished runs, so that a stopped command goes on.
    """
    if seeds < 1:
        raise ValueError(f"seeds={seeds} must be at least 1")
    chosen = list(dict.fromkeys([OFF, *choose(tuple(REMEDIES), remedies, "remedies")]))
    if task == "adding" and "label_smoothing" in chosen:
        chosen.remove("label_smoothing")  # there are no labels
    jobs = [
        REMEDIES[name].apply(vanilla(task, length, seed, max_steps))
        for name in chosen
        for seed in range(seeds)
    ]
    rows = run_jobs(jobs, "ablation: remedies by seeds", store)
    named = [name for name in chosen for _ in range(seeds)]
    return [
        {"remedy": name, **{key: value for key, value in row.items() if key != "curve"}}
        for name, row in zip(named, rows, strict=True)
    ]


def vanilla(task: TaskName, length: int, seed: int, max_steps: int) -> Job:
    """The job that every remedy changes in one place."""
    network = RecurrentConfig(
        cell="rnn", hidden_size=64, num_layers=2, start="default", longest_lag=max(3, length)
    )
    return Job(
        task=task,
        length=length,
        model=network,
        optim=OptimConfig(learning_rate=2e-3, weight_decay=0.0, schedule="constant"),
        clipping=Clipping(),
        max_steps=max_steps,
        seed=seed,
    )


def _score(row: Row) -> float:
    """A run that diverged counts as one that answers without reading."""
    return float(row["baseline"] if row["score"] is None else row["score"])
