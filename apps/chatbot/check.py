"""Is the chatbot fit to answer?"""

from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from apps.chatbot.answers import Answers
from apps.chatbot.engines import Engine
from core.champions import champion
from core.cli import verb
from core.health import Opened, examine, exit_code, show
from data.dialogues import Turn
from data.storing import stored_dialogues

APP = "chatbot"
NUM_QUESTIONS = 5


@verb(show, code=exit_code)
def check(
    run: Path | None = None,
    *,
    max_seconds: float = 2.0,
    max_age_days: float = 0.0,
    engine: Engine = "torch",
) -> dict[str, Any]:
    """Look whether a run is intact, answers in time and is fresh; for a monitor.

    Exit codes: 0 healthy, 1 slow or stale, 2 it cannot answer (or a wrong option).

    Args:
        run: The run folder; left out: runs/chatbot/champion.
        max_seconds: The slowest of five answers to messages of its own test part may take so long.
        max_age_days: Days since it was trained; 0 sets no limit.
        engine: What the search runs on.
    """
    path = champion(APP, run)

    def load() -> Opened:
        answers = Answers(path, engine=engine)
        test = stored_dialogues(answers.run.path / "data" / "test.parquet")
        questions = [dialogue.opening for dialogue in islice(test, NUM_QUESTIONS)]
        created = date.fromisoformat(answers.run.manifest["created"][:10])

        def answer(number: int) -> None:
            answers([Turn("user", questions[number % len(questions)])])

        return Opened(answer, lambda: ("the training", created))

    return examine(path, load, max_seconds=max_seconds, max_age_days=max_age_days)
