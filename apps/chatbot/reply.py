"""The commands that talk: reply to one message, or chat."""

import sys
from pathlib import Path
from typing import Any

from apps.chatbot.engines import Engine
from apps.chatbot.inference import Answers
from core.cli import verb
from core.runs import champion
from data.dialogues import Turn


def words(result: dict[str, Any]) -> str:
    """The answer alone."""
    return str(result["text"])


@verb(words, positional=True)
def reply(
    message: str,
    run: Path | None = None,
    beam_size: int | None = None,
    engine: Engine = "torch",
) -> dict[str, Any]:
    """Answer one message.

    Args:
        message: What the customer writes.
        run: The run folder; left out: runs/chatbot/champion.
        beam_size: Instead of the run's own; 1 is greedy search.
        engine: What the search runs on; onnx reads the run's onnx/ and makes it where missing,
            int8 reads what `export` kept there.
    """
    return Answers(champion("chatbot", run), beam_size, engine)([Turn("user", message)])


def chat(run: Path | None = None, beam_size: int | None = None, engine: Engine = "torch") -> None:
    """Talk to the chatbot; an empty line or end of input ends the conversation.

    Args:
        run: The run folder; left out: runs/chatbot/champion.
        beam_size: Instead of the run's own; 1 is greedy search.
        engine: What the search runs on; onnx reads the run's onnx/ and makes it where missing,
            int8 reads what `export` kept there.
    """
    answers = Answers(champion("chatbot", run), beam_size, engine)
    turns: list[Turn] = []
    print("Write to the chatbot; an empty line ends the conversation.", file=sys.stderr)
    while True:
        print("you> ", end="", file=sys.stderr, flush=True)
        message = sys.stdin.readline().strip()
        if not message:
            return
        turns.append(Turn("user", message))
        result = answers(turns)
        turns.append(Turn("agent", result["text"]))
        print(result["text"], flush=True)
