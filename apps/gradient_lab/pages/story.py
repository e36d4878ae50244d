"""Five trainings, one after the other, that tell why an RNN stops learning and what helps."""

import streamlit as st

from apps.gradient_lab.live import STORY
from apps.gradient_lab.pages import drawing, running
from core.ui.texts import t

POLL = 1.0  # seconds between two looks at a running training


def show() -> None:
    """The view."""
    names = list(STORY)
    place = int(st.session_state.setdefault("story step", 0))
    name = names[place]
    st.caption(t("lab.story_about"))
    heading = t(f"lab.{name}_heading")
    st.subheader(t("lab.story_heading", number=place + 1, heading=heading), anchor=False)
    st.markdown(t(f"lab.{name}_text"))
    busy = running.is_running()
    back, train, onward = st.columns(3)
    if back.button(t("lab.back"), disabled=place == 0, width="stretch"):
        _go(place - 1)
    is_done = "score" in running.results().get(name, {})
    label = t("lab.train_again") if is_done else t("lab.train_it")
    if train.button(
        label,
        type="secondary" if is_done else "primary",
        disabled=busy,
        width="stretch",
    ):
        running.start(name, STORY[name])
    is_last = place == len(names) - 1
    if onward.button(
        t("lab.next"),
        type="primary" if is_done and not is_last else "secondary",
        disabled=is_last,
        width="stretch",
    ):
        _go(place + 1)
    running.tell_trouble()
    if busy:
        _live(name)
    else:
        _drawn(name)


@st.fragment(run_every=POLL)
def _live(name: str) -> None:
    """Draw what the running training has told; at its end the whole page again."""
    if not running.is_running():
        st.rerun()
    running.bar()
    _drawn(name)


def _drawn(name: str) -> None:
    """This step's outcome, and the curves of all steps done so far."""
    results = running.results()
    if name in results and running.own_running() != name:
        drawing.outcome(results[name])
    told = {
        t(f"lab.{step}_short"): results[step]
        for step in STORY
        if step in results and results[step]["curve"]
    }
    if told:
        drawing.pictures(told, "story", t(f"lab.{name}_short"))


def _go(place: int) -> None:
    st.session_state["story step"] = place
    st.rerun()
