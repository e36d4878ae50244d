"""The chatbot's page: talk to a run, set it beside what failed before it, give it your own data."""

import sys
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from apps.chatbot.pages import opened, own_data, side_by_side, talk
from core.ui.page import show_error, show_page
from core.ui.runs import choose_run
from core.ui.texts import t
from core.ui.training import new_run_name, start_training, watch_training

VIEWS: dict[str, Callable[[opened.Opened], None]] = {
    "talk": talk.show,
    "side_by_side": side_by_side.show,
    "own_data": own_data.show,
}


def body() -> None:
    """First start, or the view that was chosen."""
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    runs = opened.runs_folder(given)
    is_training = watch_training(runs)
    path = choose_run(runs, "chatbot", given)
    if path is None:
        first_start(runs, is_training)
        return
    names = list(VIEWS)
    chosen = st.segmented_control(
        t("chatbot.view"),
        names,
        default=names[0],
        format_func=lambda name: t(f"chatbot.{name}"),
        label_visibility="collapsed",
        key="chatbot view",
    )
    try:
        answers, lock = opened.open_run(path)
    except (OSError, ValueError) as error:
        show_error(error)
        st.info(t("chatbot.choose_another"))
        return
    VIEWS[chosen or names[0]](opened.Opened(path, runs, answers, lock))


def first_start(runs: Path, is_training: bool) -> None:
    """Nothing is trained yet: offer the sample."""
    st.markdown(t("chatbot.first_start"))
    if not is_training and st.button(t("chatbot.train_sample"), type="primary"):
        words = opened.training_words("sample", runs / new_run_name("lstm"))
        start_training(runs, "apps.chatbot.train:train", words, "chatbot.training")


show_page("chatbot.title", body)
