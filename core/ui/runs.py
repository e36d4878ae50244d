"""Which run a page reads."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core.run_list import RunInfo, finished_runs
from core.ui.texts import t


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
    """A run in one line: its name, its cell, and whether it is the champion."""
    cell = str(run.config.get("model", {}).get("cell", ""))
    star = "★ " if run.is_champion else ""
    return f"{star}{run.name} ({cell})" if cell else f"{star}{run.name}"
