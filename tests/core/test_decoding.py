import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from core.batch import BOS_ID, EOS_ID, PAD_ID
from core.decoding import DecodingConfig, _beam, beam_search, repeating_tokens
from core.nn.attention import AttentionKind
from core.nn.seq2seq import Seq2Seq, Seq2SeqConfig


def model(seed: int = 0) -> Seq2Seq:
    torch.manual_seed(seed)
    built = Seq2Seq(7, Seq2SeqConfig(hidden_size=8, embedding_size=8)).eval()
    built.output_bias.data.normal_()
    return built


def log_probability(network: Seq2Seq, source: torch.Tensor, tokens: list[int]) -> float:
    """Of a whole reply, EOS included, step by step; PAD and BOS stay out of every choice."""
    memory, state = network.encode(source, torch.tensor([source.size(1)]))
    total, before = 0.0, BOS_ID
    for token in [*tokens, EOS_ID]:
        logits, state, _ = network.decode_step(torch.tensor([before]), state, memory)
        total += float(logits.log_softmax(-1)[0, token])
        before = token
    return total


def test_a_wide_beam_finds_the_best_of_all_replies() -> None:
    network, source = model(), torch.tensor([[3, 4, 5]])
    config = DecodingConfig(beam_size=200, max_length=3, length_penalty=0.0, no_repeat_ngram=0)
    found = beam_search(network, source, torch.tensor([3]), config)[0]
    finished = [
        list(tokens)
        for length in range(3)
        for tokens in itertools.product(range(3, 7), repeat=length)
    ]
    best = max(finished, key=lambda tokens: log_probability(network, source, tokens))
    ended = [h for h in found if len(h.tokens) < 3]
    assert list(max(ended, key=lambda h: h.log_probability).tokens) == best
    for hypothesis in ended:
        expected = log_probability(network, source, list(hypothesis.tokens))
        assert hypothesis.log_probability == pytest.approx(expected, abs=1e-4)


def test_greedy_takes_the_likeliest_token_each_time() -> None:
    network, source = model(3), torch.tensor([[3, 6]])
    config = DecodingConfig(max_length=6, no_repeat_ngram=0)
    found = beam_search(network, source, torch.tensor([2]), config)[0][0]
    memory, state = network.encode(source, torch.tensor([2]))
    before, expected = BOS_ID, []
    for _ in range(6):
        logits, state, _ = network.decode_step(torch.tensor([before]), state, memory)
        logits[:, [PAD_ID, BOS_ID]] = -torch.inf
        before = int(logits.argmax())
        if before == EOS_ID:
            break
        expected.append(before)
    assert list(found.tokens) == expected


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_batch_gives_what_each_source_gives_alone(beam_size: int) -> None:
    network = model(5)
    sources = torch.tensor([[3, 4, 5, 6], [6, 5, 0, 0], [4, 0, 0, 0]])
    lengths = torch.tensor([4, 2, 1])
    config = DecodingConfig(beam_size=beam_size, max_length=7)
    together = beam_search(network, sources, lengths, config)
    for row, length in enumerate(lengths.tolist()):
        alone = beam_search(
            network, sources[row : row + 1, :length], lengths[row : row + 1], config
        )
        assert [h.tokens for h in together[row]] == [h.tokens for h in alone[0]]


def test_forbidden_tokens_never_come() -> None:
    config = DecodingConfig(beam_size=3, max_length=8)
    for seed in range(5):
        found = beam_search(
            model(seed),
            torch.tensor([[3, 4], [5, 6]]),
            torch.tensor([2, 2]),
            config,
            lambda row, _: {3, 4} if row == 0 else set(),
        )
        assert not any({3, 4} & set(h.tokens) for h in found[0])


def test_a_constraint_may_give_an_array_instead_of_a_set() -> None:
    sources, lengths = torch.tensor([[3, 4], [5, 6]]), torch.tensor([2, 2])
    for beam_size in (1, 3):
        config = DecodingConfig(beam_size=beam_size, max_length=8)
        expected, found = (
            beam_search(model(1), sources, lengths, config, constraint)
            for constraint in (
                lambda _, tokens: {3 + len(tokens) % 4},
                lambda _, tokens: np.array([3 + len(tokens) % 4]),
            )
        )
        assert [[h.tokens for h in row] for row in found] == [
            [h.tokens for h in row] for row in expected
        ]


@pytest.mark.parametrize("attention", ["general", "local_monotonic", "none"])
def test_greedy_search_is_a_beam_of_one_to_the_last_bit(attention: AttentionKind) -> None:
    sources = torch.tensor([[3, 4, 5, 6], [6, 5, 0, 0], [4, 0, 0, 0], [5, 3, 6, 0]])
    lengths = torch.tensor([4, 2, 1, 3])
    ended = set()
    for seed in range(6):
        torch.manual_seed(seed)
        sizes = Seq2SeqConfig(hidden_size=8, embedding_size=8, attention=attention)
        network = Seq2Seq(7, sizes).eval()
        network.output_bias.data.normal_()
        config = DecodingConfig(max_length=9, no_repeat_ngram=2)
        with torch.inference_mode():
            memory, state = network.encode(sources, lengths)
            expected = _beam(network, memory, state, config, lambda row, _: {3 + row})
        found = beam_search(network, sources, lengths, config, lambda row, _: {3 + row})
        for (wanted,), (given,) in zip(expected, found, strict=True):
            assert given == wanted
            ended.add(len(given.tokens))
            for one, other in zip(wanted.attention, given.attention, strict=True):
                assert np.array_equal(one, other)
    assert len(ended) > 2  # replies ended at different steps


def test_a_reply_ends_where_every_token_is_forbidden() -> None:
    def constraint(_: int, tokens: Sequence[int]) -> range:
        return range(7) if len(tokens) == 2 else range(3)

    found = beam_search(
        model(), torch.tensor([[3]]), torch.tensor([1]), DecodingConfig(), constraint
    )[0][0]
    assert len(found.tokens) == 2
    assert found.log_probability > -torch.inf


def test_a_beam_scores_its_hypotheses_right_whatever_rows_they_moved_through() -> None:
    network = model(2)
    sources, lengths = torch.tensor([[3, 4, 5], [6, 5, 0]]), torch.tensor([3, 2])
    config = DecodingConfig(beam_size=4, max_length=6, no_repeat_ngram=0)
    for row, found in enumerate(beam_search(network, sources, lengths, config)):
        ended = [h for h in found if len(h.tokens) < config.max_length]
        assert ended
        for h in ended:
            source = sources[row : row + 1, : int(lengths[row])]
            expected = log_probability(network, source, list(h.tokens))
            assert h.log_probability == pytest.approx(expected, abs=1e-4)


def test_no_ngram_comes_twice() -> None:
    config = DecodingConfig(beam_size=2, max_length=40, no_repeat_ngram=3)
    for seed in range(5):
        for h in beam_search(model(seed), torch.tensor([[3]]), torch.tensor([1]), config)[0]:
            grams = [h.tokens[i : i + 3] for i in range(len(h.tokens) - 2)]
            assert len(grams) == len(set(grams))


def test_repeating_tokens_completes_a_seen_ngram() -> None:
    assert repeating_tokens([1, 2, 3, 1, 2], 3) == {3}
    assert repeating_tokens([1, 2, 3], 3) == set()
    assert repeating_tokens([4, 4], 1) == {4}
    assert repeating_tokens([1, 2, 3, 1, 2], 0) == set()
    assert repeating_tokens([4, 2, 3, 1, 2], 3) == set()
    assert repeating_tokens([1, 1, 1], 2) == {1}
    assert repeating_tokens([2, 1, 2], 2) == {1}


def test_attention_has_one_row_a_token() -> None:
    config = DecodingConfig(beam_size=2, max_length=5)
    found = beam_search(model(), torch.tensor([[3, 4]]), torch.tensor([2]), config)[0][0]
    assert len(found.attention) == len(found.tokens)
    assert all(float(row.sum()) == pytest.approx(1, abs=1e-5) for row in found.attention)
