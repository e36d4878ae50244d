"""Asking Yahoo through yfinance: what it logs counts, and a rate limit is asked again."""

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

WAITS = (2.0, 8.0, 30.0)  # seconds before each further attempt; yfinance itself makes none
RATE_LIMIT = ("Too Many Requests", "RateLimit", "Rate limited", "HTTP Error 429")


def ask_patiently(ask: Callable[[], None]) -> list[str]:
    """Ask Yahoo, and after a rate limit again, later each time.

    Args:
        ask: Makes the requests, keeps what came, and on a further call asks for the rest alone.
            Errors that it raises or that yfinance logs meanwhile are its problems.

    Returns:
        The problems of the first attempt, which name the cause, one line each; empty where the
        last attempt had none.

    Raises:
        ValueError: As `ask` does: an answer is wrong, which waiting does not mend.
    """
    import yfinance  # noqa: F401 - it sets warning filters, which ours must come after

    first: list[str] = []
    for wait in (*WAITS, None):
        with caught_log() as messages:
            try:
                ask()
            except Exception as error:  # the network, Yahoo and yfinance fail in many classes
                messages.append(f"{type(error).__name__}: {error}")
        if not messages:
            return []
        problems = [" ".join(message.split()) for message in messages]
        first = first or problems
        if wait is None or not any(is_rate_limit(problem) for problem in problems):
            break
        logger.info("Yahoo limits the rate; asking again in %g s", wait)
        time.sleep(wait)
    return first


def is_rate_limit(problem: str) -> bool:
    """Whether an error's text tells of HTTP 429."""
    return any(words in problem for words in RATE_LIMIT)


@contextmanager
def caught_log() -> Iterator[list[str]]:
    """Collect the errors that yfinance logs: it tells of a failed ticker that way alone."""
    messages: list[str] = []

    class Collector(logging.Handler):
        """Keeps the text of errors."""

        def emit(self, record: logging.LogRecord) -> None:
            """Keep one."""
            if record.levelno >= logging.ERROR:
                messages.append(record.getMessage())

    library, collector = logging.getLogger("yfinance"), Collector()
    before = library.propagate
    library.addHandler(collector)
    library.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*inplace keyword.*")  # inside yfinance
            yield messages
    finally:
        library.removeHandler(collector)
        library.propagate = before
