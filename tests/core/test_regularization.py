"""The penalties by hand, in the gradient, and in a training."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from core.batch import ForecastBatch, Seq2SeqBatch
from core.loading import BatchLoader
from core.modules import ForecastModule, Seq2SeqModule, TaskModule
from core.nn.forecaster import LEVELS, ForecasterConfig
from core.nn.regularization import l1_penalty, l2_penalty
from core.nn.seq2seq import Seq2SeqConfig
from core.optim import OptimConfig, make_optimizer
from core.training import TrainerConfig, fit


def two_layers() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model[0].weight.data = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
    model[1].weight.data = torch.tensor([[-4.0, 0.5]])
    return model


def test_the_penalties_equal_the_sums_by_hand() -> None:
    assert l1_penalty(two_layers()).item() == 1 + 2 + 0 + 3 + 4 + 0.5
    assert l2_penalty(two_layers()).item() == (1 + 4 + 0 + 9 + 16 + 0.25) / 2


def test_biases_and_frozen_matrices_are_left_out_and_a_shared_one_counts_once() -> None:
    model = two_layers()
    model[0].weight.requires_grad_(False)
    model.append(nn.Linear(2, 1))
    model[2].weight = model[1].weight
    model[1].bias.data.fill_(100.0)
    assert l1_penalty(model).item() == 4.5
    assert l2_penalty(model).item() == (16 + 0.25) / 2


def test_a_model_without_matrices_has_no_penalty() -> None:
    assert l1_penalty(nn.LayerNorm(3)).item() == l2_penalty(nn.LayerNorm(3)).item() == 0.0


def test_the_gradients_are_the_sign_and_the_weight_itself() -> None:
    model = two_layers()
    l1_penalty(model).backward()
    assert torch.equal(model[0].weight.grad, torch.tensor([[1.0, -1.0], [0.0, 1.0]]))
    assert model[0].bias.grad is None
    model = two_layers()
    l2_penalty(model).backward()
    assert torch.equal(model[0].weight.grad, model[0].weight.data)
    assert torch.equal(model[1].weight.grad, model[1].weight.data)


def moved(optimizer: str, weight_decay: float, l2: float) -> Tensor:
    """A matrix after three steps on a loss of its own."""
    model = nn.Linear(3, 2, bias=False)
    model.weight.data = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, 10.0]])
    config = OptimConfig(
        optimizer=optimizer, learning_rate=0.1, weight_decay=weight_decay, schedule="constant"
    )
    steps = make_optimizer(model, config, 3)["optimizer"]
    for _ in range(3):
        loss = model(torch.tensor([1.0, 2.0, 300.0])).sum() + l2 * l2_penalty(model)
        steps.zero_grad()
        loss.backward()
        steps.step()
    return model.weight.data


def test_under_sgd_l2_is_weight_decay_and_under_adamw_it_is_not() -> None:
    torch.testing.assert_close(moved("sgd", 0.3, 0.0), moved("sgd", 0.0, 0.3))
    decayed, penalized = moved("adamw", 0.3, 0.0), moved("adamw", 0.0, 0.3)
    # The last column has the large gradient: the penalty hardly holds it, decay does.
    free = moved("adamw", 0.0, 0.0)
    assert float((penalized - free)[1, 2].abs()) < 0.01 * float((decayed - free)[1, 2].abs())


def forecast_batch(rows: np.ndarray) -> ForecastBatch:
    data = torch.from_numpy(np.random.default_rng(rows).standard_normal((4, 3, 2))).float()
    return ForecastBatch(data, torch.ones(4, 1), data[:, -1, :1])


def seq2seq_batch(rows: np.ndarray) -> Seq2SeqBatch:
    source = torch.from_numpy(np.random.default_rng(rows).integers(3, 9, (4, 3)))
    ends = torch.ones(4, 1, dtype=torch.long)
    return Seq2SeqBatch(source, torch.full((4,), 3), torch.cat([ends, source, 2 * ends], dim=1))


def make_module(task: str, l1: float = 0.0, l2: float = 0.0) -> TaskModule:
    torch.manual_seed(0)
    optim = OptimConfig(l1=l1, l2=l2, warmup_steps=0)
    if task == "seq2seq":
        return Seq2SeqModule(9, Seq2SeqConfig(hidden_size=4, embedding_size=4), optim)
    fan = torch.linspace(-1, 1, len(LEVELS)).expand(1, -1)
    return ForecastModule(2, (1,), ForecasterConfig(hidden_size=4, dropout=0.0), optim, fan)


BATCHES = {"forecast": forecast_batch, "seq2seq": seq2seq_batch}


def losses(task: str, run_dir: Path, l1: float, l2: float) -> tuple[list[float], float, float]:
    """Logged training losses, the validation loss and the first step's gradient norm."""
    loader = BatchLoader(lambda _: [np.arange(4)] * 10, BATCHES[task])
    config = TrainerConfig(max_epochs=1, precision="32-true", progress=False, clip_norm=0.0)
    module = make_module(task, l1, l2)
    norms: list[float] = []
    module.on_before_zero_grad = lambda _: norms.append(float(module.last_grad_norm))
    fit(module, (loader, loader), config, run_dir)
    log = pd.read_csv(run_dir / "logs" / "metrics.csv")
    return log["train_loss"].dropna().tolist(), log["val_loss"].dropna().iloc[-1], norms[1]


@pytest.mark.parametrize("task", BATCHES)
@pytest.mark.parametrize(("l1", "l2"), [(0.5, 0.0), (0.0, 0.5), (0.5, 0.25)])
def test_both_tasks_minimise_the_loss_with_the_penalties(task: str, l1: float, l2: float) -> None:
    plain, penalized = make_module(task), make_module(task, l1, l2)
    batch = BATCHES[task](np.arange(4))
    for module in (plain, penalized):
        module.log = lambda *_, **__: None
        module.training_step(batch, 0).backward()
    extra = l1 * l1_penalty(plain) + l2 * l2_penalty(plain)
    difference = penalized.training_step(batch, 0) - plain.training_step(batch, 0)
    torch.testing.assert_close(difference, extra, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(penalized.parameters(), plain.parameters(), strict=True):
        added = l1 * theirs.data.sign() + l2 * theirs.data if theirs.ndim > 1 else 0.0
        torch.testing.assert_close(ours.grad, theirs.grad + added, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", BATCHES)
def test_the_logged_losses_stay_without_the_penalty(task: str, tmp_path: Path) -> None:
    # So large that the loss with it would be several times the one without.
    free, _, norm = losses(task, tmp_path / "free", 0.0, 0.0)
    logged, val_loss, larger = losses(task, tmp_path / "held", 10.0, 10.0)
    assert len(logged) == len(free) == 1
    assert logged[0] < 3 * free[0]
    assert val_loss < 3 * free[0]
    assert larger > 10 * norm


@pytest.mark.parametrize("task", BATCHES)
def test_without_penalties_none_is_computed(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: nn.Module) -> Tensor:
        raise AssertionError

    monkeypatch.setattr("core.modules.l1_penalty", fail)
    monkeypatch.setattr("core.modules.l2_penalty", fail)
    module, loss = make_module(task), torch.tensor(1.5)
    assert module.penalized(loss) is loss
    with pytest.raises(AssertionError):
        make_module(task, l1=1.0).penalized(loss)
