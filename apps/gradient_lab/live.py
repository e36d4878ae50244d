"""A training that tells how it goes in a file, so that a page can draw it while it runs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from apps.gradient_lab.datamodule import TaskData
from apps.gradient_lab.gradients import FIRST, ROWS, measure
from apps.gradient_lab.recipes import recipe
from apps.gradient_lab.train import Check, Job, is_solved, make_module, train
from core.clipping import Clipping
from core.files import write_json
from core.modules import SequenceModule
from core.nn.initialization import CellName, Start
from core.nn.sequence import Reading
from core.watching import StackWatch
from data.synthetic import TASKS, TaskName


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What a visitor chose.

    Attributes:
        task: `adding`, `copy` or `temporal_order`.
        length: T of the task, in steps, at least 10.
        cell: Who learns it.
        start: Its starting weights.
        clip_norm: Largest norm of a step's gradient; 0 for no clipping.
        steps: Optimiser steps at most, a multiple of 100.
        seed: Of weights and draws.
        reading: What the answer is read from: the `last` state, or all of them by `attention`.
    """

    task: TaskName = "adding"
    length: int = 50
    cell: CellName = "rnn"
    start: Start = "orthogonal"
    clip_norm: float = 1.0
    steps: int = 1000
    seed: int = 0
    reading: Reading = "last"

    @property
    def job(self) -> Job:
        """The training that it is."""
        base = recipe(
            self.task, self.length, self.cell, self.start, seed=self.seed, max_steps=self.steps
        )
        return replace(base, clipping=Clipping(norm=self.clip_norm), reading=self.reading)

    def words(self) -> list[str]:
        """The arguments of `live`."""
        return [f"--experiment.{name}={value}" for name, value in asdict(self).items()]


# The story on one task: the adding problem, whose two numbers lie up to 100 steps back.
_LONG = Experiment(task="adding", length=100, steps=600)
STORY: dict[str, Experiment] = {
    "rnn": replace(_LONG, cell="rnn", start="default", clip_norm=0.0),
    "clipping": replace(_LONG, cell="rnn", start="default", clip_norm=1.0),
    "lstm": replace(_LONG, cell="lstm", start="chrono"),
    "gru": replace(_LONG, cell="gru", start="chrono"),
    "attention": replace(_LONG, cell="rnn", start="orthogonal", reading="attention"),
}


def live(out: Path, experiment: Experiment = Experiment()) -> dict[str, Any]:
    """Train, and at every check write down what a page draws.

    Args:
        out: The JSON file, written anew at every check; see `Returns`.
        experiment: What to train.

    Returns:
        What the file says at the end: `experiment`; `steps` done and `max_steps`; `curve` and
        `norms`, a list of [step, value] each (score on the validation draws; gradient norm before
        clipping); `saturation`, the same by gate (share of its values near an end); `lags`, the
        gradient by lag before training and now; `metric`, `baseline`; and once it has ended
        `score` on fresh rows (None where training diverged) and `solved`.
    """
    job = experiment.job
    task = TASKS[job.task]
    torch.set_num_threads(1)  # its steps are small: a second thread would only get in the way
    torch.manual_seed(job.seed)
    state: dict[str, Any] = {
        "experiment": asdict(experiment),
        "steps": 0,
        "max_steps": job.max_steps,
        "metric": task.metric,
        "baseline": task.baseline(job.length),
        "curve": [],
        "norms": [],
        "saturation": {},
        "lags": [],
    }

    def look(module: SequenceModule, check: Check) -> bool:
        state["steps"] = check.step
        state["curve"].append([check.step, check.score])
        state["norms"].append([check.step, check.grad_norm])
        state["lags"] = [*before, *measure(job, module, is_trained=True)]
        for gate, share in saturation(job, module).items():
            state["saturation"].setdefault(gate, []).append([check.step, share])
        write_json(out, state)
        return True

    fresh = make_module(job)
    before = measure(job, fresh, is_trained=False)
    state["lags"] = before
    state["saturation"] = {gate: [[0, share]] for gate, share in saturation(job, fresh).items()}
    write_json(out, state)
    trained = train(job, look)
    has_diverged = trained.score != trained.score
    state["score"] = None if has_diverged else trained.score
    state["solved"] = not has_diverged and is_solved(task, job.length, trained.score)
    write_json(out, state)
    return state


def saturation(job: Job, module: SequenceModule) -> dict[str, float]:
    """Share of each gate's values near an end of its range, of the last layer, on fresh rows."""
    batch = TaskData(TASKS[job.task], job.length, job.seed).fresh().collate(FIRST)
    watch = StackWatch(module.model.encoder, batch)
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            module.model(batch.inputs[:ROWS])
        shares = watch.saturation()
    finally:
        watch.close()
        module.train(was_training)
    last = f"layers.{job.model.num_layers - 1}."
    return {
        name.rpartition(".")[2]: share for name, share in shares.items() if name.startswith(last)
    }


def clear(folder: Path, keep: Sequence[str], older_than: float) -> None:
    """Remove what visitors long gone left.

    Args:
        folder: Where the files are.
        keep: Names of files that stay.
        older_than: Seconds since 1970.
    """
    for path in folder.glob("*.json"):
        if path.name not in keep and path.stat().st_mtime < older_than:
            path.unlink(missing_ok=True)
