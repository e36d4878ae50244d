import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import benchmarks.long_horizon_data as days
import benchmarks.long_horizon_runs as runs
from benchmarks.long_horizon_picture import draw
from benchmarks.long_horizon_report import FAILURES, failures, finding, report
from tests.conftest import write_prices

FANS = {
    part: {
        "random walk": dict.fromkeys(days.GROUPS, 11.0),
        "untrained fan": dict.fromkeys(days.GROUPS, 10.0),
        "trailing volatility": dict.fromkeys(days.GROUPS, 9.5),
    }
    for part in ("train", "test")
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("prices")


@pytest.fixture(scope="module")
def task(folder):
    return days.prepare(write_prices(folder / "prices.csv", "AB", days=900))


def row(name, context, seed, **changed):
    """A run as `measure` describes it, whose CRPS is the fan's but for what is given."""
    shares = {str(lag): 0.5**lag for lag in runs.LAGS if lag < context}
    return {
        "name": name,
        "context": context,
        "seed": seed,
        "is_finite": True,
        "median_norm": 0.02,
        "largest_norm": 0.1,
        "lag_before": shares,
        "lag_after": shares,
        **{f"{part} {group}": 9.0 for part in ("train", "test") for group in days.GROUPS},
        **changed,
    }


def rows_where(**vanilla):
    """Three seeds of the GRU and of the vanilla RNN at every context; the RNN's CRPS is given."""
    noise = (0.0, 0.01, -0.01)
    return [
        row(
            name, context, seed, **({k: v + n for k, v in vanilla.items()} if name == "rnn" else {})
        )
        for seed, n in enumerate(noise)
        for context in days.CONTEXTS
        for name in ("gru", "rnn")
    ]


def test_the_network_is_told_no_volatility_but_the_training_parts(task, folder):
    table = pd.read_csv(folder / "prices.csv", float_precision="round_trip").astype(
        {"Volume": float}
    )
    later = (table["Date"] >= str(task.split.validation_start)).to_numpy()
    factor = np.random.default_rng(0).uniform(0.5, 2, later.sum())[:, None]
    table.loc[later, ["Open", "High", "Low", "Close", "Adj Close", "Volume"]] *= factor
    table.to_csv(folder / "changed.csv", index=False)
    changed = days.prepare(folder / "changed.csv")
    known = task.history.dates < task.split.validation_start
    np.testing.assert_array_equal(changed.history.features[known], task.history.features[known])
    assert (changed.history.features[~known] != task.history.features[~known]).any()
    np.testing.assert_array_equal(changed.history.variance, task.history.variance)
    assert changed.fan.equal(task.fan)
    for ticker in range(2):
        assert len(np.unique(task.history.variance[task.history.ticker == ticker])) == 1


def test_every_context_is_trained_and_scored_on_the_same_days(task):
    for part in ("train", "validation", "test"):
        rows = task.rows(part)
        assert len(rows)
        assert task.history.position()[rows].min() >= max(days.CONTEXTS) - 1
        short, long = (task.batch(rows[:4], context) for context in (20, 250))
        assert short.target.equal(long.target)
        assert short.inputs.equal(long.inputs[:, -20:])


def test_an_untrained_network_is_the_fan_and_a_run_describes_itself(task):
    untrained = runs.make_network(task, runs.Job(name="gru", context=20, seed=0))
    rows = task.scored("test")
    found = runs.crps_by_group(runs.forecast(untrained, task, rows, 20), task, rows)
    assert found == pytest.approx(days.baselines(task, "test")["untrained fan"], abs=1e-3)
    one = runs.measure(task, runs.Job(name="lstm", context=20, seed=0, steps=3))
    assert one["is_finite"]
    assert one["lag_before"].keys() == {"1", "2", "5", "10", "19"}
    assert one["lag_before"]["1"] == 1.0
    assert one.keys() >= row("lstm", 20, 0).keys()


def test_a_loss_that_is_not_finite_ends_a_run_and_counts_as_a_failure(task):
    nowhere = np.full_like(task.history.log_price, np.nan)
    broken = replace(task, history=replace(task.history, log_price=nowhere))
    one = runs.measure(broken, runs.Job(name="rnn", context=20, seed=0, steps=3))
    assert not one["is_finite"]
    assert failures([one], FANS) == [1, 0, 0]


def test_failures_are_counted_by_kind():
    bad = {f"test {group}": 10.5 for group in days.GROUPS}
    lazy = {f"train {group}": 10.0 for group in days.GROUPS}
    found = failures([row("rnn", 20, 0), row("rnn", 20, 1, **bad), row("rnn", 20, 2, **lazy)], FANS)
    assert dict(zip(FAILURES, found, strict=True)) == {
        "not finite": 0,
        "no better in training": 1,
        "no better on test": 1,
    }


@pytest.mark.parametrize(
    ("crps", "verdict"),
    [(9.5, "it holds here"), (8.5, "the other way round"), (9.0, "do not bear it out")],
)
def test_the_finding_follows_from_the_figures(crps, verdict):
    assert verdict in finding(rows_where(**{"test 21-60": crps}), FANS)


def test_one_seed_is_no_finding():
    assert "none" in finding([row("gru", 20, 0), row("rnn", 20, 0)], FANS)


def test_the_report_and_the_picture_take_what_is_there(tmp_path):
    rows = rows_where()
    for some in (rows, rows[:3], []):
        assert "Finding" in report(some, FANS)
        draw(some, FANS["test"], tmp_path / "picture.svg")
        picture = ET.parse(tmp_path / "picture.svg").getroot()
        assert picture.tag.endswith("svg")
    draw(rows, FANS["test"], tmp_path / "picture.svg")
    assert (tmp_path / "picture.svg").stat().st_size < 30_000
