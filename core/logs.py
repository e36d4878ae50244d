"""The log on standard error: words for people, or with LOG_FORMAT=json one JSON object a line."""

import json
import logging
import os
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType

from core.processes import is_first_process

VARIABLE = "LOG_FORMAT"
FORMATS = ("text", "json")
INTERRUPTED = 130  # exit code after Ctrl-C


def wants_json() -> bool:
    """Whether the environment asks for JSON.

    Raises:
        ValueError: It asks for something else.
    """
    asked = os.environ.get(VARIABLE) or "text"
    if asked not in FORMATS:
        raise ValueError(f"{VARIABLE}={asked!r} in the environment is unknown; set text or json")
    return asked == "json"


def shows_bars() -> bool:
    """Whether progress bars are drawn: not in a log for machines, and by one process alone."""
    return is_first_process() and not wants_json()


class JsonLines(logging.Formatter):
    """A record as a JSON object: `time` (ISO 8601, UTC), `level`, `logger`, `command`, `message`.

    `error` holds the traceback of an exception, and `exit_code` stands in the last line of a
    command that failed.

    Args:
        command: Such as `chatbot train`.
    """

    def __init__(self, command: str) -> None:
        super().__init__()
        self.command = command

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "command": self.command,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        if (code := getattr(record, "exit_code", None)) is not None:
            told["exit_code"] = code
        return json.dumps(told, ensure_ascii=False)


def start_log(command: str) -> None:
    """Send the log to standard error; only the first call of a process counts.

    Args:
        command: Such as `chatbot train`.

    Raises:
        ValueError: As `wants_json`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(command) if wants_json() else logging.Formatter("%(message)s"))
    # The other processes of a training would say the same again.
    level = logging.INFO if is_first_process() else logging.ERROR
    logging.basicConfig(level=level, handlers=[handler])
    if wants_json():  # what Python itself would write
        logging.captureWarnings(True)
        sys.excepthook = _tell_crash
        threading.excepthook = lambda told: _tell_crash(*told[:3])


def _tell_crash(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Tell of an exception that nobody caught: a bug of the program."""
    told = error or kind()
    crash = (kind, told, trace)
    logging.getLogger("crash").critical("%s: %s", kind.__name__, told, exc_info=crash)


def last_words(name: str, message: str, code: int) -> None:
    """Tell on standard error why a command failed, in one line; of Ctrl-C one process tells."""
    if code == INTERRUPTED and not is_first_process():
        return
    if os.environ.get(VARIABLE) != "json":
        print(f"{name}: {message}", file=sys.stderr)
        return
    record = logging.LogRecord(name, logging.ERROR, "", 0, message, None, None)
    record.exit_code = code
    print(JsonLines(name).format(record), file=sys.stderr)
