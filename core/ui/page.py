"""The frame of every page: title, language, and errors told in words."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import plotly.graph_objects as go
import streamlit as st

from core.ui.texts import choose_language, literally, t, translated

logger = logging.getLogger(__name__)
ICON = str(Path(__file__).with_name("icon.png"))
DARK_INK, LIGHT_INK = "#EEF2F5", "#1A1A1A"
FONT = '"Source Sans", sans-serif'  # as the page's own
FEW = 4  # names in a legend that a plot has room for; each of the rest may need a line on a phone
LEGEND_LINE = 20  # pixels
# Months in words would be English ones.
DATES = [
    {"dtickrange": [None, "M1"], "value": "%Y-%m-%d"},
    {"dtickrange": ["M1", None], "value": "%Y-%m"},
]
LONGEST_ERROR = 600  # letters of an error that are shown
View = TypeVar("View")


def show_page(title: str, body: Callable[[], None]) -> None:
    """Draw a page: its title, the language switch, its body.

    What a person can mend (`ValueError`, `OSError`) is told where it happened; any other error is
    logged and told as one that is ours.

    Args:
        title: The key of its text.
        body: Draws the rest.
    """
    # A picture of our own: Streamlit would fetch the navigation's icon from outside for the tab.
    st.set_page_config(page_title=t(title), page_icon=ICON, layout="wide")
    choose_language()
    st.title(t(title), anchor=False)
    try:
        body()
    except (ValueError, OSError) as error:
        show_error(error)
    except Exception:
        logger.exception("the page failed")
        st.error(t("common.our_error"))


def choose_view(section: str, views: Mapping[str, View]) -> View:
    """The switch between a page's views.

    Args:
        section: Of the page's texts, which name each view.
        views: By name, the first one shown at the start.
    """
    names = list(views)
    chosen = st.segmented_control(
        t("common.view"),
        names,
        default=names[0],
        format_func=lambda name: t(f"{section}.{name}"),
        label_visibility="collapsed",
        key=f"{section} view",
    )
    return views[chosen or names[0]]


def show_error(error: Exception, names: Mapping[Path, str] | None = None) -> None:
    """Tell an error in its own words, which may cite a file: as text alone.

    Args:
        error: What was raised.
        names: What visitors call the files on the disk that it may name.
    """
    st.error(literally(error_words(error, names)))


def error_words(error: Exception, names: Mapping[Path, str] | None = None) -> str:
    """What an error says to a visitor, who cannot mend the server's disk."""
    if isinstance(error, OSError) and error.errno is not None:
        file = Path(str(error.filename or "")).name
        return t("common.system_error", file=file, reason=error.strerror)
    words = " ".join(str(error).split())
    for path, name in (names or {}).items():
        words = words.replace(str(path), name)
    return t("common.detail", detail=shortened(words, LONGEST_ERROR))


def shortened(text: str, letters: int) -> str:
    """Its beginning, where it is longer."""
    return text if len(text) <= letters else text[:letters] + "…"


def is_dark() -> bool:
    """Whether the visitor sees the dark theme."""
    return st.context.theme.type == "dark"


def show_figure(figure: go.Figure, key: str, name: str | None = None) -> None:
    """Draw a plot in the colours of the visitor's theme.

    Args:
        figure: As `core.plots` makes it; what is black there is drawn in the colour of the text.
        key: Of the element, unique on the page.
        name: Of the PNG file that the camera button saves; None for the key.
    """
    figure = _spoken(go.Figure(figure))
    dark = is_dark()
    ink = DARK_INK if dark else LIGHT_INK
    for trace in figure.data:
        for part in (getattr(trace, "line", None), getattr(trace, "marker", None)):
            if part is not None and part.color in ("#000000", "#1a1a1a"):
                part.color = ink
    more = max(0, sum(trace.showlegend is not False for trace in figure.data) - FEW)
    figure.update_layout(
        template="plotly_dark" if dark else "plotly_white",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": ink, "size": 14, "family": FONT},
        title={"font": {"size": 18}, "x": 0, "pad": {"l": 4}},
        xaxis_title_font_size=14,
        yaxis_title_font_size=14,
        height=figure.layout.height + more * LEGEND_LINE,
        xaxis_tickformatstops=DATES,
    )
    st.plotly_chart(
        figure,
        key=key,
        theme=None,
        config={
            "displaylogo": False,
            "responsive": True,
            "toImageButtonOptions": {"format": "png", "filename": name or key, "scale": 2},
        },
        alt=figure.layout.title.text,
    )


def _spoken(figure: go.Figure) -> go.Figure:
    """A plot's words in the visitor's language."""
    layout = figure.layout
    for part in (layout.title, layout.xaxis.title, layout.yaxis.title):
        if part.text:
            part.text = translated(part.text)
    for trace in figure.data:
        if trace.name:
            trace.name = translated(trace.name)
    return figure
