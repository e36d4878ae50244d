import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from core.batch import BOS_ID, EOS_ID, Seq2SeqBatch
from core.decoding import DecodingConfig, beam_search
from core.nn.multi_head import MultiHeadAttention
from core.nn.seq2seq import Seq2Seq, Seq2SeqConfig
from core.nn.transformer import TransformerEncoder, TransformerSeq2Seq, make_seq2seq
from core.nn.transformer_layers import (
    DecoderLayer,
    EncoderLayer,
    TransformerConfig,
    sinusoidal_positions,
)

SMALL = Seq2SeqConfig(
    architecture="transformer", hidden_size=12, embedding_size=8, num_layers=2, num_heads=2
)
SIZES = TransformerConfig(
    width=8, feedforward_size=12, num_heads=2, num_layers=2, dropout=0.0, is_causal=False
)


def network(**options: object) -> TransformerSeq2Seq:
    torch.manual_seed(0)
    model = TransformerSeq2Seq(12, replace(SMALL, **options)).eval()
    model.output_bias.data.normal_()
    return model


def batch() -> Seq2SeqBatch:
    source = torch.tensor([[5, 6, 7, 8], [9, 5, 0, 0]])
    target = torch.tensor([[1, 5, 6, 2], [1, 7, 2, 0]])
    return Seq2SeqBatch(source, torch.tensor([4, 2]), target)


def copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    parts = (ours.query, ours.key, ours.value)
    theirs.in_proj_weight.data = torch.cat([part.weight for part in parts]).detach()
    theirs.in_proj_bias.data = torch.cat([part.bias for part in parts]).detach()
    theirs.out_proj.load_state_dict(ours.output.state_dict())


def copy_layer(ours: EncoderLayer | DecoderLayer, theirs: nn.Module) -> None:
    """The weights of our layer into torch's."""
    copy_attention(ours.self_attention, theirs.self_attn)
    norms = [ours.self_norm, ours.feedforward_norm]
    if isinstance(ours, DecoderLayer):
        copy_attention(ours.cross_attention, theirs.multihead_attn)
        norms.insert(1, ours.cross_norm)
    for number, norm in enumerate(norms, start=1):
        getattr(theirs, f"norm{number}").load_state_dict(norm.state_dict())
    theirs.linear1.load_state_dict(ours.feedforward[0].state_dict())
    theirs.linear2.load_state_dict(ours.feedforward[2].state_dict())


def scramble(layer: nn.Module) -> nn.Module:
    """Norms and biases that are not at their start."""
    for parameter in layer.parameters():
        parameter.data.normal_()
    return layer.eval()


@pytest.mark.parametrize("is_causal", [False, True])
def test_an_encoder_layer_equals_torchs(is_causal: bool) -> None:
    torch.manual_seed(0)
    ours = scramble(EncoderLayer(replace(SIZES, is_causal=is_causal)))
    theirs = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, norm_first=True).eval()
    copy_layer(ours, theirs)
    x, mask = torch.randn(2, 5, 8), torch.arange(5) < torch.tensor([[5], [3]])
    later = torch.ones(5, 5).triu(1).bool() if is_causal else None
    expected = theirs(x, src_mask=later, src_key_padding_mask=~mask)
    torch.testing.assert_close(ours(x, mask)[mask], expected[mask], atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_the_network_equals_torchs_transformer() -> None:
    ours, given = network(), batch()
    scramble(ours)
    theirs = nn.Transformer(8, 2, 2, 2, 12, batch_first=True, norm_first=True).eval()
    for number, layer in enumerate(ours.encoder.layers):
        copy_layer(layer, theirs.encoder.layers[number])
    for number, layer in enumerate(ours.decoder):
        copy_layer(layer, theirs.decoder.layers[number])
    theirs.encoder.norm.load_state_dict(ours.encoder.norm.state_dict())
    theirs.decoder.norm.load_state_dict(ours.norm.state_dict())
    positions = sinusoidal_positions(0, 4, 8, torch.zeros(1))
    source, target = (
        ours.embedding(tokens) * math.sqrt(8) + positions[: tokens.size(1)]
        for tokens in (given.source, given.target[:, :-1])
    )
    features = theirs(
        source,
        target,
        tgt_mask=torch.ones(3, 3).triu(1).bool(),
        src_key_padding_mask=given.source == 0,
        memory_key_padding_mask=given.source == 0,
    )
    expected = features @ ours.embedding.weight.T + ours.output_bias
    mask = given.target[:, 1:] != 0
    torch.testing.assert_close(ours(given)[0], expected[mask], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("width", [1, 7, 8])
@pytest.mark.parametrize("start", [0, 3])
def test_positions_are_the_papers_sines_and_cosines(start: int, width: int) -> None:
    found = sinusoidal_positions(start, 4, width, torch.zeros(1))
    for step in range(4):
        for feature in range(width):
            angle = (start + step) / 10000 ** ((feature - feature % 2) / width)
            expected = math.cos(angle) if feature % 2 else math.sin(angle)
            assert float(found[step, feature]) == pytest.approx(expected, abs=1e-5)


def test_stepping_equals_teacher_forcing() -> None:
    model, given = network(), batch()
    logits, following = model(given)
    memory, state = model.encode(given.source, given.source_lengths)
    steps = []
    for t in range(3):
        scores, state, weights = model.decode_step(given.target[:, t], state, memory)
        steps.append(scores)
        torch.testing.assert_close(weights.sum(-1), torch.ones(2))
        assert (weights[1, 2:] == 0).all()
    mask = given.target[:, 1:] != 0
    torch.testing.assert_close(torch.stack(steps, 1)[mask], logits)
    assert following.tolist() == [5, 6, 2, 7, 2]


def test_decoding_in_pieces_equals_decoding_at_once() -> None:
    model, given = network(), batch()
    memory, start = model.encode(given.source, given.source_lengths)
    whole, after, weights = model.decode(given.target, start, memory)
    first, state, _ = model.decode(given.target[:, :3], start, memory)
    second, state, last = model.decode(given.target[:, 3:], state, memory)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, weights[:, 3:])
    for ours, theirs in zip(state, after, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_step_computes_the_new_token_alone() -> None:
    model, given = network(), batch()
    memory, state = model.encode(given.source, given.source_lengths)
    read = []
    for layer in model.decoder:
        for part in (layer.self_attention.key, layer.cross_attention.key, layer.feedforward):
            part.register_forward_hook(lambda _, inputs, __: read.append(inputs[0].size(1)))
    for t in range(3):
        _, state, _ = model.decode_step(given.target[:, t], state, memory)
        assert all(part.size(2) == t + 1 for layer in state for part in layer)
    assert read == [1] * len(read)
    assert len(read) == 3 * 2 * 2  # steps, layers, own keys and feed-forward: no source keys


def test_padding_tokens_change_neither_outputs_nor_gradients() -> None:
    model, given = network(), batch()
    dirty = given.source.clone()
    dirty[1, 2:] = 11
    wide = torch.cat([dirty, torch.full((2, 3), 10)], dim=1)
    found = []
    for source in (given.source, dirty, wide):
        logits, following = model(given._replace(source=source))
        loss = nn.functional.cross_entropy(logits, following)
        found.append([logits, *torch.autograd.grad(loss, list(model.parameters()))])
    for other in found[1:]:
        for clean, changed in zip(found[0], other, strict=True):
            torch.testing.assert_close(changed, clean)


def test_a_later_target_token_changes_no_earlier_logit() -> None:
    model, given = network(), batch()
    memory, state = model.encode(given.source, given.source_lengths)
    changed = given.target.clone()
    changed[:, 2:] = 10
    before = model.logits(model.decode(given.target, state, memory)[0])
    after = model.logits(model.decode(changed, state, memory)[0])
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.isclose(before[:, 2:], after[:, 2:]).all(dim=-1).any()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_encoder_of_one_direction_reads_nothing_later(bidirectional: bool) -> None:
    model = network(bidirectional=bidirectional)
    source, lengths = torch.tensor([[5, 6, 7, 8]]), torch.tensor([4])
    changed = torch.tensor([[5, 6, 7, 9]])
    before, after = model.encode(source, lengths)[0], model.encode(changed, lengths)[0]
    same = torch.isclose(before.values[:, :3], after.values[:, :3]).all()
    assert bool(same) is not bidirectional


def test_words_in_another_order_are_another_source() -> None:
    model, given = network(), batch()
    turned = given._replace(source=torch.tensor([[6, 5, 8, 7], [5, 9, 0, 0]]))
    assert not torch.isclose(model(given)[0], model(turned)[0]).all(dim=-1).any()


def log_probability(model: TransformerSeq2Seq, source: Tensor, tokens: list[int]) -> float:
    """Of a whole reply, by teacher forcing."""
    target = torch.tensor([[BOS_ID, *tokens, EOS_ID]])
    logits, following = model(Seq2SeqBatch(source, torch.tensor([source.size(1)]), target))
    return logits.log_softmax(-1).gather(1, following[:, None]).sum().item()


def test_beam_search_scores_its_hypotheses_right_whatever_rows_they_moved_through() -> None:
    model = network()
    sources, lengths = torch.tensor([[3, 4, 5, 6], [6, 5, 0, 0]]), torch.tensor([4, 2])
    config = DecodingConfig(beam_size=4, max_length=6, length_penalty=0.0, no_repeat_ngram=0)
    found = beam_search(model, sources, lengths, config)
    ended = [h for row in found for h in row if len(h.tokens) < 6]
    assert len(ended) > 2
    for h in ended:
        source = sources[h.source : h.source + 1, : int(lengths[h.source])]
        expected = log_probability(model, source, list(h.tokens))
        assert h.log_probability == pytest.approx(expected, abs=1e-4)
        assert len(h.attention) == len(h.tokens)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_beam_over_a_batch_gives_what_each_source_gives_alone(beam_size: int) -> None:
    model = network()
    sources = torch.tensor([[3, 4, 5, 6], [6, 5, 0, 0], [4, 0, 0, 0]])
    lengths = torch.tensor([4, 2, 1])
    config = DecodingConfig(beam_size=beam_size, max_length=7)
    together = beam_search(model, sources, lengths, config)
    for row, length in enumerate(lengths.tolist()):
        alone = beam_search(model, sources[row : row + 1, :length], lengths[row : row + 1], config)
        assert [h.tokens for h in together[row]] == [h.tokens for h in alone[0]]


def test_eight_pairs_are_learnt_by_heart() -> None:
    torch.manual_seed(0)
    model = TransformerSeq2Seq(20, replace(SMALL, hidden_size=32, embedding_size=32))
    source = torch.randint(3, 20, (8, 6))
    bos, eos = torch.full((8, 1), BOS_ID), torch.full((8, 1), EOS_ID)
    given = Seq2SeqBatch(source, torch.full((8,), 6), torch.cat([bos, source[:, :4], eos], 1))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(400):
        logits, following = model(given)
        loss = nn.functional.cross_entropy(logits, following)
        if loss < 0.05:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail(f"the loss is still {loss}")


def test_dropout_acts_in_training_alone() -> None:
    model, given = network(dropout=0.5), batch()
    assert torch.equal(model(given)[0], model(given)[0])
    model.train()
    assert not torch.equal(model(given)[0], model(given)[0])


def test_output_scores_come_from_the_embedding() -> None:
    model = network()
    features = torch.randn(3, 8)
    expected = features @ model.embedding.weight.T + model.output_bias
    torch.testing.assert_close(model.logits(features), expected)
    sizes = [tuple(p.shape) for p in model.parameters()]
    assert sizes.count((12, 8)) == 1 + 2 * 2  # the embedding, and each layer's feed-forward


@pytest.mark.parametrize("garbage", [1e9, float("inf"), float("nan")])
@pytest.mark.parametrize("is_causal", [False, True])
def test_garbage_in_the_padding_changes_neither_features_nor_gradients(
    is_causal: bool, garbage: float
) -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(3, replace(SIZES, is_causal=is_causal))
    x, lengths = torch.randn(3, 5, 3), torch.tensor([5, 2, 1])
    mask = torch.arange(5) < lengths[:, None]
    found = []
    for filling in (0.0, garbage):
        given = x.masked_fill(~mask[..., None], filling).requires_grad_()
        outputs = encoder(given, lengths)
        loss = (encoder.last_state(outputs, lengths) ** 3).sum() + (outputs[mask] ** 3).sum()
        inputs = [given, *encoder.parameters()]
        found.append([outputs[mask], *torch.autograd.grad(loss, inputs)])
    for clean, dirty in zip(*found, strict=True):
        assert torch.equal(clean, dirty)
    assert (found[1][1].masked_select(~mask[..., None]) == 0).all()


def test_a_row_alone_gives_what_it_gives_in_a_batch() -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(3, SIZES)
    x, lengths = torch.randn(3, 5, 3), torch.tensor([5, 2, 1])
    together = encoder.last_state(encoder(x, lengths), lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = encoder.last_state(encoder(x[row : row + 1, :length]))
        torch.testing.assert_close(alone[0], together[row])


def test_every_step_reaches_the_last_state() -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(3, replace(SIZES, is_causal=True))
    x = torch.randn(2, 6, 3, requires_grad=True)
    (encoder.last_state(encoder(x)) ** 3).sum().backward()
    assert (x.grad.abs().sum(-1) > 0).all()


def test_gradients_are_right_in_double_precision() -> None:
    torch.manual_seed(0)
    sizes = replace(SIZES, width=4, feedforward_size=4, num_layers=1)
    encoder = TransformerEncoder(2, sizes).double()
    x = torch.randn(2, 3, 2, dtype=torch.double, requires_grad=True)
    lengths = torch.tensor([3, 2])

    def last(x: Tensor, *_: Tensor) -> Tensor:
        return encoder.last_state(encoder(x, lengths), lengths)

    assert torch.autograd.gradcheck(last, (x, *encoder.parameters()))


def test_length_zero_is_an_error() -> None:
    encoder = TransformerEncoder(3, SIZES)
    for call in (
        lambda: network().encode(torch.tensor([[5, 6]]), torch.tensor([0])),
        lambda: encoder(torch.randn(2, 3, 3), torch.tensor([3, 0])),
        lambda: encoder(torch.randn(2, 0, 3)),
    ):
        with pytest.raises(ValueError, match="length 0"):
            call()


def test_a_width_that_the_heads_cannot_share_is_an_error() -> None:
    with pytest.raises(ValueError, match="width=8 must be a multiple of num_heads=3"):
        TransformerEncoder(3, replace(SIZES, num_heads=3))


def test_the_architecture_chooses_the_class() -> None:
    assert type(make_seq2seq(12, SMALL)) is TransformerSeq2Seq
    assert type(make_seq2seq(12, replace(SMALL, architecture="recurrent"))) is Seq2Seq
