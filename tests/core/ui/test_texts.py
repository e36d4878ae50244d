import re
import string
from functools import cache
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.ui.texts import LANGUAGES, all_texts, literally

ROOT = Path(__file__).parents[3]
PAGES = [
    *(ROOT / "core" / "ui").glob("*.py"),
    ROOT / "apps" / "home.py",
    *(ROOT / "apps").glob("*/streamlit_app.py"),
    *(ROOT / "apps").glob("*/pages/*.py"),
]
# Keys that are put together: what follows stands in the code as a value.
OWN = ("chatbot", "stock", "lab", "common", "home", "plots")
PATTERNS = [
    r"home\.(?!title|about|nav|open)\w+",
    r"chatbot\.fallback_(rephrase|handoff)",
    r"stock\.(model|source)_\w+",
    r"lab\.(rnn|clipping|lstm|gru|attention)_(heading|text|short)",
    r"lab\.task_\w+",
    r"(chatbot|stock)\.(first_start|training)",
    r"plots\.\w+",  # found by what a plot says: `translated`
    r"(chatbot|stock|lab)\.(title|talk|side_by_side|own_data|ahead|judged|story|own)",
]


def names_of(section):
    return {key.split(".")[1] for key in all_texts() if key.startswith(f"{section}.")}


@cache
def first_of(section):
    """The app that a section was copied from: that with which it shares most names."""
    if section in OWN:
        return section
    return max(OWN, key=lambda app: len(names_of(app) & names_of(section)))


def as_first(key):
    """A text of an app that was copied, under the name that the first app of its kind gives it."""
    section, name = key.split(".")
    return f"{first_of(section)}.{name}"


def used():
    code = "\n".join(path.read_text() for path in PAGES)
    sections = "|".join({key.split(".")[0] for key in all_texts()})
    return set(re.findall(rf"[\"']((?:{sections})\.[a-z_0-9]+)[\"']", code))


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", sorted(all_texts()))
def test_a_text_is_there_in_both_languages_with_the_same_places(key):
    texts = all_texts()[key]
    assert set(texts) == set(LANGUAGES)
    assert all(text.strip() for text in texts.values())
    if not key.endswith(".formats_text"):  # shows JSON and is never filled in
        assert fields(texts["en"]) == fields(texts["ko"])


def test_every_text_that_a_page_asks_for_is_there():
    assert used() - set(all_texts()) == set()


def test_every_text_is_asked_for():
    rest = set(all_texts()) - used()
    built = {key for key in rest if any(re.fullmatch(p, as_first(key)) for p in PATTERNS)}
    assert rest - built == set()


def test_korean_texts_are_korean():
    same = [key for key, text in all_texts().items() if text["en"] == text["ko"]]
    names = {"stock.source_yahoo", "stock.model_ewma", "stock.model_garch", "stock.model_ets"}
    names |= {"chatbot.took", "lab.rnn_short", "lab.lstm_short", "lab.gru_short"}
    assert {as_first(key) for key in same} <= names


def page_of_a_language():
    import streamlit as st

    from core.ui.page import show_page

    show_page("home.title", lambda: st.text("body"))


def test_the_address_chooses_the_language_for_the_pages_that_follow():
    page = AppTest.from_function(page_of_a_language)
    page.query_params["lang"] = "ko"
    korean = page.run().title[0].value
    del page.query_params["lang"]
    assert page.run().title[0].value == korean
    assert any("가" <= letter <= "힣" for letter in korean)


def test_a_chosen_language_stands_in_the_address_for_a_reload():
    page = AppTest.from_function(page_of_a_language).run()
    page.session_state["language switch"] = "ko"
    page.run()
    assert page.query_params["lang"] in ("ko", ["ko"])
    page.session_state["language switch"] = "en"
    assert page.run().title[0].value == "Recurrent networks at work"
    assert page.query_params["lang"] in ("en", ["en"])


def test_an_address_of_no_language_is_english():
    page = AppTest.from_function(page_of_a_language)
    page.query_params["lang"] = "xx"
    assert page.run().title[0].value == "Recurrent networks at work"


def test_text_from_outside_means_nothing_to_markdown():
    told = literally("<b>[a](http://x)</b> **c** $d$ :smile: `e`")
    assert told.replace("\\", "") == "<b>[a](http://x)</b> **c** $d$ :smile: `e`"
    assert not re.search(r"(?<!\\)[<>\[\]()*$:`]", told)
