"""What the commands, the server and the page answer with: a chatbot and when it had better not."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from apps.chatbot.baselines import TfidfRetrieval
from apps.chatbot.engines import Engine
from apps.chatbot.handover import FallbackConfig, has_asked, transcript
from apps.chatbot.inference import NO_REPLY, Chatbot, Reply, masked_live
from core.runs import load_run
from core.stored import section
from data.dialogues import Turn, reply_pairs
from data.storing import has_intents, read_dialogues


class Answers:
    """What the `reply` and `chat` commands need: the chatbot, and what it learned from.

    Args:
        path: A run folder.
        beam_size: Instead of the run's own.
        engine: What the search runs on.
        num_similar: How many similar past conversations stand beside an answer, masked.
    """

    def __init__(
        self,
        path: Path,
        beam_size: int | None = None,
        engine: Engine = "torch",
        num_similar: int = 0,
    ) -> None:
        self.num_similar = num_similar
        self.run = load_run(path, "chatbot")
        self.bot = Chatbot.load(self.run, beam_size, engine)
        self.fallback = section(self.run, "fallback", FallbackConfig)

        self._train_part = self.run.path / "data" / "train.parquet"

    @cached_property
    def _training(self) -> TfidfRetrieval:
        pairs = reply_pairs(read_dialogues(self._train_part))
        return TfidfRetrieval(pairs, self.bot.text.context_turns)

    @cached_property
    def _has_intents(self) -> bool:
        return has_intents(self._train_part)

    def __call__(self, turns: Sequence[Turn], can_ask: bool = True) -> dict[str, Any]:
        """The reply with the keys of `reply --json`.

        An empty message is met with the request to say what is needed. An unsure reply is not
        given: the customer is asked to rephrase, and after that handed over, with a `transcript`
        for the colleague.

        Args:
            turns: The conversation, its last turn the user's.
            can_ask: Whether the customer can be asked back; if not, unsure means handed over.
        """
        started = time.perf_counter()
        if turns and turns[-1].speaker == "user" and not turns[-1].text.strip():
            return self._finish(turns, NO_REPLY, started, can_ask=True)
        return self._finish(turns, self.bot.reply(turns), started, can_ask)

    def stream(self, turns: Sequence[Turn], can_ask: bool = True) -> Iterator[str | dict[str, Any]]:
        """Pieces of the reply as they are written, and at the end what `__call__` gives.

        Where the result's `fallback` is not None, its text stands for the pieces.
        """
        started = time.perf_counter()
        if turns and turns[-1].speaker == "user" and not turns[-1].text.strip():
            yield self._finish(turns, NO_REPLY, started, can_ask=True)
            return
        for piece in self.bot.stream(turns):
            if isinstance(piece, Reply):
                yield self._finish(turns, piece, started, can_ask)
            else:
                yield piece

    def _finish(
        self, turns: Sequence[Turn], reply: Reply, started: float, can_ask: bool
    ) -> dict[str, Any]:
        latency_ms = 1000 * (time.perf_counter() - started)
        hint = None
        similar: list[dict[str, Any]] = []
        if reply is not NO_REPLY and (self.num_similar or self._has_intents):
            found = self._training.similar(masked_live(turns).turns, max(1, self.num_similar))
            hint = found[0][0].dialogue.intent if found else None
            similar = [
                {"question": pair.context[-1].text, "reply": pair.reply, "similarity": cosine}
                for pair, cosine in found[: self.num_similar]
            ]
        given = asdict(reply)
        del given["masked"]  # for reports alone
        result = {
            **given,
            "fallback": None,
            "intent_hint": hint,
            "similar": similar,
            "latency_ms": round(latency_ms, 1),
        }
        if not reply.handoff:
            return result
        result |= {"attention": [], "alternatives": []}  # they spell what is not given
        if can_ask and (reply is NO_REPLY or not has_asked(turns, self.fallback)):
            asked = {"text": self.fallback.rephrase, "handoff": False, "fallback": "rephrase"}
            return {**result, **asked}
        result |= {"text": self.fallback.handoff, "fallback": "handoff"}
        return {**result, "transcript": transcript(turns, result, reply.text)}
