"""The lab's page: the story in five steps, and the visitor's own experiments."""

from collections.abc import Callable

import streamlit as st

from apps.gradient_lab.pages import own, story
from core.ui.page import choose_view, show_page
from core.ui.texts import t

VIEWS: dict[str, Callable[[], None]] = {"story": story.show, "own": own.show}


def body() -> None:
    """The view that was chosen."""
    st.markdown(t("lab.about"))
    choose_view("lab", VIEWS)()


show_page("lab.title", body)
