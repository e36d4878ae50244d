"""GradientMonitor: what it says at the end, also after a resume."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from core.batch import ForecastBatch
from core.clipping import suggest_clip_value
from core.diagnostics import describe_lags, gradient_by_lag
from core.loading import BatchLoader
from core.monitor import GradientMonitor


def test_at_the_end_it_says_what_it_saw(
    tiny: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = tiny.seq2seq_module(cell="gru")
    with caplog.at_level(logging.INFO, logger="core"):
        monitor, log = tiny.train(tmp_path, module, clip_norm=0.5)
    summary = monitor.summary
    assert summary == json.loads((tmp_path / "logs" / "gradients.json").read_text())
    norms = [tiny.total_norm(gradients) for gradients in module.before]
    assert summary["steps"] == 12
    assert summary["norm_median"] == pytest.approx(np.median(norms), rel=1e-5)
    assert summary["norm_quantile_90"] == pytest.approx(np.quantile(norms, 0.9), rel=1e-5)
    assert summary["suggested_clip_norm"] == pytest.approx(suggest_clip_value(norms), rel=1e-5)
    share = np.mean([norm > 0.5 for norm in norms])
    assert summary["clipped_share"] == pytest.approx(share)
    last = tiny.rows_of(log).iloc[-1]
    assert summary["cells"] == pytest.approx({name: last[name] for name in summary["cells"]})
    words = [record.message for record in caplog.records if record.name == "core.monitor"]
    assert words == summary["words"]
    assert len(words) <= 4
    assert words[0] == (
        f"gradient norm: median {np.median(norms):.3g}, 90 % quantile "
        f"{np.quantile(norms, 0.9):.3g}; {100 * share:.0f} % of 12 steps clipped by "
        f"--trainer.clip_norm 0.5; the first 12 steps suggest --trainer.clip_norm "
        f"{suggest_clip_value(norms):.2g}"
    )
    assert words[1].startswith("model.encoder, hidden state: the gradient at lag ")
    assert words[2].startswith("model.decoder, hidden state: the gradient at lag ")


def test_the_curves_are_those_of_the_stacks_own_inputs(tiny: Any, tmp_path: Path) -> None:
    module = tiny.forecast_module(cell="lstm", dropout=0.0)
    monitor, _ = tiny.train(tmp_path, module, interval=11, max_epochs=2)
    # The last step that is logged is the last of all.
    rows = BatchLoader(tiny.plan, lambda rows: rows, seed=1)
    batches = [list(rows) for _ in range(2)]
    expected = tiny.forecast_batch(batches[1][-1]).inputs
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    module.load_state_dict(last)
    curves = gradient_by_lag(module.model.encoder, expected)
    found = [(c["module"], c["layer"], c["state"]) for c in monitor.summary["lags"]]
    assert found == [
        ("model.members.0.encoder", layer, state)
        for layer in (0, 1)
        for state in ("hidden", "cell")
    ]
    for curve, lags in zip(curves, monitor.summary["lags"], strict=True):
        assert lags["lag"] == curve.lag
        assert lags["norm"] == pytest.approx(curve.norm, rel=1e-6)
    assert (
        f"model.members.0.encoder, cell state: {describe_lags(curves[1])}"
        in monitor.summary["words"]
    )


def test_of_the_last_epochs_inputs_the_longest_are_kept(tiny: Any, tmp_path: Path) -> None:
    lengths = [6, 6, 6, 6, 6, 6, 3, 5, 4, 5, 3, 3]
    module, seen = tiny.forecast_module(), []

    def collate(rows: np.ndarray) -> ForecastBatch:
        batch = tiny.forecast_batch(rows)
        seen.append(batch._replace(inputs=batch.inputs[:, : lengths[len(seen)]]))
        return seen[-1]

    monitor, _ = tiny.train(tmp_path, module, interval=1, collate=collate)
    epoch, kept = monitor.state_dict()["inputs"]["model.members.0.encoder"]
    assert epoch == 1
    assert torch.equal(kept, seen[9].inputs)  # the newer one of two that are equally long


def test_a_saturated_gate_is_named(tiny: Any, tmp_path: Path) -> None:
    module = tiny.forecast_module()
    module.model.encoder.cells()[1][0].bias_ih_l0.data[5:10] = 9.0  # torch: r, z, n
    monitor, log = tiny.train(tmp_path, module)
    name = "model.members.0.encoder.layers.1.0.update"
    assert (tiny.rows_of(log)[f"saturation/{name}"] == 1.0).all()
    assert f"values near an end of their range: {name} 100 %" in monitor.summary["words"]


@pytest.mark.parametrize("stop", [4, 6])
def test_a_resumed_training_sums_up_as_one_that_was_never_stopped(
    tiny: Any, tmp_path: Path, stop: int
) -> None:
    options = {"interval": 4, "checkpoint_steps": 1, "clip_norm": 0.5}
    whole, log = tiny.train(tmp_path / "whole", tiny.seq2seq_module(), **options)

    def cut(step: int, _: Any) -> None:
        if step == stop:
            raise RuntimeError("stopped")

    module = tiny.seq2seq_module()
    module.hook = cut
    with pytest.raises(RuntimeError, match="stopped"):
        tiny.train(tmp_path / "cut", module, **options)
    assert "_run" not in vars(module.model.encoder)  # step 4 was being watched
    resumed, log_again = tiny.train(tmp_path / "cut", tiny.seq2seq_module(), resume=True, **options)
    assert {**resumed.summary, "lag_seconds": 0} == {**whole.summary, "lag_seconds": 0}
    assert whole.summary["steps"] == 12
    pd.testing.assert_frame_equal(tiny.rows_of(log_again), tiny.rows_of(log), check_like=True)


def test_a_finished_training_that_is_resumed_sums_up_again(tiny: Any, tmp_path: Path) -> None:
    first, _ = tiny.train(tmp_path, tiny.forecast_module())
    (tmp_path / "logs" / "gradients.json").unlink()
    again, _ = tiny.train(tmp_path, tiny.forecast_module(), resume=True)
    assert {**again.summary, "lag_seconds": 0} == {**first.summary, "lag_seconds": 0}
    assert (tmp_path / "logs" / "gradients.json").exists()


def test_its_state_loads_with_weights_only_and_comes_back_the_same(
    tiny: Any, tmp_path: Path
) -> None:
    monitor, _ = tiny.train(tmp_path, tiny.seq2seq_module())
    torch.save(monitor.state_dict(), tmp_path / "state.pt")
    fresh = GradientMonitor(tmp_path / "gradients.json")
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    found, expected = fresh.state_dict(), monitor.state_dict()
    inputs, wanted = found.pop("inputs"), expected.pop("inputs")
    assert found == expected
    assert found["history"]["steps"] == 12
    assert inputs.keys() == wanted.keys() == {"model.encoder", "model.decoder"}
    for name, (epoch, x) in wanted.items():
        assert inputs[name][0] == epoch == 1
        assert torch.equal(inputs[name][1], x)
