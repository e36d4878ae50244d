"""A trained run that forecasts prices."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from apps.stock_forecast.datamodule import (
    Fitted,
    PriceDataModule,
    read_table,
    stored_table,
    window_config,
)
from core.cli import verb
from core.nn.forecaster import LEVELS, Forecaster, ForecasterConfig
from core.runs import Run, champion, load_run
from data.features import FEATURES, NEWS_FEATURES

logger = logging.getLogger(__name__)

APP = "stock_forecast"
STALE = np.timedelta64(10, "D")  # a ticker that has not traded for longer is not forecast


@dataclass(frozen=True)
class StockForecaster:
    """A run's network with everything that it needs to read prices.

    Attributes:
        run: The opened run folder.
        model: The network, in evaluation mode.
    """

    run: Run
    model: Forecaster

    @classmethod
    def load(cls, path: Path | None = None) -> "StockForecaster":
        """Open a run folder; None for runs/stock_forecast/champion.

        Raises:
            FileNotFoundError: There is no run.
            ValueError: It is another app's, or a file was changed.
        """
        return cls.from_run(load_run(champion(APP, path), APP))

    @classmethod
    def from_run(cls, run: Run) -> "StockForecaster":
        """Build the network of an opened run and load its weights."""
        model = build_model(run)
        run.load_weights(model)
        return cls(run, model)

    def forecast(
        self, table: pd.DataFrame | None = None, tickers: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Forecast each ticker from its last day.

        Args:
            table: Prices as `read_table` gives them; None for the run's own.
            tickers: Only these; none stands for all.

        Returns:
            `as_of` and, for each ticker and horizon, the price's median and quantiles. Prices
            are the close as traded, moved by the adjusted return. A horizon's date counts
            weekdays, so that an exchange's holidays make it a day or two early.

        Raises:
            ValueError: A ticker is not in the data or too short.
        """
        table = stored_table(self.run) if table is None else table
        config = window_config(self.run)
        _check_tickers(tickers, table, config.context_length)
        datamodule = PriceDataModule.from_run(self.run, table)
        history = datamodule.history
        last = np.flatnonzero(history.remaining() == 0)
        last = last[history.position()[last] >= config.context_length - 1]
        if tickers:
            last = last[np.isin(np.asarray(history.tickers)[history.ticker[last]], tickers)]
        as_of = history.dates[last].max()
        stale = last[history.dates[last] < as_of - STALE]
        if len(stale):
            names = ", ".join(history.tickers[k] for k in history.ticker[stale])
            logger.warning("not forecast, last traded over 10 days before %s: %s", as_of, names)
        last = last[history.dates[last] >= as_of - STALE]
        batch = datamodule.batch(last)
        with torch.inference_mode():
            returns = (self.model(batch.inputs) * batch.scale[..., None]).double().numpy()
        prices = history.close[last, None, None] * np.exp(returns)  # (B, P, Q)
        return {
            "as_of": str(as_of),
            "run": str(self.run.path),
            "forecasts": [
                {
                    "ticker": history.tickers[history.ticker[row]],
                    "horizon": horizon,
                    "date": str(np.busday_offset(history.dates[row], horizon, roll="backward")),
                    "price": float(prices[i, p, LEVELS.index(0.5)]),
                    "quantiles": {
                        f"{level:g}": float(price)
                        for level, price in zip(LEVELS, prices[i, p], strict=True)
                    },
                }
                for i, row in enumerate(last)
                for p, horizon in enumerate(config.horizons)
            ],
        }


def build_model(run: Run) -> Forecaster:
    """The run's network with starting weights."""
    fitted = Fitted.from_json(run.preprocessor["prices"])
    features = FEATURES + NEWS_FEATURES if fitted.has_news else FEATURES
    config = ForecasterConfig(**run.config["model"])
    return Forecaster(len(features), window_config(run).horizons, config, fitted.fan)


def forecast_table(result: dict[str, Any]) -> str:
    """A forecast for people."""
    lines = [f"as of {result['as_of']}: median price and where it lies with 80 %"]
    for item in result["forecasts"]:
        low, high = item["quantiles"]["0.1"], item["quantiles"]["0.9"]
        lines.append(
            f"{item['ticker']:<8} {item['horizon']:>3} days  {item['date']}  "
            f"{item['price']:>10.2f}  {low:.2f} to {high:.2f}"
        )
    return "\n".join(lines)


@verb(forecast_table)
def forecast(
    run: Path | None = None,
    data: str | None = None,
    news: Path | None = None,
    ticker: str | None = None,
) -> dict[str, Any]:
    """Forecast prices from the last day of the data.

    Args:
        run: The run folder; left out: runs/stock_forecast/champion.
        data: Prices to forecast from; left out: the run's own.
        news: Dated texts to the data, where the run was trained with some.
        ticker: Only these, such as AAPL,MSFT; left out: all.
    """
    forecaster = StockForecaster.load(run)
    table = None if data is None else read_table(data, news)
    tickers = [] if ticker is None else [name.strip() for name in ticker.split(",")]
    return forecaster.forecast(table, tickers)


def _check_tickers(tickers: Sequence[str], table: pd.DataFrame, context_length: int) -> None:
    """Refuse a ticker that is not there or too young."""
    lengths = table.groupby("Ticker", observed=True).size()
    known = sorted(lengths.index)
    for ticker in tickers:
        if ticker not in lengths:
            raise ValueError(
                f"ticker {ticker!r} is not in the data; choose from {', '.join(known[:20])}"
                + (" ..." if len(known) > 20 else "")
            )
        if lengths[ticker] < context_length:
            raise ValueError(
                f"context_length={context_length} needs at least {context_length} rows, "
                f"{ticker} has {lengths[ticker]}; add data"
            )
