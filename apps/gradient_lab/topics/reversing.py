"""Reversing a word: the smallest task for an encoder-decoder, and how one is trained on it."""

from collections.abc import Sequence

import torch
from pytorch_lightning import seed_everything
from torch import Generator, Tensor

from apps.gradient_lab.topics.fitting import fit
from core.batch import BOS_ID, EOS_ID, Seq2SeqBatch
from core.modules import Seq2SeqModule
from core.nn.attention import AttentionKind
from core.nn.seq2seq import Seq2SeqConfig
from core.optim import OptimConfig

LETTERS = 12
FIRST = EOS_ID + 1
VOCAB_SIZE = FIRST + LETTERS
ROWS = 64
TESTED = 200  # fresh words whose letters are counted
RATE = 5e-3


def draw_words(num: int, length: int, generator: Generator) -> Seq2SeqBatch:
    """Random words, and the same words backwards.

    Args:
        num: Rows.
        length: Letters, at least 1.
        generator: The source of the draws.
    """
    letters = torch.randint(FIRST, VOCAB_SIZE, (num, length), generator=generator)
    edge = torch.ones(num, 1, dtype=torch.long)
    target = torch.cat([BOS_ID * edge, letters.flip(1), EOS_ID * edge], dim=1)
    return Seq2SeqBatch(letters, torch.full((num,), length), target)


def network(attention: AttentionKind) -> Seq2SeqConfig:
    """A small GRU encoder-decoder that reads in one direction, so that every kind fits it."""
    return Seq2SeqConfig(
        cell="gru",
        hidden_size=64,
        embedding_size=32,
        attention=attention,
        attention_window=3,
        bidirectional=False,
    )


def train_reversing(
    config: Seq2SeqConfig, lengths: Sequence[int], steps: int, seed: int, rate: float = RATE
) -> Seq2SeqModule:
    """Train an encoder-decoder to reverse words.

    Args:
        config: The network.
        lengths: Of the words of each batch, drawn with equal chance.
        steps: Of the optimiser.
        seed: Of weights and draws.
        rate: Peak learning rate.
    """
    seed_everything(seed, verbose=False)
    optim = OptimConfig(learning_rate=rate, weight_decay=0.0, warmup_steps=50)
    module = Seq2SeqModule(VOCAB_SIZE, config, optim)

    def draw(generator: Generator) -> Seq2SeqBatch:
        chosen = int(torch.randint(len(lengths), (1,), generator=generator))
        return draw_words(ROWS, lengths[chosen], generator)

    fit(module, draw, steps=steps, seed=seed)
    return module


def share_right(module: Seq2SeqModule, length: int) -> float:
    """Share of the letters of fresh words that are right, those before each being given.

    Args:
        module: What was trained.
        length: Of the words.
    """
    batch = draw_words(TESTED, length, Generator().manual_seed(10_000 + length))
    with torch.no_grad():
        logits, target = module.model(batch)
    is_letter = target >= FIRST
    return float((logits.argmax(-1) == target)[is_letter].float().mean())


def weights_of(module: Seq2SeqModule, word: Seq2SeqBatch) -> Tensor:
    """Attention weights of one word, output letters by input letters, (T, S).

    Args:
        module: A network with attention.
        word: One row.
    """
    with torch.no_grad():
        memory, state = module.model.encode(word.source, word.source_lengths)
        weights = module.model.decode(word.target[:, :-2], state, memory)[2]
    assert weights is not None, "the network has attention"
    return weights[0]
