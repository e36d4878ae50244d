import re
import string
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.ui.texts import LANGUAGES, all_texts, literally

ROOT = Path(__file__).parents[3]
PAGES = [
    *(ROOT / "core" / "ui").glob("*.py"),
    *(ROOT / "apps").glob("*.py"),
    *(ROOT / "apps").glob("*/streamlit_app.py"),
    *(ROOT / "apps").glob("*/pages/*.py"),
]


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


def page_of_a_language():
    import streamlit as st

    from core.ui.page import show_page

    show_page("common.run", lambda: st.text("body"))


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
    assert page.run().title[0].value == "Run"
    assert page.query_params["lang"] in ("en", ["en"])


def test_an_address_of_no_language_is_english():
    page = AppTest.from_function(page_of_a_language)
    page.query_params["lang"] = "xx"
    assert page.run().title[0].value == "Run"


def test_text_from_outside_means_nothing_to_markdown():
    told = literally("<b>[a](http://x)</b> **c** $d$ :smile: `e`")
    assert told.replace("\\", "") == "<b>[a](http://x)</b> **c** $d$ :smile: `e`"
    assert not re.search(r"(?<!\\)[<>\[\]()*$:`]", told)
