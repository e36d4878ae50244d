"""The learning-rate range test on small real problems, and its judgement on made curves."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from core.batch import ForecastBatch, Seq2SeqBatch
from core.loading import BatchLoader
from core.modules import ForecastModule, Seq2SeqModule, TaskModule
from core.nn.forecaster import LEVELS, ForecasterConfig
from core.nn.seq2seq import Seq2SeqConfig
from core.optim import OptimConfig
from core.plots import range_test_curve
from core.range_test import RangeTest, judge, range_test
from core.training import TrainerConfig, fit

NUM_ROWS, BATCH_SIZE = 64, 16


def forecast_batch(rows: np.ndarray) -> ForecastBatch:
    everything = torch.randn(NUM_ROWS, 5, 3, generator=torch.Generator().manual_seed(7))
    inputs = everything[torch.from_numpy(rows)]
    return ForecastBatch(inputs, torch.ones(len(rows), 1), inputs[:, -1, :1] / 2)


def seq2seq_batch(rows: np.ndarray) -> Seq2SeqBatch:
    generator = torch.Generator().manual_seed(7)
    everything = torch.randint(3, 12, (NUM_ROWS, 5), generator=generator)
    source = everything[torch.from_numpy(rows)]
    ends = torch.ones(len(rows), 1, dtype=torch.long)
    target = torch.cat([ends, source[:, :3], 2 * ends], dim=1)
    return Seq2SeqBatch(source, torch.full((len(rows),), 5), target)


BATCHES = {"forecast": forecast_batch, "seq2seq": seq2seq_batch}


def make_module(task: str, optim: OptimConfig = OptimConfig()) -> TaskModule:
    torch.manual_seed(0)
    if task == "seq2seq":
        config = Seq2SeqConfig(hidden_size=16, embedding_size=16, dropout=0.1)
        return Seq2SeqModule(12, config, optim)
    fan = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(LEVELS)).expand(1, -1)
    return ForecastModule(3, (1,), ForecasterConfig(hidden_size=16), optim, fan)


def make_loader(task: str) -> BatchLoader[Any]:
    def plan(generator: np.random.Generator) -> list[np.ndarray]:
        return list(generator.permutation(NUM_ROWS).reshape(-1, BATCH_SIZE))

    return BatchLoader(plan, BATCHES[task])


def random_numbers() -> list[float]:
    """The next number of every generator, which are put back."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    numbers = [float(torch.rand(1)), np.random.rand(), random.random()]  # noqa: NPY002
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    random.setstate(states[2])
    return numbers


@pytest.mark.parametrize("task", BATCHES)
def test_everything_stays_as_it_was(task: str, capfd: pytest.CaptureFixture[str]) -> None:
    module, loader = make_module(task).eval(), make_loader(task)
    loader.load_state_dict({"epoch": 3, "position": 2})
    before = {name: value.clone() for name, value in module.state_dict().items()}
    numbers, optim = random_numbers(), module.optim_config
    range_test(module, loader, num_steps=30)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in module.parameters())
    assert random_numbers() == numbers
    assert loader.state_dict() == {"epoch": 3, "position": 2}
    assert (module.training, module.optim_config) == (False, optim)
    out, err = capfd.readouterr()
    assert out == ""
    assert "Finding best initial lr" not in err


def test_the_tuners_checkpoint_is_not_even_written_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved, save = [], pl.Trainer.save_checkpoint

    def recorded(trainer: pl.Trainer, path: str) -> None:
        saved.append(Path(path).resolve())
        save(trainer, path)

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", recorded)
    range_test(make_module("forecast"), make_loader("forecast"), num_steps=20)
    assert saved
    assert not [path for path in saved if tmp_path in path.parents or path.exists()]
    assert not list(tmp_path.iterdir())


def final_loss(task: str, learning_rate: float, run_dir: Path) -> float:
    optim = OptimConfig(learning_rate=learning_rate, schedule="constant")
    config = TrainerConfig(max_epochs=10, patience=0, progress=False, precision="32-true")
    loaders = (make_loader(task), make_loader(task))
    return fit(make_module(task, optim), loaders, config, run_dir).val_loss


@pytest.mark.parametrize("task", BATCHES)
def test_the_suggestion_lies_in_the_range_and_trains_better_than_rates_far_from_it(
    task: str, tmp_path: Path
) -> None:
    found = range_test(make_module(task), make_loader(task), min_rate=1e-5, max_rate=10.0)
    assert found.suggestion in found.rates
    assert found.suggestion is not None
    assert 1e-4 < found.suggestion < 1.0
    own = final_loss(task, found.suggestion, tmp_path / "own")
    assert own < final_loss(task, found.suggestion / 100, tmp_path / "lower")


@pytest.mark.parametrize("schedule", ["plateau", "one_cycle", "step", "constant"])
def test_any_optimizer_and_schedule_is_tested_at_the_same_rising_rates(schedule: str) -> None:
    optim = OptimConfig(optimizer="sgd", momentum=0.5, schedule=schedule)
    found = range_test(
        make_module("seq2seq", optim), make_loader("seq2seq"), min_rate=1e-4, max_rate=1.0
    )
    assert found.rates[0] == pytest.approx(1e-4)
    assert found.rates[-1] == pytest.approx(1.0)
    assert all(a < b for a, b in zip(found.rates[1:], found.rates[2:], strict=False))
    assert len(found.losses) == len(found.rates) == 100


def test_the_same_state_gives_the_same_curve_in_evaluation_mode_too() -> None:
    results = []
    for is_training in (True, False):
        module = make_module("seq2seq").train(is_training)
        results.append(range_test(module, make_loader("seq2seq"), num_steps=30))
    assert results[0] == results[1]


def test_the_training_configs_clipping_is_used() -> None:
    # Under SGD a gradient that is clipped to nearly nothing moves nothing.
    optim = OptimConfig(optimizer="sgd", weight_decay=0.0)
    options = {"min_rate": 1e-3, "max_rate": 10.0}
    module, loader = make_module("seq2seq", optim), make_loader("seq2seq")
    assert range_test(module, loader, **options).suggestion is not None
    clipped = range_test(module, loader, TrainerConfig(clip_norm=1e-9), **options)
    assert clipped.suggestion is None


def test_rates_at_which_nothing_is_learned_give_no_suggestion() -> None:
    found = range_test(
        make_module("seq2seq"), make_loader("seq2seq"), min_rate=1e-12, max_rate=1e-10
    )
    assert found.suggestion is None


RATES = np.logspace(-6, 0, 100)
FALL = 3.0 - 2.0 / (1 + np.exp(-4 * (np.log10(RATES) + 3)))  # fastest at 1e-3


def noise(size: float) -> np.ndarray:
    return size * np.random.default_rng(0).standard_normal(len(RATES))


def test_the_fastest_fall_is_found_in_noise() -> None:
    found = judge(RATES.tolist(), (FALL + noise(0.1)).tolist())
    assert found.suggestion == pytest.approx(1e-3, rel=0.6)
    assert np.abs(np.array(found.losses) - FALL).mean() < 0.1


def test_what_follows_the_lowest_loss_is_not_suggested() -> None:
    losses = FALL.copy()
    losses[80:] = np.where(np.arange(20) % 10 < 5, 50.0, 5.0)  # it blows up, and falls steeply
    found = judge(RATES.tolist(), losses.tolist())
    assert found.suggestion == pytest.approx(1e-3, rel=0.6)


def test_the_way_back_from_a_spike_before_the_fall_is_not_suggested() -> None:
    losses = FALL.copy()
    losses[20:23] += 5.0
    assert judge(RATES.tolist(), losses.tolist()).suggestion == pytest.approx(1e-3, rel=0.6)


@pytest.mark.parametrize("losses", [np.full(100, 2.0), np.linspace(2, 3, 100), 2 + noise(0.3)])
def test_a_curve_that_does_not_fall_gives_no_suggestion(losses: np.ndarray) -> None:
    assert judge(RATES.tolist(), losses.tolist()).suggestion is None


def test_losses_that_are_not_finite_end_the_curve() -> None:
    losses = FALL.copy()
    losses[70] = np.nan
    found = judge(RATES.tolist(), losses.tolist())
    assert len(found.rates) == len(found.losses) == 70
    assert found.suggestion == pytest.approx(1e-3, rel=0.6)


def test_a_loss_that_is_not_finite_from_the_start_is_an_error() -> None:
    losses = [1.0, float("nan")] * 50
    with pytest.raises(ValueError, match="for 1 steps.*lower min_rate"):
        judge(RATES.tolist(), losses)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"min_rate": 0.0}, r"min_rate=0\.0"),
        ({"min_rate": 1.0, "max_rate": 0.1}, r"min_rate=1\.0.*max_rate=0\.1"),
        ({"num_steps": 19}, "num_steps=19.*at least 20"),
    ],
)
def test_a_wrong_choice_is_named(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        range_test(make_module("forecast"), make_loader("forecast"), **options)


def test_the_curve_marks_the_suggestion_and_has_a_logarithmic_rate() -> None:
    figure = range_test_curve(judge(RATES.tolist(), FALL.tolist()))
    curve, mark = figure.data
    assert len(curve.x) == 100
    assert mark.x[0] == pytest.approx(1e-3, rel=0.2)
    assert mark.y[0] == curve.y[list(curve.x).index(mark.x[0])]
    assert figure.layout.xaxis.type == "log"


def test_without_a_suggestion_none_is_marked() -> None:
    assert len(range_test_curve(RangeTest((0.1, 0.2), (1.0, 1.0), None)).data) == 1
