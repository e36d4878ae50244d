"""Which run a page reads, and what it shows where there is none."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import streamlit as st

from core.run_list import RunInfo, finished_runs
from core.ui.page import choose_view, show_error
from core.ui.texts import literally, t
from core.ui.training import new_run_name, start_training, training_words, watch_training
from core.ui.uploads import forget_old

Opened = TypeVar("Opened")


class Sample(NamedTuple):
    """What the first start offers to train.

    Attributes:
        target: The typed function that trains, as `module:function`.
        config: Of a training that a visitor waits for.
        word: For the new run's name.
    """

    target: str
    config: Path
    word: str


def show_runs(
    app: str,
    section: str,
    views: Mapping[str, Callable[[Opened], None]],
    open_run: Callable[[Path, Path], Opened],
    sample: Sample,
) -> None:
    """The body of a page that reads runs: the first start, or a view of the chosen run.

    The command line may name a run, `sys.argv[1]`.

    Args:
        app: Whose runs.
        section: Of the page's texts.
        views: By name, the first one shown at the start.
        open_run: Opens a run, given its folder and that of all runs; what it raises as
            `ValueError` or `OSError` is told.
        sample: What the first start offers.
    """
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    runs = Path("runs") / app if given is None else given.parent
    forget_old(runs)
    is_training = watch_training(runs)
    path = choose_run(runs, app, given)
    if path is None:
        st.markdown(t(f"{section}.first_start"))
        if not is_training and st.button(t("common.train_sample"), type="primary"):
            run = runs / new_run_name(sample.word)
            words = training_words("sample", run, f"--config={sample.config}")
            start_training(runs, sample.target, words, f"{section}.training")
        return
    view = choose_view(section, views)
    try:
        opened = open_run(path, runs)
    except (OSError, ValueError) as error:
        show_error(error, {path: path.name})
        st.info(t("common.choose_another"))
        return
    view(opened)


def written(path: Path) -> float:
    """When a run was written, so that it is opened anew where it was written again.

    Raises:
        FileNotFoundError: The folder is gone.
    """
    try:
        return (path / "manifest.json").stat().st_mtime
    except OSError:
        raise FileNotFoundError(t("common.run_is_gone", run=path.name)) from None


def choose_run(folder: Path, app: str, given: Path | None) -> Path | None:
    """The switch between the app's runs, in the sidebar.

    Args:
        folder: Where its runs are.
        app: Whose they are.
        given: The run of the command line, which is offered first; None for none.

    Returns:
        The chosen run's folder; None where there is no finished run.
    """
    found = finished_runs(folder, app)
    names = {run.path: label(run) for run in found}
    if given is not None:
        first = given.resolve()
        names = {first: names.get(first, given.name), **names}
    chosen = st.session_state.get("run")
    if chosen is not None and chosen not in names:
        st.warning(t("common.run_left", run=literally(chosen.name)))
    if not names:
        return None
    wanted = st.session_state.pop("wanted run", None)
    if wanted in names:
        st.session_state["run"] = wanted
    if st.session_state.get("run") not in names:
        st.session_state.pop("run", None)
    with st.sidebar:
        paths: Sequence[Path] = list(names)
        return st.selectbox(t("common.run"), paths, format_func=names.__getitem__, key="run")


def label(run: RunInfo) -> str:
    """A run in one short line: its name and time, its cell, and whether it is the champion."""
    cell = str(run.config.get("model", {}).get("cell", ""))
    star = "★ " if run.is_champion else ""
    name = re.sub(r"^\d{4}(\d\d)(\d\d)-(\d\d)(\d\d)\d\d-(.+)", r"\5 \1-\2 \3:\4", run.name)
    return star + name if not cell or cell in name else f"{star}{name} ({cell})"
