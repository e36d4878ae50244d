from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from apps.stock_forecast.evaluate import predict_baselines
from apps.stock_forecast.folds import block_rows, fold_data, walk_folds
from apps.stock_forecast.predicting import predict
from apps.stock_forecast.row_scores import Outcomes
from apps.stock_forecast.train import Recipe, train_on
from core.nn.forecaster import ForecasterConfig
from core.optim import OptimConfig
from core.training import TrainerConfig
from data.prices import load_prices
from data.windows import WindowConfig, target_of
from tests.conftest import write_prices

CONFIG = WindowConfig(context_length=20, horizons=(1, 5), test_share=0.5, batch_size=64)
RECIPE = Recipe(
    model=ForecasterConfig(hidden_size=8),
    optim=OptimConfig(learning_rate=5e-3),
    trainer=TrainerConfig(max_epochs=2, progress=False),
)
PRICES = ["Open", "High", "Low", "Close", "Adj Close"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return load_prices(str(write_prices(tmp_path_factory.mktemp("p") / "p.csv", "ABC")))


def calendar(table):
    return np.unique(table["Date"].to_numpy().astype("datetime64[D]"))


def shaken(table, after):
    """The same table with other prices and volumes after a date."""
    later = (table["Date"] > pd.Timestamp(after)).to_numpy()
    random = np.random.default_rng(7)
    other = table.copy()
    factor = np.exp(0.05 * random.standard_normal(later.sum()))
    other.loc[later, PRICES] = other.loc[later, PRICES].mul(factor, axis=0)
    other.loc[later, "Volume"] = random.integers(10, 10**6, later.sum())
    return other


def learned(table, fold, run_dir):
    """Everything that a fold fits, its forecasts and the volatility regime of each row."""
    datamodule = fold_data(table, CONFIG, fold)
    network = train_on(datamodule, RECIPE, {}, run_dir)
    rows = block_rows(datamodule, fold)
    weights = {name: value.tolist() for name, value in network.state_dict().items()}
    fitted = {**weights, "before the network": datamodule.fitted.to_json()}
    forecasts = {
        "model": predict(network, datamodule, rows),
        **predict_baselines(datamodule, datamodule, rows),
        "regime": torch.from_numpy(Outcomes.of(datamodule, datamodule, rows).regime),
    }
    return fitted, forecasts, datamodule.history.dates[rows]


@pytest.mark.parametrize("rolling", [0, 120])
def test_no_row_after_the_cut_changes_what_a_fold_learns_or_forecasts(table, tmp_path, rolling):
    fold = walk_folds(calendar(table), CONFIG, refit=40, rolling=rolling)[1]
    fitted, forecasts, dates = learned(table, fold, tmp_path / "plain")
    day = np.unique(dates)[10]
    before_embargo = fold.embargo_start - np.timedelta64(1, "D")

    later = learned(shaken(table, day), fold, tmp_path / "later")
    assert later[0] == fitted
    for name, quantiles in forecasts.items():
        assert torch.equal(quantiles[dates <= day], later[1][name][dates <= day]), name
    assert not torch.equal(forecasts["model"][dates > day], later[1]["model"][dates > day])

    embargo = learned(shaken(table, before_embargo), fold, tmp_path / "embargo")
    assert embargo[0] == fitted
    earlier = fold.validation_start - np.timedelta64(30, "D")
    earlier = learned(shaken(table, earlier), fold, tmp_path / "earlier")
    assert earlier[0]["before the network"] != fitted["before the network"]


def test_no_outcome_reaches_into_the_next_part_and_the_embargo_is_as_long_as_the_horizon(table):
    dates = calendar(table)
    folds = walk_folds(dates, CONFIG, refit=40, rolling=0)
    for fold in folds:
        datamodule = fold_data(table, CONFIG, fold)
        day = datamodule.history.dates
        for part, stop in (("train", fold.validation_start), ("validation", fold.embargo_start)):
            rows = datamodule.rows(part)
            assert day[rows + 5].max() < stop
            assert (day[rows + 6] >= stop).any()  # and none is left out without need
        assert (
            np.searchsorted(dates, fold.test_start) - np.searchsorted(dates, fold.embargo_start)
            == 5
        )


def test_the_blocks_follow_each_other_and_hold_every_day_with_an_outcome(table):
    dates = calendar(table)
    folds = walk_folds(dates, CONFIG, refit=40, rolling=0)
    walked = []
    for fold in folds:
        datamodule = fold_data(table, CONFIG, fold)
        walked += datamodule.history.dates[block_rows(datamodule, fold)].tolist()
    assert len(walked) == 3 * len(set(walked))
    assert sorted(set(walked)) == dates[200:-1].tolist()
    assert all(a.test_end < b.test_start for a, b in pairwise(folds))
    assert all(a.train_start == b.train_start for a, b in pairwise(folds))


def test_a_fold_holds_the_outcomes_of_its_last_day_and_nothing_later(table):
    dates = calendar(table)
    for fold in walk_folds(dates, CONFIG, refit=40, rolling=0)[:-1]:
        datamodule = fold_data(table, CONFIG, fold)
        rows = block_rows(datamodule, fold)
        assert np.isfinite(target_of(datamodule.history, rows, CONFIG.horizons)).all()
        last = np.searchsorted(dates, fold.test_end)
        assert datamodule.history.dates.max() == dates[last + 5]


def test_a_rolling_fold_holds_no_day_before_its_start(table):
    dates = calendar(table)
    for fold in walk_folds(dates, CONFIG, refit=40, rolling=100):
        datamodule = fold_data(table, CONFIG, fold)
        assert datamodule.history.dates.min() == fold.train_start
        start, stop = np.searchsorted(dates, [fold.train_start, fold.validation_start])
        assert stop - start == 100


def test_a_ticker_that_starts_after_the_block_is_not_in_the_fold(table, caplog):
    dates = calendar(table)
    fold = walk_folds(dates, CONFIG, refit=40, rolling=0)[0]
    is_late = (table["Ticker"] == "C") & (table["Date"] <= pd.Timestamp(fold.test_end))
    assert fold_data(table[~is_late], CONFIG, fold).history.tickers == ["A", "B"]
    assert "dropped" not in caplog.text  # it is no short ticker


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"refit": 0}, "refit=0 must be at least 1"),
        ({"rolling": 24}, "rolling=24 must be 0 .* at least 25"),
        ({"rolling": -1}, "rolling=-1"),
        ({"dates": 40}, "too few days for one fold: of 40 dates the training part has 9"),
    ],
)
def test_what_gives_no_fold_is_refused_in_words(table, change, message):
    options = {"refit": 40, "rolling": 0, "dates": 400, **change}
    dates = calendar(table)[: options.pop("dates")]
    with pytest.raises(ValueError, match=message):
        walk_folds(dates, CONFIG, **options)
