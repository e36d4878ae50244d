"""The commands that talk: reply to one message or a file of them, or chat."""

import sys
import time
from pathlib import Path
from typing import Any

from apps.chatbot.answers import Answers
from apps.chatbot.engines import Engine
from apps.chatbot.messages import read_messages
from core.champions import champion
from core.cli import verb
from core.files import write_json, write_text
from core.progress import progress
from data.dialogues import Turn


def words(result: dict[str, Any]) -> str:
    """The answers alone, one a line."""
    return "\n".join(str(one["text"]) for one in result.get("replies", [result]))


@verb(words, positional="message")
def reply(
    message: str | None = None,
    *,
    input: Path | None = None,
    run: Path | None = None,
    beam_size: int | None = None,
    engine: Engine = "torch",
    similar: int = 0,
) -> dict[str, Any]:
    """Answer one message, or every message of a file.

    Nobody can be asked back here, so that an unsure reply is handed over at once.

    Args:
        message: What the customer writes.
        input: Instead: a file with a message a line, or `.jsonl` with a `message` or `turns` each;
            with `--json` the results stand under `replies`.
        run: The run folder; left out: runs/chatbot/champion.
        beam_size: Instead of the run's own; 1 is greedy search.
        engine: What the search runs on; onnx reads the run's onnx/ and makes it where missing,
            int8 reads what `export` kept there.
        similar: With `--json`: how many similar past conversations, masked, stand beside the
            answer, 0 or more.
    """
    if similar < 0:
        raise ValueError(f"similar={similar} must be 0 or more")
    if (message is None) == (input is None):
        raise ValueError('give either a message, such as "where is my order", or --input FILE')
    if message is not None:
        conversations = [[Turn("user", message)]]
    else:
        assert input is not None
        conversations = read_messages(input)
    answers = Answers(champion("chatbot", run), beam_size, engine, similar)
    results = []
    with progress("replies", len(conversations)) as advance:
        for turns in conversations:
            results.append(answers(turns, can_ask=False))
            advance(1)
    return results[0] if input is None else {"replies": results}


def chat(
    run: Path | None = None,
    beam_size: int | None = None,
    engine: Engine = "torch",
    transcripts: Path | None = None,
) -> None:
    """Talk to the chatbot; an empty line or end of input ends the conversation.

    An unsure reply is first met with a request to say it in other words, and after that the
    conversation is handed over and ends.

    Args:
        run: The run folder; left out: runs/chatbot/champion.
        beam_size: Instead of the run's own; 1 is greedy search.
        engine: What the search runs on; onnx reads the run's onnx/ and makes it where missing,
            int8 reads what `export` kept there.
        transcripts: Folder that gets a `.json` and a `.txt` file of a conversation that is handed
            over, with all that the customer wrote; left out: the text goes to standard error.
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
        if result["handoff"]:
            _hand_over(result["transcript"], transcripts)
            return


def _hand_over(transcript: dict[str, Any], folder: Path | None) -> None:
    if folder is None:
        print(f"\n{transcript['text']}", file=sys.stderr)
        return
    stem = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}"
    write_json(stem.with_suffix(".json"), transcript)
    write_text(stem.with_suffix(".txt"), transcript["text"])
    print(f"transcript for the colleague: {stem}.txt and .json", file=sys.stderr)
