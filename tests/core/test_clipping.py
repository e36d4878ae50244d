"""Gradient clipping against torch's own and plain loops, and on its way through a training."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from core.batch import ForecastBatch
from core.clipping import Clipping, clip_gradients, suggest_clip_value
from core.loading import BatchLoader
from core.modules import ForecastModule
from core.nn.forecaster import LEVELS, ForecasterConfig
from core.optim import OptimConfig
from core.training import TrainerConfig, fit

OFF = {"norm": 0.0, "value": 0.0, "adaptive": 0.0}


class Net(nn.Module):
    """Matrices, biases, a tensor of three dimensions, a scalar, and one without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 4)
        self.head = nn.Linear(4, 2)
        self.kernel = nn.Parameter(torch.randn(3, 2, 5))
        self.scale = nn.Parameter(torch.tensor(0.7))
        self.unused = nn.Parameter(torch.randn(2))


def net() -> Net:
    """Random weights and gradients; one unit has no weights, another no gradient."""
    torch.manual_seed(0)
    made = Net()
    for name, parameter in made.named_parameters():
        if name != "unused":
            parameter.grad = torch.randn_like(parameter)
    made.head.weight.data[0] = 0.0
    made.rnn.weight_hh_l0.grad[5] = 0.0
    return made


def gradients(model: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def assert_equal(found: list[Tensor], expected: list[Tensor]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def total_norm(model: nn.Module) -> float:
    return float(torch.cat([g.flatten() for g in gradients(model)]).norm())


def clip_rows_in_a_loop(model: nn.Module, limit: float) -> None:
    """Eq. 3 of the paper, a unit at a time; a vector is one unit."""
    for parameter in model.parameters():
        if parameter.grad is None:
            continue
        units = parameter.grad.unbind(0) if parameter.ndim > 1 else [parameter.grad]
        weights = parameter.data.unbind(0) if parameter.ndim > 1 else [parameter.data]
        for unit, weight in zip(units, weights, strict=True):
            size = math.sqrt(sum(float(g) ** 2 for g in unit.flatten()))
            largest = limit * max(math.sqrt(sum(float(w) ** 2 for w in weight.flatten())), 1e-3)
            if size > largest:
                unit.mul_(largest / size)


@pytest.mark.parametrize("threshold", [0.1, 5.0, 1e9])
def test_by_norm_equals_torchs_bit_for_bit(threshold: float) -> None:
    model, reference = net(), net()
    found = clip_gradients(model.parameters(), **{**OFF, "norm": threshold})
    expected = nn.utils.clip_grad_norm_(reference.parameters(), threshold)
    assert torch.equal(found, expected)
    assert_equal(gradients(model), gradients(reference))
    assert total_norm(model) <= threshold * 1.0001


@pytest.mark.parametrize("threshold", [0.1, 1.0, 1e9])
def test_by_value_equals_torchs(threshold: float) -> None:
    model, reference = net(), net()
    clip_gradients(model.parameters(), **{**OFF, "value": threshold})
    nn.utils.clip_grad_value_(reference.parameters(), threshold)
    assert_equal(gradients(model), gradients(reference))
    assert max(float(g.abs().max()) for g in gradients(model)) <= threshold * 1.0001


@pytest.mark.parametrize("threshold", [0.01, 0.5, 2.0, 1e9])
def test_adaptive_equals_a_loop_over_the_units(threshold: float) -> None:
    model, reference = net(), net()
    clip_gradients(model.parameters(), **{**OFF, "adaptive": threshold})
    clip_rows_in_a_loop(reference, threshold)
    for found, expected in zip(gradients(model), gradients(reference), strict=True):
        torch.testing.assert_close(found, expected)


def test_adaptive_takes_a_bias_as_one_unit_and_lets_zero_weights_move() -> None:
    model = nn.Linear(2, 3)
    model.bias.data = torch.tensor([3.0, 0.0, 4.0])
    model.weight.data.zero_()
    model.bias.grad = torch.tensor([0.0, 30.0, 40.0])
    model.weight.grad = torch.ones(3, 2)
    clip_gradients(model.parameters(), **{**OFF, "adaptive": 0.1})
    torch.testing.assert_close(model.bias.grad, torch.tensor([0.0, 0.3, 0.4]))
    torch.testing.assert_close(model.weight.grad.norm(dim=1), torch.full((3,), 1e-4))


def test_adaptive_then_value_then_norm() -> None:
    model, reference = net(), net()
    clip_gradients(model.parameters(), norm=0.5, value=0.1, adaptive=0.3)
    clip_rows_in_a_loop(reference, 0.3)
    nn.utils.clip_grad_value_(reference.parameters(), 0.1)
    nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
    for found, expected in zip(gradients(model), gradients(reference), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", ["norm", "value", "adaptive", None])
def test_the_norm_returned_is_that_before_clipping(kind: str | None) -> None:
    model = net()
    before = total_norm(model)
    found = clip_gradients(model.parameters(), **{**OFF, **({kind: 0.01} if kind else {})})
    assert found.shape == ()
    assert float(found) == pytest.approx(before, rel=1e-5)
    assert kind is None or total_norm(model) < 0.5 * before


def test_zero_thresholds_leave_the_gradient_alone() -> None:
    model = net()
    clip_gradients(model.parameters(), **OFF)
    assert_equal(gradients(model), gradients(net()))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_shows_in_the_norm_and_is_treated_as_torch_does(
    bad: float,
) -> None:
    for kind in ("norm", "value", "adaptive", None):
        model = net()
        model.head.weight.grad[1, 0] = bad
        found = clip_gradients(model.parameters(), **{**OFF, **({kind: 1.0} if kind else {})})
        assert not math.isfinite(float(found))
        entries = torch.cat([g.flatten() for g in gradients(model)])
        spoilt = int((~entries.isfinite()).sum())
        if kind == "norm":
            # An infinite norm scales by zero, which leaves NaN at the infinite entry alone.
            assert spoilt == (len(entries) if math.isnan(bad) else 1)
        elif kind == "value":
            assert spoilt == (1 if math.isnan(bad) else 0)
        elif kind is None:
            assert spoilt == 1
        else:
            assert 1 <= spoilt <= model.head.weight.shape[1]  # no other unit's


def test_no_gradient_at_all_has_the_norm_zero() -> None:
    assert clip_gradients(nn.Linear(2, 2).parameters(), norm=1.0, value=1.0, adaptive=1.0) == 0


def test_the_suggestion_is_the_90_percent_quantile_of_the_finite_norms() -> None:
    assert suggest_clip_value([*range(11), math.nan, math.inf]) == pytest.approx(9.0)


def test_explosions_do_not_raise_the_suggestion_past_ten_times_the_median() -> None:
    usual = np.random.default_rng(0).lognormal(0.0, 0.3, 100)
    few = suggest_clip_value([*usual, *[1e6] * 5])
    many = suggest_clip_value([*usual, *[1e6] * 40])
    assert np.median(usual) < few < 2 * np.median(usual)
    assert many == pytest.approx(10 * np.median([*usual, *[1e6] * 40]))


@pytest.mark.parametrize(
    ("norms", "match"),
    [
        ([1.0] * 9, "9 of 9"),
        ([1.0] * 9 + [math.nan, math.inf], "9 of 11"),
        ([0.0] * 20, "median of 20 gradient norms is 0"),
    ],
)
def test_too_few_or_only_zero_norms_give_no_suggestion(norms: list[float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        suggest_clip_value(norms)


def make_module() -> ForecastModule:
    torch.manual_seed(0)
    fan = torch.linspace(-1, 1, len(LEVELS)).expand(1, -1)
    return ForecastModule(2, (1,), ForecasterConfig(hidden_size=4), OptimConfig(), fan)


def make_loader(num_batches: int) -> BatchLoader[ForecastBatch]:
    def collate(_: np.ndarray) -> ForecastBatch:
        return ForecastBatch(torch.randn(4, 3, 2), torch.ones(4, 1), torch.randn(4, 1))

    return BatchLoader(lambda _: [np.arange(4)] * num_batches, collate)


def train(run_dir: Path, num_batches: int, **options: float) -> ForecastModule:
    """One epoch of a small real training."""
    module, loader = make_module(), make_loader(num_batches)
    config = TrainerConfig(max_epochs=1, precision="32-true", progress=False, **options)
    fit(module, (loader, loader), config, run_dir)
    return module


def given_to_adamw(run_dir: Path) -> Tensor:
    """The gradient of a one-step training: after it the first moment is a tenth of it."""
    checkpoint = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    state = checkpoint["optimizer_states"][0]["state"]
    return torch.cat([10 * moments["exp_avg"].flatten() for moments in state.values()])


def test_training_keeps_all_three_thresholds(tmp_path: Path) -> None:
    train(tmp_path / "none", 1, clip_norm=0.0)
    free = given_to_adamw(tmp_path / "none")
    limit = 0.3 * float(free.abs().max())
    train(tmp_path / "value", 1, clip_norm=0.0, clip_value=limit)
    torch.testing.assert_close(given_to_adamw(tmp_path / "value"), free.clamp(-limit, limit))
    train(tmp_path / "norm", 1, clip_norm=0.01)
    assert float(given_to_adamw(tmp_path / "norm").norm()) == pytest.approx(0.01, rel=1e-3)
    train(tmp_path / "adaptive", 1, clip_norm=0.0, clip_adaptive=1e-6)
    assert 0 < float(given_to_adamw(tmp_path / "adaptive").norm()) < 1e-4 * float(free.norm())


def test_the_modules_last_norm_is_the_one_logged(tmp_path: Path) -> None:
    module = train(tmp_path, 10, clip_norm=0.01, clip_value=0.01, clip_adaptive=0.01)
    logged = pd.read_csv(tmp_path / "logs" / "metrics.csv")["grad_norm"].dropna()
    assert float(module.last_grad_norm) == pytest.approx(logged.iloc[-1], rel=1e-6)
    assert float(module.last_grad_norm) > 0.01
    assert module.clipping == Clipping(norm=0.01, value=0.01, adaptive=0.01)
    assert not [name for name in module.state_dict() if "norm" in name]


def test_a_threshold_in_the_trainer_is_refused_because_nobody_would_keep_it() -> None:
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_steps=1, gradient_clip_val=0.5, **options)
    with pytest.raises(ValueError, match=r"gradient_clip_val=0\.5.*set the module's clipping"):
        trainer.fit(make_module(), make_loader(1))


@pytest.mark.parametrize("name", ["clip_norm", "clip_value", "clip_adaptive"])
@pytest.mark.parametrize("value", [-0.5, math.nan])
def test_a_negative_threshold_is_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}={value}"):
        TrainerConfig(**{name: value})
