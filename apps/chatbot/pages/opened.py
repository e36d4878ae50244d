"""What every view of the page needs: an opened run, shared by all visitors."""

import threading
from pathlib import Path
from typing import NamedTuple

import streamlit as st
import torch

from apps.chatbot.answers import Answers
from core.ui.texts import t

CONFIGS = Path(__file__).parents[1] / "configs"
SIMILAR = 3  # past conversations beside a reply


class Opened(NamedTuple):
    """A run as the views read it.

    Attributes:
        path: Its folder.
        runs: The folder of the app's runs.
        answers: What answers.
        lock: Held while it does: two replies at once would slow each other.
    """

    path: Path
    runs: Path
    answers: Answers
    lock: threading.Lock


def runs_folder(given: Path | None) -> Path:
    """Where the runs are: beside the one that was named, else runs/chatbot."""
    return Path("runs") / "chatbot" if given is None else given.parent


def open_run(path: Path) -> tuple[Answers, threading.Lock]:
    """The run, opened once for all visitors and anew where it was written again.

    Raises:
        FileNotFoundError: The folder is gone.
        ValueError: It is no run of the chatbot, or a file of it was changed.
    """
    try:
        changed = (path / "manifest.json").stat().st_mtime
    except OSError:
        raise FileNotFoundError(t("chatbot.run_is_gone", run=path.name)) from None
    return _open(str(path), changed)


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(path: str, changed: float) -> tuple[Answers, threading.Lock]:
    torch.set_num_threads(1)  # a reply is small: more threads only get into each other's way
    return Answers(Path(path), num_similar=SIMILAR), threading.Lock()


def training_words(data: str, run: Path, *more: str) -> list[str]:
    """The arguments of a quick training from the page."""
    words = [f"--data={data}", f"--run={run}", f"--config={CONFIGS / 'quick.yaml'}"]
    return [*words, "--trainer.progress=false", *more]
