"""When the chatbot had better not answer: ask once, then hand over with a transcript."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.dialogues import Turn


@dataclass(frozen=True, kw_only=True)
class FallbackConfig:
    """What is said instead of an unsure reply, in the language of the customers.

    Attributes:
        rephrase: Said first.
        handoff: Said where that did not help.
    """

    rephrase: str = (
        "I am not sure that I understand you. Could you tell me in other words what you need help "
        "with?"
    )
    handoff: str = (
        "I am not sure that I understand you, and I do not want to tell you anything wrong. "
        "I hand you over to a colleague."
    )

    def __post_init__(self) -> None:
        for name in ("rephrase", "handoff"):
            if not getattr(self, name).strip():
                raise ValueError(f"fallback.{name} is empty; write what the customer shall read")


def has_asked(turns: Sequence[Turn], fallback: FallbackConfig) -> bool:
    """Whether the customer was asked to rephrase just before the last message."""
    said = [turn.text for turn in turns if turn.speaker == "agent"]
    return bool(said) and said[-1] == fallback.rephrase


def transcript(turns: Sequence[Turn], result: Mapping[str, Any], draft: str) -> dict[str, Any]:
    """What the colleague needs in order to go on: the conversation, and why it stopped.

    Args:
        turns: As they were said, personal data and all: the colleague needs them.
        result: Of the last message, with the keys of `reply --json`.
        draft: What the model would have said.

    Returns:
        `turns`, `confidence`, `intent_hint`, `draft`, and all of it as `text`.
    """
    sure = f"{100 * result['confidence']:.0f} %"
    lines = [f"{turn.speaker}: {turn.text}" for turn in turns]
    lines += ["", f"The chatbot was {sure} sure of: {draft}"]
    if result["intent_hint"]:
        lines.append(f"It may be about: {result['intent_hint']}")
    return {
        "turns": [turn._asdict() for turn in turns],
        "confidence": result["confidence"],
        "intent_hint": result["intent_hint"],
        "draft": draft,
        "text": "\n".join(lines) + "\n",
    }
