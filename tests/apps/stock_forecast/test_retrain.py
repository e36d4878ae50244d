import json

import pandas as pd

from core.files import file_hash
from tests.conftest import TINY_PRICES, write_prices


def test_retraining_on_newer_days_and_tickers_leaves_the_old_run_alone(tmp_path, command):
    long = pd.read_csv(write_prices(tmp_path / "long.csv", "ABC"))
    old = long[(long["Ticker"] != "C") & (long["Date"] < "2016-04-01")]
    old.to_csv(tmp_path / "old.csv", index=False)
    run = tmp_path / "runs" / "old"
    words = ["--data", tmp_path / "old.csv", "--run", run, *TINY_PRICES]
    assert command("stock-forecast", "train", *words).code == 0
    before = {p: file_hash(p) for p in run.rglob("*") if p.is_file()}
    result = command(
        "stock-forecast", "retrain", "--run", run, "--data", tmp_path / "long.csv", "--json"
    )
    assert result.code == 0, result.err
    answer = json.loads(result.out)
    assert answer.keys() >= {"old", "new", "promoted", "reason", "run"}
    assert {p: file_hash(p) for p in run.rglob("*") if p.is_file()} == before
    stored = pd.read_parquet(f"{answer['run']}/data/train.parquet")
    assert set(stored["Ticker"]) == {"A", "B", "C"}


def test_retraining_without_anything_new_changes_nothing(stocks, command):
    runs = sorted(stocks.run.parent.iterdir())
    result = command(
        "stock-forecast", "retrain", "--run", stocks.run, "--data", stocks.data, "--json"
    )
    assert result.code == 0, result.err
    answer = json.loads(result.out)
    assert not answer["promoted"]
    assert "0 examples are new to the run" in answer["reason"]
    assert sorted(stocks.run.parent.iterdir()) == runs
