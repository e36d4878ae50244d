"""The words of the interface, English and Korean, from one file."""

import re
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

import streamlit as st
import yaml

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
NAMES: dict[Language, str] = {"en": "English", "ko": "한국어"}
PATH = Path(__file__).with_name("texts.yaml")


@cache
def all_texts() -> dict[str, dict[Language, str]]:
    """Every text in both languages, by `section.name`."""
    sections = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    return {
        f"{section}.{name}": text
        for section, texts in sections.items()
        for name, text in texts.items()
    }


def language() -> Language:
    """What the address says (`?lang=ko`) or the visitor chose, else the browser's, else English."""
    chosen = st.query_params.get("lang")
    if chosen in LANGUAGES:
        st.session_state["language"] = chosen  # the address of the next page does not have it
    if (chosen := st.session_state.get("language")) in LANGUAGES:
        return cast(Language, chosen)
    return "ko" if (st.context.locale or "").lower().startswith("ko") else "en"


def t(key: str, **values: Any) -> str:
    """A text in the visitor's language.

    Args:
        key: `section.name` in `texts.yaml`.
        values: What stands for the `{names}` in it.

    Raises:
        KeyError: No such text, or a value that it names is missing.
    """
    text = all_texts()[key][language()]
    return text.format(**values) if values else text


def translated(text: str) -> str:
    """What a plot says, which is English, in the visitor's language; as it is where unknown.

    Args:
        text: One of the section `plots`, its places filled in.
    """
    spoken = language()
    for pattern, key in _plot_texts():
        if found := pattern.fullmatch(text):
            return all_texts()[key][spoken].format(**found.groupdict())
    return text


@cache
def _plot_texts() -> list[tuple[re.Pattern[str], str]]:
    """The English texts of plots as patterns, with their keys."""
    return [
        (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(text["en"]))), key)
        for key, text in all_texts().items()
        if key.startswith("plots.")
    ]


def literally(text: str) -> str:
    """Text from outside, so that Markdown shows it letter by letter."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", text)


def choose_language() -> None:
    """The switch between the languages, in the sidebar."""
    with st.sidebar:
        chosen = st.segmented_control(
            "Language · 언어",
            LANGUAGES,
            default=language(),
            format_func=NAMES.__getitem__,
            key="language switch",
        )
    if chosen is not None and chosen != language():
        st.session_state["language"] = chosen
        st.query_params["lang"] = chosen  # which a reload finds again
        st.rerun()
