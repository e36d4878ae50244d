"""What a person chooses about a training is checked before it begins."""

import pytest
import torch

from core.training import TrainerConfig, resolve_precision


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_epochs": 0}, "max_epochs=0"),
        ({"checkpoint_steps": 0}, "checkpoint_steps=0"),
        ({"max_minutes": -1.0}, "max_minutes=-1.0"),
        ({"patience": -1}, "patience=-1"),
        ({"clip_norm": -0.5}, "clip_norm=-0.5"),
        ({"precision": "16"}, "precision='16'.*choose auto, 32-true or bf16-mixed"),
        ({"logger": "paper"}, "logger='paper' is unknown; choose tensorboard, wandb or mlflow"),
        ({"strategy": "fsdp"}, "strategy='fsdp' is unknown"),
        ({"devices": 2}, "several processes need strategy=ddp"),
    ],
)
def test_a_wrong_choice_is_named(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        TrainerConfig(**options)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_logger_whose_package_is_missing_is_told_before_anything_is_begun(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=f"logger={name}: its package is not installed"):
        TrainerConfig(logger=name)


def test_auto_precision_is_one_that_this_machine_can_train_with() -> None:
    assert resolve_precision("auto") in ("32-true", "bf16-mixed")
    assert resolve_precision("32-true") == "32-true"
    assert resolve_precision("bf16-mixed") == "bf16-mixed"


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_precision_asks_the_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": not has_bf16})
    assert resolve_precision("auto") == expected
