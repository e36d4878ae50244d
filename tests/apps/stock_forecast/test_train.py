import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.train import train
from core.cli import call
from core.runs import load_run
from data.prices import load_prices
from data.windows import WindowConfig, target_of
from tests.conftest import TINY_PRICES, write_prices

SMALL = WindowConfig(context_length=20, horizons=(1, 5))


def test_a_run_folder_holds_what_inference_needs(stocks):
    run = load_run(stocks.run, "stock_forecast")
    assert {"model.safetensors", "config.yaml", "data/train.parquet"} <= run.manifest[
        "files"
    ].keys()
    assert (stocks.run.parent / "champion").resolve() == stocks.run.resolve()


def test_the_parts_lie_one_after_the_other_and_hold_every_row(stocks):
    parts = [
        pd.read_parquet(stocks.run / "data" / f"{n}.parquet")
        for n in ("train", "validation", "test")
    ]
    for before, after in pairwise(parts):
        assert before["Date"].max() < after["Date"].min()
    assert sum(map(len, parts)) == len(load_prices(str(stocks.data)))


def test_the_same_seed_gives_the_same_weights(stocks, tmp_path):
    words = ["--data", str(stocks.data), "--run", str(tmp_path / "again"), *TINY_PRICES]
    call(train, words, "train")
    ours, theirs = (load_file(p / "model.safetensors") for p in (stocks.run, tmp_path / "again"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_no_later_row_changes_what_was_fitted(tmp_path):
    table = load_prices(str(write_prices(tmp_path / "p.csv")))
    before = PriceDataModule(table, SMALL)
    later = table["Date"] >= pd.Timestamp(before.fitted.validation_start)
    changed = table.copy()
    changed.loc[later, ["Open", "High", "Low", "Close", "Adj Close"]] *= 3.0
    after = PriceDataModule(changed, SMALL)
    assert after.fitted.scaler == before.fitted.scaler
    assert torch.equal(after.fitted.fan, before.fitted.fan)
    assert after.fitted.naive_mae == before.fitted.naive_mae


def test_outcomes_of_a_part_lie_in_it(tmp_path):
    module = PriceDataModule(load_prices(str(write_prices(tmp_path / "p.csv"))), SMALL)
    fitted, dates = module.fitted, module.history.dates
    assert dates[module.rows("train") + 5].max() < fitted.validation_start
    assert dates[module.rows("validation")].min() >= fitted.validation_start
    assert dates[module.rows("validation") + 5].max() < fitted.test_start
    assert dates[module.rows("test")].min() >= fitted.test_start
    known = target_of(module.history, module.rows("test"), (1, 5))
    assert np.isfinite(known[:, 0]).all()
    assert np.isnan(known[:, 1]).any()


def test_news_are_features_and_are_asked_for_again(tmp_path, command, stocks):
    news = tmp_path / "news.jsonl"
    lines = [
        {"ticker": "A", "published_at": f"2015-0{month}-06T15:00:00Z", "text": "up"}
        for month in range(2, 9)
    ]
    news.write_text("\n".join(map(json.dumps, lines)))
    run = tmp_path / "run"
    words = ["--data", stocks.data, "--news", news, "--run", run, *TINY_PRICES]
    assert command("stock-forecast", "train", *words).code == 0
    result = command("stock-forecast", "forecast", "--run", run, "--data", stocks.data)
    assert result.code == 2
    assert "--news" in result.err
    words = ["--run", run, "--data", stocks.data, "--news", news]
    assert command("stock-forecast", "forecast", *words).code == 0


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_other_cells_train(cell, stocks, tmp_path, command):
    words = ["--data", stocks.data, "--run", tmp_path / cell, *TINY_PRICES, "--model.cell", cell]
    assert command("stock-forecast", "train", *words).code == 0
