"""What the training part teaches before the network sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from core.nn.forecaster import LEVELS
from core.stored import conformed
from data.drift import DriftPrior, ExcessDrift
from data.sentiment import NUM_BLOCKS, TextClassifier
from data.volatility import ScaleRegression
from data.windows import (
    FeatureScaler,
    PriceHistory,
    Rows,
    SplitDates,
    WindowConfig,
    example_rows,
    feature_names,
    naive_error,
    target_of,
    training_fan,
)
from data.words import NUM_BUCKETS


class StoredClassifier(TypedDict):
    """What `TextClassifier.to_json` gives."""

    starts: list[str]
    stop: str
    weights: list[list[float]]
    bias: list[float]


class StoredParts(TypedDict):
    """What `Fitted.to_json` gives."""

    validation_start: str
    test_start: str
    test_end: str
    known_until: str
    scaler: FeatureScaler
    regression: list[list[float]]
    drift_variance: float
    fan: list[list[float]]
    naive_mae: tuple[float, ...]
    has_news: bool
    classifier: NotRequired[StoredClassifier | None]
    tickers: tuple[str, ...]


@dataclass(frozen=True)
class Fitted:
    """What was learned from the training part before the network, kept with the run.

    Attributes:
        validation_start: First date that is not training.
        test_start: First date of the frozen test part.
        test_end: Last date of the frozen test part.
        known_until: Last date that training or validation has seen.
        scaler: Mean and deviation of the features.
        regression: Corrects the trailing volatility.
        drift: How much of a ticker's own drift is believed.
        fan: Quantiles of the returns, less the drift's location, in units of the scale, (P, Q).
        naive_mae: Training part's mean absolute return at each horizon, (P,).
        has_news: Whether there were news.
        classifier: Of the news, where `news_sentiment` asks for one.
        tickers: Those of the validation and test parts.
    """

    validation_start: np.datetime64
    test_start: np.datetime64
    test_end: np.datetime64
    known_until: np.datetime64
    scaler: FeatureScaler
    regression: ScaleRegression
    drift: DriftPrior
    fan: torch.Tensor
    naive_mae: tuple[float, ...]
    has_news: bool
    classifier: TextClassifier | None
    tickers: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain containers, for the run folder."""
        dates = ("validation_start", "test_start", "test_end", "known_until")
        return {
            **{name: str(getattr(self, name)) for name in dates},
            "scaler": {"mean": self.scaler.mean, "deviation": self.scaler.deviation},
            "regression": self.regression.weights,
            "drift_variance": self.drift.variance,
            "fan": self.fan.tolist(),
            "naive_mae": self.naive_mae,
            "has_news": self.has_news,
            "classifier": self.classifier and self.classifier.to_json(),
            "tickers": self.tickers,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Fitted":
        """The inverse of `to_json`.

        Raises:
            ValueError: It is something else.
        """
        stored = conformed(value, StoredParts)
        classifier = stored.get("classifier")
        if classifier is not None:
            _check_classifier(classifier)
        _check_shape("fan", stored["fan"], len(stored["naive_mae"]), len(LEVELS))
        return cls(
            validation_start=_day(stored["validation_start"]),
            test_start=_day(stored["test_start"]),
            test_end=_day(stored["test_end"]),
            known_until=_day(stored["known_until"]),
            scaler=stored["scaler"],
            regression=ScaleRegression(tuple(tuple(row) for row in stored["regression"])),
            drift=DriftPrior(stored["drift_variance"]),
            fan=torch.tensor(stored["fan"]),
            naive_mae=stored["naive_mae"],
            has_news=stored["has_news"],
            classifier=None if classifier is None else TextClassifier.from_json({**classifier}),
            tickers=stored["tickers"],
        )

    def check_sizes(self, config: WindowConfig) -> None:
        """Refuse what was not fitted with a configuration.

        Raises:
            ValueError: The first part of another size.
        """
        num_features = len(feature_names(config, self.has_news))
        for name in ("mean", "deviation"):
            _check_shape(f"scaler.{name}", [getattr(self.scaler, name)], 1, num_features)
        if not min(self.scaler.deviation) > 0 or self.drift.variance < 0:
            raise ValueError("scaler.deviation must be positive, drift_variance 0 or more")
        num_horizons = len(config.horizons)
        _check_shape("regression", self.regression.weights, num_horizons, num_features)
        _check_shape("fan", self.fan.tolist(), num_horizons, len(LEVELS))
        if not bool((self.fan.diff(dim=1) > 0).all()):
            raise ValueError("fan must rise from quantile to quantile")
        if (config.news_sentiment == "classifier") != (self.classifier is not None):
            raise ValueError(f"classifier does not go with news_sentiment={config.news_sentiment}")
        if not self.validation_start <= self.test_start <= self.test_end:
            raise ValueError("validation_start, test_start and test_end must come in this order")
        if (config.news_sentiment != "none" or config.news_encoder) and not self.has_news:
            raise ValueError("has_news must be true where the configuration reads them")


def _day(written: str) -> np.datetime64:
    """A day as it stands in JSON."""
    return np.datetime64(date.fromisoformat(written), "D")


def _check_classifier(stored: StoredClassifier) -> None:
    _check_shape("classifier.weights", stored["weights"], NUM_BLOCKS + 1, NUM_BUCKETS)
    _check_shape("classifier.bias", [stored["bias"]], 1, NUM_BLOCKS + 1)
    _check_shape("classifier.starts", [stored["starts"]], 1, NUM_BLOCKS)
    for written in (*stored["starts"], stored["stop"]):
        _day(written)


def _check_shape(name: str, rows: Sequence[Sequence[Any]], count: int, width: int) -> None:
    if len(rows) != count or any(len(row) != width for row in rows):
        raise ValueError(f"{name} must hold {count} times {width} values")


def fit_parts(
    history: PriceHistory,
    own_drift: ExcessDrift,
    config: WindowConfig,
    split: SplitDates,
    *,
    has_news: bool,
    classifier: TextClassifier | None,
) -> Fitted:
    """Learn from the days before validation what stands before the network.

    Args:
        history: The prices, with the features that the network will see.
        own_drift: Of the same rows.
        config: Context and horizons.
        split: Where training and validation end.
        has_news: Whether there were news.
        classifier: Of the news, already fitted.

    Raises:
        ValueError: No training example, or prices that hardly move.
    """
    rows = example_rows(history, config, stop=split.validation_start)
    if not len(rows):
        raise ValueError(
            f"no training example ends before {split.validation_start}; shorten "
            f"context_length={config.context_length} or add data"
        )
    horizons = config.horizons
    scaler = FeatureScaler.fit(history, split.validation_start)
    regression = ScaleRegression.fit(history, rows, horizons, scaler)
    drift = DriftPrior.fit(history, own_drift, split.validation_start)

    def outcome(piece: Rows) -> NDArray[np.float32]:
        moved = target_of(history, piece, horizons) - drift.location(own_drift, piece, horizons)
        return moved / regression.scale(history, piece, horizons, scaler)

    fan = training_fan(history, rows, horizons, LEVELS, outcome)
    if not bool((fan.diff(dim=1) > 0).all()):
        raise ValueError(
            f"the prices before {split.validation_start} hardly move: their returns over "
            f"{horizons} days have no range to learn; give prices that change"
        )
    return Fitted(
        validation_start=split.validation_start,
        test_start=split.test_start,
        test_end=history.dates.max(),
        known_until=max(
            history.dates[part.stop - 1]
            for part in history.parts(split.test_start)
            if part.stop > part.start
        ),
        scaler=scaler,
        regression=regression,
        drift=drift,
        fan=fan,
        naive_mae=naive_error(history, rows, horizons),
        has_news=has_news,
        classifier=classifier,
        tickers=tuple(history.tickers),
    )
