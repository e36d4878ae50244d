"""Byte-level BPE tokenizer, and batches of token sequences with little padding."""

from collections.abc import Iterable, Sequence

import numpy as np
import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers, trainers

from core.batch import BOS_ID, EOS_ID, PAD_ID, Seq2SeqBatch
from data.entities import CONTROL_TOKENS

SPEAKER_TOKENS = {"user": "<user>", "agent": "<agent>"}


class Tokenizer:
    """Byte-level BPE: every text round-trips byte for byte, nothing is unknown.

    Sennrich et al. 2016 (arXiv:1508.07909) over bytes, as in Radford et al. 2019.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner

    @classmethod
    def train(
        cls, texts: Iterable[str], vocab_size: int, special_tokens: Sequence[str] = ()
    ) -> "Tokenizer":
        """Learn the merges.

        Args:
            texts: The training part, and nothing else.
            vocab_size: Most tokens, specials and the 256 bytes among them.
            special_tokens: Strings that are one token each, beside the control tokens.

        Raises:
            ValueError: A vocabulary too small for the bytes and the special tokens.
        """
        specials = [*CONTROL_TOKENS, *special_tokens]
        if vocab_size < 256 + len(specials):
            raise ValueError(
                f"vocab_size={vocab_size} must be at least {256 + len(specials)}: 256 bytes and "
                f"{len(specials)} special tokens"
            )
        inner = tokenizers.Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=specials,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        inner.train_from_iterator(texts, trainer)
        return cls(inner)

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is no tokenizer of this kind.
        """
        try:
            inner = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # it has no type of its own
            raise ValueError(f"no tokenizer ({error})") from None
        _check(inner)
        return cls(inner)

    def to_json(self) -> str:
        """The tokenizer as JSON text."""
        return str(self._inner.to_str())

    @property
    def vocab_size(self) -> int:
        """Tokens, specials among them."""
        return int(self._inner.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Token ids of a masked text; special tokens in it become one id each."""
        return list(self._inner.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids; special tokens stay visible."""
        return str(self._inner.decode(list(ids), skip_special_tokens=False))

    def token_id(self, token: str) -> int:
        """Id of a special token."""
        found = self._inner.token_to_id(token)
        if found is None:
            raise KeyError(f"{token} is no token of this vocabulary")
        return int(found)

    def known(self, tokens: Iterable[str]) -> tuple[str, ...]:
        """Those of these special tokens that the vocabulary has."""
        return tuple(token for token in tokens if self._inner.token_to_id(token) is not None)

    def encode_context(
        self, turns: Sequence[tuple[str, str]], num_turns: int, max_tokens: int
    ) -> list[int]:
        """The last turns with their speaker tokens, cut from the oldest.

        Args:
            turns: Speaker and text, oldest first, at least one.
            num_turns: Most turns that are kept, at least 1.
            max_tokens: Most tokens; of a last message longer than that the beginning stays.
        """
        last = [self.encode_turn(speaker, text) for speaker, text in turns[-num_turns:]]
        return cut_context(last, max_tokens)

    def encode_turn(self, speaker: str, text: str) -> list[int]:
        """The speaker's token, then the text's."""
        return [self.token_id(SPEAKER_TOKENS[speaker]), *self.encode(text)]


def _check(inner: tokenizers.Tokenizer) -> None:
    """Refuse a tokenizer that `Tokenizer.train` does not make."""
    if not isinstance(inner.model, models.BPE) or inner.normalizer or inner.post_processor:
        raise ValueError("no byte-level BPE tokenizer")
    if inner.truncation or inner.padding:
        raise ValueError("a tokenizer that cuts or pads")
    ids = inner.get_vocab()
    if sorted(ids.values()) != list(range(len(ids))):
        raise ValueError("token ids that do not run from 0 without a gap")
    for number, token in enumerate(CONTROL_TOKENS):
        if ids.get(token) != number:
            raise ValueError(f"token {token} does not have the id {number}")


def cut_context(turns: Sequence[Sequence[int]], max_tokens: int) -> list[int]:
    """Join encoded turns, oldest first; what is too much is cut from the oldest.

    Args:
        turns: Token ids, the speaker's first, at least one turn.
        max_tokens: Most tokens; of a last message longer than that the beginning stays.
    """
    kept = list(turns[-1][:max_tokens])
    for ids in reversed(turns[:-1]):
        room = max_tokens - len(kept)
        if len(ids) > room:
            return ([ids[0], *ids[len(ids) - room + 1 :]] if room > 8 else []) + kept
        kept = [*ids, *kept]
    return kept


def pad_batch(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Seq2SeqBatch:
    """Right-pad token lists; BOS and EOS are added to the targets."""
    lengths = torch.tensor([len(ids) for ids in sources])
    wrapped = [[BOS_ID, *ids, EOS_ID] for ids in targets]
    return Seq2SeqBatch(_pad(sources), lengths, _pad(wrapped))


def _pad(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    padded = np.full((len(rows), max(map(len, rows))), PAD_ID, dtype=np.int64)
    for row, ids in zip(padded, rows, strict=True):
        row[: len(ids)] = ids
    return torch.from_numpy(padded)


def bucketed_batches(
    source_lengths: np.ndarray,
    target_lengths: np.ndarray,
    batch_size: int,
    generator: np.random.Generator | None = None,
) -> list[np.ndarray]:
    """Group rows of like source and target length.

    Rows are cut into strips by source length; within a strip they are sorted by target length and
    cut into batches. Without a generator the result is fixed; with one, rows of the same length
    and the batches come in random order.

    Args:
        source_lengths: Tokens per source, (N,).
        target_lengths: Tokens per target, (N,).
        batch_size: Rows a batch, at least 1.
        generator: Of both orders.

    Returns:
        Row numbers of each batch; every row once; ceil(N / batch_size) batches.
    """
    count = len(source_lengths)
    source, target = source_lengths.astype(float), target_lengths.astype(float)
    if generator is not None:
        source = source + generator.uniform(0, 1, count)
        target = target + generator.uniform(0, 1, count)
    num_batches = -(-count // batch_size)
    strips = max(1, round(num_batches**0.5))
    strip_size = -(-num_batches // strips) * batch_size
    by_source = np.argsort(source, kind="stable")
    batches: list[np.ndarray] = []
    for start in range(0, count, strip_size):
        strip = by_source[start : start + strip_size]
        strip = strip[np.argsort(target[strip], kind="stable")]
        batches += [strip[i : i + batch_size] for i in range(0, len(strip), batch_size)]
    if generator is not None:
        order = generator.permutation(len(batches))
        batches = [batches[index] for index in order]
    return batches


def padding_share(batches: Sequence[np.ndarray], *lengths: np.ndarray) -> float:
    """Share of padded positions among all positions of these batches, 0 to 1."""
    real = sum(int(rows_lengths[rows].sum()) for rows in batches for rows_lengths in lengths)
    total = sum(
        len(rows) * int(rows_lengths[rows].max()) for rows in batches for rows_lengths in lengths
    )
    return 1 - real / total
