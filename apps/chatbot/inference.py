"""A trained chatbot: load a run, answer."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from apps.chatbot.baselines import TfidfRetrieval
from apps.chatbot.datamodule import TextConfig
from core.decoding import DecodingConfig, Hypothesis, beam_search
from core.nn.seq2seq import EncoderDecoder, Seq2SeqConfig
from core.nn.transformer import make_seq2seq
from core.runs import Run, load_run
from data.dialogues import Dialogue, Turn, check_characters, mask_dialogue, reply_pairs
from data.entities import mask_once, placeholders, unmask
from data.storing import read_dialogues
from data.text import SPEAKER_TOKENS, Tokenizer

HANDOFF_TEXT = (
    "I am not sure that I understand you, and I do not want to tell you anything wrong. "
    "I hand you over to a colleague."
)
MAX_PLAIN_DIGITS = 4  # a reply spells no number of more digits, but for those the user gave


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        text: The model's words, the user's own numbers put back.
        confidence: Geometric mean of the probabilities of the reply's tokens, 0 to 1.
        handoff: Whether a person had better answer.
        source_tokens: The context as the model read it.
        attention: One entry a reply token: the token and its weights over the source tokens.
    """

    text: str
    confidence: float
    handoff: bool
    source_tokens: list[str]
    attention: list[dict[str, Any]]


class Chatbot:
    """Answers the last message of a conversation.

    Args:
        model: A trained network; set to evaluation mode.
        tokenizer: Its tokenizer.
        text: How contexts are cut.
        decoding: How replies are searched.
        handoff_below: Replies less sure than this are marked for a hand-over, 0 to 1.
    """

    def __init__(
        self,
        model: EncoderDecoder,
        tokenizer: Tokenizer,
        text: TextConfig,
        decoding: DecodingConfig,
        handoff_below: float = 0.0,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.text = text
        self.decoding = decoding
        self.handoff_below = handoff_below
        self._forbidden = _ForbiddenTokens(tokenizer)

    @classmethod
    def load(cls, run: Run, beam_size: int | None = None) -> "Chatbot":
        """The chatbot of a run folder.

        Raises:
            ValueError: The weights do not fit the configuration.
        """
        tokenizer = Tokenizer.from_json(run.preprocessor["tokenizer"])
        model = make_seq2seq(tokenizer.vocab_size, Seq2SeqConfig(**run.config["model"]))
        run.load_weights(model)
        decoding = DecodingConfig(**run.config["decoding"])
        if beam_size is not None:
            decoding = replace(decoding, beam_size=beam_size)
        below = run.preprocessor["handoff"]["confidence_below"]
        return cls(model, tokenizer, TextConfig(**run.config["text"]), decoding, below)

    def reply(self, turns: Sequence[Turn]) -> Reply:
        """Answer a conversation whose last turn is the user's.

        Raises:
            ValueError: No turn, an empty last message, or one that is not the user's.
        """
        if not turns or turns[-1].speaker != "user" or not turns[-1].text.strip():
            raise ValueError("there is no message to answer; write what the customer says")
        for turn in turns:
            check_characters(turn.text, "the message")
        return self.reply_all([mask_dialogue(Dialogue("live", tuple(turns)))])[0]

    def reply_all(
        self,
        dialogues: Sequence[Dialogue],
        positions: Sequence[int] | None = None,
        batch_size: int = 64,
        advance: Callable[[int], None] | None = None,
    ) -> list[Reply]:
        """Answer many masked conversations.

        Args:
            dialogues: Masked, with the values behind the placeholders.
            positions: How many turns of each were said; None takes all.
            batch_size: Conversations searched at once.
            advance: Called with the number of conversations done since the last call.

        Returns:
            The replies, in the order of the dialogues.
        """
        ends = [len(d.turns) for d in dialogues] if positions is None else positions
        sources = [
            self.tokenizer.encode_context(
                dialogue.turns[:end], self.text.context_turns, self.text.max_source_tokens
            )
            for dialogue, end in zip(dialogues, ends, strict=True)
        ]
        order = sorted(range(len(sources)), key=lambda row: len(sources[row]))
        replies: dict[int, Reply] = {}
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            chosen = [sources[row] for row in rows]
            for row, found in zip(rows, self._search(chosen), strict=True):
                replies[row] = self._to_reply(found, sources[row], dialogues[row].values)
            if advance is not None:
                advance(len(rows))
        return [replies[row] for row in range(len(sources))]

    def _search(self, sources: Sequence[list[int]]) -> list[list[Hypothesis]]:
        lengths = torch.tensor([len(ids) for ids in sources])
        padded = torch.zeros(len(sources), int(lengths.max()), dtype=torch.long)
        for row, ids in zip(padded, sources, strict=True):
            row[: len(ids)] = torch.tensor(ids)
        known = [frozenset(ids) for ids in sources]

        def constraint(row: int, tokens: Sequence[int]) -> set[int]:
            return self._forbidden(known[row], tokens)

        return beam_search(self.model, padded, lengths, self.decoding, constraint)

    def _to_reply(
        self, found: Sequence[Hypothesis], source: Sequence[int], values: Mapping[str, str]
    ) -> Reply:
        best = found[0]
        spoken = unmask(self.tokenizer.decode(best.tokens), values)
        text = "".join(character for character in spoken if character.isprintable()).strip()
        confidence = math.exp(best.log_probability / (len(best.tokens) + 1))
        is_safe = bool(text) and all(
            any(text[start:end] in value for value in values.values())
            for start, end, _ in mask_once(text)
        )
        attention = [
            {"token": self.tokenizer.decode([token]), "weights": weights[: len(source)].tolist()}
            for token, weights in zip(best.tokens, best.attention, strict=False)
        ]
        return Reply(
            text=text if is_safe else HANDOFF_TEXT,
            confidence=confidence if is_safe else 0.0,
            handoff=not is_safe or confidence < self.handoff_below,
            source_tokens=[self.tokenizer.decode([token]) for token in source],
            attention=attention,
        )


class _ForbiddenTokens:
    """Which tokens may not follow: unknown placeholders, speaker tokens, long invented numbers."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        names = tokenizer.known(placeholders())
        self._placeholders = frozenset(
            tokenizer.token_id(name) for name in names if not name.endswith("_x>")
        )
        self._never = {tokenizer.token_id(name) for name in names if name.endswith("_x>")}
        self._never |= {tokenizer.token_id(name) for name in SPEAKER_TOKENS.values()}
        # Of each token: digits before its first space, digits after its last, whether it has one.
        self._shape: list[tuple[int, int, bool]] = []
        special = self._placeholders | self._never
        for token in range(tokenizer.vocab_size):
            text = " " if token in special else tokenizer.decode([token])
            words = text.split(" ")
            count = [sum(c.isdigit() for c in word) for word in words]
            self._shape.append((count[0], count[-1], len(words) > 1))
            if max(count) > MAX_PLAIN_DIGITS:
                self._never.add(token)
        self._by_lead = {
            digits: {t for t, shape in enumerate(self._shape) if shape[0] >= digits}
            for digits in range(1, MAX_PLAIN_DIGITS + 2)
        }

    def __call__(self, source: frozenset[int], tokens: Sequence[int]) -> set[int]:
        run = 0
        for token in reversed(tokens):
            lead, tail, has_space = self._shape[token]
            run += tail if has_space else lead
            if has_space:
                break
        forbidden = self._never | (self._placeholders - source)
        if run:
            forbidden |= self._by_lead[max(MAX_PLAIN_DIGITS + 1 - run, 1)]
        return forbidden


class Answers:
    """What the `reply` and `chat` commands need: the chatbot, and what it learned from.

    Args:
        path: A run folder.
        beam_size: Instead of the run's own.
    """

    def __init__(self, path: Path, beam_size: int | None = None) -> None:
        self.run = load_run(path, "chatbot")
        self.bot = Chatbot.load(self.run, beam_size)

    @cached_property
    def _intents(self) -> TfidfRetrieval | None:
        dialogues = read_dialogues(self.run.path / "data" / "train.parquet")
        if all(dialogue.intent is None for dialogue in dialogues):
            return None
        return TfidfRetrieval(reply_pairs(dialogues), self.bot.text.context_turns)

    def __call__(self, turns: Sequence[Turn]) -> dict[str, Any]:
        """The reply with the keys of `reply --json`."""
        started = time.perf_counter()
        reply = self.bot.reply(turns)
        latency_ms = 1000 * (time.perf_counter() - started)
        masked = mask_dialogue(Dialogue("live", tuple(turns)))
        hint = None
        if self._intents is not None:
            hint = self._intents.nearest([masked.turns])[0].dialogue.intent
        result = {**asdict(reply), "intent_hint": hint, "latency_ms": round(latency_ms, 1)}
        if reply.handoff:
            result["text"] = HANDOFF_TEXT
        return result
