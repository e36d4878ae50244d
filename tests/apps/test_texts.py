"""No text is left over, and none was left in English."""

import re
from functools import cache

from core.ui.texts import all_texts
from tests.core.ui.test_texts import used

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


def test_every_text_is_asked_for():
    rest = set(all_texts()) - used()
    built = {key for key in rest if any(re.fullmatch(p, as_first(key)) for p in PATTERNS)}
    assert rest - built == set()


def test_korean_texts_are_korean():
    same = [key for key, text in all_texts().items() if text["en"] == text["ko"]]
    names = {"stock.source_yahoo", "stock.model_ewma", "stock.model_garch", "stock.model_ets"}
    names |= {"chatbot.took", "lab.rnn_short", "lab.lstm_short", "lab.gru_short"}
    assert {as_first(key) for key in same} <= names
