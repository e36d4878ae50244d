"""What the training part teaches before the network sees it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.nn.forecaster import LEVELS
from data.drift import DriftPrior, ExcessDrift
from data.sentiment import TextClassifier
from data.volatility import ScaleRegression
from data.windows import (
    FeatureScaler,
    PriceHistory,
    Rows,
    SplitDates,
    WindowConfig,
    example_rows,
    naive_error,
    target_of,
    training_fan,
)


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
        """The inverse of `to_json`."""
        classifier = value.get("classifier")
        return cls(
            validation_start=np.datetime64(value["validation_start"]),
            test_start=np.datetime64(value["test_start"]),
            test_end=np.datetime64(value["test_end"]),
            known_until=np.datetime64(value["known_until"]),
            scaler=FeatureScaler(
                tuple(value["scaler"]["mean"]), tuple(value["scaler"]["deviation"])
            ),
            regression=ScaleRegression(tuple(tuple(row) for row in value["regression"])),
            drift=DriftPrior(value["drift_variance"]),
            fan=torch.tensor(value["fan"]),
            naive_mae=tuple(value["naive_mae"]),
            has_news=value["has_news"],
            classifier=classifier and TextClassifier.from_json(classifier),
            tickers=tuple(value["tickers"]),
        )


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
