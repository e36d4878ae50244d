"""The visitor's own experiment."""

from typing import get_args

import streamlit as st

from apps.gradient_lab.live import Experiment
from apps.gradient_lab.pages import drawing, running
from apps.gradient_lab.train import default_start
from core.nn.initialization import CELLS, STARTS, CellName, effective_start
from core.ui.texts import t
from data.synthetic import TaskName

POLL = 1.0  # seconds between two looks at a running training
OWN = "own"
LABELS: dict[CellName, str] = {
    "rnn": "tanh RNN",
    "irnn": "ReLU RNN (IRNN)",
    "lstm": "LSTM",
    "gru": "GRU",
    "mingru": "minGRU",
    "minlstm": "minLSTM",
    "lru": "LRU",
    "slstm": "sLSTM",
}


def show() -> None:
    """The view."""
    experiment = _choose()
    busy = running.is_running()
    if st.button(t("lab.train_it"), type="primary", disabled=busy):
        running.start(OWN, experiment)
    running.tell_trouble()
    if busy:
        _live()
    else:
        _drawn()


@st.fragment(run_every=POLL)
def _live() -> None:
    if not running.is_running():
        st.rerun()
    running.bar()
    _drawn()


def _drawn() -> None:
    result = running.results().get(OWN)
    if result is None:
        return
    if running.own_running() != OWN:
        drawing.outcome(result)
    drawing.pictures({_name(result): result}, "own", _name(result))


def _name(result: drawing.Result) -> str:
    chosen = result["experiment"]
    return f"{LABELS[chosen['cell']]}, {chosen['start']}"


def _choose() -> Experiment:
    """The visitor's choices."""
    left, middle, right = st.columns(3)
    with left:
        task: TaskName = st.selectbox(t("lab.task"), get_args(TaskName), key="task")
        st.caption(t(f"lab.task_{task}"))
        length = st.select_slider(t("lab.length"), [20, 50, 100, 200], value=50)
    with middle:
        cell: CellName = st.selectbox(
            t("lab.cell"), CELLS, format_func=LABELS.__getitem__, key="cell"
        )
        starts = list(dict.fromkeys(effective_start(cell, start) for start in STARTS))
        start = st.selectbox(
            t("lab.start"), starts, index=starts.index(default_start(cell)), key=f"start of {cell}"
        )
    with right:
        clip_norm = st.select_slider(
            t("lab.clip"),
            [0.0, 0.1, 1.0, 10.0],
            value=1.0,
            format_func=lambda limit: f"{limit:g}" if limit else t("lab.never"),
        )
        steps = st.select_slider(t("lab.steps"), [200, 500, 1000, 2000, 3000], value=1000)
        seed = st.number_input(t("lab.seed"), 0, 999, 0)
    return Experiment(
        task=task,
        length=length,
        cell=cell,
        start=start,
        clip_norm=clip_norm,
        steps=steps,
        seed=int(seed),
    )
