"""StockNet's movement task: does a share rise or fall tomorrow? Price only and with news, 10 seeds.

The task and the split are those of Xu & Cohen 2018 (ACL, "Stock Movement Prediction from Tweets and
Historical Prices"): a day that moves more than 0.55 % is up, one that moves -0.5 % or less is down,
the rest is dropped; five days are read. Sizes, rate and kind of news are chosen on the validation
part, seed 0; the test part is read once, after that. Goes on where it stopped.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pytorch_lightning import seed_everything
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, matthews_corrcoef

from apps.stock_forecast.datamodule import read_table
from benchmarks.record import record, standing
from core.batch import SequenceBatch
from core.loading import BatchLoader
from core.modules import SequenceModule
from core.nn.recurrent import RecurrentConfig
from core.optim import OptimConfig
from core.training import TrainerConfig, fit
from data.features import FEATURES, NEWS_FEATURES, SENTIMENT_FEATURE
from data.lexicon import lexicon_scores
from data.sentiment import TextClassifier
from data.windows import (
    FeatureScaler,
    PriceHistory,
    build_history,
    choose_features,
    windows_of,
)

SHARED = Path(__file__).parents[2] / "shared" / "data" / "stocknet"
STARTS = {"train": "2014-01-01", "validation": "2015-08-01", "test": "2015-10-01"}
END = np.datetime64("2016-01-01")
UP, DOWN = 0.0055, -0.005
CONTEXT = 5
NEWS_KINDS = ("count", "lexicon", "classifier")
MOVES = ("return", "range", "volume", "market_return")
FEATURE_SETS = {"all": FEATURES, "moves": MOVES}  # volatility says little about direction
SIZES, RATES = (8, 32), (3e-4, 1e-3, 4e-3)
LINEAR_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
DECIDES = (
    "benchmarks/movement.py",
    *(f"core/{name}.py" for name in ("training", "optim", "nn/gru", "nn/recurrent", "nn/sequence")),
    *(f"data/{name}.py" for name in ("features", "lexicon", "sentiment", "news", "words")),
)
# Accuracy in per cent and MCC as their authors give them, for 88 tickers of which 66 are shared:
# Xu & Cohen 2018 (random, ARIMA, StockNet) and Feng et al. 2019, arXiv:1810.09936 (LSTM, ALSTM,
# Adv-ALSTM). All but StockNet read prices alone.
PUBLISHED = {
    "random": (50.9, -0.002),
    "ARIMA": (51.4, -0.021),
    "LSTM": (53.2, 0.067),
    "ALSTM": (54.9, 0.104),
    "Adv-ALSTM": (57.2, 0.148),
    "StockNet (with tweets)": (58.2, 0.081),
}


@dataclass(frozen=True)
class Task:
    """The days to judge, seen through one set of features.

    Attributes:
        history: The prices and features.
        label: 1 where the next day is up, 0 where it is down, -1 where it is dropped, (N,).
        ahead: The next day, (N,).
        scaler: Of the features, by the rows before training ends.
    """

    history: PriceHistory
    label: NDArray[np.int64]
    ahead: NDArray[np.datetime64]
    scaler: FeatureScaler

    def rows(self, part: str) -> NDArray[np.int64]:
        """The rows whose next day lies in the part and moves enough."""
        names = list(STARTS)
        starts = [np.datetime64(day) for day in STARTS.values()]
        number = names.index(part)
        stop = starts[number + 1] if number + 1 < len(names) else END
        inside = (self.ahead >= starts[number]) & (self.ahead < stop)
        return np.flatnonzero(inside & (self.label >= 0) & (self.history.position() >= CONTEXT - 1))

    def inputs(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The features of five days, scaled, (B, CONTEXT, F)."""
        windows = windows_of(self.history.features, CONTEXT)
        return self.scaler.apply(windows[rows - CONTEXT + 1])

    def batch(self, rows: NDArray[np.int64]) -> SequenceBatch:
        """Windows and labels."""
        inputs = torch.from_numpy(np.ascontiguousarray(self.inputs(rows)))
        return SequenceBatch(inputs, torch.from_numpy(self.label[rows]))


def read() -> tuple[pd.DataFrame, PriceHistory]:
    """Prices and news up to the end of the test part, and every feature of `build_history`."""
    table = read_table(str(SHARED / "prices.csv.gz"), SHARED / "news.jsonl.gz")
    table = table[table["Date"] < str(END)].reset_index(drop=True)
    return table, build_history(table, table["News"])


def make_task(table: pd.DataFrame, history: PriceHistory, news: str, features: str) -> Task:
    """The days to judge.

    Args:
        table: What `read` gives.
        history: The same.
        news: `none`, or one of NEWS_KINDS.
        features: One of FEATURE_SETS.
    """
    stop = np.datetime64(STARTS["validation"])
    texts, sentiment = table["Texts"].to_numpy(object), None
    names = FEATURE_SETS[features] + (() if news == "none" else NEWS_FEATURES)
    if news == "lexicon":
        sentiment = lexicon_scores(texts)
    elif news == "classifier":
        sentiment = TextClassifier.fit(texts, history, stop).scores(texts, history.dates)
    if sentiment is not None:
        names += (SENTIMENT_FEATURE,)
    move = np.expm1(np.append(np.diff(history.log_price), np.nan))
    move[history.first[1:] - 1] = np.nan  # a ticker's last day has no next one
    label = np.where(move > UP, 1, np.where(move <= DOWN, 0, -1))
    ahead = np.append(history.dates[1:], np.datetime64("NaT"))
    seen = choose_features(history, names, sentiment)
    return Task(seen, label, ahead, FeatureScaler.fit(seen, stop))


def train(task: Task, size: int, rate: float, seed: int) -> tuple[SequenceModule, float]:
    """A GRU and its validation loss."""
    rows = {part: task.rows(part) for part in ("train", "validation")}
    seed_everything(seed, verbose=False)
    config = RecurrentConfig(cell="gru", hidden_size=size)
    optim = OptimConfig(learning_rate=rate, warmup_steps=50)
    features = task.history.features.shape[1]
    module = SequenceModule(features, 2, config, optim, loss="cross_entropy")
    whole = len(rows["train"]) // 256 * 256
    loaders = (
        BatchLoader(
            lambda random: np.split(random.permutation(rows["train"])[:whole], whole // 256),
            task.batch,
            seed,
        ),
        BatchLoader(lambda _: [rows["validation"]], task.batch, 0),
    )
    trainer = TrainerConfig(max_epochs=12, patience=4, seed=seed, progress=False)
    with tempfile.TemporaryDirectory() as folder:
        loss = fit(module, loaders, trainer, Path(folder)).val_loss
    return module, loss


def chance_up(module: SequenceModule, task: Task, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The network's chance of "up", (B,)."""
    with torch.inference_mode():
        return module.model(task.batch(rows).inputs).softmax(-1)[:, 1].double().numpy()


def linear(task: Task) -> NDArray[np.float64]:
    """Logistic regression on the same inputs, its penalty chosen on the validation part."""
    flat = {part: task.inputs(task.rows(part)).reshape(len(task.rows(part)), -1) for part in STARTS}
    label = {part: task.label[task.rows(part)] for part in STARTS}
    fits = [LogisticRegression(C=c, max_iter=500) for c in LINEAR_PENALTIES]
    for one in fits:
        one.fit(flat["train"], label["train"])
    best = min(
        fits, key=lambda one: log_loss(label["validation"], one.predict_proba(flat["validation"]))
    )
    return best.predict_proba(flat["test"])[:, 1]


def scores(task: Task, chance: NDArray[np.float64]) -> dict[str, Any]:
    """Accuracy in per cent, MCC and the accuracy's standard error on the test part.

    Shares move together on a day, so the error is that of means over days, not over rows.
    """
    rows = task.rows("test")
    said, label = (chance > 0.5).astype(int), task.label[rows]
    right = 100.0 * (said == label)
    day = np.unique(task.ahead[rows], return_inverse=True)[1]
    excess = np.bincount(day, weights=right - right.mean())  # sum of a day's deviations
    return {
        "accuracy": round(float(right.mean()), 2),
        "mcc": round(float(matthews_corrcoef(label, said)), 4),
        "standard_error": round(float(np.sqrt((excess**2).sum()) / len(rows)), 2),
        "rows": len(rows),
        "days": int(day.max()) + 1,
    }


def choose(tasks: dict[tuple[str, str], Task], kinds: tuple[str, ...]) -> dict[str, Any]:
    """The news, features, size and rate with the lowest validation loss, seed 0."""
    tried = []
    for news, features, size, rate in product(kinds, FEATURE_SETS, SIZES, RATES):
        _, loss = train(tasks[news, features], size, rate, 0)
        choice = {"news": news, "features": features, "size": size, "rate": rate}
        tried.append({**choice, "val_loss": round(loss, 5)})
        print(tried[-1], file=sys.stderr)
    return min(tried, key=lambda row: row["val_loss"])


def table(rows: list[dict[str, Any]]) -> str:
    """Every row beside the published ones, and what may be claimed."""
    lines = [f"{'':<28}  accuracy (spread)   MCC (spread)"]
    for name, (accuracy, mcc) in PUBLISHED.items():
        lines.append(f"{name + ', published':<28}  {accuracy:5.1f}              {mcc:6.3f}")
    means = {}
    for name in dict.fromkeys(row["name"] for row in rows):
        own = [row for row in rows if row["name"] == name]
        accuracy, mcc = (np.array([row[key] for row in own]) for key in ("accuracy", "mcc"))
        means[name] = accuracy.mean()
        lines.append(
            f"{name:<28}  {accuracy.mean():5.1f} ({accuracy.std():4.1f})       "
            f"{mcc.mean():6.3f} ({mcc.std():.3f})"
        )
    error = max(row["standard_error"] for row in rows)
    lines.append(
        f"test part: {rows[0]['rows']} moves of 66 tickers on {rows[0]['days']} days; the largest "
        f"standard error of an accuracy, by day, is {error:.1f} points"
    )
    naive = [name for name in means if not name.startswith("gru")]
    best = max(naive, key=lambda name: means[name])
    pairs = [("gru, price only", best), ("gru, with news", best)]
    for name, other in [*pairs, ("gru, with news", "gru, price only")]:
        gain = means[name] - means[other]
        verdict = "beyond it" if abs(gain) > error else "no claim: within one standard error"
        lines.append(f"{name} against {other}: {gain:+.1f} points; {verdict}")
    return "\n".join(lines)


def main() -> None:
    """Choose on the validation part, then train and test what is not on record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    rows = standing("movement", DECIDES)
    done = {(row["name"], row["seed"]) for row in rows}
    source = read()
    tasks = {
        (news, features): make_task(*source, news, features)
        for news, features in product(("none", *NEWS_KINDS), FEATURE_SETS)
    }
    price = tasks["none", "all"]
    test = price.rows("test")
    mostly_up = bool(price.label[price.rows("train")].mean() > 0.5)
    naive = {
        "always up": np.ones(len(test)),
        "majority of training": np.full(len(test), float(mostly_up)),
        "linear, price only": linear(price),
        "linear, with news": linear(tasks["classifier", "all"]),
    }
    for name, chance in naive.items():
        if (name, 0) not in done:
            rows.append({"name": name, "seed": 0, **scores(price, chance)})
            record("movement", rows[-1:], DECIDES)
    for name, kinds in (("gru, price only", ("none",)), ("gru, with news", NEWS_KINDS)):
        missing = [seed for seed in range(seeds) if (name, seed) not in done]
        if not missing:
            continue
        best = choose(tasks, kinds)
        task = tasks[best["news"], best["features"]]
        for seed in missing:
            module, _ = train(task, best["size"], best["rate"], seed)
            found = scores(task, chance_up(module, task, test))
            rows.append({"name": name, "seed": seed, **found, **best})
            record("movement", rows[-1:], DECIDES)
    print(table(rows))


if __name__ == "__main__":
    main()
