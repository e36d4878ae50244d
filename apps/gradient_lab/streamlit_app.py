"""The lab's page: choose a cell and a start, and watch gradient and score as it trains."""

from dataclasses import replace
from typing import Any

import streamlit as st

from apps.gradient_lab import plots
from apps.gradient_lab.gradients import measure
from apps.gradient_lab.recipes import recipe
from apps.gradient_lab.train import Check, Job, default_start, is_solved, make_module, train
from core.clipping import Clipping
from core.modules import SequenceModule
from core.nn.initialization import CELLS, STARTS, CellName, effective_start
from data.synthetic import TASKS, TaskName

ABOUT: dict[TaskName, str] = {
    "adding": "Two numbers of a long sequence are marked; the answer is their sum.",
    "copy": "Ten symbols must be repeated after a long pause.",
    "temporal_order": "Two of many symbols matter; the answer is which came first and second.",
}
LABELS = {
    "rnn": "tanh RNN",
    "irnn": "ReLU RNN (IRNN)",
    "lstm": "LSTM",
    "gru": "GRU",
    "mingru": "minGRU, two layers",
    "minlstm": "minLSTM, two layers",
    "lru": "LRU, two layers",
    "slstm": "sLSTM",
}


def choose_job() -> Job:
    """The sidebar's choices."""
    with st.sidebar:
        task: TaskName = st.selectbox("Task", list(TASKS), help="What must be remembered")
        st.caption(ABOUT[task])
        length = st.select_slider("Length T (steps)", [20, 50, 100, 200], value=50)
        cell: CellName = st.selectbox("Cell", CELLS, format_func=LABELS.__getitem__)
        starts = list(dict.fromkeys(effective_start(cell, start) for start in STARTS))
        start = st.selectbox(
            "Start", starts, index=starts.index(default_start(cell)), key=f"start of {cell}"
        )
        threshold = st.select_slider(
            "Clip the gradient's norm at",
            [0.0, 0.1, 1.0, 10.0],
            value=1.0,
            format_func=lambda limit: f"{limit:g}" if limit else "never",
        )
        steps = st.select_slider("Steps at most", [200, 500, 1000, 2000, 3000], value=1000)
        seed = st.number_input("Seed", 0, 999, 0)
    job = recipe(task, length, cell, start, seed=int(seed), max_steps=steps)
    return replace(job, clipping=Clipping(norm=threshold))


def labelled(curves: list[dict[str, Any]], when: str) -> list[dict[str, Any]]:
    """Curves whose name says when they were measured."""
    return [{**curve, "start": when} for curve in curves]


def watch(job: Job) -> None:
    """Train, and draw at every check."""
    task = TASKS[job.task]
    left, right = st.columns(2)
    gradient_place, score_place = left.empty(), right.empty()
    bar = st.progress(0.0, "starting")
    before = labelled(measure(job, make_module(job), is_trained=False), "at the start")
    gradient_place.plotly_chart(plots.lag_curves(before, "Gradient by lag"), key="lag 0")
    seen: list[list[float]] = []

    def look(module: SequenceModule, check: Check) -> bool:
        seen.append([check.step, check.score])
        now = labelled(measure(job, module, is_trained=True), f"after {check.step} steps")
        figure = plots.lag_curves([*before, *now], "Gradient by lag")
        gradient_place.plotly_chart(figure, key=f"lag {check.step}")
        row = {
            "task": job.task,
            "length": job.length,
            "cell": job.model.cell,
            "start": job.model.start,
            "steps": check.step,
            "curve": seen,
        }
        figure = plots.scores_while_training([row], job.length)
        score_place.plotly_chart(figure, key=f"score {check.step}")
        words = f"step {check.step}: {task.metric} {check.score:.4f}"
        bar.progress(check.step / job.max_steps, words + f", gradient norm {check.grad_norm:.2g}")
        return True

    trained = train(job, look)
    bar.empty()
    baseline = task.baseline(job.length)
    score = f"{task.metric} {trained.score:.4f} on fresh rows; without reading {baseline:.4f}"
    if trained.score != trained.score:
        st.error(f"Training diverged after {trained.steps} steps. Clip the gradient, or clip more.")
    elif is_solved(task, job.length, trained.score):
        st.success(f"Solved in {trained.steps} steps: {score}.")
    else:
        st.warning(f"Not solved in {trained.steps} steps: {score}.")


def main() -> None:
    """The page."""
    st.title("Why does an RNN stop learning?")
    st.write(
        "Choose a cell on the left and train it. The left plot shows how much the last output "
        "still depends on earlier states: where the curve falls to nothing, nothing is learnt from "
        "inputs so far back. The right plot shows whether the task is learnt."
    )
    job = choose_job()
    if st.button("Train", type="primary"):
        watch(job)


main()
