from itertools import pairwise

import numpy as np
import pytest
import torch

from core.batch import EOS_ID
from core.decoding import DecodingConfig, beam_search
from core.nn.seq2seq import Memory, Seq2Seq, Seq2SeqConfig
from core.sampling import generate, pick, sample

SOURCE, LENGTHS = torch.tensor([[3, 4, 5], [6, 3, 0]]), torch.tensor([3, 2])


def model(seed: int = 0) -> Seq2Seq:
    torch.manual_seed(seed)
    built = Seq2Seq(7, Seq2SeqConfig(hidden_size=8, embedding_size=8)).eval()
    built.output_bias.data.normal_()
    return built


@pytest.mark.parametrize("seed", range(6))
def test_without_temperature_it_is_greedy_search(seed):
    network, config = model(seed), DecodingConfig(max_length=9, no_repeat_ngram=2)
    searched = beam_search(network, SOURCE, LENGTHS, config)
    written = sample(network, SOURCE, LENGTHS, config)
    for wanted, found in zip(searched, written, strict=True):
        assert found[0].tokens == wanted[0].tokens
        assert found[0].log_probability == pytest.approx(wanted[0].log_probability, abs=1e-5)
        assert len(found[0].attention) == len(wanted[0].attention)
        for one, other in zip(found[0].attention, wanted[0].attention, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_every_yield_goes_on_from_the_one_before():
    network, config = model(), DecodingConfig(max_length=6, temperature=1.0, top_p=1.0)
    draws = torch.Generator().manual_seed(3)
    steps = list(generate(network, SOURCE, LENGTHS, config, generator=draws))
    for before, after in pairwise(steps):
        for old, new in zip(before, after, strict=True):
            assert new.tokens[: len(old.tokens)] == old.tokens
            assert new.log_probability <= old.log_probability


def test_draws_follow_the_probabilities_at_a_temperature():
    log_probs = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    config = DecodingConfig(temperature=0.5, top_p=1.0)
    draws = pick(log_probs.expand(40_000, -1), config, torch.Generator().manual_seed(0))
    share = torch.bincount(draws, minlength=4) / 40_000
    wanted = (2 * log_probs).softmax(-1)
    torch.testing.assert_close(share, wanted, atol=0.01, rtol=0)


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.5, 1), (0.6, 2), (0.81, 3), (1.0, 4)])
def test_the_nucleus_is_the_fewest_tokens_that_hold_the_share(top_p, kept):
    log_probs = torch.tensor([0.05, 0.3, 0.5, 0.15]).log()
    config = DecodingConfig(temperature=1.0, top_p=top_p)
    draws = pick(log_probs.expand(4_000, -1), config, torch.Generator().manual_seed(0))
    assert set(draws.tolist()) == set([2, 1, 3, 0][:kept])


def test_a_forbidden_token_is_never_drawn():
    network = model()
    config = DecodingConfig(max_length=20, temperature=2.0, top_p=1.0, no_repeat_ngram=0)
    draws = torch.Generator().manual_seed(0)
    found = sample(
        network,
        SOURCE,
        LENGTHS,
        config,
        constraint=lambda row, _: {4 + row, EOS_ID},
        generator=draws,
    )
    assert all(len(replies[0].tokens) == 20 for replies in found)
    assert 4 not in found[0][0].tokens
    assert 5 not in found[1][0].tokens


def test_the_same_generator_draws_the_same_replies():
    network, config = model(), DecodingConfig(max_length=9, temperature=1.5, top_p=0.95)
    first, second = (
        sample(network, SOURCE, LENGTHS, config, generator=torch.Generator().manual_seed(1))
        for _ in range(2)
    )
    assert [r[0].tokens for r in first] == [r[0].tokens for r in second]


@pytest.mark.parametrize(
    "changes", [{"temperature": -0.1}, {"temperature": 3}, {"temperature": 1e-40}, {"top_p": 0}]
)
def test_impossible_choices_are_refused_by_name(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        DecodingConfig(**changes)


class Elsewhere:
    """Has its memory and state on another device than the source; scores any tokens alike."""

    def encode(self, source, lengths):
        values = torch.zeros(*source.shape, 2, device="meta")
        return Memory(values, values, values[..., 0].bool()), ((values[:, 0],),)

    def decode_step(self, tokens, state, memory):
        assert tokens.device == memory.values.device
        return torch.arange(7.0).expand(len(tokens), -1), state, None


@pytest.mark.parametrize(("search", "beam_size"), [(beam_search, 1), (beam_search, 3), (sample, 1)])
def test_tokens_follow_the_memory_to_its_device(search, beam_size):
    config = DecodingConfig(beam_size=beam_size, max_length=4, no_repeat_ngram=0)
    found = search(Elsewhere(), SOURCE, LENGTHS, config)
    assert [reply[0].tokens for reply in found] == [(6, 6, 6, 6)] * 2
