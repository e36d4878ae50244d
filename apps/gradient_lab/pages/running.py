"""A visitor's trainings: one at a time on the whole server, drawn while they run."""

import json
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from apps.gradient_lab.live import Experiment, clear
from core import jobs
from core.ui.texts import literally, t, translated

RUNS = Path("runs") / "gradient_lab"
JOB, LIVE = RUNS / ".job", RUNS / ".live"
TARGET = "apps.gradient_lab.live:live"
KEPT = 86_400.0  # seconds after which what a visitor trained is cleared away


def start(name: str, experiment: Experiment) -> None:
    """Start a visitor's training under a name of the page, and draw the page again.

    Args:
        name: Whose result it will be; an earlier one of that name goes.
        experiment: What to train.
    """
    LIVE.mkdir(parents=True, exist_ok=True)
    clear(LIVE, [path.name for path in _files().values()], time.time() - KEPT)
    out = LIVE / f"{uuid.uuid4().hex}.json"
    if jobs.start(JOB, TARGET, [f"--out={out}", *experiment.words()], name):
        _files()[name] = out
    else:
        st.session_state["lab is busy"] = True
    st.rerun()


def results() -> dict[str, dict[str, Any]]:
    """What the visitor's trainings have told so far, by name."""
    found = {}
    for name, path in _files().items():
        try:
            found[name] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
    return found


def is_running() -> bool:
    """Whether a training is running, the visitor's or another one."""
    return jobs.is_running(JOB)


def own_running() -> str | None:
    """The name of the visitor's training that is running; None for none, or another visitor's."""
    if not is_running():
        return None
    words = jobs.status(JOB).words
    return next((name for name, path in _files().items() if f"--out={path}" in words), None)


def bar() -> None:
    """The progress of the running training, with a button that ends it."""
    now = jobs.status(JOB)
    if own_running() is None:
        st.caption(t("lab.not_ours"))
    result = _told(now.words)
    if result is None:
        st.progress(0.0, t("lab.starting"))
    else:
        share = result["steps"] / result["max_steps"]
        seconds = time.time() - now.started
        left = seconds / share - seconds if share else None
        words = t("lab.step", step=result["steps"], steps=result["max_steps"])
        if result["curve"]:
            words += " · " + f"{translated(result['metric'])} {result['curve'][-1][1]:.4f}"
        if left is not None:
            words += " · " + t("lab.at_most", seconds=round(left))
        st.progress(share, words)
    if st.button(t("common.cancel"), key="cancel experiment"):
        jobs.cancel(JOB)
        st.rerun()


def _told(words: Sequence[str]) -> dict[str, Any] | None:
    """What the training of these arguments has written so far."""
    out = next((word.removeprefix("--out=") for word in words if word.startswith("--out=")), "")
    try:
        return json.loads(Path(out).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def tell_trouble() -> None:
    """Whether another visitor is training, or why the last training failed."""
    if st.session_state.pop("lab is busy", False):
        st.warning(t("lab.busy"))
    ended = jobs.status(JOB)
    is_own = any(f"--out={path}" in ended.words for path in _files().values())
    if is_own and ended.state == "failed":
        st.error(t("common.training_failed") + " " + literally(ended.message))


def _files() -> dict[str, Path]:
    files: dict[str, Path] = st.session_state.setdefault("lab files", {})
    return files
