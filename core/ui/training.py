"""Training from a page: start it, watch it, stop it; it goes on when the page is closed."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core import jobs
from core.ui.page import LONGEST_ERROR, shortened
from core.ui.texts import literally, t

POLL = 1.0  # seconds between two looks


def job_folder(runs: Path) -> Path:
    """Where the jobs of an app's runs are kept; hidden, so that no run is looked for in it."""
    return runs / ".job"


def start_training(
    runs: Path, target: str, words: Sequence[str], kind: str, remove: Sequence[Path] = ()
) -> None:
    """Start a training in the background and draw the page again; one at a time for each app.

    Args:
        runs: The app's runs, such as runs/chatbot.
        target: The typed function, as `module:function`.
        words: Its arguments, as on a command line; `--run=DIR` or `--out=DIR` names the new run.
        kind: The key of the text that says what is being done.
        remove: Files and empty folders that must be gone when it ends, such as an upload's.
    """
    if not jobs.start(job_folder(runs), target, words, kind, remove):
        st.session_state["busy"] = True
    st.rerun()


def training_words(data: str, run: Path, *more: str) -> list[str]:
    """The arguments of a training from a page, which has a progress bar of its own."""
    return [f"--data={data}", f"--run={run}", "--trainer.progress=false", *more]


def new_run_name(word: str) -> str:
    """A run's name from a word and the time."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{word}"


def is_training(runs: Path) -> bool:
    """Whether one of the app's trainings is running.

    Where it was started after `watch_training` had looked, by another visitor, the page is drawn
    again, with its progress.
    """
    running = jobs.is_running(job_folder(runs))
    if running and not st.session_state.get("training shown"):
        st.rerun()
    return running


def last_result(runs: Path) -> Any:
    """What the app's last job returned; None where it is running, failed, or was dismissed."""
    return jobs.status(job_folder(runs)).result


def show_last_decision(runs: Path) -> None:
    """Whether the app's last retraining was promoted, and why."""
    result = last_result(runs)
    if isinstance(result, dict) and "promoted" in result:
        key = "common.promoted" if result["promoted"] else "common.not_promoted"
        st.info(t(key) + " " + literally(t("common.reason", reason=result["reason"])))


def watch_training(runs: Path) -> bool:
    """Show the app's running training with its progress, or how the last one ended.

    Args:
        runs: The app's runs.

    Returns:
        Whether one is running.
    """
    folder = job_folder(runs)
    if st.session_state.pop("busy", False):
        st.warning(t("common.already_training"))
    running = jobs.is_running(folder)
    st.session_state["training shown"] = running
    if running:
        _panel(folder)
        return True
    ended = jobs.status(folder)
    match ended.state:
        case "failed":
            detail = t("common.detail", detail=shortened(ended.message, LONGEST_ERROR))
            st.error(t("common.training_failed") + " " + literally(detail))
        case "cancelled":
            st.info(t("common.training_cancelled"))
        case "done":
            st.success(t("common.training_done"))
    if ended.state != "none" and st.button(t("common.dismiss"), key="dismiss training"):
        jobs.forget(folder)
        st.rerun()
    return False


@st.fragment(run_every=POLL)
def _panel(folder: Path) -> None:
    """The progress of the running job; when it has ended the whole page is drawn again."""
    if not jobs.is_running(folder):
        st.rerun()
    now = jobs.status(folder)
    with st.container(border=True):
        st.markdown(f"**{t(now.kind)}**")
        st.progress(*_bar(now))
        st.caption(t("common.goes_on"))
        if st.button(t("common.cancel"), key="cancel training"):
            with st.spinner(t("common.cancelling")):
                jobs.cancel(folder)
                _clear_unfinished(now.words)
            st.rerun()


def _bar(now: jobs.JobStatus) -> tuple[float, str]:
    """The share that is done, and the words beside it."""
    seen = now.progress
    if not seen:
        return 0.0, t("common.preparing", seconds=int(time.time() - now.started))
    parts = []
    if seen["epochs"]:
        epoch = min(seen["epoch"], seen["epochs"])
        parts.append(t("common.epoch", epoch=epoch, epochs=seen["epochs"]))
    if seen["train_loss"] is not None:
        parts.append(t("common.loss", loss=f"{seen['train_loss']:.3f}"))
    if seen["val_loss"] is not None:
        parts.append(t("common.val_loss", loss=f"{seen['val_loss']:.3f}"))
    share = seen["step"] / seen["steps"] if seen["steps"] else 0.0
    if share >= 1:
        parts.append(t("common.finishing"))
    elif seen["seconds_left"] is not None:
        parts.append(t("common.left", seconds=round(seen["seconds_left"])))
    return min(share, 1.0), " · ".join(parts)


def _clear_unfinished(words: Sequence[str]) -> None:
    """Remove the folder of a training that was stopped; a finished run stays."""
    for word in words:
        name, _, value = word.partition("=")
        path = Path(value)
        if name in ("--run", "--out") and path.is_dir() and not (path / "manifest.json").exists():
            shutil.rmtree(path, ignore_errors=True)
