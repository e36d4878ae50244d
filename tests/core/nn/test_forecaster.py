from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm
from scipy.stats import t as student
from torch import Tensor, nn

from core.batch import NewsBatch
from core.metrics import pinball_loss
from core.nn.forecaster import LEVELS, Forecaster, ForecasterConfig
from core.nn.linear_encoder import LinearEncoder
from core.nn.quantile_heads import MIDDLE
from core.nn.recurrent import RecurrentStack
from core.nn.transformer import TransformerEncoder

KINDS = [
    *({"cell": cell} for cell in ("rnn", "lstm", "gru", "mingru", "linear")),
    {"cell": "transformer", "num_heads": 2},
    {"head": "student_t"},
    {"num_members": 2, "shift": True},
    {"head": "student_t", "shift": True},
]
HORIZONS = (1, 5, 60)
SMALL = ForecasterConfig(hidden_size=8, dropout=0.0)


def fan(rows: int = len(HORIZONS)) -> Tensor:
    """A skewed fan, a different one per horizon."""
    normal = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(LEVELS))
    return torch.stack([0.1 * row + normal.exp() * (1 + row) for row in range(rows)])


def forecaster(config: ForecasterConfig, head_scale: float | None = None) -> Forecaster:
    torch.manual_seed(0)
    network = Forecaster(3, HORIZONS, config, fan()).eval()
    if head_scale is not None:
        for parameter in head_parameters(network):
            parameter.data.normal_(std=head_scale)
    return network


def head_parameters(network: Forecaster) -> list[nn.Parameter]:
    return [p for member in network.members for p in member.head.parameters()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0.0, 1.0, 1e6])
def test_an_untrained_network_gives_the_base_fan_whatever_it_reads(kind: dict, size: float) -> None:
    network = forecaster(replace(SMALL, **kind, num_layers=2))
    found = network(size * torch.randn(4, 7, 3))
    known = fan() if network.config.head == "quantiles" else nearest_fan()
    torch.testing.assert_close(found, known.expand(4, -1, -1), atol=1e-5, rtol=1e-5)


def nearest_fan() -> Tensor:
    """The fan of Student's t that least squares finds for `fan`, by a search of its own."""
    rows = []
    for wanted in fan().double().numpy():
        middle = wanted[9]

        def miss(tail: float, row=wanted - middle) -> tuple[float, np.ndarray]:
            shape = norm.ppf(LEVELS) if tail == 0 else student.ppf(LEVELS, 1 / tail)
            fitted = shape * (row @ shape) / (shape @ shape)
            return float(((row - fitted) ** 2).sum()), fitted

        best = min((miss(step / 100) for step in range(46)), key=lambda found: found[0])
        rows.append(middle + best[1])
    return torch.tensor(np.stack(rows)).float()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head_scale", [0.1, 10.0, 1e4])
@pytest.mark.parametrize("size", [1.0, 1e4, 1e30])
def test_quantiles_never_cross(kind: dict, head_scale: float, size: float) -> None:
    network = forecaster(replace(SMALL, **kind), head_scale)
    for parameter in network.encoder.parameters():
        parameter.data.normal_(std=5.0)
    if kind.get("cell") == "transformer":
        size = min(size, 1e15)  # the norms square what they read; the data side cuts long before
    found = network(size * torch.randn(64, 7, 3))
    assert found.isfinite().all()
    assert (found.diff(dim=-1) >= 0).all()
    assert found.std(dim=0).max() > 0  # the head is at work


@pytest.mark.parametrize("kind", KINDS)
def test_moderate_corrections_keep_the_quantiles_apart(kind: dict) -> None:
    found = forecaster(replace(SMALL, **kind), 3.0)(torch.randn(64, 7, 3))
    assert (found.diff(dim=-1) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_horizon_depends_on_the_newest_day_and_on_the_oldest(kind: dict) -> None:
    network = forecaster(replace(SMALL, **kind), 0.5)
    for horizon in range(len(HORIZONS)):
        inputs = torch.randn(2, 6, 3, requires_grad=True)
        network(inputs)[:, horizon].sum().backward()
        assert (inputs.grad[:, -1].abs().sum(-1) > 0).all()
        assert (inputs.grad[:, 0].abs().sum(-1) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_head_reads_the_last_state(kind: dict, bidirectional: bool) -> None:
    network = forecaster(replace(SMALL, **kind, bidirectional=bidirectional), 0.5)
    read = []
    network.members[0].head.register_forward_hook(lambda _, given, __: read.append(given[0]))
    inputs = torch.randn(2, 6, 3)
    network(inputs)
    states = network.encoder(inputs)
    torch.testing.assert_close(read[0], network.encoder.last_state(states))
    if isinstance(network.encoder, LinearEncoder):
        return
    size = SMALL.hidden_size
    torch.testing.assert_close(read[0][:, :size], states[:, -1, :size])
    if bidirectional and isinstance(network.encoder, RecurrentStack):
        torch.testing.assert_close(read[0][:, size:], states[:, 0, size:])


def test_the_cell_chooses_the_encoder() -> None:
    config = replace(SMALL, num_layers=3, num_heads=2, dropout=0.25, cell="transformer")
    assert isinstance(forecaster(SMALL).encoder, RecurrentStack)
    encoder = forecaster(config).encoder
    assert isinstance(encoder, TransformerEncoder)
    assert encoder.output_size == config.hidden_size
    layers = encoder.layers.layers
    assert len(layers) == 3
    assert all(layer.is_causal and layer.self_attention.num_heads == 2 for layer in layers)
    assert {layer.dropout.p for layer in layers} == {0.25}
    assert all(layer.feedforward[0].out_features == 4 * config.hidden_size for layer in layers)
    both = forecaster(replace(config, bidirectional=True)).encoder
    assert not any(layer.is_causal for layer in both.layers.layers)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"cell": "transformr"}, "cell='transformr' is unknown; choose one of rnn, .*, linear"),
        ({"num_heads": 0}, "num_heads=0 must be at least 1"),
        ({"num_members": 0}, "num_members=0 between 1 and 256"),
        ({"head": "student"}, "head='student' is unknown; choose quantiles or student_t"),
        ({"hidden_size": 0}, "hidden_size=0"),
        (
            {"cell": "transformer", "hidden_size": 30},
            "hidden_size=30 must be a multiple of num_heads=4",
        ),
    ],
)
def test_a_wrong_choice_is_named(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        ForecasterConfig(**options)


def test_the_correction_reaches_less_far_at_longer_horizons() -> None:
    network = forecaster(replace(SMALL, shift=True))
    network.members[0].head.linear.bias.data.fill_(2.0)
    found = network(torch.randn(1, 4, 3))[0]  # (P, Q)
    moved = (found - fan())[:, MIDDLE]
    expected = 0.1 * 2.0 / torch.tensor(HORIZONS).sqrt()
    torch.testing.assert_close(moved, expected, atol=1e-4, rtol=1e-3)
    widening = (found[:, -1] - found[:, 0]) / (fan()[:, -1] - fan()[:, 0])
    assert widening[0] > widening[1] > widening[2] > 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.get("cell") != "linear"])
def test_eight_samples_are_learnt_by_heart(kind: dict) -> None:
    network = forecaster(replace(SMALL, **{**kind, "shift": True}, hidden_size=32)).train()
    inputs = torch.randn(8, 6, 3)
    # Off the base's median by what the network, which moves it in small steps, can reach.
    target = fan()[:, MIDDLE] + 0.3 * torch.randn(8, len(HORIZONS))
    optimizer = torch.optim.Adam(network.parameters(), 0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    losses = []
    for _ in range(400):
        loss = pinball_loss(network(inputs), target, network.levels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    medians = network(inputs)[..., MIDDLE]
    # The longest horizons may move less: the shortest is learnt to the point.
    assert (medians[:, 0] - target[:, 0]).abs().max() < 0.01
    assert losses[-1] < 0.7 * losses[0]  # a fan narrows to a share of its width, not to nothing


def test_dropout_acts_in_training_alone() -> None:
    network = forecaster(replace(SMALL, dropout=0.5), 1.0)
    inputs = torch.randn(4, 6, 3)
    assert torch.equal(network(inputs), network(inputs))
    network.train()
    assert not torch.equal(network(inputs), network(inputs))


def test_one_window_alone_gives_what_it_gives_in_a_batch() -> None:
    network = forecaster(SMALL, 0.5)
    inputs = torch.randn(5, 6, 3)
    for row in range(5):
        torch.testing.assert_close(network(inputs)[row], network(inputs[row : row + 1])[0])


@pytest.mark.parametrize("shape", [(2, 19), (3, 18), (19, 3), (57,)])
def test_a_fan_of_the_wrong_shape_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"base_quantiles has shape .*must be \(3, 19\)"):
        Forecaster(3, HORIZONS, SMALL, torch.arange(float(torch.Size(shape).numel())).view(shape))


@pytest.mark.parametrize("wrong", ["equal", "falling", "nan"])
def test_a_fan_that_does_not_rise_is_an_error(wrong: str) -> None:
    base = fan()
    base[1, 4] = {"equal": base[1, 3], "falling": base[1, 3] - 1, "nan": torch.nan}[wrong]
    with pytest.raises(ValueError, match="base_quantiles must rise"):
        Forecaster(3, HORIZONS, SMALL, base)


def test_the_network_keeps_its_fan_in_its_weights() -> None:
    trained = forecaster(SMALL, 0.5)
    other = Forecaster(3, HORIZONS, SMALL, 7 * fan()).eval()
    other.load_state_dict(trained.state_dict())
    inputs = torch.randn(2, 6, 3)
    assert torch.equal(other(inputs), trained(inputs))


def test_without_shift_the_median_stays_where_training_put_it() -> None:
    inputs = torch.randn(4, 6, 3)
    medians = forecaster(SMALL, 3.0)(inputs)[..., MIDDLE]
    torch.testing.assert_close(medians, fan()[:, MIDDLE].expand(4, -1))
    moved = forecaster(replace(SMALL, shift=True), 3.0)(inputs)[..., MIDDLE]
    assert not torch.allclose(moved, medians)


def test_members_start_apart_and_their_mean_is_the_forecast() -> None:
    network = forecaster(replace(SMALL, num_members=3), 0.5)
    inputs = torch.randn(4, 6, 3)
    each = network.by_member(inputs)
    assert not torch.allclose(each[0], each[1])
    torch.testing.assert_close(network(inputs), each.mean(0))
    assert network.encoder is network.members[0].encoder


def test_the_linear_encoder_reads_the_means_of_its_spans() -> None:
    x = torch.randn(2, 100, 3)
    wanted = [x[:, -1], x[:, -5:].mean(1), x[:, -22:].mean(1), x[:, -60:].mean(1)]
    encoder = LinearEncoder(3)
    torch.testing.assert_close(encoder.last_state(encoder(x)), torch.cat(wanted, -1))
    short = encoder(x[:, :4])  # a span that is not there is the mean of what is
    torch.testing.assert_close(short[:, 0, 3:6], x[:, :4].mean(1))


@pytest.mark.parametrize("degrees", [2.5, 4.0, 30.0])
def test_student_t_quantiles_are_those_of_t(degrees: float) -> None:
    base = torch.tensor(np.stack([0.3 + 1.7 * student.ppf(LEVELS, degrees)])).float()
    network = Forecaster(3, (1,), replace(SMALL, head="student_t"), base).eval()
    found = network(torch.randn(1, 4, 3))[0]
    torch.testing.assert_close(found, base, atol=0.02, rtol=0.0)


def test_student_t_learns_its_tails() -> None:
    heavy = torch.tensor(student.ppf(LEVELS, 3.0)).float()
    normal = torch.tensor(norm.ppf(LEVELS)).float()[None]
    network = Forecaster(3, (1,), replace(SMALL, head="student_t"), normal).train()
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    inputs = torch.randn(8, 4, 3)
    for _ in range(300):
        loss = (network(inputs) - heavy).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(network(inputs)[0, 0], heavy, atol=0.05, rtol=0.0)


def test_texts_are_read_by_every_member_and_only_where_there_is_an_encoder():
    config = replace(SMALL, num_members=2)
    network = Forecaster(3, HORIZONS, config, fan(), vocab_size=9)
    tokens = torch.tensor([[0, 0], [5, 6]])
    news = NewsBatch(tokens, torch.tensor([1, 2]), torch.tensor([[0, 1], [1, 0]]))
    inputs = torch.randn(2, 2, 3)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "head" in name and weight.ndim == 2:
                weight.normal_()
    network.by_member(inputs, news)[1].square().sum().backward()
    assert network.news_encoder.embedding.weight.grad[[5, 6]].abs().sum(1).all()
    with pytest.raises(ValueError, match="reads texts"):
        network(inputs)
    with pytest.raises(ValueError, match="reads no texts"):
        Forecaster(3, HORIZONS, config, fan())(inputs, news)
