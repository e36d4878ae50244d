"""One question to the three bots of the case study: rules, vanilla RNN, LSTM with attention."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from apps.chatbot.pages.opened import QUICK, Opened, open_run
from apps.chatbot.pages.talk import EXAMPLES
from apps.chatbot.rules import answer as rules_answer
from core.run_list import finished_runs
from core.ui.page import show_error
from core.ui.texts import literally, t
from core.ui.training import is_training, new_run_name, start_training, training_words
from data.dialogues import Turn

# As `compare` trains it: no attention, no clipping, as the case study's first network was.
VANILLA = ("--model.cell=rnn", "--model.attention=none", "--trainer.clip_norm=0")


def show(run: Opened) -> None:
    """The view."""
    st.caption(t("chatbot.side_by_side_about"))
    question = st.text_input(t("chatbot.question_to_all"), EXAMPLES[0], max_chars=10_000)
    left, middle, right = st.columns(3)
    with left:
        st.subheader(t("chatbot.rules"), anchor=False)
        _answer(lambda: (rules_answer(question), None), question)
    with middle:
        st.subheader(t("chatbot.vanilla"), anchor=False)
        vanilla = _of_the_same_data(run, _is_vanilla)
        if vanilla is None:
            _offer_vanilla(run)
        else:
            _answer(lambda: _ask(open_run(vanilla, run.runs), question), question)
    with right:
        chosen = _of_the_same_data(run, lambda model: not _is_vanilla(model))
        if chosen is None:
            st.subheader(t("chatbot.attentive"), anchor=False)
            st.info(t("chatbot.attentive_missing"))
            return
        opened = open_run(chosen, run.runs)
        model = opened.answers.run.config["model"]
        cell, attention = str(model["cell"]).upper(), model["attention"]
        title = t("chatbot.chosen", cell=cell, attention=attention)
        st.subheader(title, anchor=False)
        _answer(lambda: _ask(opened, question), question)


def _answer(ask: Callable[[], tuple[str, float | None]], question: str) -> None:
    """What one bot says, or why it cannot."""
    if not question.strip():
        st.caption(t("chatbot.ask_something"))
        return
    try:
        text, confidence = ask()
    except (OSError, ValueError) as error:
        show_error(error)
        return
    with st.container(border=True):
        st.text(text)
    if confidence is not None:
        st.caption(t("chatbot.sure", percent=f"{100 * confidence:.0f}"))


def _ask(run: Opened, question: str) -> tuple[str, float]:
    """What a run would say, unsure or not: the comparison shows it all."""
    with run.lock:
        reply = run.answers.bot.reply([Turn("user", question)])
    return reply.text, reply.confidence


def _is_vanilla(model: Mapping[str, Any]) -> bool:
    return model.get("cell") == "rnn" and model.get("attention") == "none"


def _of_the_same_data(run: Opened, is_wanted: Callable[[Mapping[str, Any]], bool]) -> Path | None:
    """The chosen run where it is of the wanted kind, else the newest one that saw its data."""
    if is_wanted(run.answers.run.config["model"]):
        return run.path
    source = run.answers.run.manifest["source_sha256"]
    for other in finished_runs(run.runs, "chatbot"):
        if other.source_sha256 == source and is_wanted(other.config.get("model", {})):
            return other.path
    return None


def _offer_vanilla(run: Opened) -> None:
    """Train one, where the data are still there."""
    data = str(run.answers.run.config["data"])
    if data != "sample" and not data.startswith("hf:") and not Path(data).exists():
        st.info(t("chatbot.vanilla_data_gone", data=literally(data)))
        return
    st.info(t("chatbot.vanilla_missing"))
    if not is_training(run.runs) and st.button(t("chatbot.train_vanilla"), type="primary"):
        path = run.runs / new_run_name("rnn")
        words = training_words(data, path, f"--config={QUICK}", *VANILLA)
        start_training(run.runs, "apps.chatbot.train:train", words, "chatbot.training_vanilla")
