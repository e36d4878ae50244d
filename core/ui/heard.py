"""What a reader notices in a visitor's file: otherwise the terminal alone would say it."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:  # another visitor's file is read in another one
            self.words.append(record.getMessage())


@contextmanager
def heard(name: str) -> Iterator[list[str]]:
    """Collect the warnings of a logger and of those below it, from this thread.

    Args:
        name: Of the logger, such as `data`.

    Yields:
        The warnings so far.
    """
    handler = _Heard()
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield handler.words
    finally:
        logger.removeHandler(handler)
