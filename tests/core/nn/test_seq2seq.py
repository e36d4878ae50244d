from dataclasses import replace

import pytest
import torch

from core.batch import Seq2SeqBatch
from core.nn.seq2seq import Seq2Seq, Seq2SeqConfig

SMALL = Seq2SeqConfig(hidden_size=8, embedding_size=6, num_layers=2)
KINDS = [
    {"cell": cell, "attention": kind}
    for cell in ("rnn", "lstm", "gru")
    for kind in ("general", "none")
] + [{"attention": "additive"}]


def batch() -> Seq2SeqBatch:
    source = torch.tensor([[5, 6, 7, 8], [9, 5, 0, 0]])
    target = torch.tensor([[1, 5, 6, 2], [1, 7, 2, 0]])
    return Seq2SeqBatch(source, torch.tensor([4, 2]), target)


@pytest.mark.parametrize("kind", KINDS)
def test_stepping_equals_teacher_forcing(kind: dict) -> None:
    torch.manual_seed(0)
    model = Seq2Seq(12, replace(SMALL, **kind)).eval()
    given = batch()
    logits, following = model(given)
    memory, state = model.encode(given.source, given.source_lengths)
    steps = []
    for t in range(3):
        scores, state, _ = model.decode_step(given.target[:, t], state, memory)
        steps.append(scores)
    mask = given.target[:, 1:] != 0
    torch.testing.assert_close(torch.stack(steps, 1)[mask], logits)
    assert following.tolist() == [5, 6, 2, 7, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_padding_tokens_do_not_change_outputs(kind: dict) -> None:
    torch.manual_seed(0)
    model = Seq2Seq(12, replace(SMALL, **kind)).eval()
    given = batch()
    dirty = given.source.clone()
    dirty[1, 2:] = 11
    wide = torch.cat([dirty, torch.full((2, 3), 10)], dim=1)
    for source in (dirty, wide):
        found, _ = model(given._replace(source=source))
        torch.testing.assert_close(found, model(given)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_eight_pairs_are_learnt_by_heart(kind: dict) -> None:
    torch.manual_seed(0)
    model = Seq2Seq(20, replace(SMALL, hidden_size=32, embedding_size=32, num_layers=1, **kind))
    source = torch.randint(3, 20, (8, 6))
    target = torch.cat(
        [torch.ones(8, 1, dtype=torch.long), source[:, :4], torch.full((8, 1), 2)], 1
    )
    given = Seq2SeqBatch(source, torch.full((8,), 6), target)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(150):
        logits, following = model(given)
        loss = torch.nn.functional.cross_entropy(logits, following)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.05


def test_the_first_source_token_gets_a_gradient() -> None:
    torch.manual_seed(0)
    model = Seq2Seq(12, SMALL)
    given = batch()
    logits, following = model(given)
    torch.nn.functional.cross_entropy(logits, following).backward()
    assert model.embedding.weight.grad[9].abs().sum() > 0


def test_length_zero_is_an_error() -> None:
    model = Seq2Seq(12, SMALL)
    with pytest.raises(ValueError, match="length 0"):
        model.encode(torch.tensor([[5, 6]]), torch.tensor([0]))
