"""The lab's page: the story in five steps, and the visitor's own experiments."""

from collections.abc import Callable

import streamlit as st

from apps.gradient_lab.pages import own, story
from core.ui.page import show_page
from core.ui.texts import t

VIEWS: dict[str, Callable[[], None]] = {"story": story.show, "own": own.show}


def body() -> None:
    """The view that was chosen."""
    st.markdown(t("lab.about"))
    names = list(VIEWS)
    chosen = st.segmented_control(
        t("lab.view"),
        names,
        default=names[0],
        format_func=lambda name: t(f"lab.{name}"),
        label_visibility="collapsed",
        key="lab view",
    )
    VIEWS[chosen or names[0]]()


show_page("lab.title", body)
