"""What every view of the page needs: an opened run, shared by all visitors."""

import threading
from pathlib import Path
from typing import NamedTuple

import streamlit as st
import torch

from apps.chatbot.answers import Answers
from core.ui.runs import written

QUICK = Path(__file__).parents[1] / "configs" / "quick.yaml"
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


def open_run(path: Path, runs: Path) -> Opened:
    """The run, opened once for all visitors and anew where it was written again.

    Raises:
        FileNotFoundError: The folder is gone.
        ValueError: It is no run of the chatbot, or a file of it was changed.
    """
    return Opened(path, runs, *_open(str(path), written(path)))


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(path: str, changed: float) -> tuple[Answers, threading.Lock]:
    torch.set_num_threads(1)  # a reply is small: more threads only get into each other's way
    return Answers(Path(path), num_similar=SIMILAR), threading.Lock()
