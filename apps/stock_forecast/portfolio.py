"""An illustration: what toy portfolios that follow the forecasts would have earned, after costs.

It assumes that a forecast made from a close can be traded at that close, at any size, short as
well, and that nobody else moves. It says nothing about what anybody will earn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.comparison import align
from core.nn.forecaster import LEVELS

Floats = NDArray[np.float64]

NOTE = (
    "An illustration, not a result to expect: it trades at the close that it forecasts from, at "
    "any size and one fixed cost, and ignores taxes and the cost of borrowing."
)
PORTFOLIOS = ("long_only", "long_short", "buy_and_hold")
COLUMNS = {
    "annual_return": "return a year, %",
    "annual_volatility": "volatility, %",
    "sharpe": "Sharpe",
    "max_drawdown": "deepest fall, %",
    "annual_turnover": "turnover a year",
}
EVERY = {"daily": 1, "weekly": 5}  # trading days between two rebalances
TRADING_DAYS = 252  # a year
HELD_SHARE = 3  # the best one of so many is bought, the worst one sold short
LONGEST_GAP = 5  # days without trading over which a ticker's last forecast holds
CONSTANT = 1e-5  # medians in units of the scale that differ by less rank nothing


@dataclass(frozen=True, kw_only=True)
class PortfolioConfig:
    """How the toy portfolios trade.

    Attributes:
        rebalance: When they trade: `daily`, or `weekly`, every fifth trading day.
        cost: Basis points (hundredths of a per cent) of what is bought and of what is sold, 0 to
            1000.
    """

    rebalance: Literal["daily", "weekly"] = "weekly"
    cost: float = 10.0

    def __post_init__(self) -> None:
        if self.rebalance not in EVERY:
            raise ValueError(f"rebalance={self.rebalance!r} is unknown; choose daily or weekly")
        if not 0 <= self.cost <= 1000:
            raise ValueError(f"cost={self.cost} must lie between 0 and 1000 basis points")


@dataclass(frozen=True)
class Signals:
    """What the forecasts say of each row at one horizon.

    Attributes:
        date: Of the forecast, (B,).
        ticker: Its name, (B,).
        quantiles: Of the cumulative log return, at LEVELS, (B, Q).
        scale: Trailing volatility over the horizon, (B,).
    """

    date: NDArray[np.datetime64]
    ticker: NDArray[Any]
    quantiles: Floats
    scale: Floats


@dataclass(frozen=True)
class Earned:
    """What a portfolio did each day.

    Attributes:
        returns: From a close to the next, after costs, (D,).
        traded: Bought and sold at that close, over the portfolio's value, (D,).
    """

    returns: Floats
    traded: Floats

    def summary(self) -> dict[str, float | None]:
        """Per year of 252 days: return, volatility, Sharpe ratio, turnover; and the deepest fall.

        The Sharpe ratio is without an interest rate, None where nothing moved. Turnover is what
        was bought and sold over the portfolio's value.
        """
        deviation = float(np.std(self.returns, ddof=1)) if len(self.returns) > 1 else 0.0
        mean, year = float(np.mean(self.returns)), TRADING_DAYS / len(self.returns)
        equity = np.concatenate([[1.0], self.equity()])
        return {
            "annual_return": float(equity[-1] ** year - 1),
            "annual_volatility": deviation * TRADING_DAYS**0.5,
            "sharpe": mean / deviation * TRADING_DAYS**0.5 if deviation > 0 else None,
            "max_drawdown": float(np.max(1 - equity / np.maximum.accumulate(equity))),
            "annual_turnover": float(self.traded.sum()) * year,
        }

    def equity(self) -> Floats:
        """Value of what was 1 at the start, after each day, (D,)."""
        return np.asarray(np.cumprod(1 + self.returns), float)


def simulate(targets: Floats, returns: Floats, is_traded: NDArray[np.bool_], cost: float) -> Earned:
    """Hold weights through the days; between trades they drift with the prices.

    Args:
        targets: Weights wanted at each close, known at that close, (D, K). What they lack to 1 is
            cash, which earns nothing.
        returns: Simple returns from that close to the next, (D, K).
        is_traded: At which closes the portfolio is brought to its targets, (D,).
        cost: Share of what is bought and of what is sold.
    """
    net, traded = np.zeros(len(targets)), np.zeros(len(targets))
    held = np.zeros(targets.shape[1])
    for day, moved in enumerate(returns):
        if is_traded[day]:
            traded[day] = np.abs(targets[day] - held).sum()
            held = targets[day]
        gross = float(held @ moved)
        net[day] = max((1 - cost * traded[day]) * (1 + gross), 0.0) - 1
        if net[day] == -1:  # all is lost, and stays so
            break
        held = held * (1 + moved) / (1 + gross)
    return Earned(net, traded)


def rank_weights(signal: Floats, is_short: bool) -> Floats:
    """Equal weights on the third with the highest signal, against the lowest third where asked.

    Args:
        signal: NaN where there is none, (D, K).
        is_short: Half of the value buys the best third, half is sold short of the worst; else all
            of it buys the best third.

    Returns:
        Weights, (D, K); none on a day with fewer than two signals where `is_short`.
    """
    weights = np.zeros_like(signal)
    for day, row in enumerate(signal):
        known = np.flatnonzero(np.isfinite(row))
        if len(known) < 1 + is_short:
            continue
        order = known[np.argsort(-row[known], kind="stable")]
        count = max(len(known) // HELD_SHARE, 1)
        weights[day, order[:count]] = (0.5 if is_short else 1.0) / count
        if is_short:
            weights[day, order[-count:]] = -0.5 / count
    return weights


def trade(
    signals: Sequence[Signals], prices: pd.DataFrame, horizon: int, config: PortfolioConfig
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Follow the forecasts of a walk forward, beside equal weights that are bought and held.

    Tickers are ranked by the median return forecast; where the medians are the same multiple of
    the volatility for all, and so say nothing of direction, by the narrowness of the forecast.

    Args:
        signals: Of each fold, one after the other.
        prices: The table of `load_prices`, also past the last forecast.
        horizon: Days ahead of the signals.
        config: When and at what cost.

    Returns:
        The summary by portfolio with its settings, and the value of each after each day.
    """
    middle, low, high = (LEVELS.index(level) for level in (0.5, 0.1, 0.9))
    says_direction = any(np.ptp(s.quantiles[:, middle] / s.scale) > CONSTANT for s in signals)
    frame = pd.concat(
        pd.DataFrame(
            {
                "Date": s.date,
                "Ticker": s.ticker,
                "signal": s.quantiles[:, middle]
                if says_direction
                else 1 / (s.quantiles[:, high] - s.quantiles[:, low]),
            }
        )
        for s in signals
    )
    signal = frame.pivot_table("signal", "Date", "Ticker")
    close = prices.astype({"Ticker": str}).pivot_table("Adj Close", "Date", "Ticker")
    close = close[signal.columns].ffill()
    ahead = (close.shift(-1) / close - 1).fillna(0.0)  # before its first and after its last day: 0
    days = close.index[:-1]
    days = days[(days >= signal.index[0]) & (days <= signal.index[-1])]
    wanted = signal.reindex(days).ffill(limit=LONGEST_GAP).to_numpy()
    returns = ahead.loc[days].to_numpy()
    is_traded = np.arange(len(days)) % EVERY[config.rebalance] == 0
    everything = np.isfinite(wanted[0]) / np.isfinite(wanted[0]).sum()
    targets = {
        "long_only": (rank_weights(wanted, is_short=False), is_traded),
        "long_short": (rank_weights(wanted, is_short=True), is_traded),
        "buy_and_hold": (np.tile(everything, (len(days), 1)), np.arange(len(days)) == 0),
    }
    earned = {
        name: simulate(weights, returns, traded, config.cost / 1e4)
        for name, (weights, traded) in targets.items()
    }
    summary = {
        "note": NOTE,
        "ranked_by": "median forecast" if says_direction else "inverse forecast width",
        "horizon": horizon,
        "rebalance": config.rebalance,
        "cost": config.cost,
        "start": str(days[0].date()),
        "end": str(days[-1].date()),
        **{name: one.summary() for name, one in earned.items()},
    }
    curves = pd.DataFrame({name: one.equity() for name, one in earned.items()}, index=days)
    return summary, curves


def portfolio_table(summary: Mapping[str, Any]) -> str:
    """The summary of `trade` for people."""
    lines = [["illustration", *COLUMNS.values()]]
    for name in PORTFOLIOS:
        lines.append([name, *(_cell(summary[name], column) for column in COLUMNS)])
    return align(lines)


def _cell(scores: Mapping[str, float | None], column: str) -> str:
    value, unit = scores[column], 100 if COLUMNS[column].endswith("%") else 1
    return "-" if value is None else f"{unit * value:.{1 if unit > 1 else 2}f}"


def nearest_horizon(horizons: Sequence[int], config: PortfolioConfig) -> int:
    """The place of the horizon that is nearest to the days between two trades."""
    return int(np.argmin([abs(horizon - EVERY[config.rebalance]) for horizon in horizons]))
