"""What a dialogue is, and how it is masked."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from data.entities import EntityTable, mask_once

PARTS = ("train", "validation", "test")
_LONG_NUMBER = re.compile(r"\d(?:[-. ]?\d){9}")


class Turn(NamedTuple):
    """One message: `speaker` is `user` or `agent`."""

    speaker: str
    text: str


@dataclass(frozen=True)
class Dialogue:
    """A conversation.

    Attributes:
        dialogue_id: Unique within a source.
        turns: Oldest first, none of them empty, at least one by the agent after one by the user.
        intent: What it is about, where the data say so.
        part: The split it belongs to, where the data say so.
        values: What stands behind each placeholder once it is masked.
    """

    dialogue_id: str
    turns: tuple[Turn, ...]
    intent: str | None = None
    part: str | None = None
    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def opening(self) -> str:
        """The user's first message."""
        return next((turn.text for turn in self.turns if turn.speaker == "user"), "")

    @property
    def num_pairs(self) -> int:
        """How many replies it has."""
        return len(reply_positions(self.turns))


class Pair(NamedTuple):
    """An agent's reply and all that was said before it."""

    dialogue: Dialogue
    position: int

    @property
    def context(self) -> tuple[Turn, ...]:
        """The turns before the reply, oldest first."""
        return self.dialogue.turns[: self.position]

    @property
    def reply(self) -> str:
        """The agent's words."""
        return self.dialogue.turns[self.position].text


def reply_positions(turns: Sequence[Turn]) -> list[int]:
    """Where the agent answers: every agent turn that follows a user turn."""
    return [
        position
        for position, turn in enumerate(turns)
        if turn.speaker == "agent" and position and turns[position - 1].speaker == "user"
    ]


def reply_pairs(dialogues: Iterable[Dialogue]) -> list[Pair]:
    """Every agent turn that follows a user turn."""
    return [
        Pair(dialogue, position)
        for dialogue in dialogues
        for position in reply_positions(dialogue.turns)
    ]


def mask_dialogue(dialogue: Dialogue) -> Dialogue:
    """Replace every entity by its placeholder, numbered from one; the id as `masked_id` has it."""
    table = EntityTable(turn.text for turn in dialogue.turns)
    turns = tuple(Turn(turn.speaker, table.mask(turn.text)) for turn in dialogue.turns)
    intent = None if dialogue.intent is None else EntityTable().mask(dialogue.intent)
    return Dialogue(masked_id(dialogue.dialogue_id), turns, intent, dialogue.part, table.values)


def mask_dialogues(dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    """Mask dialogues, each for itself."""
    return [mask_dialogue(dialogue) for dialogue in dialogues]


def masked_id(dialogue_id: str) -> str:
    """An id as it may be written: hashed where an e-mail address, a phone or card number is in it.

    Ten digits or more, with or without `-`, `.` or a space between them, may be a phone number.
    """
    is_personal = any(kind in ("email", "phone", "card") for _, _, kind in mask_once(dialogue_id))
    if is_personal or _LONG_NUMBER.search(dialogue_id):
        return f"id-{hash64(dialogue_id):016x}"
    return dialogue_id


def hash64(text: str) -> int:
    """64 bits of a text's BLAKE2, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def check_characters(text: str, where: str) -> None:
    """Refuse half a character (a lone surrogate), which no file and no tokenizer can hold.

    Raises:
        ValueError: There is one.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{where} has half a character (a lone surrogate); write it as UTF-8")
