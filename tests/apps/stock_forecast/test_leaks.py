"""Nothing that is known on a day may depend on what came later."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from apps.stock_forecast.datamodule import PriceDataModule, read_table
from apps.stock_forecast.evaluate import predict_baselines
from apps.stock_forecast.inference import StockForecaster
from apps.stock_forecast.predicting import predict, raw_quantiles
from core.nn.forecaster import LEVELS, Forecaster, ForecasterConfig
from core.nn.initialization import CELLS
from data.price_checks import NUMBER_COLUMNS, PRICE_COLUMNS
from data.prices import load_prices
from data.windows import WindowConfig
from tests.conftest import write_prices

WINDOWS = WindowConfig(context_length=20, horizons=(1, 5, 10))
DRAWS = range(12)  # random cells of the table, at least one in every column


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Three tickers; the last one starts late."""
    path = write_prices(tmp_path_factory.mktemp("leaks") / "prices.csv", "ABC", days=330)
    whole = load_prices(str(path))
    is_early = (whole["Ticker"] == "C") & (whole["Date"] < "2015-05-01")
    return whole[~is_early].reset_index(drop=True)


@pytest.fixture(scope="module")
def datamodule(table):
    return PriceDataModule(table, WINDOWS)


def random_network(
    datamodule: PriceDataModule, cell: str = "gru", head: str = "quantiles"
) -> Forecaster:
    """A network whose head, which starts at zero, says something."""
    torch.manual_seed(0)
    config = ForecasterConfig(cell=cell, head=head, hidden_size=8, dropout=0.0, num_members=2)
    fan = datamodule.fitted.fan
    network = Forecaster(datamodule.input_size, WINDOWS.horizons, config, fan).eval()
    for name, weights in network.named_parameters():
        if "head" in name:
            torch.nn.init.normal_(weights)
    return network


def perturbed(
    table: pd.DataFrame, draw: int, start: object, stop: object = "2100-01-01"
) -> tuple[pd.DataFrame, int]:
    """The table with one random cell of [start, stop) changed, and its row.

    The columns take turns; the row is anybody's.
    """
    generator = np.random.default_rng(draw)
    column = NUMBER_COLUMNS[draw % len(NUMBER_COLUMNS)]
    is_open = (table["Date"] >= pd.Timestamp(start)) & (table["Date"] < pd.Timestamp(stop))
    row = int(generator.choice(np.flatnonzero(is_open)))
    changed = table.copy()
    changed.loc[row, column] *= generator.choice([0.7, 0.9, 1.1, 1.4])
    return changed, row


@pytest.mark.parametrize("draw", DRAWS)
def test_a_cell_changes_no_feature_scale_or_forecast_of_an_earlier_day(table, datamodule, draw):
    changed, row = perturbed(table, draw, datamodule.history.dates[40])
    other = PriceDataModule(changed, WINDOWS, datamodule.fitted)
    day = datamodule.history.dates[row]
    before = datamodule.history.dates < day
    for name in ("features", "variance"):
        ours, theirs = getattr(datamodule.history, name), getattr(other.history, name)
        np.testing.assert_array_equal(ours[before], theirs[before])
    assert (datamodule.history.features[row] != other.history.features[row]).any()
    rows = np.flatnonzero(datamodule.history.position() >= WINDOWS.context_length - 1)
    network = random_network(datamodule)
    moved = predict(network, datamodule, rows) != predict(network, other, rows)
    on_day = datamodule.history.dates[rows] < day
    assert not moved[on_day].any()
    assert moved[rows >= row].any()


@pytest.mark.parametrize("draw", range(NUMBER_COLUMNS.index("Adj Close"), 36, len(NUMBER_COLUMNS)))
def test_an_outcome_changes_no_calibrated_width_before_its_day(table, datamodule, draw):
    start = datamodule.fitted.validation_start + np.timedelta64(30, "D")
    changed, row = perturbed(table, draw, start)
    other = PriceDataModule(changed, WINDOWS, datamodule.fitted)
    rows = datamodule.rows_after(datamodule.fitted.validation_start)
    network = random_network(datamodule)
    assert not predict(network, datamodule, rows).equal(raw_quantiles(network, datamodule, rows))
    moved = predict(network, datamodule, rows) != predict(network, other, rows)
    is_earlier = datamodule.history.dates[rows] < datamodule.history.dates[row]
    assert is_earlier.any()
    assert not moved[is_earlier].any()


@pytest.mark.parametrize("draw", DRAWS)
def test_a_cell_after_training_changes_nothing_that_was_fitted(table, datamodule, draw):
    changed, _ = perturbed(table, draw, datamodule.fitted.validation_start)
    other = PriceDataModule(changed, WINDOWS)
    assert other.fitted.to_json() == datamodule.fitted.to_json()
    for ours, theirs in zip(datamodule.loader("train", 0), other.loader("train", 0), strict=True):
        assert all(a.equal(b) for a, b in zip(ours[:3], theirs[:3], strict=True))


def test_a_cell_of_training_changes_what_was_fitted(table, datamodule):
    start, stop = datamodule.history.dates[40], datamodule.fitted.validation_start
    for draw in DRAWS:
        other = PriceDataModule(perturbed(table, draw, start, stop)[0], WINDOWS)
        assert other.fitted.scaler != datamodule.fitted.scaler


@pytest.mark.parametrize("draw", DRAWS[:6])
def test_a_cell_changes_no_baseline_of_an_earlier_day(table, datamodule, draw):
    start = datamodule.fitted.validation_start
    changed, row = perturbed(table, draw, start + np.timedelta64(30, "D"))
    other = PriceDataModule(changed, WINDOWS)
    rows = datamodule.rows_after(start)
    rows = rows[datamodule.history.dates[rows] < datamodule.history.dates[row]]
    assert len(rows)
    ours = predict_baselines(datamodule, datamodule, rows)
    theirs = predict_baselines(other, other, rows)
    assert all(ours[name].equal(theirs[name]) for name in ours)


@pytest.mark.parametrize("days", [300, 350, 399])
def test_the_forecast_of_a_day_is_the_same_when_the_rest_is_not_there_yet(stocks, days):
    forecaster = StockForecaster.load(stocks.run)
    whole = load_prices(str(stocks.data))
    day = np.unique(whole["Date"])[days - 1]
    told = forecaster.forecast(whole[whole["Date"] <= day])
    later = PriceDataModule.from_run(forecaster.run, whole)
    rows = np.flatnonzero(later.history.dates == day.astype("datetime64[D]"))
    moves = predict(forecaster.model, later, rows).double().numpy()
    prices = later.history.close[rows, None, None] * np.exp(moves)  # (B, P, Q)
    found = [list(item["quantiles"].values()) for item in told["forecasts"]]
    np.testing.assert_allclose(found, prices.reshape(-1, len(LEVELS)), rtol=1e-6)


@pytest.mark.parametrize("cell", [*CELLS, "transformer", "linear"])
@pytest.mark.parametrize("head", ["quantiles", "student_t"])
def test_every_horizon_has_a_gradient_from_the_newest_day(datamodule, cell, head):
    network = random_network(datamodule, cell, head)
    inputs = datamodule.batch(datamodule.rows("test")[:4]).inputs.requires_grad_()
    outputs = network(inputs)  # (B, P, Q)
    widths = (outputs[..., -1] - outputs[..., 0]).sum(0)  # (P,)
    for width in widths:
        gradient = torch.autograd.grad(width, inputs, retain_graph=True)[0]
        assert (gradient[:, -1].abs().sum(-1) > 0).all()


def with_news(folder, sentiment: str, *published: str) -> PriceDataModule:
    """The days with a text of each ticker at noon, and one of ticker A at each other time."""
    prices, path = folder / "prices.csv", folder / f"news-{len(published)}.jsonl"
    words = ("profit beats", "weak miss", "profit warning", "beats again")
    noons = [f"{day:%Y-%m-%d}T17:00:00Z" for day in pd.bdate_range("2015-01-05", periods=400)]
    told = [
        (ticker, time, words[(2 * number + (ticker == "A")) % 4])
        for ticker in "AB"
        for number, time in enumerate(noons)
    ]
    told += [("A", time, "profit beats profit") for time in published]
    lines = [{"ticker": t, "published_at": time, "text": text} for t, time, text in told]
    path.write_text("\n".join(map(json.dumps, lines)))
    windows = replace(WINDOWS, news_sentiment=sentiment)
    return PriceDataModule(read_table(str(prices), path), windows)


@pytest.mark.parametrize("sentiment", ["none", "lexicon", "classifier"])
@pytest.mark.parametrize(
    ("published", "first_touched"),
    [
        ("2016-03-08T20:59:00Z", "2016-03-08"),  # New York closes at 21:00 UTC in winter
        ("2016-03-08T21:01:00Z", "2016-03-09"),
        ("2016-03-15T19:59:00Z", "2016-03-15"),  # and at 20:00 UTC in summer
        ("2016-03-11T23:00:00Z", "2016-03-14"),  # a Friday's evening counts on Monday
    ],
)
def test_a_text_touches_nothing_fitted_and_no_forecast_before_the_first_close_after_it(
    tmp_path, sentiment, published, first_touched
):
    write_prices(tmp_path / "prices.csv", "AB")
    without = with_news(tmp_path, sentiment)
    touched = with_news(tmp_path, sentiment, published)
    rows = without.rows_after(np.datetime64("2016-01-01"))
    network = random_network(without)
    moved = predict(network, without, rows) != predict(network, touched, rows)
    days = without.history.dates[rows[moved.flatten(1).any(1).numpy()]]
    assert str(days.min()) == first_touched
    assert without.fitted.to_json() == touched.fitted.to_json()


def test_prices_after_training_change_no_score_of_a_text(tmp_path):
    table = pd.read_csv(write_prices(tmp_path / "prices.csv", "AB"), float_precision="round_trip")
    before = with_news(tmp_path, "classifier")
    later = table["Date"] >= str(before.fitted.validation_start)
    table.loc[later, list(PRICE_COLUMNS)] *= np.random.default_rng(0).uniform(
        0.9, 1.1, (later.sum(), 1)
    )
    table.to_csv(tmp_path / "prices.csv", index=False)
    after = with_news(tmp_path, "classifier")
    assert after.fitted.classifier.to_json() == before.fitted.classifier.to_json()
    np.testing.assert_array_equal(after.history.features[:, -1], before.history.features[:, -1])
    assert (after.history.features[:, 0] != before.history.features[:, 0]).any()
