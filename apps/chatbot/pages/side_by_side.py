"""One question to the three bots of the case study: rules, vanilla RNN, LSTM with attention."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

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
    vanilla = _vanilla(run)
    columns = st.columns(3)
    _column(columns[0], t("chatbot.rules"), lambda: (rules_answer(question), None), question)
    with columns[1]:
        if vanilla is None:
            st.subheader(t("chatbot.vanilla"))
            _offer_vanilla(run)
        else:
            title = t("chatbot.vanilla")
            opened = partial(open_run, vanilla, run.runs)  # what it raises is told in the column
            _column(st.container(), title, lambda: _ask(opened(), question), question)
    name = str(run.answers.run.config["model"]["cell"]).upper()
    attention = run.answers.run.config["model"]["attention"]
    title = t("chatbot.chosen", cell=name, attention=attention)
    _column(columns[2], title, lambda: _ask(run, question), question)


def _column(
    place: "st.delta_generator.DeltaGenerator",
    title: str,
    ask: Callable[[], tuple[str, float | None]],
    question: str,
) -> None:
    """One bot's answer."""
    with place:
        st.subheader(title)
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


def _vanilla(run: Opened) -> Path | None:
    """A vanilla RNN that was trained on the same data, the newest."""
    source = run.answers.run.manifest["source_sha256"]
    for other in finished_runs(run.runs, "chatbot"):
        model = other.config.get("model", {})
        is_vanilla = model.get("cell") == "rnn" and model.get("attention") == "none"
        if is_vanilla and other.source_sha256 == source and other.path != run.path:
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
