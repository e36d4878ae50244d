import math
from dataclasses import replace

import pytest
import torch

from apps.gradient_lab.datamodule import TaskData
from apps.gradient_lab.recipes import recipe, with_model
from apps.gradient_lab.train import is_solved, make_module, train
from core.clipping import Clipping
from data.synthetic import TASKS


def short(task="temporal_order", length=10, cell="gru", **changes):
    job = with_model(recipe(task, length, cell, max_steps=100), hidden_size=8)
    return replace(job, **changes)


def test_training_rows_are_new_in_every_batch_and_epoch_and_the_same_for_the_same_seed():
    data = TaskData(TASKS["adding"], 10, seed=1)
    loader = data.training(4, 3)
    first = [batch.inputs for batch in loader] + [batch.inputs for batch in loader]
    again = [batch.inputs for batch in TaskData(TASKS["adding"], 10, seed=1).training(4, 3)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=False))
    assert len({float(inputs.sum()) for inputs in first}) == 6


def test_validation_and_fresh_rows_share_nothing_and_do_not_change():
    data = TaskData(TASKS["adding"], 10, seed=1)
    validation, fresh = list(data.validation()), list(data.fresh())
    assert sum(len(b.inputs) for b in validation) == 1000
    assert sum(len(b.inputs) for b in fresh) == 2000
    seen = {float(batch.inputs.sum()) for batch in validation + fresh}
    assert len(seen) == len(validation) + len(fresh)
    assert torch.equal(validation[0].inputs, next(iter(data.validation())).inputs)


def test_a_gru_solves_a_short_task_and_stops_early():
    trained = train(short(max_steps=2000))
    assert trained.steps < 2000
    assert is_solved(TASKS["temporal_order"], 10, trained.score)
    assert [check.step for check in trained.checks][-1] == trained.steps
    assert len(trained.norms) == trained.steps


def test_the_same_job_trains_to_the_same_weights():
    first, second = train(short()), train(short())
    assert first.score == second.score
    for a, b in zip(first.module.parameters(), second.module.parameters(), strict=True):
        assert torch.equal(a, b)


def test_clipping_is_applied_and_norms_are_those_before_it():
    job = short(clipping=Clipping(norm=1e-6), optim=replace(short().optim, optimizer="sgd"))
    trained = train(job)
    assert max(trained.norms) > 1e-3
    start = torch.cat([p.flatten() for p in make_module_of(job).parameters()])
    after = torch.cat([p.flatten() for p in trained.module.parameters()])
    assert float((after - start).detach().norm()) <= 100 * 1e-6 * job.optim.learning_rate * 1.01


def make_module_of(job):
    torch.manual_seed(job.seed)
    return make_module(job)


def test_a_training_that_diverges_stops_without_a_score():
    job = short(cell="irnn", clipping=Clipping(), max_steps=500)
    job = replace(job, optim=replace(job.optim, optimizer="sgd", learning_rate=1e6))
    trained = train(job)
    assert math.isnan(trained.score)
    assert trained.steps < 500
    assert not is_solved(TASKS["temporal_order"], 10, trained.score)


def test_the_watcher_can_stop_a_training():
    seen = []

    def watch(module, check):
        seen.append(check.step)
        return len(seen) < 2

    trained = train(short("adding", 20, "rnn", max_steps=1000), watch)
    assert trained.steps == 200
    assert seen == [100, 200]


@pytest.mark.parametrize(
    ("task", "good", "bad"),
    [("adding", 0.0099, 0.011), ("copy", 0.05, 0.06), ("temporal_order", 0.9901, 0.9899)],
)
def test_solved_means_what_the_readme_says(task, good, bad):
    assert is_solved(TASKS[task], 20, good)
    assert not is_solved(TASKS[task], 20, bad)


def test_a_job_of_fewer_steps_than_a_check_is_refused():
    with pytest.raises(ValueError, match="max_steps=50"):
        short(max_steps=50)


@pytest.mark.parametrize("reading", ["last", "attention"])
@pytest.mark.parametrize("task", ["adding", "copy", "temporal_order"])
def test_every_task_trains_with_every_reading(task, reading):
    trained = train(short(task, 10, "lstm", reading=reading))
    assert trained.steps == 100 or trained.score is not None
    assert math.isfinite(trained.score)
