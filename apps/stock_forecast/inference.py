"""A trained run that forecasts prices."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from apps.stock_forecast.datamodule import (
    PriceDataModule,
    read_table,
)
from apps.stock_forecast.fitted import Fitted
from apps.stock_forecast.predicting import Compute, predict
from apps.stock_forecast.stored import stored_fitted, stored_table, window_config
from core.champions import champion
from core.cli import verb
from core.forecast_exporting import GRAPH, OnnxForecaster, export_forecaster
from core.nn.forecaster import LEVELS, Forecaster, ForecasterConfig
from core.run_graphs import ensure_graphs
from core.runs import Run, load_run
from core.stored import check_size, section
from data.trading_days import day_ahead
from data.windows import WindowConfig, feature_names, vocab_size

logger = logging.getLogger(__name__)

APP = "stock_forecast"
Engine = Literal["torch", "onnx"]
STALE = np.timedelta64(10, "D")  # a ticker that has not traded for longer is not forecast


@dataclass(frozen=True)
class StockForecaster:
    """A run's network with everything that it needs to read prices.

    Attributes:
        run: The opened run folder.
        model: The network, in evaluation mode.
        compute: What turns inputs into quantiles: the network itself, or its ONNX graph.
    """

    run: Run
    model: Forecaster
    compute: Compute

    @classmethod
    def load(cls, path: Path | None = None, engine: Engine = "torch") -> "StockForecaster":
        """Open a run folder; None for runs/stock_forecast/champion.

        Raises:
            FileNotFoundError: There is no run.
            ValueError: It is another app's, a file was changed, or the engine cannot run it.
        """
        return cls.from_run(load_run(champion(APP, path), APP), engine)

    @classmethod
    def from_run(cls, run: Run, engine: Engine = "torch") -> "StockForecaster":
        """Build the network of an opened run and load its weights.

        Args:
            run: The run.
            engine: `onnx` reads the graph in the run's onnx/ and makes it where it is missing.

        Raises:
            ValueError: The engine is unknown or cannot run the network.
        """
        if engine not in ("torch", "onnx"):
            raise ValueError(f"engine={engine!r} is unknown; choose torch or onnx")
        model = build_model(run)
        run.load_weights(model)
        if engine == "torch":
            return cls(run, model, model)
        folder = ensure_graphs(run, [GRAPH], lambda folder: write_onnx(run, model, folder))
        return cls(run, model, OnnxForecaster(folder))

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
        returns = predict(self.compute, datamodule, last).double().numpy()
        prices = history.close[last, None, None] * np.exp(returns)  # (B, P, Q)
        first = last - history.position()[last]
        return {
            "as_of": str(as_of),
            "run": str(self.run.path),
            "forecasts": [
                {
                    "ticker": history.tickers[history.ticker[row]],
                    "horizon": horizon,
                    "date": str(day_ahead(history.dates[first[i] : row + 1], horizon)),
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
    """The run's network with starting weights.

    Raises:
        ValueError: The run's configuration, or what it was fitted on, fits no network of its kind.
    """
    fitted, windows = stored_fitted(run), window_config(run)
    config = section(run, "model", ForecasterConfig)
    size, words = input_size(windows, fitted), vocab_size(windows)

    def build() -> Forecaster:
        return Forecaster(size, windows.horizons, config, fitted.fan, vocab_size=words)

    check_size(run, [config.hidden_size], config.num_layers * config.num_members, build)
    return build().eval()


def input_size(windows: WindowConfig, fitted: Fitted) -> int:
    """Features per day that a run's network reads."""
    return len(feature_names(windows, fitted.has_news))


def write_onnx(run: Run, model: Forecaster, folder: Path) -> float:
    """Export a run's network into a folder; gives the largest difference to torch.

    Raises:
        ValueError: The network cannot be exported.
    """
    fitted = stored_fitted(run)
    return export_forecaster(model, input_size(window_config(run), fitted), folder)


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
    *,
    data: str | None = None,
    news: Path | None = None,
    ticker: str | None = None,
    offline: bool = False,
    engine: Engine = "torch",
) -> dict[str, Any]:
    """Forecast prices from the last day of the data.

    Args:
        run: The run folder; left out: runs/stock_forecast/champion.
        data: Prices to forecast from; left out: the run's own.
        news: Dated texts to the data, where the run was trained with some.
        ticker: Only these, such as AAPL,MSFT; left out: all.
        offline: Never ask Yahoo; read what `fetch` has cached.
        engine: onnx computes with the run's onnx/model.onnx and makes it where it is missing.
    """
    forecaster = StockForecaster.load(run, engine)
    table = None if data is None else read_table(data, news, offline)
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
