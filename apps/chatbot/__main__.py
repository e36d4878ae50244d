"""The chatbot's commands."""

from core.cli import run

VERBS = {
    "train": ("apps.chatbot.train:train", "learn from dialogues and write a run folder"),
    "evaluate": ("apps.chatbot.evaluate:evaluate", "score a run beside the baselines"),
    "compare": (
        "apps.chatbot.compare:compare",
        "train and score rules, RNN, LSTM, GRU side by side",
    ),
    "retrain": ("apps.chatbot.retrain:retrain", "go on learning from new dialogues"),
    "reply": ("apps.chatbot.reply:reply", "answer one message"),
    "chat": ("apps.chatbot.reply:chat", "talk to the chatbot in the terminal"),
}


def main() -> None:
    """Entry point of the console script `chatbot`."""
    run("chatbot", "Answers customers with an LSTM encoder-decoder and attention.", VERBS)


if __name__ == "__main__":
    main()
