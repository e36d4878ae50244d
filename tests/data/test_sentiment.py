import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data.sentiment import MINIMUM_DAYS, NUM_BLOCKS, TextClassifier, next_day_excess
from data.windows import build_history
from data.words import bucket_of
from tests.data.test_windows import prices

STOP = np.datetime64("2011-03-01")


def informed(share=1.0, seed=0):
    """Prices of three tickers and texts of which a share tells the next day."""
    table = prices({"A": (0, 400), "B": (0, 400), "C": (100, 400)})
    history = build_history(table)
    generator = np.random.default_rng(seed)
    ahead = np.nan_to_num(next_day_excess(history, np.datetime64("2100-01-01")))
    told = np.where(ahead > 0, "fine day", "grim day")
    other = generator.choice(["fine day", "grim day", ""], len(table))
    return history, np.where(generator.random(len(table)) < share, told, other).astype(object)


def test_the_excess_is_the_next_days_return_less_the_others():
    history, _ = informed()
    excess = next_day_excess(history, STOP)
    returns = np.diff(history.log_price)
    day = history.dates[50]
    b = history.first[1] + 50
    assert history.dates[b] == day
    assert excess[50] == pytest.approx(returns[50] - returns[b], abs=1e-6)
    assert np.isnan(excess[history.first[1:] - 1]).all()  # a ticker's last day has no next one
    last = np.flatnonzero(history.dates < STOP)
    assert np.isnan(excess[history.dates >= STOP]).all()
    assert np.isnan(excess[last[history.dates[last] == history.dates[last].max()]]).all()


def test_words_that_tell_the_next_day_are_learned_and_serve_later():
    history, texts = informed(share=0.8)
    scores = TextClassifier.fit(texts, history, STOP).scores(texts, history.dates)
    for rows in (history.dates < STOP, history.dates >= STOP):
        fine, grim = (scores[rows & (texts == word)] for word in ("fine day", "grim day"))
        assert fine.min() > 0.3 > -0.3 > grim.max()
    assert not scores[texts == ""].any()
    assert np.abs(scores).max() < 1


def test_a_training_day_is_scored_without_its_own_block():
    history, texts = informed(share=0.0)
    rows = np.flatnonzero((history.dates < np.datetime64("2010-02-01")) & (texts != ""))
    marked = texts.copy()
    marked[rows] = [f"{text} onlyhere" for text in texts[rows]]
    classifier = TextClassifier.fit(marked, history, STOP)
    assert history.dates[rows].max() < classifier.starts[1]
    assert classifier.weights[0, bucket_of("onlyhere")] == 0
    assert classifier.weights[NUM_BLOCKS, bucket_of("onlyhere")] != 0


def test_the_regression_of_later_dates_speaks_from_the_end_of_training_on_and_never_before():
    history, texts = informed(share=0.8)
    fitted = TextClassifier.fit(texts, history, STOP)
    weights, bias = fitted.weights.copy(), fitted.bias.copy()
    weights[NUM_BLOCKS], bias[NUM_BLOCKS] = 0.0, 0.0
    silent = replace(fitted, weights=weights, bias=bias)
    days = np.arange(fitted.starts[0] - 3, STOP + 3)
    scores = silent.scores(np.full(len(days), "fine day", object), days)
    np.testing.assert_array_equal(scores != 0, days < STOP)


def test_neither_later_prices_nor_later_texts_change_what_was_fitted():
    history, texts = informed()
    before = TextClassifier.fit(texts, history, STOP)
    table = prices({"A": (0, 400), "B": (0, 400), "C": (100, 400)})
    later = history.dates >= STOP
    table.loc[later, ["Close", "Adj Close"]] *= np.linspace(1, 3, later.sum())[:, None]
    changed = np.where(later, "other words", texts)
    after = TextClassifier.fit(changed, build_history(table), STOP)
    assert after.to_json() == before.to_json()


def test_a_classifier_survives_its_json():
    history, texts = informed()
    fitted = TextClassifier.fit(texts, history, STOP)
    again = TextClassifier.from_json(json.loads(json.dumps(fitted.to_json())))
    scores = [c.scores(texts, history.dates) for c in (fitted, again)]
    np.testing.assert_array_equal(*scores)


def test_too_few_texts_are_refused_with_the_numbers():
    history, texts = informed()
    texts[pd.Series(texts).ne("").to_numpy().nonzero()[0][40:]] = ""
    with pytest.raises(ValueError, match=f"40 days before .* {MINIMUM_DAYS} are needed"):
        TextClassifier.fit(texts, history, STOP)


def test_one_sided_labels_give_no_opinion():
    table = prices({"A": (0, 400)})
    for name in ("Open", "High", "Low", "Close", "Adj Close"):
        table[name] = np.exp(np.arange(400) / 100)
    history = build_history(table)
    texts = np.full(400, "up", object)
    assert not TextClassifier.fit(texts, history, STOP).scores(texts, history.dates).any()
