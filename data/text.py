"""Byte-level BPE tokenizer, and batches of token sequences with little padding."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers, trainers

from core.batch import BOS_ID, EOS_ID, PAD_ID, Seq2SeqBatch
from data.entities import CONTROL_TOKENS, placeholders

LEAST_PAIRS = 5  # times that a pair of tokens occurs in new words before it is one token
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

    def words(self, text: str) -> list[tuple[str, ...]]:
        """The tokens of each word of a masked text, specials left out, as the vocabulary has them.

        A word is what the tokens never reach beyond: letters, with the blank before them.
        """
        encoding = self._inner.encode(text, add_special_tokens=False)
        found: list[list[str]] = []
        last = None
        specials = self._special_ids
        for token, id, word in zip(encoding.tokens, encoding.ids, encoding.word_ids, strict=True):
            if id in specials or word is None:
                last = None
                continue
            if word != last:
                found.append([])
            found[-1].append(token)
            last = word
        return [tuple(word) for word in found]

    def pieces(self, old: "Tokenizer") -> list[list[int]]:
        """Of each token that an older vocabulary lacks, the old tokens that stood in its place.

        None for a special token.

        Args:
            old: Of which this one is `grown`.

        Raises:
            ValueError: It is not grown from that one.
        """
        names = [self._inner.id_to_token(id) for id in range(self.vocab_size)]
        if names[: old.vocab_size] != [old._inner.id_to_token(id) for id in range(old.vocab_size)]:
            raise ValueError("the vocabulary does not begin with the old one")
        model, new = old._inner.model, range(old.vocab_size, self.vocab_size)
        return [
            [] if id in self._special_ids else [one.id for one in model.tokenize(names[id])]
            for id in new
        ]

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        return frozenset(self._inner.get_added_tokens_decoder())

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


def grown(tokenizer: Tokenizer, old: Iterable[str], new: Iterable[str], most: int) -> Tokenizer:
    """A tokenizer that has whole tokens for the new words; every old token keeps its id.

    The merges are learned as in Sennrich et al. 2016 (arXiv:1508.07909), algorithm 1, on from
    where the old ones end, over the words that occur in the new texts and never in the old ones. So
    hardly an old text is read otherwise than before. Special tokens that the old vocabulary lacks,
    such as those of a new type of entity, come first.

    Args:
        tokenizer: The old one.
        old: Texts of the old training part.
        new: Of the new one.
        most: New tokens, at most, beside special ones.
    """
    known = {word for text in old for word in tokenizer.words(text)}
    words = Counter(word for text in new for word in tokenizer.words(text) if word not in known)
    state = json.loads(tokenizer.to_json())
    vocabulary: dict[str, int] = state["model"]["vocab"]
    added: list[dict[str, Any]] = state["added_tokens"]
    for token in (*CONTROL_TOKENS, *placeholders()):
        if not tokenizer.known([token]):
            added.append({**added[0], "id": len(vocabulary), "content": token})
            vocabulary[token] = len(vocabulary)
    state["model"]["merges"] += learned_merges(words, vocabulary, most)
    return Tokenizer.from_json(json.dumps(state))


def learned_merges(
    words: Mapping[tuple[str, ...], int], vocabulary: dict[str, int], most: int
) -> list[tuple[str, str]]:
    """The merges of the pairs that are most frequent, one after the other.

    Of equally frequent ones the pair of the lowest ids comes first, as in the tokenizers library.

    Args:
        words: How often each word occurs, as its tokens.
        vocabulary: Ids of the tokens; the new ones are added.
        most: How many merges, at most; a pair that occurs fewer than `LEAST_PAIRS` times is none.
    """
    spelled = [list(word) for word in words]
    counts = list(words.values())
    where: dict[tuple[str, str], set[int]] = defaultdict(set)
    frequency: Counter[tuple[str, str]] = Counter()
    for row, tokens in enumerate(spelled):
        for pair in pairwise(tokens):
            where[pair].add(row)
            frequency[pair] += counts[row]
    merges: list[tuple[str, str]] = []
    while len(merges) < most and frequency:
        best = max(frequency, key=lambda p: (frequency[p], -vocabulary[p[0]], -vocabulary[p[1]]))
        if frequency[best] < LEAST_PAIRS:
            break
        merges.append(best)
        vocabulary.setdefault("".join(best), len(vocabulary))
        for row in where.pop(best):
            for pair in pairwise(spelled[row]):
                frequency[pair] -= counts[row]
            spelled[row] = _merged(spelled[row], best)
            for pair in pairwise(spelled[row]):
                where[pair].add(row)
                frequency[pair] += counts[row]
        frequency = +frequency  # those above 0
    return merges


def _merged(tokens: Sequence[str], pair: tuple[str, str]) -> list[str]:
    found: list[str] = []
    for token in tokens:
        if found and (found[-1], token) == pair:
            found[-1] += token
        else:
            found.append(token)
    return found


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
