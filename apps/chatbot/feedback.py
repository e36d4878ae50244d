"""Visitors' thumbs, kept as dialogues that `retrain --data` reads: what was good is learned."""

import json
import os
import uuid
from pathlib import Path
from typing import Literal

from data.dialogues import Dialogue, Turn, mask_dialogue

FILE = "feedback.jsonl"  # in the folder of the runs
Rating = Literal["up", "down"]


def keep_feedback(
    path: Path, message: str, reply: str, rating: Rating, correction: str = ""
) -> None:
    """Append one rating, masked like training data; a line is written whole or not at all.

    A liked reply, or the correction of a disliked one, becomes the agent's turn. A disliked reply
    without a correction stands apart as `rejected`, and its dialogue has no agent's turn: reading
    it, `retrain` counts it as left out and learns nothing from it. Only the message that was
    answered is kept and not what was said before: earlier replies were not rated.

    Args:
        path: The file; it and its folder are made where missing.
        message: The customer's.
        reply: What the chatbot said.
        rating: Whether it was liked.
        correction: What it should have said, where it was disliked; empty for unknown.

    Raises:
        OSError: The file cannot be written.
    """
    good = reply if rating == "up" else correction.strip()
    said = [Turn("user", message), Turn("agent", good), Turn("agent", reply)]
    masked = mask_dialogue(Dialogue("feedback", tuple(turn for turn in said if turn.text.strip())))
    question, *answers = [turn._asdict() for turn in masked.turns]
    record = {
        "dialogue_id": f"feedback-{uuid.uuid4().hex[:8]}",
        "turns": [question, answers[0]] if good else [question],
        "rating": rating,
    }
    if rating == "down":
        record["rejected"] = answers[-1]["text"]
    line = json.dumps(record, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
