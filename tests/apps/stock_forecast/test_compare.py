import json
import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from apps.stock_forecast.baselines import BASELINES
from apps.stock_forecast.compare import compare, table
from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.evaluate import predict_baselines, score_model, score_rows
from apps.stock_forecast.inference import StockForecaster
from apps.stock_forecast.row_scores import mean_ratio
from core.cli import call
from core.plain import plain
from core.runs import load_run
from tests.conftest import TINY_PRICES, write_prices


def test_every_candidate_has_its_row_and_its_ratio(stocks, tmp_path, command):
    words = ["--data", stocks.data, "--run", tmp_path / "c", "--seeds", 2, *TINY_PRICES]
    result = command("stock-forecast", "compare", *words, "--contexts", 20, "--json")
    rows = json.loads(result.out)
    names = [*BASELINES, "rnn", "lstm", "gru", "mingru", "transformer", "linear"]
    assert list(dict.fromkeys(row["name"] for row in rows)) == names
    assert [row["seed"] for row in rows if row["name"] == "gru"] == [0, 1]
    assert all(row.keys() >= {"name", "seed", "parameters", "seconds", "metrics"} for row in rows)
    best = min(row["metrics"]["crps_ratio"] for row in rows if not row["parameters"])
    assert best == 1.0


def test_the_table_divides_by_the_best_baseline(stocks, tmp_path, command):
    words = ["--data", stocks.data, "--run", tmp_path / "c", "--candidates", "random_walk,gru"]
    words += ["--contexts", 20]
    result = command("stock-forecast", "compare", *words, "--seeds", 1, *TINY_PRICES)
    assert result.code == 0
    assert "crps_relative / random_walk" in result.out


def test_each_candidate_brings_its_own_cell(stocks, tmp_path, command):
    words = ["--data", stocks.data, "--run", tmp_path / "c", "--candidates", "gru,transformer"]
    words += ["--seeds", 1, *TINY_PRICES, "--model.cell", "transformer", "--contexts", 20]
    assert command("stock-forecast", "compare", *words).code == 0
    for name in ("gru", "transformer"):
        config = (tmp_path / "c" / f"{name}-seed0" / "config.yaml").read_text()
        assert f"cell: {name}" in config


def with_a_young_ticker(folder):
    """Prices of which one ticker begins within the test part."""
    data = write_prices(folder / "p.csv")
    old = pd.read_csv(data)
    young = pd.read_csv(write_prices(folder / "young.csv", "C", days=60, seed=3))
    young["Date"] = np.unique(old["Date"])[-60:]
    pd.concat([old, young]).to_csv(data, index=False)
    return data


@pytest.fixture(scope="module")
def compared(one_blas_thread, tmp_path_factory):
    """A comparison of two contexts: `rows` by name, `folder`."""
    folder = tmp_path_factory.mktemp("contexts")
    data = with_a_young_ticker(folder)
    words = ["--data", str(data), "--run", str(folder / "c"), "--contexts", "20,10", *TINY_PRICES]
    words += ["--candidates", "random_walk,ewma,lstm,gru,transformer", "--seeds", "1"]
    rows = call(compare, words, "compare")
    return SimpleNamespace(rows={row["name"]: row for row in rows}, folder=folder / "c")


def relative(run, model, rows):
    """A run's CRPS over the random walk's on these rows."""
    walk = score_rows(predict_baselines(run, run, rows)["random_walk"], run, rows)
    return mean_ratio(score_model(model, run, rows), walk)


@pytest.mark.parametrize(("context", "folder"), [(10, "gru-context10-seed0"), (20, "gru-seed0")])
def test_every_context_is_scored_on_the_days_that_have_the_longest(compared, context, folder):
    opened = load_run(compared.folder / folder, "stock_forecast")
    datamodule, model = PriceDataModule.from_run(opened), StockForecaster.from_run(opened).model
    assert datamodule.config.context_length == context
    every = datamodule.rows("test")
    common = every[datamodule.history.position()[every] >= 20 - 1]
    found = compared.rows["gru"]["metrics"]["by_context"][str(context)]
    assert found == pytest.approx(relative(datamodule, model, common), rel=1e-5)
    if context == 10:
        assert len(common) == len(every) - 10
        assert found != pytest.approx(relative(datamodule, model, every), rel=1e-5)


def test_the_main_run_is_used_again_and_each_other_context_has_its_own(compared):
    networks = ("lstm", "gru", "transformer")
    runs = {f"{name}-seed0" for name in networks} | {f"{name}-context10-seed0" for name in networks}
    assert {path.name for path in compared.folder.iterdir() if path.is_dir()} == runs
    for name in networks:
        metrics = compared.rows[name]["metrics"]
        assert list(metrics["by_context"]) == ["10", "20"]
        assert metrics["by_context"]["20"] == pytest.approx(metrics["crps_relative"])
        assert metrics["by_context"]["10"] != metrics["by_context"]["20"]


def test_a_baseline_has_one_value_for_every_context(compared):
    assert compared.rows["random_walk"]["metrics"]["by_context"] == {"10": 1.0, "20": 1.0}
    found = compared.rows["ewma"]["metrics"]
    assert found["by_context"]["10"] == found["by_context"]["20"]
    assert found["by_context"]["20"] == pytest.approx(found["crps_relative"])


def test_recurrent_candidates_alone_have_a_gradient_by_lag(compared):
    states = {"gru": {"lag", "hidden"}, "lstm": {"lag", "hidden", "cell"}}
    for name, row in compared.rows.items():
        found = row["metrics"].get("gradient_by_lag", {})
        assert found.keys() == states.get(name, set())
        assert all(len(values) == 20 for values in found.values())
        assert all(value > 0 for value in found.get("hidden", []))


def test_a_start_that_remembers_shows_in_the_row(stocks, tmp_path):
    shares = {}
    for start in ("default", "chrono"):
        words = ["--data", str(stocks.data), "--run", str(tmp_path / start), "--seeds", "1"]
        words += ["--candidates", "lstm", "--contexts", "20", *TINY_PRICES]
        words += ["--model.start", start, "--model.longest_lag", "20"]
        found = call(compare, words, "compare")[0]["metrics"]["gradient_by_lag"]["cell"]
        shares[start] = found[19] / found[1]
    assert shares["chrono"] > 10 * shares["default"]


def test_a_comparison_leaves_its_rows_and_a_report(compared):
    rows = list(compared.rows.values())
    written = json.loads((compared.folder / "compare.json").read_text())
    assert written == json.loads(json.dumps(plain(rows)))
    page = (compared.folder / "compare.html").read_text()
    assert page.count("Plotly.newPlot(") == 2
    for text in ("crps_relative 10", "crps_relative 20", "coverage_80_mean", "lstm, cell state"):
        assert text in page
        assert text in table(rows)


@pytest.mark.parametrize(
    ("contexts", "expected"),
    [
        ("20,x", "contexts='20,x' must be whole numbers above 0"),
        ("", "contexts='' must be whole numbers above 0"),
        ("20,390", "with 390 days of context the train part has no example; leave 390 out"),
        ("1", "context_length=1 must be at least 2"),
    ],
)
def test_contexts_that_cannot_be_are_refused_before_training(
    contexts, expected, stocks, tmp_path, command
):
    words = ["--data", stocks.data, "--run", tmp_path / "c", *TINY_PRICES, "--contexts", contexts]
    result = command("stock-forecast", "compare", *words)
    assert result.code == 2
    assert expected in result.err
    assert result.err.strip().count("\n") == 0
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_candidates_in_other_processes_come_to_the_same_and_go_on(compared, command, caplog):
    caplog.set_level("INFO")
    folder = compared.folder.with_name("processes")
    words = ["--data", compared.folder.with_name("p.csv"), "--run", folder, "--contexts", "20,10"]
    words += [*TINY_PRICES, "--seeds", 1, "--workers", 2, "--json"]
    words += ["--candidates", "random_walk,ewma,lstm,gru,transformer"]
    result = command("stock-forecast", "compare", *words)
    assert result.code == 0, result.err
    rows = json.loads(result.out)
    alone = json.loads((compared.folder / "compare.json").read_text())
    assert [without_time(row) for row in rows] == [without_time(row) for row in alone]
    for run in ("lstm-seed0", "gru-context10-seed0"):
        weights = [path / run / "model.safetensors" for path in (compared.folder, folder)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    # Stopped within a training: the others are read, this one is trained to the same end.
    (folder / "gru-seed0" / "manifest.json").unlink()
    caplog.clear()
    again = json.loads(command("stock-forecast", "compare", *words).out)
    assert [without_time(row) for row in again] == [without_time(row) for row in alone]
    assert caplog.text.count("is trained already") == 5
    assert all(row["seconds"] > 0 for row in again if row["parameters"])


def without_time(row):
    return {name: value for name, value in row.items() if name != "seconds"}


def test_a_comparison_called_again_with_other_options_says_which(compared, command):
    words = ["--data", compared.folder.with_name("p.csv"), "--run", compared.folder, *TINY_PRICES]
    result = command("stock-forecast", "compare", *words, "--optim.learning_rate", 0.1)
    assert result.code == 2
    assert "optim.learning_rate was 0.0005 when the training began, is 0.1" in result.err


def test_data_that_another_process_opens_number_their_rows_alike(compared):
    run = load_run(compared.folder / "gru-seed0", "stock_forecast")
    here = PriceDataModule.from_run(run).at_context(100)  # longer than the young ticker is
    there = pickle.loads(pickle.dumps(here))
    assert there.config == here.config
    assert there.history.tickers == here.history.tickers
    for part in ("train", "validation", "test"):
        assert there.rows(part).tolist() == here.rows(part).tolist()
    rows = here.rows("test")
    for mine, yours in zip(here.batch(rows), there.batch(rows), strict=True):
        assert mine is yours or torch.allclose(mine, yours, rtol=0, atol=0, equal_nan=True)
