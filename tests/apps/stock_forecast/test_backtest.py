import json

import numpy as np
import pytest

from tests.conftest import TINY_PRICES, write_prices

WALK = [*TINY_PRICES, "--refit=60"]
METRICS = {"crps", "mae", "mase", "coverage_80", "coverage_90", "directional_accuracy"}


@pytest.fixture(scope="module")
def prices(one_blas_thread, tmp_path_factory):
    return write_prices(tmp_path_factory.mktemp("p") / "p.csv", "ABC")


def walked(command, prices, folder, *words):
    words = ["--data", prices, "--run", folder, *WALK, *words, "--json"]
    result = command("stock-forecast", "backtest", *words)
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_walk_prints_the_keys_of_evaluate_and_its_folds_and_goes_on(
    prices, tmp_path, command, caplog
):
    caplog.set_level("INFO")
    first = walked(command, prices, tmp_path / "walk")
    assert first.keys() >= {"horizons", "baselines", "folds", "dm", "portfolio", *METRICS}
    assert first["dm"].keys() == first["baselines"].keys()
    assert all(tests.keys() == {"1", "5"} for tests in first["dm"].values())
    for scores in (first, *first["baselines"].values()):
        assert all(scores[metric].keys() == {"1", "5"} for metric in METRICS)
    assert [fold["fold"] for fold in first["folds"]] == [1, 2, 3, 4]
    assert "fold 4 of 4" in caplog.text
    # Stopped within its third fold: the first two are read, the rest is trained to the same end.
    third = tmp_path / "walk" / "folds" / "3"
    written = (tmp_path / "walk" / "folds" / "1" / "manifest.json").stat().st_mtime_ns
    (third / "manifest.json").unlink()
    caplog.clear()
    again = walked(command, prices, tmp_path / "walk")
    assert again == first
    assert caplog.text.count("is trained already") == 3
    assert (tmp_path / "walk" / "folds" / "1" / "manifest.json").stat().st_mtime_ns == written


def test_the_folds_are_scored_together_and_the_page_shows_it(prices, tmp_path, command):
    result = walked(command, prices, tmp_path / "walk", "--refit=100")
    counts = [fold["num_test"] for fold in result["folds"]]
    assert counts == [300, 297]
    crps = [fold["crps"]["1"] for fold in result["folds"]]
    assert result["crps"]["1"] == pytest.approx(np.average(crps, weights=counts))
    portfolio = result["portfolio"]
    assert "illustration" in portfolio["note"]
    for name in ("long_only", "long_short", "buy_and_hold"):
        assert {"max_drawdown", "annual_turnover", "sharpe"} <= portfolio[name].keys()
    page = (tmp_path / "walk" / "backtest.html").read_text()
    assert page.count("Plotly.newPlot(") == 6
    for words in ("Diebold-Mariano tests", "Toy portfolios (illustration)", "what came"):
        assert words in page
    assert all(page.count(f"\n{name} ") >= 4 for name in result["baselines"])
    assert json.loads((tmp_path / "walk" / "backtest.json").read_text()) == result


def test_people_read_the_portfolios_as_an_illustration(prices, tmp_path, command):
    words = ["--data", prices, "--run", tmp_path / "walk", *WALK, "--refit=200"]
    out = command("stock-forecast", "backtest", *words).out
    assert "1 fold, " in out
    assert "illustration" in out
    assert "the best baseline" in out


def test_a_folder_of_another_kind_or_other_options_are_refused(stocks, prices, tmp_path, command):
    words = ["stock-forecast", "backtest", "--data", prices, *WALK]
    finished = command(*words, "--run", stocks.run)
    assert finished.code == 2
    assert "holds a finished run already" in finished.err
    walked(command, prices, tmp_path / "walk", "--refit=120")
    other = command(*words, "--run", tmp_path / "walk")
    assert other.code == 2
    assert "refit was 120" in other.err.splitlines()[-1]
    refused = command("stock-forecast", "evaluate", "--run", tmp_path / "walk")
    assert refused.code == 2
    assert "not a run folder" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--refit=0"], "refit=0"),
        (["--rolling=10"], "rolling=10"),
        (["--workers=0"], "workers=0 must be a whole number above 0"),
    ],
)
def test_options_out_of_range_are_told_in_one_line(prices, tmp_path, command, words, message):
    arguments = ["--data", prices, "--run", tmp_path / "walk", *TINY_PRICES, *words]
    result = command("stock-forecast", "backtest", *arguments)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "walk").exists()


@pytest.mark.slow
def test_folds_in_other_processes_come_to_the_same_and_go_on(prices, tmp_path, command, caplog):
    alone = walked(command, prices, tmp_path / "alone")
    caplog.set_level("INFO")
    assert walked(command, prices, tmp_path / "walk", "--workers=2") == alone
    assert "fold 4 of 4" in caplog.text
    assert weights(tmp_path / "walk") == weights(tmp_path / "alone")
    (tmp_path / "walk" / "folds" / "3" / "manifest.json").unlink()
    caplog.clear()
    assert walked(command, prices, tmp_path / "walk", "--workers=2") == alone
    assert caplog.text.count("is trained already") == 3


@pytest.mark.slow
def test_folds_on_a_local_ray_come_to_the_same(prices, tmp_path, command):
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    alone = walked(command, prices, tmp_path / "alone", "--refit=100")
    assert walked(command, prices, tmp_path / "walk", "--refit=100", "--workers=ray") == alone
    assert weights(tmp_path / "walk") == weights(tmp_path / "alone")


def weights(folder):
    return [path.read_bytes() for path in sorted(folder.glob("folds/*/model.safetensors"))]
