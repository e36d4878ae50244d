"""A GPU computes what the CPU computes."""

import pytest
import torch

from core.batch import NewsBatch, Seq2SeqBatch
from core.decoding import DecodingConfig, beam_search
from core.nn.attention import ATTENTION_KINDS
from core.nn.forecaster import LEVELS, Forecaster, ForecasterConfig
from core.nn.initialization import CELLS
from core.nn.seq2seq import Seq2SeqConfig
from core.nn.transformer import make_seq2seq
from core.sampling import sample

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
REPLIERS = [
    *({"cell": cell} for cell in CELLS),
    *({"attention": kind} for kind in ATTENTION_KINDS if kind != "dot"),
    {"attention": "dot", "bidirectional": False},
    {"attention": "local_monotonic", "input_feeding": True},
    {"norm": "batch", "residual": True},
    {"architecture": "transformer"},
]
FORECASTERS = [
    *({"cell": cell} for cell in (*CELLS, "transformer", "linear")),
    {"head": "student_t", "num_members": 2},
]
SOURCE = torch.tensor([[5, 6, 7, 8], [9, 5, 0, 0]])
BATCH = Seq2SeqBatch(SOURCE, torch.tensor([4, 2]), torch.tensor([[1, 5, 6, 2], [1, 7, 2, 0]]))


def replier(options):
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "embedding_size": 8, "num_layers": 2, "num_heads": 2}
    return make_seq2seq(12, Seq2SeqConfig(**sizes | options)).double().eval()


def moved(value):
    return type(value)(*(part.to(DEVICE) for part in value))


def with_gradients(model, result):
    result.square().sum().backward()
    named = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return {"result": result.detach(), **named}


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].device.type == DEVICE, name
        torch.testing.assert_close(found[name].cpu(), value, atol=1e-5, rtol=1e-5, msg=name)


@pytest.mark.parametrize("options", REPLIERS, ids=str)
def test_scores_and_gradients_of_an_encoder_decoder(options):
    cpu, gpu = replier(options), replier(options).to(DEVICE)
    cpu.train(), gpu.train()  # cuDNN goes backwards in training mode alone; nothing is dropped
    wanted = with_gradients(cpu, cpu(BATCH)[0])
    assert_same(with_gradients(gpu, gpu(moved(BATCH))[0]), wanted)


@pytest.mark.parametrize("options", REPLIERS, ids=str)
def test_searches_find_the_same_replies(options):
    cpu, gpu = replier(options), replier(options).to(DEVICE)
    for search, beam_size in ((beam_search, 1), (beam_search, 3), (sample, 1)):
        config = DecodingConfig(beam_size=beam_size, max_length=6)
        wanted = search(cpu, *BATCH[:2], config)
        found = search(gpu, *moved(BATCH)[:2], config)
        assert [[one.tokens for one in row] for row in found] == [
            [one.tokens for one in row] for row in wanted
        ]


@pytest.mark.parametrize("has_news", [False, True])
@pytest.mark.parametrize("options", FORECASTERS, ids=str)
def test_quantiles_and_gradients_of_a_forecaster(options, has_news):
    fan = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(LEVELS)).expand(2, -1)
    models = []
    for device in ("cpu", DEVICE):
        torch.manual_seed(0)
        config = ForecasterConfig(**{"hidden_size": 8, "dropout": 0.0, "shift": True} | options)
        model = Forecaster(3, (1, 5), config, fan, vocab_size=9 if has_news else 0)
        models.append(model.double().to(device).train())
    inputs = torch.randn(2, 6, 3, dtype=torch.double)
    tokens, day = torch.tensor([[0, 0], [4, 5], [6, 0]]), torch.arange(12).view(2, 6) % 3
    news = NewsBatch(tokens, torch.tensor([1, 2, 1]), day) if has_news else None
    wanted = with_gradients(models[0], models[0](inputs, news))
    there = models[1](inputs.to(DEVICE), None if news is None else moved(news))
    assert_same(with_gradients(models[1], there), wanted)
