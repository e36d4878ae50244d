"""A trained chatbot: load a run, answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch

from apps.chatbot.confidence import Confidence, framed
from apps.chatbot.constraints import ForbiddenTokens
from apps.chatbot.datamodule import TextConfig
from apps.chatbot.engines import Engine, onnx_engine
from core.decoding import Constraint, DecodingConfig, Hypothesis, StepDecoder, beam_search
from core.nn.seq2seq import EncoderDecoder, Seq2SeqConfig
from core.nn.transformer import make_seq2seq
from core.runs import Run
from core.sampling import generate, sample
from core.stored import check_size, conformed, kept, section
from data.checking import MAX_CHARACTERS
from data.dialogues import Dialogue, Turn, check_characters, mask_dialogue
from data.entities import mask_once, unmask
from data.text import Tokenizer


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        text: The model's words, the user's own numbers put back.
        masked: The same with the placeholders in it; empty where the text is withheld.
        confidence: The chance that it says what an agent would have said, 0 to 1.
        handoff: Whether a person had better answer.
        source_tokens: The context as the model read it.
        attention: One entry a reply token: the token and its weights over the source tokens.
        alternatives: What else the search found, the next best first.
    """

    text: str
    masked: str
    confidence: float
    handoff: bool
    source_tokens: list[str]
    attention: list[dict[str, Any]]
    alternatives: list[str]


NO_REPLY = Reply("", "", 0.0, True, [], [], [])  # to an empty message


class Chatbot:
    """Answers the last message of a conversation.

    Args:
        model: A trained network; set to evaluation mode.
        tokenizer: Its tokenizer.
        text: How contexts are cut.
        decoding: How replies are searched.
        confidence: How sure a reply is; without it every reply is given.
        engine: What the search runs on instead of the model, such as its ONNX graphs.
    """

    def __init__(
        self,
        model: EncoderDecoder,
        tokenizer: Tokenizer,
        text: TextConfig,
        decoding: DecodingConfig,
        confidence: Confidence | None = None,
        *,
        engine: StepDecoder | None = None,
    ) -> None:
        self.model = model.eval()
        self.engine: StepDecoder = self.model if engine is None else engine
        self.tokenizer = tokenizer
        self.text = text
        self.decoding = decoding
        self.confidence = confidence
        self._forbidden = ForbiddenTokens(tokenizer)
        self._draws = torch.Generator().manual_seed(0)
        self._piece = lru_cache(maxsize=None)(lambda token: tokenizer.decode([token]))

    @classmethod
    def load(cls, run: Run, beam_size: int | None = None, engine: Engine = "torch") -> "Chatbot":
        """The chatbot of a run folder.

        Raises:
            ValueError: A file is spoilt, the weights fit neither the configuration nor the
                tokenizer, or there is no ONNX engine of such a model.
        """
        with kept(run, "tokenizer") as stored:
            tokenizer = Tokenizer.from_json(conformed(stored, str))
        config = section(run, "model", Seq2SeqConfig)

        def build() -> EncoderDecoder:
            return make_seq2seq(tokenizer.vocab_size, config)

        check_size(run, [config.hidden_size, config.embedding_size], config.num_layers, build)
        model = build()
        try:
            run.load_weights(model)
        except ValueError as error:
            if "output_bias" not in str(error):
                raise
            path = run.path / "preprocessor" / "tokenizer.json"
            raise ValueError(
                f"{path}: its {tokenizer.vocab_size} tokens are not those that the weights were "
                "trained with; restore it or train again"
            ) from error
        decoding = section(run, "decoding", DecodingConfig)
        if beam_size is not None:
            decoding = replace(decoding, beam_size=beam_size)
        with kept(run, "confidence") as stored:
            confidence = Confidence.from_plain(stored)
        text = section(run, "text", TextConfig)
        graphs = None if engine == "torch" else onnx_engine(run, model, engine == "int8")
        return cls(model, tokenizer, text, decoding, confidence, engine=graphs)

    def reply(self, turns: Sequence[Turn]) -> Reply:
        """Answer a conversation whose last turn is the user's.

        Raises:
            ValueError: No turn, an empty last message, or one that is not the user's.
        """
        return self.reply_all([masked_live(turns)])[0]

    def stream(self, turns: Sequence[Turn]) -> Iterator[str | Reply]:
        """Answer word by word: pieces of the text, and at the end the whole reply.

        One token is chosen after the other, so that a beam is not searched. Nothing is shown of a
        reply whose message alone makes it unsure; a reply that turns out unsure ends with
        `handoff` all the same, and what was shown of it must then be taken back.

        Raises:
            ValueError: As for `reply`.
        """
        dialogue = masked_live(turns)
        source = self.encode_source(dialogue.turns)
        message = self.framed_message(dialogue.turns)
        is_shown = self.confidence is None or self.confidence.is_familiar(message)
        shown, found = "", [Hypothesis(0)]
        decoding = replace(self.decoding, beam_size=1)
        padded, lengths = pad_sources([source])
        constraint = self._constraint([source])
        for found in generate(
            self.engine, padded, lengths, decoding, constraint=constraint, generator=self._draws
        ):
            text = self._spoken(found[0], dialogue.values)
            # A character of several bytes is whole once the next token has come.
            if is_shown and text.startswith(shown) and not text.endswith("\ufffd"):
                if len(text) > len(shown):
                    yield text[len(shown) :]
                shown = text
        yield self._to_reply(found, source, dialogue, len(dialogue.turns))

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
        found = self.search_all(dialogues, ends, batch_size, advance)
        return [
            self._to_reply(hypotheses, self.encode_source(dialogue.turns[:end]), dialogue, end)
            for hypotheses, dialogue, end in zip(found, dialogues, ends, strict=True)
        ]

    def search_all(
        self,
        dialogues: Sequence[Dialogue],
        positions: Sequence[int],
        batch_size: int = 64,
        advance: Callable[[int], None] | None = None,
    ) -> list[list[Hypothesis]]:
        """What the search finds for each conversation, best first; arguments as for `reply_all`."""
        sources = [
            self.encode_source(d.turns[:end]) for d, end in zip(dialogues, positions, strict=True)
        ]
        order = sorted(range(len(sources)), key=lambda row: len(sources[row]))
        found: dict[int, list[Hypothesis]] = {}
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            found.update(zip(rows, self._search([sources[row] for row in rows]), strict=True))
            if advance is not None:
                advance(len(rows))
        return [found[row] for row in range(len(sources))]

    def encode_source(self, turns: Sequence[Turn]) -> list[int]:
        """Token ids of a masked context as the network reads it."""
        return self.text.encode_source(self.tokenizer, turns)

    def framed_message(self, turns: Sequence[Turn]) -> list[int]:
        """The last turn's token ids as the confidence reads them, as far as the network does."""
        ids = self.tokenizer.encode(turns[-1].text)[: self.text.max_source_tokens]
        return framed(ids, sum(turn.speaker == "user" for turn in turns) == 1)

    def _search(self, sources: Sequence[list[int]]) -> list[list[Hypothesis]]:
        padded, lengths = pad_sources(sources)
        constraint = self._constraint(sources)
        if self.decoding.temperature > 0:
            return sample(
                self.engine,
                padded,
                lengths,
                self.decoding,
                constraint=constraint,
                generator=self._draws,
            )
        return beam_search(self.engine, padded, lengths, self.decoding, constraint)

    def _constraint(self, sources: Sequence[list[int]]) -> Constraint:
        known = [self._forbidden.known(ids) for ids in sources]
        return lambda row, tokens: self._forbidden(known[row], tokens)

    def _spoken(self, hypothesis: Hypothesis, values: Mapping[str, str]) -> str:
        return _printable(unmask(self.tokenizer.decode(hypothesis.tokens), values))

    def _sureness(self, best: Hypothesis, turns: Sequence[Turn]) -> float:
        if self.confidence is None:
            return 1.0
        message = self.framed_message(turns)
        return self.confidence.of(best.log_probability, len(best.tokens) + 1, message)

    def _is_unsure(self, confidence: float) -> bool:
        return self.confidence is not None and confidence <= self.confidence.threshold

    def _to_reply(
        self, found: Sequence[Hypothesis], source: Sequence[int], dialogue: Dialogue, end: int
    ) -> Reply:
        best, values = found[0], dialogue.values
        text, *others = [self._spoken(one, values) for one in found]
        is_safe = _is_safe(text, values)
        confidence = self._sureness(best, dialogue.turns[:end]) if is_safe else 0.0
        attention = [
            {"token": self._piece(token), "weights": weights[: len(source)].tolist()}
            for token, weights in zip(best.tokens, best.attention, strict=False)
        ]
        return Reply(
            text=text if is_safe else "",
            masked=_printable(self.tokenizer.decode(best.tokens)) if is_safe else "",
            confidence=confidence,
            handoff=not is_safe or self._is_unsure(confidence),
            source_tokens=[self._piece(token) for token in source],
            attention=attention,
            alternatives=[other for other in others if _is_safe(other, values)],
        )


def _is_safe(text: str, values: Mapping[str, str]) -> bool:
    """Whether a text says something, and shows no number, name or address that was not given."""
    return bool(text) and all(
        any(text[start:stop] in value for value in values.values())
        for start, stop, _ in mask_once(text)
    )


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable()).strip()


def masked_live(turns: Sequence[Turn]) -> Dialogue:
    """A conversation that goes on, masked and its white space made single, as training saw it.

    Of a very long message the beginning stays.

    Raises:
        ValueError: No turn, an empty last message, or one that is not the user's.
    """
    if not turns or turns[-1].speaker != "user" or not turns[-1].text.strip():
        raise ValueError("there is no message to answer; write what the customer says")
    for turn in turns:
        check_characters(turn.text, "the message")
    words = (" ".join(turn.text[: 10 * MAX_CHARACTERS].split()) for turn in turns)
    cut = tuple(
        Turn(turn.speaker, text[:MAX_CHARACTERS]) for turn, text in zip(turns, words, strict=True)
    )
    return mask_dialogue(Dialogue("live", cut))


def pad_sources(sources: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded token ids (B, S), and the real tokens per row (B,)."""
    lengths = torch.tensor([len(ids) for ids in sources])
    padded = torch.zeros(len(sources), int(lengths.max()), dtype=torch.long)
    for row, ids in zip(padded, sources, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    return padded, lengths
