from dataclasses import replace

import pytest
import torch

from core.batch import Seq2SeqBatch
from core.decoding import DecodingConfig, beam_search
from core.nn.attention import ATTENTION_KINDS
from core.nn.initialization import CELLS
from core.nn.recurrent import RecurrentConfig
from core.nn.seq2seq import Seq2Seq, Seq2SeqConfig, decoder_config

SMALL = Seq2SeqConfig(hidden_size=8, embedding_size=6, num_layers=2, attention_window=1)
ATTENTIONS = tuple(kind for kind in ATTENTION_KINDS if kind != "dot")
KINDS = [
    *({"cell": cell, "attention": kind} for cell in CELLS for kind in ("general", "none")),
    *({"attention": kind} for kind in ATTENTIONS),
    {"attention": "dot", "bidirectional": False},
    *({"attention": kind, "input_feeding": True} for kind in ("general", "local_monotonic")),
    {"cell": "gru", "attention": "additive", "input_feeding": True},
]


def batch() -> Seq2SeqBatch:
    source = torch.tensor([[5, 6, 7, 8], [9, 5, 0, 0]])
    target = torch.tensor([[1, 5, 6, 2], [1, 7, 2, 0]])
    return Seq2SeqBatch(source, torch.tensor([4, 2]), target)


def build(kind: dict) -> Seq2Seq:
    torch.manual_seed(0)
    return Seq2Seq(12, replace(SMALL, **kind)).eval()


@pytest.mark.parametrize("kind", KINDS)
def test_stepping_equals_teacher_forcing(kind: dict) -> None:
    model = build(kind)
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
def test_padding_tokens_change_neither_outputs_nor_gradients(kind: dict) -> None:
    model = build(kind)
    given = batch()
    dirty = given.source.clone()
    dirty[1, 2:] = 11
    wide = torch.cat([dirty, torch.full((2, 3), 10)], dim=1)
    found = []
    for source in (given.source, dirty, wide):
        logits, following = model(given._replace(source=source))
        loss = torch.nn.functional.cross_entropy(logits, following)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        found.append([logits, *gradients])
    for other in found[1:]:
        for clean, changed in zip(found[0], other, strict=True):
            torch.testing.assert_close(changed, clean)


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
    for _ in range(400):
        logits, following = model(given)
        loss = torch.nn.functional.cross_entropy(logits, following)
        if loss < 0.05:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail(f"the loss is still {loss}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_beam_over_a_batch_gives_what_each_source_gives_alone(kind: dict) -> None:
    model = build(kind)
    model.output_bias.data.normal_()
    sources = torch.tensor([[3, 4, 5, 6], [6, 5, 0, 0], [4, 0, 0, 0]])
    lengths = torch.tensor([4, 2, 1])
    config = DecodingConfig(beam_size=3, max_length=7)
    together = beam_search(model, sources, lengths, config)
    for row, length in enumerate(lengths.tolist()):
        alone = beam_search(model, sources[row : row + 1, :length], lengths[row : row + 1], config)
        assert [h.tokens for h in together[row]] == [h.tokens for h in alone[0]]


def test_with_local_monotonic_attention_the_state_counts_each_rows_tokens() -> None:
    model = build({"attention": "local_monotonic"})
    memory, state = model.encode(batch().source, batch().source_lengths)
    assert state[-1][0].tolist() == [0, 0]
    _, state, weights = model.decode(torch.tensor([[1, 5, 6], [1, 7, 2]]), state, memory)
    assert state[-1][0].tolist() == [3, 3]
    readable = [[True, True, False, False], [True, True, True, False], [False, True, True, True]]
    assert (weights[0] > 0).tolist() == readable
    state = (*state[:-1], (torch.tensor([0, 3]),))
    _, _, weights = model.decode_step(torch.tensor([5, 5]), state, memory)
    assert (weights > 0).tolist() == [[True, True, False, False], [False, True, False, False]]


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_state_has_no_other_entry_than_the_layers(attention: str) -> None:
    model = build({"attention": attention})
    _, state = model.encode(batch().source, batch().source_lengths)
    assert len(state) == SMALL.num_layers + (attention == "local_monotonic")


def test_with_input_feeding_a_step_reads_what_the_one_before_attended_to() -> None:
    model = build({"input_feeding": True})
    given = batch()
    memory, state = model.encode(given.source, given.source_lengths)
    assert torch.equal(state[-1][0], torch.zeros(2, SMALL.embedding_size))
    features, after, _ = model.decode(given.target[:, :2], state, memory)
    assert torch.equal(after[-1][0], features[:, -1])
    other = (*after[:-1], (after[-1][0] + 1,))
    same, changed = (
        model.decode(given.target[:, 2:3], begun, memory)[0] for begun in (after, other)
    )
    assert not torch.allclose(same, changed)


def test_the_decoder_starts_from_the_bridge_layer_after_layer() -> None:
    model = build({"cell": "lstm"})
    given = batch()
    _, state = model.encode(given.source, given.source_lengths)
    values = model.encoder(model.embed(given.source), given.source_lengths)
    flat = torch.tanh(model.bridge(model.encoder.last_state(values, given.source_lengths)))
    parts = flat.chunk(4, dim=-1)  # layer 0: h, c; layer 1: h, c
    for layer, pair in enumerate((parts[:2], parts[2:])):
        for ours, expected in zip(state[layer], pair, strict=True):
            assert torch.equal(ours, expected)


def test_the_decoder_takes_every_choice_of_the_encoder_but_its_directions() -> None:
    choices = {
        "cell": "gru",
        "hidden_size": 10,
        "num_layers": 3,
        "residual": True,
        "norm": "layer",
        "dropout": 0.1,
        "locked_dropout": True,
        "weight_drop": 0.2,
        "zoneout": 0.3,
        "start": "chrono",
        "longest_lag": 50,
    }
    config = Seq2SeqConfig(bidirectional=True, **choices)
    assert decoder_config(config) == RecurrentConfig(bidirectional=False, **choices)
    assert Seq2Seq(12, config).decoder.config == decoder_config(config)


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


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"attention": "genral"}, "attention='genral' is unknown; choose one of additive, concat"),
        ({"attention_window": 0}, "attention_window=0 must be at least 1"),
        ({"embedding_size": 0}, "embedding_size=0"),
        ({"attention": "dot"}, "attention='dot' .*set bidirectional to false"),
        ({"architecture": "transformr"}, "architecture='transformr' is unknown; choose recurrent"),
        ({"input_feeding": True, "attention": "none"}, "input_feeding=True .*other than none"),
        (
            {"input_feeding": True, "architecture": "transformer"},
            "input_feeding=True .*architecture=recurrent",
        ),
        ({"num_heads": 0}, "num_heads=0 must be at least 1"),
        (
            {"architecture": "transformer", "embedding_size": 30},
            "embedding_size=30 must be a multiple of num_heads=4",
        ),
    ],
)
def test_a_wrong_choice_is_named(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Seq2SeqConfig(**options)
