"""The chatbot's commands."""

from pathlib import Path

from core.cli import run as run_command

VERBS = {
    "train": ("apps.chatbot.train:train", "learn from dialogues and write a run folder"),
    "evaluate": ("apps.chatbot.evaluate:evaluate", "score a run beside the baselines"),
    "compare": (
        "apps.chatbot.compare:compare",
        "train and score rules, retrieval, RNN, LSTM, GRU, Transformer",
    ),
    "retrain": ("apps.chatbot.retrain:retrain", "go on learning from new dialogues"),
    "rollback": ("apps.chatbot.retrain:rollback", "make an earlier champion the champion again"),
    "export": ("apps.chatbot.export:export", "write the ONNX encoder and decoder step"),
    "reply": ("apps.chatbot.reply:reply", "answer one message, or a file of them"),
    "chat": ("apps.chatbot.reply:chat", "talk to the chatbot in the terminal"),
    "serve": ("apps.chatbot.serve:serve", "answer over HTTP, on this machine"),
    "check": ("apps.chatbot.check:check", "is a run intact, quick and fresh? with exit codes"),
    "demo": ("apps.chatbot.__main__:demo", "open the chatbot in the browser"),
}

PRELOAD = ("apps.chatbot.answers", "core.plots")  # what the page needs, and takes seconds


def main() -> None:
    """Entry point of the console script `chatbot`."""
    run_command("chatbot", "Answers customers with an LSTM encoder-decoder and attention.", VERBS)


def demo(run: Path | None = None, port: int = 8501, host: str = "localhost") -> None:
    """Serve the page until Ctrl-C.

    Args:
        run: The run folder; left out: runs/chatbot/champion.
        port: Where the page listens, 1024 to 65535.
        host: Address to listen on; the default is reached from this machine alone.
    """
    from core.demo import open_page

    page = Path(__file__).with_name("streamlit_app.py")
    open_page(page, port, run=run, host=host, preload=PRELOAD)


if __name__ == "__main__":
    main()
