import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from apps.stock_forecast.datamodule import PriceDataModule, read_table
from apps.stock_forecast.price_drift import drift_table, price_drift
from apps.stock_forecast.retrain import retrain
from apps.stock_forecast.stored import stored_table
from apps.stock_forecast.train import train
from core.champions import current, promote
from core.cli import call
from core.files import file_hash
from core.runs import load_run
from data.price_updates import append_prices
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


@pytest.fixture(scope="module")
def retrained(tmp_path_factory):
    """A run, newer prices with a new ticker, and the retrained run."""
    folder = tmp_path_factory.mktemp("retrained")
    everything = pd.read_csv(write_prices(folder / "all.csv", "ABC", days=500))
    old = everything[(everything["Ticker"] != "C") & (everything["Date"] < "2016-04-01")]
    old.to_csv(folder / "old.csv", index=False)
    first, second = folder / "runs" / "first", folder / "runs" / "second"
    call(train, ["--data", str(folder / "old.csv"), "--run", str(first), *TINY_PRICES], "train")
    words = ["--data", str(folder / "all.csv"), "--run", str(first), "--out", str(second)]
    answer = call(retrain, [*words, "--trainer.progress=false"], "retrain")
    return SimpleNamespace(
        data=folder / "all.csv", first=first, second=second, answer=answer, words=words
    )


def modules(retrained):
    """The old run's rows, all of them with the new ones, and what the network had learned from."""
    old = load_run(retrained.first, "stock_forecast")
    frozen = PriceDataModule.from_run(old)
    whole = PriceDataModule.from_run(old, stored_table(old))
    table = append_prices(stored_table(old), read_table(str(retrained.data), None))
    return frozen, PriceDataModule.from_run(old, table).learning_again(whole, 0.5)


def test_no_outcome_that_is_trained_on_lies_in_either_hold_out(retrained):
    frozen, mixed = modules(retrained)
    history, fitted, far = mixed.history, mixed.fitted, mixed.config.horizons[-1]
    learned, tested = mixed.rows("train"), mixed.new_test_rows()
    assert not set(learned.tolist()) & set(tested.tolist())
    names = np.asarray(history.tickers)[history.ticker]
    outcome = history.dates[learned + far]
    in_test = (history.dates[learned] < fitted.test_start) & (outcome >= fitted.test_start)
    assert not in_test.any()
    assert mixed.held_back is not None
    assert (outcome < mixed.held_back).all()
    held = history.dates[tested]
    is_early = held < mixed.held_back
    assert set(names[tested][is_early]) == {"C"}
    assert (history.dates[tested[is_early] + far] <= fitted.test_end).all()
    assert set(names[tested][~is_early]) == {"A", "B", "C"}
    assert fitted.known_until < mixed.held_back
    assert len(frozen.rows("test")) > 0


def test_old_examples_stand_first_and_an_epoch_draws_their_share(retrained):
    _, mixed = modules(retrained)
    num_old = mixed.rehearsal.num_old
    names = np.asarray(mixed.history.tickers)[mixed.history.ticker]
    assert set(names[mixed.new_examples()]) == {"A", "B", "C"}
    old = mixed.rows("train")[~np.isin(mixed.rows("train"), mixed.new_examples())]
    assert len(old) == num_old
    assert (mixed.history.dates[old] < mixed.fitted.validation_start).all()
    assert set(names[old]) == {"A", "B"}
    drawn = mixed.rehearsal.draw(len(mixed.rows("train")), np.random.default_rng(0))
    assert (drawn < num_old).sum() == min(num_old, len(mixed.new_examples()))


def test_the_decision_follows_from_the_scores_and_is_in_the_run(retrained):
    answer = retrained.answer
    for side in ("old", "new"):
        assert answer[side].keys() == {"old_data", "new_data"}
        assert set(answer[side]["new_data"]["crps"]) == {"1", "5"}
    told = load_run(retrained.second, "stock_forecast").metrics
    assert (told["promoted"], told["reason"]) == (answer["promoted"], answer["reason"])
    champion = (retrained.first.parent / "champion").resolve()
    assert (champion == retrained.second.resolve()) == answer["promoted"]
    assert "CRPS gained" in answer["reason"]


def test_the_drift_is_told(retrained):
    drift = json.loads((retrained.second / "drift.json").read_text())
    assert drift["new_tickers"] == ["C"]
    assert 0.8 < drift["volatility"]["ratio"] < 1.25  # the same random walk
    assert all(0 <= value <= 1 for value in drift["features"].values())
    assert drift["days"]["new"][1] > drift["days"]["old"][1]


def test_rougher_prices_show_as_drift(retrained, tmp_path):
    _, mixed = modules(retrained)
    old = load_run(retrained.first, "stock_forecast")
    calm = stored_table(old)
    rough = pd.read_csv(retrained.data, parse_dates=["Date"])
    last = calm["Date"].max()
    late = (rough["Date"] > last).to_numpy()
    for column, factor in (("High", 1.05), ("Low", 0.95)):
        rough.loc[late, column] *= factor
    rough.to_csv(tmp_path / "rough.csv", index=False)
    table = append_prices(calm, read_table(str(tmp_path / "rough.csv"), None))
    whole = PriceDataModule.from_run(old, calm)
    found = price_drift(whole, PriceDataModule.from_run(old, table).learning_again(whole, 0.5))
    assert found["volatility"]["ratio"] > price_drift(whole, mixed)["volatility"]["ratio"] * 1.5
    assert "volatility a year" in drift_table(found)


def test_a_finished_retraining_is_settled_again_on_resume(retrained, command):
    done = command("stock-forecast", "retrain", *retrained.words, "--resume", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["reason"] == retrained.answer["reason"]


def test_going_back_after_a_promotion(retrained, command):
    runs = retrained.first.parent
    if not retrained.answer["promoted"]:
        assert promote(retrained.second, "stock_forecast", "by hand", {}, current(runs))
    done = command("stock-forecast", "rollback", "--run", runs / "champion", "--json")
    assert json.loads(done.out)["champion"] == str(runs / "first")
