import json
import shutil

import pytest

from apps.stock_forecast.inference import StockForecaster
from core.files import file_hash
from tests.conftest import TINY_PRICES


@pytest.fixture
def run(stocks, tmp_path):
    """A copy of the tiny run that a test may write into."""
    return shutil.copytree(stocks.run, tmp_path / "run")


def quantiles(run, engine):
    found = StockForecaster.load(run, engine).forecast()["forecasts"]
    return [list(item["quantiles"].values()) for item in found]


def test_both_engines_forecast_the_same(run):
    for wanted, found in zip(quantiles(run, "torch"), quantiles(run, "onnx"), strict=True):
        assert found == pytest.approx(wanted, rel=1e-5)


def test_export_writes_a_checked_graph_and_copies_it(run, command, tmp_path):
    result = command("stock-forecast", "export", "--run", run, "--out", tmp_path / "o", "--json")
    assert result.code == 0, result.err
    told = json.loads(result.out)
    assert told["max_difference"] < 1e-4
    assert set(told["files"]) == {"model.onnx"}
    assert file_hash(run / "onnx" / "model.onnx") == file_hash(tmp_path / "o" / "model.onnx")


def test_evaluate_and_forecast_take_the_engine(run, command):
    for verb in ("evaluate", "forecast"):
        told = [
            json.loads(command("stock-forecast", verb, "--run", run, *words, "--json").out)
            for words in ([], ["--engine", "onnx"])
        ]
        if verb == "evaluate":
            for horizon, value in told[0]["crps"].items():
                assert told[1]["crps"][horizon] == pytest.approx(value, rel=1e-4)
        else:
            assert told[0]["forecasts"][0]["price"] == pytest.approx(
                told[1]["forecasts"][0]["price"], rel=1e-5
            )
    assert (run / "onnx" / "model.onnx").exists()


def test_a_spoilt_graph_is_made_anew(run):
    wanted = quantiles(run, "onnx")
    (run / "onnx" / "model.onnx").write_bytes(b"cut off")
    assert quantiles(run, "onnx") == wanted


@pytest.mark.parametrize("cell", ["rnn", "lstm", "linear"])
def test_every_exportable_cell_agrees_with_torch(stocks, command, tmp_path, cell):
    words = ["--data", stocks.data, "--run", tmp_path / "r", *TINY_PRICES, f"--model.cell={cell}"]
    words += ["--model.num_members=2", "--model.shift=true", "--model.head=student_t"]
    result = command("stock-forecast", "train", *words, "--trainer.max_epochs=1")
    assert result.code == 0, result.err
    torch_made, onnx_made = (quantiles(tmp_path / "r", name) for name in ("torch", "onnx"))
    for wanted, found in zip(torch_made, onnx_made, strict=True):
        assert found == pytest.approx(wanted, rel=1e-5)


def test_a_cell_that_onnx_lacks_is_refused_in_one_line(stocks, command, tmp_path):
    words = ["--data", stocks.data, "--run", tmp_path / "r", *TINY_PRICES, "--model.cell=mingru"]
    assert command("stock-forecast", "train", *words, "--trainer.max_epochs=1").code == 0
    result = command("stock-forecast", "forecast", "--run", tmp_path / "r", "--engine", "onnx")
    assert result.code == 2
    assert "cell='mingru'" in result.err.splitlines()[-1]
