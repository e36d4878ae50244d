from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from core.averaging import LastWeights
from core.batch import ForecastBatch
from core.loading import BatchLoader
from core.modules import ForecastModule
from core.nn.forecaster import LEVELS, ForecasterConfig
from core.optim import OptimConfig
from core.training import TrainerConfig, _load_best, fit, validation_loss

ROWS = 24


class Copies(pl.Callback):
    """The weights after every epoch, as another callback sees them."""

    def __init__(self) -> None:
        self.seen = []

    def on_validation_end(self, trainer, pl_module):
        self.seen.append({k: v.clone() for k, v in pl_module.state_dict().items()})


def parts(sign=1.0):
    """A module, training batches, and validation batches whose truth has this sign."""
    torch.manual_seed(0)
    fan = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(LEVELS)).expand(2, -1)
    optim = OptimConfig(learning_rate=0.3, schedule="constant", warmup_steps=0)
    module = ForecastModule(
        3, (1, 5), ForecasterConfig(shift=True, hidden_size=8, dropout=0.0), optim, fan
    )
    inputs = torch.randn(ROWS, 5, 3)

    def batches(factor):
        def collate(rows):
            x = inputs[torch.from_numpy(rows)]
            return ForecastBatch(x, torch.ones(len(rows), 2), factor * x[:, -1, :2])

        return BatchLoader(lambda _: np.arange(ROWS).reshape(4, -1), collate)

    return module, (batches(1.0), batches(sign))


def config(**options):
    return TrainerConfig(patience=0, precision="32-true", progress=False, **options)


def test_the_mean_is_that_of_the_last_validations():
    averaged, copies = LastWeights(3), Copies()
    module, loaders = parts()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=5,
        callbacks=[averaged, copies],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, *loaders)
    assert len(copies.seen) == 5
    for name, value in averaged.mean().items():
        wanted = sum(weights[name].double() for weights in copies.seen[-3:]) / 3
        torch.testing.assert_close(value.double(), wanted, atol=1e-6, rtol=1e-5)


def test_weights_of_a_gpu_are_averaged_with_those_of_a_checkpoint():
    # The fake tensors say where they are, and refuse to be mixed as real ones do.
    trainer = SimpleNamespace(state=SimpleNamespace(fn="fit"))
    with FakeTensorMode():
        averaged = LastWeights(2)
        averaged.load_state_dict({"kept": [{"w": torch.zeros(2)}]})
        weights = {"w": torch.ones(2, device="cuda")}
        averaged.on_validation_end(trainer, SimpleNamespace(state_dict=lambda: weights))
        assert len(averaged.kept) == 2
        assert averaged.mean()["w"].device.type == "cpu"


def test_what_is_kept_does_not_follow_the_weights():
    trainer = SimpleNamespace(state=SimpleNamespace(fn="fit"))
    weights = {"w": torch.zeros(2)}
    averaged = LastWeights(2)
    averaged.on_validation_end(trainer, SimpleNamespace(state_dict=lambda: weights))
    weights["w"] += 1
    assert averaged.mean()["w"].tolist() == [0, 0]


def test_whole_numbers_are_not_averaged():
    averaged = LastWeights(2)
    averaged.load_state_dict({"kept": [{"n": torch.tensor(1)}, {"n": torch.tensor(4)}]})
    assert averaged.mean() == {"n": torch.tensor(4)}


def test_a_mean_between_two_worse_networks_is_taken(tmp_path):
    module, loaders = parts()
    good = fit(module, loaders, config(max_epochs=20), tmp_path).val_loss
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    away = {n: 0.3 * torch.randn_like(v) if "weight" in n else 0 * v for n, v in weights.items()}
    kept = [{n: v + sign * away[n] for n, v in weights.items()} for sign in (1, -1)]
    path = tmp_path / "single.ckpt"
    torch.save({"state_dict": kept[0]}, path)
    module.load_state_dict(kept[0])
    single = validation_loss(module, loaders[1], "32-true")
    averaged = LastWeights(2)
    averaged.load_state_dict({"kept": kept})
    best = SimpleNamespace(best_model_path=path, best_model_score=single)
    found = _load_best(module, best, averaged, loaders[1], "32-true")
    assert found == pytest.approx(good, abs=1e-4)
    assert found < single
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, weights[name])


def test_a_mean_that_is_worse_is_not_taken(tmp_path):
    module, loaders = parts(sign=-1.0)  # every epoch is worse than the one before
    result = fit(module, loaders, config(max_epochs=4, average_last=3), tmp_path)
    saved = torch.load(
        tmp_path / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=True
    )
    for name, value in module.state_dict().items():
        assert torch.equal(value, saved["state_dict"][name])
    assert validation_loss(module, loaders[1], "32-true") == pytest.approx(result.val_loss)


def test_an_average_of_one_is_refused():
    with pytest.raises(ValueError, match="average_last=1 must be 0, or 2 or more"):
        TrainerConfig(average_last=1)
