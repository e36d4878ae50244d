"""GradientMonitor: numbers that are not finite stop a training, or are left out."""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core.batch import ForecastBatch
from core.cli import guarded


def is_plain_stack(stack: nn.Module) -> bool:
    return "_run" not in vars(stack) and not stack._forward_pre_hooks


@pytest.mark.parametrize("kind", ["weight", "rate", "data", "target"])
def test_a_loss_that_is_not_finite_stops_the_training_and_names_its_origin(
    tiny: Any, tmp_path: Path, kind: str
) -> None:
    module = tiny.forecast_module()

    def spoil(step: int, module: Any) -> None:
        if step == 6 and kind == "weight":
            module.model.encoder.cells()[1][0].weight_ih_l0.data[0, 0] = math.nan
        if step == 6 and kind == "rate":  # what a huge rate leaves: finite, but too large
            linear = module.model.members[0].head.linear
            linear.weight.data[::2], linear.weight.data[1::2] = 3e38, -3e38
            linear.bias.data.fill_(3.3e38)  # whichever way the inputs go, some output overflows

    def collate(rows: np.ndarray) -> ForecastBatch:
        batch = tiny.forecast_batch(rows)
        if module.__dict__.get("steps", 0) == 7:
            if kind == "data":
                batch.inputs[0, 0, 0] = math.nan
            if kind == "target":
                batch.target[0, 0] = math.inf
        return batch

    module.hook = spoil
    expected = {
        "weight": "the parameter model.members.0.encoder.layers.1.0.weight_ih_l0 is not finite",
        "rate": r"model.members.0.head.linear \(Linear\) gave the first output that is not finite",
        "data": "batch.inputs holds a number that is not finite; mend the data$",
        "target": "batch.target holds a number that is not finite; mend the data$",
    }[kind]
    where = r"epoch 1, batch 1 \(both from 0\), before its step: the loss is (nan|inf)"
    with pytest.raises(ValueError, match=f"{where}, {expected}") as raised:
        tiny.train(tmp_path, module, collate=collate, checkpoint_steps=1)
    assert "\n" not in str(raised.value)
    # The step was not taken: the weights are those that it began with.
    if kind in ("data", "target"):
        last = tiny.weights_of(module)
        assert all(tensor.isfinite().all() for tensor in last.values())
        last_path = tmp_path / "checkpoints" / "last.ckpt"
        saved = torch.load(last_path, map_location="cpu", weights_only=True)
        assert saved["global_step"] == 7
        assert all(torch.equal(saved["state_dict"][name], last[name]) for name in last)
    assert is_plain_stack(module.model.encoder)
    assert not module.model.members[0].head.linear._forward_hooks


def test_after_the_stop_the_last_checkpoint_goes_on_as_if_nothing_had_happened(
    tiny: Any, tmp_path: Path
) -> None:
    whole = tiny.forecast_module()
    tiny.train(tmp_path / "whole", whole, checkpoint_steps=1)
    module = tiny.forecast_module()

    def collate(rows: np.ndarray) -> ForecastBatch:
        batch = tiny.forecast_batch(rows)
        if module.__dict__.get("steps", 0) == 8:
            batch.inputs[:] = math.nan
        return batch

    with pytest.raises(ValueError, match=r"batch\.inputs"):
        tiny.train(tmp_path / "cut", module, collate=collate, checkpoint_steps=1)
    again = tiny.forecast_module()
    tiny.train(tmp_path / "cut", again, checkpoint_steps=1, resume=True)
    last = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "cut")
    ]
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"clip_norm": 0.0}, "with --trainer.clip_norm 1 (clipping was off)"),
        ({"clip_norm": 0.7}, "a smaller threshold than --trainer.clip_norm 0.7"),
        (
            {"clip_norm": 0.0, "clip_value": 0.2, "clip_adaptive": 0.1},
            "a smaller threshold than --trainer.clip_value 0.2, --trainer.clip_adaptive 0.1",
        ),
    ],
)
def test_the_command_exits_with_2_and_one_line_of_advice(
    tiny: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: dict,
    advice: str,
) -> None:
    module = tiny.seq2seq_module()
    module.model.bridge.weight.data[0, 0] = math.nan
    with pytest.raises(SystemExit) as ended:
        guarded("chatbot", lambda: tiny.train(tmp_path, module, **options) and None)
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "model.bridge.weight is not finite" in lines[0]
    assert "lower --optim.learning_rate" in lines[0]
    assert lines[0].endswith(advice)


def test_a_gradient_that_is_not_finite_moves_nothing_and_is_counted(
    tiny: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = tiny.forecast_module()

    def spoil(step: int, module: Any) -> None:
        if step in (4, 5):
            module.model.members[0].head.linear.bias.grad[0] = math.inf if step == 4 else math.nan

    module.hook = spoil
    with caplog.at_level(logging.INFO, logger="core"):
        monitor, log = tiny.train(tmp_path, module, interval=1)
    same = [
        all(torch.equal(old[name], new[name]) for name in old)
        for old, new in zip(module.weights, module.weights[1:], strict=False)
    ]
    assert [step for step, is_same in enumerate(same) if is_same] == [4, 5]
    assert tiny.rows_of(log)["nonfinite_steps"].tolist() == [0, 0, 0, 0, 1, *[2] * 7]
    assert monitor.summary["nonfinite_steps"] == 2
    assert caplog.text.count("step 4: the gradient is not finite") == 1
    assert "step 5:" not in caplog.text
    assert "2 of 12 steps had a gradient that is not finite" in caplog.text
    assert math.isfinite(monitor.summary["norm_quantile_90"])
