"""GradientMonitor: what it logs, and that a training is the same with it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.diagnostics import spectral_radius
from core.monitor import GradientMonitor


def own_norms(gradients: dict[str, Tensor]) -> dict[str, float]:
    squares: dict[str, float] = {}
    for name, gradient in gradients.items():
        owner = name.rpartition(".")[0]
        squares[owner] = squares.get(owner, 0.0) + float(gradient.double().square().sum())
    return {name: math.sqrt(square) for name, square in squares.items()}


@pytest.mark.parametrize("interval", [1, 3, 50])
def test_the_first_step_and_every_interval_th_after_it_are_logged(
    tiny: Any, tmp_path: Path, interval: int
) -> None:
    _, log = tiny.train(tmp_path, tiny.forecast_module(), interval=interval)
    assert list(tiny.rows_of(log).index) == list(range(0, 2 * tiny.num_batches, interval))


def test_the_logged_norms_are_each_modules_own_before_and_after_clipping(
    tiny: Any, tmp_path: Path
) -> None:
    module = tiny.seq2seq_module()
    _, log = tiny.train(tmp_path, module, interval=3, clip_norm=0.3)
    rows = tiny.rows_of(log)
    assert len(rows) == 4
    for step, row in rows.iterrows():
        for prefix, gradients in (
            ("gradient/", module.before),
            ("gradient_clipped/", module.after),
        ):
            expected = own_norms(gradients[step])
            assert len(expected) == 8
            found = {n.removeprefix(prefix): row[n] for n in row.index if n.startswith(prefix)}
            assert found == pytest.approx(expected, rel=1e-4)
        assert (
            tiny.total_norm(module.after[step])
            <= 0.3 * 1.001
            < tiny.total_norm(module.before[step])
        )


def test_without_clipping_there_is_no_norm_after_it(tiny: Any, tmp_path: Path) -> None:
    _, log = tiny.train(tmp_path, tiny.forecast_module(), clip_norm=0.0)
    assert not [name for name in log.columns if name.startswith("gradient_clipped/")]
    assert set(tiny.rows_of(log)["clipped_share"]) == {0.0}


@pytest.mark.parametrize("kind", ["norm", "value", "adaptive"])
def test_the_clipped_share_counts_the_steps_whose_gradient_was_changed(
    tiny: Any, tmp_path: Path, kind: str
) -> None:
    limit = {"norm": 0.04, "value": 0.03, "adaptive": 3.0}[kind]
    module = tiny.forecast_module()
    options = {"clip_norm": 0.0, f"clip_{kind}": limit}
    monitor, log = tiny.train(tmp_path, module, interval=1, **options)
    changed = [
        any(not torch.equal(before[name], after[name]) for name in before)
        for before, after in zip(module.before, module.after, strict=True)
    ]
    assert 0 < sum(changed) < len(changed)  # the limit lies between
    shares = np.cumsum(changed) / np.arange(1, len(changed) + 1)
    assert tiny.rows_of(log)["clipped_share"].tolist() == pytest.approx(shares.tolist())
    assert monitor.summary["clipped_share"] == pytest.approx(shares[-1])


def test_the_logged_radius_is_that_of_the_weights_before_the_step(
    tiny: Any, tmp_path: Path
) -> None:
    module = tiny.forecast_module()
    _, log = tiny.train(tmp_path, module, interval=5)
    fresh = tiny.forecast_module()
    for step, row in tiny.rows_of(log).iterrows():
        fresh.load_state_dict(module.weights[step])
        for layer, cells in enumerate(fresh.model.encoder.cells()):
            for gate, radius in spectral_radius(cells[0]).items():
                name = f"spectral_radius/model.members.0.encoder.layers.{layer}.0.{gate}"
                assert row[name] == pytest.approx(radius, rel=1e-5)


@pytest.mark.parametrize("name", ["forecast", "seq2seq", "bf16"])
def test_a_training_with_and_without_it_ends_bit_equal(
    tiny: Any, tmp_path: Path, name: str
) -> None:
    ends = []
    for monitored in (True, False):
        module = tiny.seq2seq_module() if name == "seq2seq" else tiny.forecast_module()
        options = {"precision": "bf16-mixed" if name == "bf16" else "32-true", "interval": 1}
        tiny.train(tmp_path / str(monitored), module, is_monitored=monitored, **options)
        path = tmp_path / str(monitored) / "checkpoints" / "last.ckpt"
        checkpoint = torch.load(path, weights_only=True)
        ends.append((module, checkpoint, torch.get_rng_state()))
    (module, with_it, random), (other, without, other_random) = ends
    assert "GradientMonitor" in with_it["callbacks"]
    assert "GradientMonitor" not in without["callbacks"]
    assert torch.equal(random, other_random)
    assert len(module.before) == len(other.before) == 2 * tiny.num_batches
    for found, expected in [
        *zip(module.before, other.before, strict=True),
        *zip(module.after, other.after, strict=True),
        *zip(module.weights, other.weights, strict=True),
        (with_it["state_dict"], without["state_dict"]),
    ]:
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    moments = [c["optimizer_states"][0]["state"] for c in (with_it, without)]
    for number, state in moments[1].items():
        assert all(torch.equal(moments[0][number][key], value) for key, value in state.items())
    states = [c["callbacks"]["RandomState"]["processes"][0] for c in (with_it, without)]
    numpy_states = [state["numpy"] for state in states]
    assert numpy_states[0] == numpy_states[1]


def test_a_transformer_is_monitored_too(tiny: Any, tmp_path: Path) -> None:
    module = tiny.seq2seq_module(architecture="transformer")
    monitor, log = tiny.train(tmp_path, module)
    assert not any(name.startswith(("saturation", "spectral")) for name in log.columns)
    prefix = "gradient/"
    names = {name.removeprefix(prefix) for name in log.columns if name.startswith(prefix)}
    assert names == own_norms(module.before[0]).keys()
    assert monitor.summary["lags"] == []
    assert len(monitor.summary["words"]) == 1


def test_an_interval_of_zero_is_named() -> None:
    with pytest.raises(ValueError, match="interval=0 must be at least 1"):
        GradientMonitor(Path("gradients.json"), interval=0)


def test_the_default_interval_is_50_steps() -> None:
    assert GradientMonitor(Path("gradients.json")).interval == 50
