"""The test part as `compare` scores it: the same days for every candidate and every context."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from apps.stock_forecast.datamodule import PARTS, PriceDataModule
from apps.stock_forecast.evaluate import predict_baselines, score_rows
from apps.stock_forecast.row_scores import Scores, best_baseline, mean_ratio
from data.windows import Rows


@dataclass(frozen=True)
class HeldOut:
    """The test part, and what the baselines forecast on it.

    Attributes:
        datamodule: The prices, with the context of the main score.
        contexts: Days of context that are compared, rising.
        rows: The test part.
        is_common: Which of them have every context, (rows,).
        forecasts: The baselines' quantiles on the rows, each (B, P, Q).
    """

    datamodule: PriceDataModule
    contexts: Sequence[int]
    rows: Rows
    is_common: NDArray[np.bool_]
    forecasts: Mapping[str, Tensor]

    @classmethod
    def prepare(cls, datamodule: PriceDataModule, contexts: Sequence[int]) -> "HeldOut":
        """Find the common rows and let the baselines forecast.

        Raises:
            ValueError: The data are too short for one of the contexts.
        """
        for context in contexts:
            check_context(datamodule, context)
        longest = datamodule.at_context(max(*contexts, datamodule.config.context_length))
        rows = datamodule.rows("test")
        return cls(
            datamodule,
            contexts,
            rows,
            np.isin(rows, longest.rows("test")),
            predict_baselines(datamodule, datamodule, rows),
        )

    @cached_property
    def common(self) -> Rows:
        """The test rows that have every context."""
        return self.rows[self.is_common]

    @cached_property
    def classical(self) -> dict[str, Scores]:
        """The baselines' scores on the test part."""
        return {
            name: score_rows(found, self.datamodule, self.rows)
            for name, found in self.forecasts.items()
        }

    @cached_property
    def random_walk(self) -> Scores:
        """The random walk's scores on the common rows."""
        found = self.forecasts["random_walk"][self.is_common]
        return score_rows(found, self.datamodule, self.common)

    def crps_relative(self, quantiles: Tensor) -> float:
        """CRPS of quantiles on the common rows, (B, P, Q), over the random walk's."""
        return mean_ratio(score_rows(quantiles, self.datamodule, self.common), self.random_walk)

    def metrics(self, quantiles: Tensor) -> dict[str, Any]:
        """Every score of quantiles on the test rows, (B, P, Q)."""
        return summarize(score_rows(quantiles, self.datamodule, self.rows), self.classical)


def check_context(datamodule: PriceDataModule, context: int) -> None:
    """Refuse a context for which the data are too short.

    Raises:
        ValueError: A part would have no example.
    """
    other = datamodule.at_context(context)
    for part in PARTS:
        if not len(other.rows(part)):
            raise ValueError(
                f"contexts: with {context} days of context the {part} part has no example; leave "
                f"{context} out of --contexts or add data"
            )


def summarize(scores: Scores, classical: dict[str, Scores]) -> dict[str, Any]:
    """Scores by horizon, and their means beside the baselines.

    `crps_relative` is the mean over horizons of the CRPS over the random walk's,
    `crps_ratio` the same over the best baseline's.
    """
    covered = scores["coverage_80"].values()
    return {
        **scores,
        "crps_relative": mean_ratio(scores, classical["random_walk"]),
        "crps_ratio": mean_ratio(scores, classical[best_baseline(classical)]),
        "coverage_80_mean": sum(covered) / len(covered),
    }
