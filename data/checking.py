"""From records to dialogues: every one checked, what is dropped is counted."""

import logging
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from data.columns import PLACE, ColumnsConfig, with_turns
from data.dialogues import Dialogue, Turn, check_characters, hash64, masked_id
from data.sources import records

logger = logging.getLogger(__name__)
MAX_CHARACTERS = 20_000  # of a turn; a reply depends on its first few hundred words at most


def load_dialogues(source: str, columns: ColumnsConfig | None = None) -> list[Dialogue]:
    """Read and check dialogues, all into memory; see `stream_dialogues`."""
    dropped: Counter[str] = Counter()
    dialogues = list(stream_dialogues(source, columns, dropped))
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
    logger.info(
        "%s: %d dialogues%s", source, len(dialogues), f"; dropped {reasons}" * bool(reasons)
    )
    return dialogues


def stream_dialogues(
    source: str, columns: ColumnsConfig | None = None, dropped: Counter[str] | None = None
) -> Iterator[Dialogue]:
    """Read and check dialogues one after the other; eight bytes of each stay in memory.

    Args:
        source: `sample`, a path (.jsonl, .jsonl.gz, .csv, .parquet, or a folder of them) or
            `hf:owner/name`.
        columns: Of a table.
        dropped: Counts what is left out by reason: empty turns, and dialogues in which no agent
            answers a user.

    Yields:
        The dialogues, in the order of the source.

    Raises:
        FileNotFoundError: No such path.
        ValueError: Nothing usable in it, or something that is there and wrong; the message says
            what, in which file and line, and what to do.
    """
    columns = columns or ColumnsConfig()
    dropped = Counter() if dropped is None else dropped
    check = _Check(columns, dropped)
    ids = array("Q")
    for place, row in with_turns(records(source, columns.text_columns), columns):
        dialogue = check(row, place)
        if dialogue is not None:
            ids.append(hash64(dialogue.dialogue_id))
            yield dialogue
    if not ids:
        what = ", ".join(dropped) or "it is empty"
        raise ValueError(f"{source}: no usable dialogue ({what}); add dialogues with agent turns")
    hashes, counts = np.unique(np.frombuffer(ids, dtype=np.uint64), return_counts=True)
    if len(hashes) < len(ids):
        _name_the_second(source, columns, set(hashes[counts > 1].tolist()))


def _name_the_second(source: str, columns: ColumnsConfig, repeated: set[int]) -> None:
    """Read once more, for the place of the id that comes twice."""
    check, seen = _Check(columns, Counter()), set()
    for place, row in with_turns(records(source, columns.text_columns), columns):
        dialogue = check(row, place)
        if dialogue is None or hash64(dialogue.dialogue_id) not in repeated:
            continue
        name = dialogue.dialogue_id
        if name in seen:
            raise ValueError(
                f"{place}: conversation {masked_id(name)!r} begins again; sort the table, so "
                "that the rows of a conversation stand together"
                if columns.is_long
                else f"{place}: dialogue_id {masked_id(name)!r} comes twice; give each its own"
            )
        seen.add(name)


class _Check:
    """Makes a dialogue of a record, or None where it is dropped; no message cites a value."""

    def __init__(self, columns: ColumnsConfig, dropped: Counter[str]) -> None:
        self._users = columns.roles(columns.user_roles)
        self._agents = columns.roles(columns.agent_roles)
        self._column = columns.speaker or "speaker"
        self._dropped = dropped

    def __call__(self, row: Mapping[str, Any], place: str) -> Dialogue | None:
        if not isinstance(row["turns"], (list, tuple)):
            raise ValueError(f"{place}: 'turns' must be a list of {{speaker, text}}; mend the line")
        made = [self._turn(turn, number, place) for number, turn in enumerate(row["turns"], 1)]
        turns = tuple(turn for turn in made if turn is not None)
        if ("user", "agent") not in pairwise(turn.speaker for turn in turns):
            self._dropped["dialogues without an agent's answer to a user"] += 1
            return None
        dialogue_id = row.get("dialogue_id", place)
        if not isinstance(dialogue_id, (str, int)):
            kind = type(dialogue_id).__name__
            raise ValueError(f"{place}: 'dialogue_id' must be a string, not {kind}; mend the line")
        intent, part = row.get("intent"), row.get("split")
        if part is not None and not isinstance(part, str):
            kind = type(part).__name__
            raise ValueError(f"{place}: 'split' must be a string, not {kind}; mend or delete it")
        check_characters(f"{dialogue_id} {intent}", f"{place}: 'dialogue_id' or 'intent'")
        return Dialogue(str(dialogue_id), turns, None if intent is None else str(intent), part)

    def _turn(self, turn: Any, number: int, place: str) -> Turn | None:
        where = f"{place}, turn {number}"
        if not isinstance(turn, Mapping) or "speaker" not in turn or "text" not in turn:
            raise ValueError(f"{where}: needs 'speaker' and 'text'; mend the line")
        where = turn.get(PLACE, where)
        speaker = self._speaker(turn["speaker"], where)
        if turn["text"] is not None and not isinstance(turn["text"], str):
            # The value itself may be a card number: it is not for the log.
            raise ValueError(f"{where}: 'text' must be a string, not {type(turn['text']).__name__}")
        # Of a message of 50 MB the beginning alone is split into words.
        text = " ".join((turn["text"] or "")[: 10 * MAX_CHARACTERS].split())
        check_characters(text, f"{where}: 'text'")
        if len(text) > MAX_CHARACTERS:
            text = text[:MAX_CHARACTERS]
            self._dropped["ends of very long turns"] += 1
        if not text:
            self._dropped["empty turns"] += 1
        elif speaker is None:
            self._dropped["turns of the system"] += 1
        return Turn(speaker, text) if text and speaker is not None else None

    def _speaker(self, name: Any, where: str) -> str | None:
        role = name.strip().lower() if isinstance(name, str) else None
        if role in self._users:
            return "user"
        if role in self._agents:
            return "agent"
        if role == "system":
            return None
        accepted = ", ".join(sorted(self._users | self._agents))
        # The value itself may be a person's name: it is not for the log.
        raise ValueError(
            f"{where}: {self._column!r} must be one of {accepted} or system; name others in "
            "--columns.user_roles or --columns.agent_roles"
        )
