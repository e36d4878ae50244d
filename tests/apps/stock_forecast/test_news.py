"""News from the command line to the forecast: what counts, from when on, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest

from apps.stock_forecast.datamodule import PriceDataModule, read_table
from apps.stock_forecast.inference import StockForecaster
from apps.stock_forecast.predicting import predict
from core.runs import load_run
from data.features import FEATURES
from data.prices import hash_prices, load_prices
from data.windows import WindowConfig
from tests.conftest import TINY_PRICES, write_prices

KINDS = {
    "none": [],
    "lexicon": ["--windows.news_sentiment", "lexicon"],
    "classifier": ["--windows.news_sentiment", "classifier"],
    "encoder": ["--windows.news_encoder", "true"],
}


def write_news(path, extra=(), tickers="AB"):
    """A text at noon, New York, on four days of five."""
    generator = np.random.default_rng(0)
    lines = [
        {"ticker": ticker, "published_at": f"{day:%Y-%m-%d}T16:00:00Z", "text": text}
        for ticker in tickers
        for day in pd.bdate_range("2015-01-05", periods=400)
        for text in [" ".join(generator.choice(["profit", "beats", "miss", "weak", "the"], 4))]
        if generator.random() < 0.8
    ]
    path.write_text("\n".join(map(json.dumps, [*lines, *extra])))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Prices, news and a trained run of each kind."""
    from apps.stock_forecast.train import train
    from core.cli import call

    folder = tmp_path_factory.mktemp("news")
    data, news = write_prices(folder / "prices.csv"), write_news(folder / "news.jsonl")
    for kind, choice in KINDS.items():
        words = ["--data", str(data), "--news", str(news), *choice, *TINY_PRICES]
        words += ["--optim.learning_rate", "0.05", "--run", str(folder / "runs" / kind)]
        call(train, words, "train")
    return folder


def predictions(run, table):
    """Quantiles and the date of every row that has a whole context."""
    datamodule = PriceDataModule.from_run(run, table)
    rows = datamodule.rows_after(np.datetime64("2015-01-01"))
    model = StockForecaster.from_run(run).model
    return predict(model, datamodule, rows).numpy(), datamodule.history, rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("time", "first"),
    [
        (
            "21:00:01",
            "2016-06-03",
        ),  # a second after the close: Friday's forecast is Thursday's no more
        ("20:00:00", "2016-06-02"),  # the close itself, in summer time
        ("20:00:01", "2016-06-03"),
    ],
)
def test_a_text_after_the_close_does_not_touch_that_days_forecast(
    kind, time, first, made, tmp_path
):
    run = load_run(made / "runs" / kind, "stock_forecast")
    item = {"ticker": "A", "published_at": f"2016-06-02T{time}Z", "text": "profit beats beats"}
    news = write_news(tmp_path / "news.jsonl", [item] * 5)
    before, history, rows = predictions(
        run, read_table(str(made / "prices.csv"), made / "news.jsonl")
    )
    after, _, _ = predictions(run, read_table(str(made / "prices.csv"), news))
    is_earlier = history.dates[rows] < np.datetime64(first)
    np.testing.assert_array_equal(after[is_earlier], before[is_earlier])
    is_day = (history.dates[rows] == np.datetime64(first)) & (history.ticker[rows] == 0)
    assert (after[is_day] != before[is_day]).any()


def test_a_text_after_the_last_close_does_not_touch_the_forecast(made, tmp_path):
    forecaster = StockForecaster.load(made / "runs" / "classifier")
    data = str(made / "prices.csv")
    last = load_prices(data)["Date"].max()
    found = {}
    for time in ("none", "20:00:01", "19:59:59"):
        item = {"ticker": "A", "published_at": f"{last:%Y-%m-%d}T{time}Z", "text": "beats profit"}
        news = write_news(tmp_path / "n.jsonl", [] if time == "none" else [item] * 9)
        found[time] = forecaster.forecast(read_table(data, news))["forecasts"]
    assert found["20:00:01"] == found["none"]
    assert found["19:59:59"] != found["none"]


def test_sentiment_is_a_feature_and_left_out_ones_are_none(made):
    table = read_table(str(made / "prices.csv"), made / "news.jsonl")
    small = {"context_length": 20, "horizons": (1, 5)}
    price_only = WindowConfig(left_out=("volume", "news", "news_surprise"), **small)
    seen = PriceDataModule(table, price_only)
    assert seen.history.feature_names == tuple(name for name in FEATURES if name != "volume")
    everything = PriceDataModule(table, WindowConfig(news_sentiment="lexicon", **small))
    assert everything.history.feature_names == (*FEATURES, "news", "news_surprise", "sentiment")
    columns = [everything.history.feature_names.index(n) for n in seen.history.feature_names]
    np.testing.assert_array_equal(seen.history.features, everything.history.features[:, columns])
    assert len(np.unique(everything.history.features[:, -1])) > 3


def test_a_run_without_news_does_not_mind_some(stocks, made, command):
    words = ["--run", stocks.run, "--data", made / "prices.csv", "--news", made / "news.jsonl"]
    assert command("stock-forecast", "forecast", *words).code == 0


def test_retraining_a_run_with_news_asks_for_them_and_keeps_them(made, tmp_path, command):
    data = write_prices(tmp_path / "more.csv", "ABC", days=420)
    words = ["--run", made / "runs" / "classifier", "--data", data, "--out", tmp_path / "new"]
    refused = command("stock-forecast", "retrain", *words)
    assert refused.code == 2
    assert "give --news" in refused.err
    assert not (tmp_path / "new").exists()
    news = write_news(tmp_path / "more.jsonl", tickers="ABC")
    result = command("stock-forecast", "retrain", *words, "--news", news, "--json")
    assert result.code == 0, result.err
    scores = json.loads(result.out)["new"]["old_data"]["crps"]
    assert all(np.isfinite(value) for value in scores.values())
    stored = pd.read_parquet(tmp_path / "new" / "data" / "train.parquet")
    assert stored["News"].notna().all()
    assert set(stored.loc[stored["Ticker"] == "C", "News"]) == {0.0, 1.0}


def test_changed_news_are_other_data(made, tmp_path):
    data = str(made / "prices.csv")
    tables = [load_prices(data), read_table(data, made / "news.jsonl")]
    news = (made / "news.jsonl").read_text().replace("profit", "profits", 1)
    (tmp_path / "news.jsonl").write_text(news)
    tables.append(read_table(data, tmp_path / "news.jsonl"))
    assert len({hash_prices(table) for table in tables}) == 3


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"ticker": "A", "text": "x"}', "line 2: needs the texts"),
        ('{"ticker": "A", "published_at": "soon", "text": "x"}', "line 2: published_at 'soon'"),
        ("{", "line 2: not JSON"),
        ('{"ticker": 5, "published_at": "2015-02-03", "text": "x"}', "line 2: needs the texts"),
    ],
)
def test_a_wrong_line_is_told_in_one_line(line, problem, stocks, tmp_path, command):
    good = '{"ticker": "A", "published_at": "2015-02-03", "text": "x"}'
    (tmp_path / "bad.jsonl").write_text(f"{good}\n{line}\n")
    words = ["--data", stocks.data, "--news", tmp_path / "bad.jsonl", "--run", tmp_path / "run"]
    result = command("stock-forecast", "train", *words, *TINY_PRICES)
    assert result.code == 2
    assert problem in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_news_of_unknown_tickers_are_ignored_in_one_line(stocks, tmp_path, command, caplog):
    news = write_news(tmp_path / "news.jsonl", tickers="AXYZ")
    words = ["--data", stocks.data, "--news", news, "--run", tmp_path / "run", *TINY_PRICES]
    assert command("stock-forecast", "train", *words).code == 0
    told = [record.getMessage() for record in caplog.records if "ignored" in record.getMessage()]
    assert told == ["news: ignored 3 tickers without prices: ['X', 'Y', 'Z']"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ["--windows.news_sentiment", "lexicon"],
            "news_sentiment=lexicon, news_encoder=False: there are no texts; give --news",
        ),
        (["--windows.left_out", "[colour]"], "left_out='colour' is no feature"),
        (["--windows.news_sentiment", "mood"], "mood"),
    ],
)
def test_wrong_choices_are_refused(words, problem, stocks, tmp_path, command):
    words = ["--data", stocks.data, "--run", tmp_path / "run", *TINY_PRICES, *words]
    result = command("stock-forecast", "train", *words)
    assert result.code == 2
    assert problem in result.err
    assert result.err.count("\n") == 1


def test_what_the_encoder_reads_moves_the_forecast_and_reaches_every_member(made, tmp_path):
    run = load_run(made / "runs" / "encoder", "stock_forecast")
    news = (made / "news.jsonl").read_text().replace("beats", "misses")
    (tmp_path / "n.jsonl").write_text(news)  # the count stays, the words change
    data = str(made / "prices.csv")
    before, *_ = predictions(run, read_table(data, made / "news.jsonl"))
    after, *_ = predictions(run, read_table(data, tmp_path / "n.jsonl"))
    assert (before != after).any()


def test_a_run_with_a_text_encoder_has_no_onnx_graph(made, command):
    result = command("stock-forecast", "export", "--run", made / "runs" / "encoder")
    assert result.code == 2
    assert "news_encoder=True" in result.err
    assert result.err.count("\n") == 1
