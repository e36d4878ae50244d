"""The visitor's own conversations: look at them, train on them, compare."""

from collections import Counter
from pathlib import Path

import streamlit as st

from apps.chatbot.feedback import FILE
from apps.chatbot.pages.opened import QUICK, Opened
from core.ui.page import show_error
from core.ui.texts import t
from core.ui.training import (
    is_training,
    new_run_name,
    show_last_decision,
    start_training,
    training_words,
)
from core.ui.uploads import kept_upload, to_remove
from data.checking import stream_dialogues
from data.columns import ColumnsConfig
from data.data_report import DataReport, table
from data.dialogues import mask_dialogue

ENDINGS = ("jsonl", "csv", "parquet", "jsonl.gz")


def show(run: Opened) -> None:
    """The view."""
    st.markdown(t("chatbot.own_data_about"))
    with st.expander(t("common.formats")):
        st.markdown(t("chatbot.formats_text"))
    if (run.runs / FILE).exists():
        _offer(run, run.runs / FILE, [], t("chatbot.from_feedback"), is_upload=False)
    upload = st.file_uploader(t("chatbot.upload"), type=["jsonl", "csv", "parquet", "gz"])
    columns = _columns()
    path = None if upload is None else kept_upload(run.runs, upload, ENDINGS, "conversations")
    if path is not None:
        _offer(run, path, columns, t("chatbot.from_upload"), is_upload=True)
    show_last_decision(run.runs)


def _columns() -> list[str]:
    """The names of a table's columns, where they are not recognised."""
    with st.expander(t("chatbot.columns")):
        question = st.text_input(t("chatbot.column_of_question"), max_chars=200).strip()
        answer = st.text_input(t("chatbot.column_of_answer"), max_chars=200).strip()
    if not question or not answer:
        return []
    return [f"--columns.question={question}", f"--columns.answer={answer}"]


def _offer(run: Opened, path: Path, columns: list[str], title: str, *, is_upload: bool) -> None:
    """A file's report, and what can be done with it."""
    with st.container(border=True):
        st.subheader(title, anchor=False)
        called = t("common.your_file") if is_upload else t("chatbot.these_ratings")
        try:
            report = _report(str(path), path.stat().st_mtime, tuple(columns), called)
        except (OSError, ValueError) as error:
            show_error(error, {path: called})
            if "--columns." in str(error):
                st.info(t("chatbot.use_boxes"))
            return
        st.code(report, language=None, wrap_lines=True)
        if is_training(run.runs):
            st.caption(t("common.already_training"))
            return
        remove = to_remove(path) if is_upload else []
        left, right = st.columns(2)
        if is_upload and left.button(t("common.train_new"), key=f"new {title}", width="stretch"):
            new = run.runs / new_run_name("lstm")
            words = training_words(str(path), new, f"--config={QUICK}", *columns)
            start_training(
                run.runs, "apps.chatbot.train:train", words, "chatbot.training_own", remove
            )
        if right.button(t("common.go_on"), key=f"retrain {title}", width="stretch"):
            out = run.runs / new_run_name("retrained")
            words = [f"--data={path}", f"--run={run.path}", f"--out={out}", *columns]
            start_training(
                run.runs, "apps.chatbot.retrain:retrain", words, "chatbot.retraining", remove
            )


@st.cache_data(max_entries=8, show_spinner=False)
def _report(path: str, changed: float, columns: tuple[str, ...], called: str) -> str:
    """What is in a file, masked before it is counted."""
    names = dict(word.removeprefix("--columns.").split("=", 1) for word in columns)
    report = DataReport(called)
    dropped: Counter[str] = Counter()
    with st.spinner(t("chatbot.reading")):
        for dialogue in stream_dialogues(path, ColumnsConfig(**names), dropped):
            report.count(mask_dialogue(dialogue))
    report.dropped = dropped
    return table(report.as_dict())
