"""Resuming on another kind of machine than the one that was left."""

import random

import numpy as np
import pytest
import torch

from core.resuming import RandomState


def train_and_resume(folder, tiny):
    options = {"average_last": 2, "max_epochs": 1}
    tiny.train(folder, tiny.forecast_module(), **options)
    module = tiny.forecast_module()
    _, log = tiny.train(folder, module, **options | {"max_epochs": 2, "resume": True})
    assert log["val_loss"].count() == 2
    return module.state_dict()


def test_what_was_trained_on_a_gpu_goes_on_without_one(tmp_path, tiny, monkeypatch):
    wanted = train_and_resume(tmp_path / "cpu", tiny)
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    found = train_and_resume(tmp_path / "gpu", tiny)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(found[name], value)


def test_the_gpu_draws_on_where_it_was(monkeypatch):
    drawn = torch.arange(16, dtype=torch.uint8)
    put_back = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: drawn)
    monkeypatch.setattr(torch.cuda, "set_rng_state", put_back.append)
    fresh = RandomState()
    fresh.load_state_dict(RandomState().state_dict())
    fresh.on_train_start(None, None)
    assert len(put_back) == 1
    assert torch.equal(put_back[0], drawn)


@pytest.mark.parametrize("kept", [{"cuda": torch.arange(16, dtype=torch.uint8)}, {}])
def test_without_a_gpu_the_other_generators_are_put_back(monkeypatch, kept):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    state = RandomState()
    saved = state.state_dict()
    wanted = [torch.rand(1), np.random.rand(), random.random()]  # noqa: NPY002
    (own,) = saved["processes"]
    assert own.pop("cuda") is None
    state.load_state_dict({"processes": [{**own, **kept}]})
    state.on_train_start(None, None)
    assert [torch.rand(1), np.random.rand(), random.random()] == wanted  # noqa: NPY002
