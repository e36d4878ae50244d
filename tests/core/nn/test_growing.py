import pytest
import torch

from core.nn.growing import start_from
from core.nn.seq2seq import Seq2SeqConfig
from core.nn.transformer import make_seq2seq

SMALL = {"hidden_size": 8, "embedding_size": 8, "dropout": 0.0}
CONFIGS = [
    Seq2SeqConfig(**SMALL),
    Seq2SeqConfig(**SMALL, attention="none"),
    Seq2SeqConfig(**SMALL, architecture="transformer", num_heads=2),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.architecture}")
def test_old_tokens_score_as_before(config: Seq2SeqConfig) -> None:
    torch.manual_seed(0)
    old, new = make_seq2seq(20, config).eval(), make_seq2seq(23, config).eval()
    start_from(new, old.state_dict(), [[5, 6], [7], []])
    source, lengths = torch.tensor([[4, 5, 6, 7]]), torch.tensor([4])
    scores = []
    for model in (old, new):
        memory, state = model.encode(source, lengths)
        scores.append(model.decode_step(torch.tensor([1]), state, memory)[0])
    assert torch.equal(scores[1][:, :20], scores[0])


def test_a_new_token_starts_as_the_mean_of_what_it_stands_for() -> None:
    torch.manual_seed(0)
    old, new = make_seq2seq(20, CONFIGS[0]), make_seq2seq(23, CONFIGS[0])
    start_from(new, old.state_dict(), [[5, 6], [], []])
    rows = old.embedding.weight
    assert torch.allclose(new.embedding.weight[20], rows[[5, 6]].mean(dim=0))
    assert not torch.equal(new.embedding.weight[21], new.embedding.weight[22])
    assert torch.equal(new.embedding.weight[:20], rows)
    assert new.output_bias.shape == (23,)


def test_nothing_new_is_the_same_network() -> None:
    old, new = make_seq2seq(20, CONFIGS[0]), make_seq2seq(20, CONFIGS[0])
    start_from(new, old.state_dict(), [])
    for name, value in old.state_dict().items():
        assert torch.equal(new.state_dict()[name], value)


def test_another_number_of_tokens_is_refused() -> None:
    old, new = make_seq2seq(20, CONFIGS[0]), make_seq2seq(23, CONFIGS[0])
    with pytest.raises(ValueError, match="20 tokens and 1 new ones are not the 23"):
        start_from(new, old.state_dict(), [[4]])
