import logging

import pytest
from yfinance.exceptions import YFRateLimitError

import data.yahoo_download
from data.yahoo_download import ask_patiently, caught_log


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(data.yahoo_download, "WAITS", (0.0, 0.0))


def test_a_rate_limit_is_asked_again_and_forgotten_once_it_is_over():
    calls = []

    def ask():
        calls.append(1)
        if len(calls) == 1:
            raise YFRateLimitError
        if len(calls) == 2:  # the way of yfinance.download: logged, not raised
            logging.getLogger("yfinance").error("['A']: YFRateLimitError('Too Many Requests')")

    assert ask_patiently(ask) == []
    assert len(calls) == 3


def test_after_the_last_attempt_the_first_cause_is_told():
    calls = []

    def ask():
        calls.append(1)
        raise YFRateLimitError if len(calls) == 1 else ConnectionError("no\nroute")

    problems = ask_patiently(ask)
    assert len(calls) == 2
    assert "Too Many Requests" in problems[0]


def test_other_failures_are_not_asked_again():
    calls = []

    def ask():
        calls.append(1)
        raise ConnectionError("no\nroute")

    assert ask_patiently(ask) == ["ConnectionError: no route"]
    assert len(calls) == 1


def test_only_the_errors_of_yfinance_are_collected():
    library = logging.getLogger("yfinance")
    with caught_log() as messages:
        library.error("%s: gone", "A")
        library.warning("slow")
        logging.getLogger("other").error("else")
    library.error("after")
    assert messages == ["A: gone"]
