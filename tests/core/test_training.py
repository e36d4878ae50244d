"""fit(), and above all: a training that was killed and resumed equals the one that was not."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_lightning import seed_everything

from core.batch import ForecastBatch, Seq2SeqBatch
from core.loading import BatchLoader
from core.metrics import pinball_loss
from core.modules import ForecastModule, Seq2SeqModule
from core.nn.forecaster import LEVELS, ForecasterConfig
from core.nn.seq2seq import Seq2SeqConfig
from core.optim import OptimConfig
from core.training import FitResult, TrainerConfig, fit

NUM_ROWS, BATCH_SIZE, NUM_BATCHES = 22, 4, 6
CONFIG = TrainerConfig(max_epochs=3, patience=0, precision="32-true", progress=False)
OPTIM = OptimConfig(learning_rate=0.02, warmup_steps=2)
PLATEAU = OptimConfig(learning_rate=0.3, schedule="plateau")  # so high that val_loss stalls


def forecast_batch(rows: np.ndarray, sign: float = 1.0) -> ForecastBatch:
    everything = torch.randn(NUM_ROWS, 5, 3, generator=torch.Generator().manual_seed(7))
    inputs = everything[torch.from_numpy(rows)]
    target = sign * inputs[:, -1, :2]
    return ForecastBatch(inputs, torch.ones(len(rows), 2), target)


def seq2seq_batch(rows: np.ndarray) -> Seq2SeqBatch:
    generator = torch.Generator().manual_seed(7)
    everything = torch.randint(3, 12, (NUM_ROWS, 5), generator=generator)
    source = everything[torch.from_numpy(rows)]
    ends = torch.full((len(rows), 1), 2)
    target = torch.cat([torch.ones_like(ends), source[:, :3], ends], dim=1)
    return Seq2SeqBatch(source, torch.full((len(rows),), 5), target)


def forecast_module(optim: OptimConfig = OPTIM, **options: Any) -> ForecastModule:
    fan = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(LEVELS)).expand(2, -1)
    config = ForecasterConfig(
        shift=True, **{"hidden_size": 8, "num_layers": 2, "dropout": 0.3, **options}
    )
    return ForecastModule(3, (1, 5), config, optim, fan)


def seq2seq_module(optim: OptimConfig = OPTIM) -> Seq2SeqModule:
    config = Seq2SeqConfig(hidden_size=8, embedding_size=8, dropout=0.3)
    return Seq2SeqModule(12, config, optim, label_smoothing=0.1)


def plan(generator: np.random.Generator) -> list[np.ndarray]:
    order = generator.permutation(NUM_ROWS)
    return [order[start : start + BATCH_SIZE] for start in range(0, NUM_ROWS, BATCH_SIZE)]


class Validation:
    """Validation batches; at the given pass the process is killed instead."""

    def __init__(self, collate: Callable[[np.ndarray], Any], kill_at: int | None = None) -> None:
        self.collate = collate
        self.passes_left = kill_at

    def __iter__(self) -> Iterator[Any]:
        if self.passes_left is not None:
            self.passes_left -= 1
            if self.passes_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        yield self.collate(np.arange(8))

    def __len__(self) -> int:
        return 1


@dataclass(frozen=True)
class Scenario:
    """A training, and where it is killed: before this batch, or in this pass over validation."""

    name: str
    kind: str
    checkpoint_steps: int
    batch: int | None = None
    validation: int | None = None
    plateau: bool = False
    precision: str = "32-true"
    patience: int = 0
    sign: float = 1.0  # of the validation target: with -1 the first epoch is the best
    average: int = 0


SCENARIOS = [
    Scenario("middle-of-epoch-checkpoint-1", "forecast", 1, batch=10),
    Scenario("middle-of-epoch-checkpoint-2", "forecast", 2, batch=10),
    Scenario("middle-of-first-epoch", "forecast", 3, batch=6),
    Scenario("before-the-first-checkpoint", "forecast", 3, batch=3),
    Scenario("end-of-first-epoch", "forecast", 1, batch=7),
    Scenario("end-of-second-epoch", "forecast", 3, batch=13),
    Scenario("in-the-first-validation", "forecast", 2, validation=1),
    Scenario("in-the-second-validation", "forecast", 1, validation=2),
    Scenario("in-the-last-validation", "forecast", 1, validation=3),
    Scenario("bf16", "forecast", 2, batch=10, precision="bf16-mixed"),
    Scenario("early-stopping-watches", "forecast", 2, validation=2, patience=2),
    Scenario("best-epoch-in-validation", "forecast", 3, validation=1, sign=-1.0),
    Scenario("early-stopping-in-validation", "forecast", 1, validation=2, patience=1, sign=-1.0),
    Scenario("plateau", "forecast", 1, batch=9, plateau=True),
    Scenario("plateau-in-validation", "forecast", 1, validation=2, plateau=True),
    Scenario("average-in-validation", "forecast", 2, validation=3, average=2),
    Scenario("average-at-the-end-of-an-epoch", "forecast", 1, batch=13, average=3),
    Scenario("seq2seq-middle-of-epoch", "seq2seq", 2, batch=10),
    Scenario("seq2seq-end-of-epoch", "seq2seq", 3, batch=7),
    Scenario("seq2seq-in-validation", "seq2seq", 3, validation=1),
]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def train(
    scenario: Scenario, run_dir: Path, resume: bool = False, killing: bool = False
) -> tuple[Any, FitResult]:
    seed_everything(3, verbose=False)
    optim = PLATEAU if scenario.plateau else OPTIM
    is_forecast = scenario.kind == "forecast"
    module = forecast_module(optim) if is_forecast else seq2seq_module(optim)
    make = forecast_batch if is_forecast else seq2seq_batch
    collated = 0

    def collate(rows: np.ndarray) -> Any:
        nonlocal collated
        collated += 1
        if killing and collated == scenario.batch:
            os.kill(os.getpid(), signal.SIGKILL)
        return make(rows)

    def validation(rows: np.ndarray) -> Any:
        return forecast_batch(rows, scenario.sign) if is_forecast else seq2seq_batch(rows)

    loaders = (
        BatchLoader(plan, collate, seed=1),
        Validation(validation, scenario.validation if killing else None),
    )
    config = replace(
        CONFIG,
        checkpoint_steps=scenario.checkpoint_steps,
        precision=scenario.precision,
        patience=scenario.patience,
        average_last=scenario.average,
    )
    return module, fit(module, loaders, config, run_dir, resume)


def kill_trainings(folder: Path) -> None:
    """Run every scenario until it kills its process; each in a fork, so that torch loads once."""
    for scenario in SCENARIOS:
        child = os.fork()
        if child == 0:
            train(scenario, folder / scenario.name, killing=True)
            os._exit(1)  # it should have been killed
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), scenario.name
        assert os.WTERMSIG(status) == signal.SIGKILL, scenario.name


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that killed trainings left."""
    folder = tmp_path_factory.mktemp("killed")
    code = (
        "import importlib.util, sys, pathlib;"
        "spec = importlib.util.spec_from_file_location('killing', sys.argv[1]);"
        "module = sys.modules['killing'] = importlib.util.module_from_spec(spec);"
        "spec.loader.exec_module(module);"
        "module.kill_trainings(pathlib.Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, __file__, str(folder)]
    # Bit-equal holds for equal numbers of threads, and this process computes with one.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Scenario], Any]:
    """Module, result and folder of the training that nothing stopped; each kind trains once."""
    done: dict[tuple[Any, ...], Any] = {}

    def get(scenario: Scenario) -> Any:
        key = (
            scenario.kind,
            scenario.plateau,
            scenario.precision,
            scenario.patience,
            scenario.sign,
            scenario.average,
        )
        if key not in done:
            run_dir = tmp_path_factory.mktemp("uninterrupted")
            done[key] = (*train(replace(scenario, checkpoint_steps=1), run_dir), run_dir)
        return done[key]

    return get


def assert_bit_equal(found: Any, expected: Any, where: str = "") -> None:
    """Nested containers with the same tensors, bit for bit."""
    assert type(found) is type(expected), where
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), where
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_bit_equal(found[key], value, f"{where}.{key}")
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), where
        for number, value in enumerate(expected):
            assert_bit_equal(found[number], value, f"{where}[{number}]")
    else:
        assert found == expected, where


def last_checkpoint(run_dir: Path) -> dict[str, Any]:
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_killed_and_resumed_training_equals_the_uninterrupted_one_bit_for_bit(
    name: str, killed: Path, uninterrupted: Callable[[Scenario], Any]
) -> None:
    scenario = BY_NAME[name]
    expected_module, expected, expected_dir = uninterrupted(scenario)
    module, result = train(scenario, killed / name, resume=True)
    assert_bit_equal(dict(module.state_dict()), dict(expected_module.state_dict()))
    assert (result.steps, result.epochs) == (expected.steps, expected.epochs)
    assert result.val_loss == expected.val_loss
    # The weights of the last step too, the optimiser's memory and the schedule's place: the best
    # weights may stem from before the kill.
    found, wanted = last_checkpoint(killed / name), last_checkpoint(expected_dir)
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_bit_equal(found[part], wanted[part], part)


def test_a_resumed_training_keeps_the_log_from_before_it_was_stopped(tmp_path: Path) -> None:
    train_forecast(tmp_path, max_epochs=1, checkpoint_steps=1)
    train_forecast(tmp_path, max_epochs=3, checkpoint_steps=1, resume=True)
    assert len(validation_losses(tmp_path)) == 3


@pytest.mark.parametrize("options", [{"max_epochs": 3}, {"max_epochs": 9, "patience": 1}])
def test_resuming_a_finished_training_changes_nothing(tmp_path: Path, options: dict) -> None:
    # A training may be killed after its last epoch, while the run folder is written.
    options = {"sign": -1.0, "checkpoint_steps": 1, **options}
    module, result = train_forecast(tmp_path, **options)
    again, second = train_forecast(tmp_path, **options, resume=True)
    assert_bit_equal(dict(again.state_dict()), dict(module.state_dict()))
    assert (second.steps, second.epochs) == (result.steps, result.epochs)
    assert second.val_loss == result.val_loss


def test_a_moved_folder_resumes_with_the_best_weights_from_before(tmp_path: Path) -> None:
    modules = []
    for name in ("stays", "moves"):
        train_forecast(tmp_path / name, sign=-1.0, max_epochs=1, checkpoint_steps=1)
    (tmp_path / "moves").rename(tmp_path / "moved")
    for name in ("stays", "moved"):
        options = {"sign": -1.0, "checkpoint_steps": 1, "resume": True}
        modules.append(train_forecast(tmp_path / name, **options)[0])
    assert_bit_equal(dict(modules[1].state_dict()), dict(modules[0].state_dict()))


def train_forecast(
    run_dir: Path,
    sign: float = 1.0,
    module: ForecastModule | None = None,
    num_batches: int = NUM_BATCHES,
    resume: bool = False,
    **options: Any,
) -> tuple[ForecastModule, FitResult]:
    """A small training; with the sign -1 validation wants the opposite of training."""
    seed_everything(3, verbose=False)
    module = forecast_module() if module is None else module
    loaders = (
        BatchLoader(lambda generator: plan(generator)[:num_batches], forecast_batch, seed=1),
        Validation(lambda rows: forecast_batch(rows, sign)),
    )
    return module, fit(module, loaders, replace(CONFIG, **options), run_dir, resume)


def validation_losses(run_dir: Path) -> list[float]:
    return pd.read_csv(run_dir / "logs" / "metrics.csv")["val_loss"].dropna().tolist()


@pytest.mark.parametrize("max_epochs", [1, 4])
def test_every_epoch_takes_every_batch(tmp_path: Path, max_epochs: int) -> None:
    _, result = train_forecast(tmp_path, max_epochs=max_epochs)
    assert (result.epochs, result.steps) == (max_epochs, max_epochs * NUM_BATCHES)
    assert len(validation_losses(tmp_path)) == max_epochs


def test_training_learns(tmp_path: Path) -> None:
    _, result = train_forecast(tmp_path, max_epochs=12)
    losses = validation_losses(tmp_path)
    assert losses[-1] < 0.99 * losses[0]
    assert result.val_loss == pytest.approx(min(losses))


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    first, _ = train_forecast(tmp_path / "a")
    second, _ = train_forecast(tmp_path / "b")
    assert_bit_equal(dict(first.state_dict()), dict(second.state_dict()))


@pytest.mark.parametrize("patience", [1, 2])
def test_training_stops_after_as_many_epochs_without_a_better_loss(
    tmp_path: Path, patience: int
) -> None:
    _, result = train_forecast(tmp_path, sign=-1.0, max_epochs=30, patience=patience)
    losses = validation_losses(tmp_path)
    assert result.epochs == len(losses) == int(np.argmin(losses)) + 1 + patience < 30


def test_patience_0_never_stops_early(tmp_path: Path) -> None:
    _, result = train_forecast(tmp_path, sign=-1.0, max_epochs=6, patience=0)
    assert result.epochs == 6


def test_the_module_holds_the_weights_of_the_best_validation_loss(tmp_path: Path) -> None:
    module, result = train_forecast(tmp_path, sign=-1.0, max_epochs=5)
    losses = validation_losses(tmp_path)
    assert losses[-1] > min(losses)
    batch = forecast_batch(np.arange(8), -1.0)
    assert not module.training
    target = batch.target / batch.scale
    with torch.no_grad():
        found = float(pinball_loss(module.model(batch.inputs), target, module.model.levels))
    assert found == pytest.approx(min(losses), rel=1e-5)
    assert result.val_loss == pytest.approx(min(losses), rel=1e-5)


def test_a_training_that_diverges_stops_and_says_so_in_its_result(tmp_path: Path) -> None:
    _, result = train_forecast(tmp_path, sign=math.nan, max_epochs=5, patience=2)
    assert result.epochs == 1
    assert not math.isfinite(result.val_loss)


def test_a_time_limit_stops_with_what_there_is(tmp_path: Path) -> None:
    module, result = train_forecast(tmp_path, max_epochs=1000, max_minutes=1e-6)
    assert result.steps < 1000 * NUM_BATCHES
    assert math.isfinite(result.val_loss)
    assert not module.training


def test_logs_and_checkpoints_are_written(tmp_path: Path) -> None:
    train_forecast(tmp_path, checkpoint_steps=2)
    log = pd.read_csv(tmp_path / "logs" / "metrics.csv")
    assert {"step", "epoch", "train_loss", "val_loss", "grad_norm"} <= set(log.columns)
    assert list((tmp_path / "logs").glob("events.out.tfevents.*"))
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert names == ["best.ckpt", "last.ckpt"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoints", "logs"]


def test_the_last_checkpoint_holds_plain_containers_and_tensors_alone(tmp_path: Path) -> None:
    train_forecast(tmp_path, checkpoint_steps=5)
    checkpoint = last_checkpoint(tmp_path)
    assert checkpoint["global_step"] >= 15
    assert checkpoint["hyper_parameters"]["model"]["hidden_size"] == 8


def test_standard_output_stays_empty_and_the_bar_goes_to_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train_forecast(tmp_path, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "Epoch" in err


def test_without_progress_no_bar_is_drawn(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train_forecast(tmp_path, progress=False)
    out, err = capfd.readouterr()
    assert out == ""
    assert "Epoch" not in err


class Witness(ForecastModule):
    """Notes the norm of the gradient before clipping and after the step."""

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.before = [*getattr(self, "before", []), self.gradient_norm()]

    def on_train_batch_end(self, *_: Any) -> None:
        self.after = [*getattr(self, "after", []), self.gradient_norm()]

    def gradient_norm(self) -> float:
        gradients = [p.grad.flatten() for p in self.parameters() if p.grad is not None]
        return float(torch.cat(gradients).norm())


def witness() -> Witness:
    fan = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(LEVELS)).expand(2, -1)
    return Witness(3, (1, 5), ForecasterConfig(shift=True, hidden_size=8), OPTIM, fan)


def test_the_logged_norm_is_that_before_clipping(tmp_path: Path) -> None:
    module = witness()
    train_forecast(tmp_path, module=module, max_epochs=4, clip_norm=0.01)
    log = pd.read_csv(tmp_path / "logs" / "metrics.csv").dropna(subset="grad_norm")
    assert len(log) == 2
    for step, norm in zip(log["step"], log["grad_norm"], strict=True):
        assert norm == pytest.approx(module.before[step], rel=1e-4)
        assert norm > 0.01
    assert max(module.after) <= 0.01 * 1.001


def test_clip_norm_0_leaves_the_gradient_as_it_is(tmp_path: Path) -> None:
    module = witness()
    train_forecast(tmp_path, module=module, clip_norm=0.0)
    assert module.after == pytest.approx(module.before)


def test_the_optimiser_gets_the_clipped_gradient(tmp_path: Path) -> None:
    # After one step AdamW's first moment is a tenth of the gradient that it was given.
    train_forecast(tmp_path, num_batches=1, max_epochs=1, clip_norm=0.02, checkpoint_steps=1)
    state = last_checkpoint(tmp_path)["optimizer_states"][0]["state"]
    given = torch.cat([10 * moments["exp_avg"].flatten() for moments in state.values()])
    assert float(given.norm()) == pytest.approx(0.02, rel=1e-3)
