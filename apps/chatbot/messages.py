"""Messages from outside: the turns in a JSON object, and files of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data.dialogues import Turn


def read_messages(path: Path) -> list[list[Turn]]:
    """One conversation a line, each ending with the message to answer.

    Args:
        path: `.jsonl`: an object a line, see `conversation`; any other name: a plain message a
            line. Empty lines are left out.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A line that is not what it should be, or no line at all.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 ({error}); convert the file") from None
    found = []
    # `splitlines` would end a line at U+2028 too, which may stand in a JSON string as it is.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if path.suffix == ".jsonl":
            found.append(conversation(parse_object(line, f"{path} line {number}")))
        else:
            found.append([Turn("user", line.strip())])
    if not found:
        raise ValueError(f"{path}: no message in it; write one a line")
    return found


def parse_object(text: str | bytes, place: str) -> dict[str, Any]:
    """A JSON object, with the place it came from under `place`, for errors.

    Raises:
        ValueError: Not JSON, or another kind of value.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: not JSON ({error}); mend it") from None
    if not isinstance(value, dict):
        raise ValueError(f'{place}: give an object, such as {{"message": "where is my order"}}')
    return {**value, "place": place}


def conversation(value: Mapping[str, Any]) -> list[Turn]:
    """The turns of `{"message": str}` or `{"turns": [{"speaker": .., "text": ..}, ...]}`.

    Raises:
        ValueError: Neither, or a conversation that does not end with the user.
    """
    place = value["place"]
    if isinstance(value.get("message"), str):
        return [Turn("user", value["message"])]
    turns = value.get("turns")
    if not isinstance(turns, list) or not turns:
        raise ValueError(f"{place}: needs 'message', a text, or 'turns', a list; add one of them")
    found = []
    for number, turn in enumerate(turns, 1):
        is_good = isinstance(turn, dict) and turn.get("speaker") in ("user", "agent")
        if not is_good or not isinstance(turn.get("text"), str):
            raise ValueError(
                f"{place}, turn {number}: needs 'speaker', user or agent, and 'text', a text"
            )
        found.append(Turn(turn["speaker"], turn["text"]))
    if found[-1].speaker != "user":
        raise ValueError(f"{place}: the last turn must be the user's; there is nothing to answer")
    return found
