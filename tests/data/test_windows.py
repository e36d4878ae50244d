import logging
import tracemalloc
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from data.features import FEATURES, NEWS_FEATURES
from data.windows import (
    CLIP,
    FeatureScaler,
    WindowConfig,
    build_history,
    chronological_split,
    drop_short_tickers,
    example_rows,
    make_batch,
    naive_error,
    scale_of,
    target_of,
    training_fan,
    windows_of,
)

CONFIG = WindowConfig(context_length=20, horizons=(1, 5, 10), batch_size=16)
LEVELS = (0.1, 0.5, 0.9)
# First and last trading day of each ticker: one is new, one ends early, one is short.
LIVES = {"A": (0, 400), "B": (150, 400), "C": (0, 250), "D": (330, 400)}


def prices(lives=None, seed=0):
    generator = np.random.default_rng(seed)
    tables = []
    for ticker, (start, stop) in (lives or LIVES).items():
        count = stop - start
        close = 100 * np.exp(np.cumsum(generator.normal(0, 0.02, count)))
        opening = close * np.exp(generator.normal(0, 0.01, count))
        table = pd.DataFrame(
            {"Ticker": ticker, "Date": pd.bdate_range("2010-01-04", periods=stop)[start:]}
        )
        table["Open"] = opening
        table["High"] = np.maximum(opening, close) * 1.01
        table["Low"] = np.minimum(opening, close) * 0.99
        table["Close"] = table["Adj Close"] = close
        table["Volume"] = generator.integers(1, 10**6, count).astype(float)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def history():
    return build_history(prices())


@pytest.fixture(scope="module")
def split(history):
    return chronological_split(history, CONFIG)


def from_day(table, date):
    """The table with every number of that day and later, of every ticker, changed."""
    changed = table.copy()
    later = (changed["Date"] >= date).to_numpy()
    factor = np.random.default_rng(9).uniform(0.5, 2, later.sum())[:, None]
    changed.loc[later, ["Open", "High", "Low", "Close", "Adj Close", "Volume"]] *= factor
    return changed


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"context_length": 1}, "context_length=1 must be at least 2"),
        ({"horizons": ()}, r"horizons=\(\) must be rising"),
        ({"horizons": (0, 1)}, r"horizons=\(0, 1\) must be rising and at least 1"),
        ({"horizons": (5, 1)}, r"horizons=\(5, 1\) must be rising"),
        ({"horizons": (5, 5)}, r"horizons=\(5, 5\) must be rising"),
        ({"validation_share": 0}, "validation_share=0 and test_share=0.2 must be positive"),
        ({"test_share": -0.1}, "test_share=-0.1 must be positive"),
        ({"test_share": 0.5, "validation_share": 0.5}, "leave dates for training"),
        ({"test_share": float("nan")}, "test_share=nan must be positive"),
    ],
)
def test_a_wrong_config_is_refused(wrong, problem):
    with pytest.raises(ValueError, match=problem):
        WindowConfig(**wrong)


def test_tickers_too_short_are_dropped_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        kept = drop_short_tickers(prices(), 20, 60)
    assert kept["Ticker"].unique().tolist() == ["A", "B", "C"]
    assert "dropped 1 tickers with fewer than 80 rows: D (70)" in caplog.text
    assert len(drop_short_tickers(prices(), 20, 50)) == len(prices())


def test_only_short_tickers_are_an_error_with_the_numbers():
    problem = "context_length=300 needs at least 420 rows, A has 400; shorten it or add data"
    with pytest.raises(ValueError, match=problem):
        drop_short_tickers(prices(), 300, 120)


def test_a_history_keeps_every_row_of_every_ticker(history):
    table = prices()
    assert history.tickers == list(LIVES)
    assert [b - a for a, b in pairwise(history.first)] == [b - a for a, b in LIVES.values()]
    np.testing.assert_array_equal(history.close, table["Close"])
    np.testing.assert_allclose(np.exp(history.log_price), table["Adj Close"])
    assert history.features.shape == (len(table), len(FEATURES))
    assert np.isfinite(history.features).all()
    for start, stop in pairwise(history.first):
        assert history.position()[start:stop].tolist() == list(range(stop - start))
        assert history.remaining()[start:stop].tolist() == list(range(stop - start))[::-1]


def test_news_add_their_features_and_change_no_other(history):
    table = prices()
    counts = pd.Series(np.random.default_rng(0).integers(0, 5, len(table)))
    with_news = build_history(table, counts)
    assert with_news.feature_names == FEATURES + NEWS_FEATURES
    np.testing.assert_array_equal(with_news.features[:, : len(FEATURES)], history.features)
    np.testing.assert_allclose(with_news.features[:, len(FEATURES)], np.log1p(counts), rtol=1e-6)


def test_no_later_row_of_any_ticker_changes_features_or_scale(history):
    table = prices()
    for day in ("2010-03-01", "2010-08-30", "2011-05-02"):
        changed = build_history(from_day(table, day))
        known = history.dates < np.datetime64(day)
        np.testing.assert_array_equal(changed.features[known], history.features[known])
        np.testing.assert_array_equal(changed.variance[known], history.variance[known])
        assert (changed.features[~known] != history.features[~known]).any()


def test_a_ticker_alone_has_no_market(history):
    market = FEATURES.index("market_return")
    alone = build_history(prices({"A": (0, 100)}))
    assert not alone.features[:, market].any()
    assert np.count_nonzero(history.features[:, market]) > 0.9 * len(history.dates)


def test_the_parts_follow_each_other_for_every_ticker(history, split):
    assert split.validation_start < split.test_start
    dates = np.unique(history.dates)
    assert (dates >= split.test_start).sum() == round(CONFIG.test_share * len(dates))
    limits = [(None, split.validation_start), (split.validation_start, split.test_start)]
    limits.append((split.test_start, None))
    parts = [example_rows(history, CONFIG, start, stop) for start, stop in limits]
    assert all(len(rows) for rows in parts)
    for ticker in range(len(history.tickers)):
        days = [history.dates[rows[history.ticker[rows] == ticker]] for rows in parts]
        days = [part for part in days if len(part)]
        assert all(before.max() < after.min() for before, after in pairwise(days))
    assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts))


@pytest.mark.parametrize("part", ["training", "validation", "test"])
def test_a_part_without_room_for_an_example_is_refused(part):
    history = build_history(prices({"A": (0, 100)}))
    wrong = {
        "training": WindowConfig(context_length=60, horizons=(10,)),
        "validation": WindowConfig(context_length=2, horizons=(20,), validation_share=0.1),
        "test": WindowConfig(context_length=2, horizons=(20,), validation_share=0.3),
    }[part]
    with pytest.raises(ValueError, match=f"the {part} part has .* dates.* need at least"):
        chronological_split(history, wrong)


def test_no_target_reaches_into_the_next_part(history, split):
    longest = CONFIG.horizons[-1]
    for stop in (split.validation_start, split.test_start):
        rows = example_rows(history, CONFIG, stop=stop)
        assert (history.dates[rows + longest] < stop).all()
        # Nor is anything left out: the day before the last one is used.
        assert (history.dates[rows + longest] == history.dates[history.dates < stop].max()).any()


def test_examples_have_a_whole_context_and_outcome_within_their_ticker(history):
    rows = example_rows(history, CONFIG)
    expected = [
        row
        for start, stop in pairwise(history.first)
        for row in range(start + CONFIG.context_length - 1, stop - CONFIG.horizons[-1])
    ]
    assert rows.tolist() == expected
    every = example_rows(history, CONFIG, horizon=0)
    assert set(history.first[1:] - 1) <= set(every)


def test_targets_equal_a_plain_loop(history):
    rows = np.flatnonzero(history.position() >= 0)
    targets = target_of(history, rows, CONFIG.horizons)
    for row in rows:
        for column, horizon in enumerate(CONFIG.horizons):
            inside = row + horizon < history.first[history.ticker[row] + 1]
            moved = history.log_price[row + horizon] - history.log_price[row] if inside else np.nan
            assert targets[row, column] == pytest.approx(moved, abs=1e-6, nan_ok=True)


def test_the_scale_is_positive_and_grows_with_the_horizon(history):
    scale = scale_of(history, np.arange(len(history.dates)), (1, 5, 20, 60))
    assert (scale > 0).all()
    assert (np.diff(scale, axis=1) > 0).all()


def test_the_scale_equals_the_sum_of_the_daily_variances(history):
    rows = np.array([30, 100, 500])
    short, long = history.variance[rows].T.astype(float)
    for horizon in (1, 7, 60):
        total = sum(long + (short - long) * 0.96**day for day in range(horizon))
        np.testing.assert_allclose(scale_of(history, rows, (horizon,))[:, 0], total**0.5, rtol=1e-4)


def test_windows_are_views_without_a_copy():
    features = np.zeros((200_000, 10), np.float32)
    tracemalloc.start()
    windows = windows_of(features, 60)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert windows.shape == (200_000 - 59, 60, 10)
    assert np.shares_memory(windows, features)
    assert peak < features.nbytes / 100


def test_a_batch_copies_its_own_windows_alone(history, split):
    long = build_history(prices({"A": (0, 6000)}))
    scaler = FeatureScaler.fit(long, long.dates[3000])
    rows = example_rows(long, CONFIG)[:8]
    make_batch(long, rows, CONFIG, scaler)
    tracemalloc.start()
    make_batch(long, rows, CONFIG, scaler)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Of the features' size at most (`remaining` is counted), not of all windows, 20 times as much.
    assert peak < 2 * long.features.nbytes


def test_a_window_ends_at_its_row_and_stays_within_its_ticker(history, split):
    scaler = FeatureScaler.fit(history, split.validation_start)
    rows = np.random.default_rng(0).permutation(example_rows(history, CONFIG))[:50]
    batch = make_batch(history, rows, CONFIG, scaler)
    assert batch.inputs.shape == (50, CONFIG.context_length, len(FEATURES))
    for window, row in zip(batch.inputs.numpy(), rows, strict=True):
        days = np.arange(row - CONFIG.context_length + 1, row + 1)
        assert len(set(history.ticker[days])) == 1
        np.testing.assert_array_equal(window, scaler.apply(history.features[days]))
    np.testing.assert_array_equal(batch.scale, scale_of(history, rows, CONFIG.horizons))
    np.testing.assert_array_equal(batch.target, target_of(history, rows, CONFIG.horizons))
    assert batch.inputs.isfinite().all()
    assert batch.target.isfinite().all()


def test_a_batch_is_the_same_after_the_pages_were_let_go(history, split):
    scaler = FeatureScaler.fit(history, split.validation_start)
    rows = example_rows(history, CONFIG)[::7]
    first = make_batch(history, rows, CONFIG, scaler)
    history.release()
    again = make_batch(history, rows, CONFIG, scaler)
    assert all(a.equal(b) for a, b in zip(first[:3], again[:3], strict=True))


def test_the_naive_error_is_the_mean_absolute_outcome(history, monkeypatch):
    monkeypatch.setattr("data.windows.PIECE", 7)  # many pieces, the last one shorter
    rows = example_rows(history, CONFIG)
    expected = np.abs(target_of(history, rows, CONFIG.horizons)).mean(0)
    np.testing.assert_allclose(naive_error(history, rows, CONFIG.horizons), expected, rtol=1e-5)


def test_scaled_training_features_have_mean_zero_and_deviation_one(history, split):
    scaler = FeatureScaler.fit(history, split.validation_start)
    training = history.features[history.dates < split.validation_start].astype(float)
    scaled = (training - scaler.mean) / scaler.deviation
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(0), 1, atol=1e-6)
    assert np.abs(scaler.apply(history.features * 1000)).max() == CLIP


def test_a_constant_feature_is_scaled_to_zero():
    history = build_history(prices({"A": (0, 100)}))
    scaler = FeatureScaler.fit(history, history.dates[50])
    assert min(scaler.deviation) > 0
    market = FEATURES.index("market_return")
    assert not scaler.apply(history.features)[:, market].any()


def test_the_fan_is_the_training_quantiles_in_units_of_the_scale(history, split):
    rows = example_rows(history, CONFIG, stop=split.validation_start)
    fan = training_fan(history, rows, CONFIG.horizons, LEVELS).numpy()
    outcomes = target_of(history, rows, CONFIG.horizons) / scale_of(history, rows, CONFIG.horizons)
    plain = np.quantile(outcomes, LEVELS, axis=0).T
    np.testing.assert_allclose(fan, plain, rtol=1e-4)
    assert (np.diff(fan, axis=1) > 0).all()


def test_nothing_fitted_sees_a_row_after_training(history, split):
    changed = build_history(from_day(prices(), pd.Timestamp(split.validation_start)))
    start = split.validation_start
    assert chronological_split(changed, CONFIG) == split
    assert FeatureScaler.fit(changed, start) == FeatureScaler.fit(history, start)
    rows = example_rows(history, CONFIG, stop=start)
    np.testing.assert_array_equal(example_rows(changed, CONFIG, stop=start), rows)
    fans = [training_fan(h, rows, CONFIG.horizons, LEVELS) for h in (history, changed)]
    assert fans[0].equal(fans[1])
    scaler = FeatureScaler.fit(history, start)
    first, second = (make_batch(h, rows, CONFIG, scaler) for h in (history, changed))
    assert all(a.equal(b) for a, b in zip(first[:3], second[:3], strict=True))
    # The change itself is one: the last training day moves everything.
    day_before = pd.Timestamp(history.dates[history.dates < start].max())
    moved = build_history(from_day(prices(), day_before))
    assert FeatureScaler.fit(moved, start) != scaler
