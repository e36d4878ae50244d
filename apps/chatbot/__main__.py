"""The chatbot's commands."""

from core.cli import run

VERBS = {
    "train": ("apps.chatbot.train:train", "learn from dialogues, write a run folder"),
}


def main() -> None:
    """Entry point of the console script `chatbot`."""
    run("chatbot", "Answers customers with an LSTM encoder-decoder and attention.", VERBS)


if __name__ == "__main__":
    main()
