"""One Streamlit server for the front ends: `make demo`."""

from pathlib import Path

import streamlit as st

from core.ui.page import show_page
from core.ui.texts import t

HERE = Path(__file__).parent
FRONT_ENDS = {"chatbot": "chatbot", "stock": "stock_forecast", "lab": "gradient_lab"}
ADDRESSES = {"chatbot": "chatbot", "stock": "stock", "lab": "gradients"}
ICONS = {
    "chatbot": ":material/support_agent:",
    "stock": ":material/finance:",
    "lab": ":material/science:",
}


def overview() -> None:
    """What there is, in ten seconds."""
    show_page("home.title", _cards)


def _cards() -> None:
    st.markdown(t("home.about"))
    for column, (name, page) in zip(st.columns(len(PAGES)), PAGES.items(), strict=True):
        with column, st.container(border=True, height="stretch"):
            st.image(HERE / "pictures" / f"{name}.svg", width="stretch")
            st.subheader(t(f"{name}.title"), anchor=False)
            st.markdown(t(f"home.{name}"))
            st.page_link(page, label=t("home.open"), icon=ICONS[name])


PAGES = {
    name: st.Page(
        HERE / folder / "streamlit_app.py",
        title=t(f"{name}.title"),
        url_path=ADDRESSES[name],
    )
    for name, folder in FRONT_ENDS.items()
}
st.navigation(
    [
        st.Page(overview, title=t("home.nav"), default=True),
        *PAGES.values(),
    ]
).run()
