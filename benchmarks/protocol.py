"""The peers' protocol on StockNet: its windows, and scores with intervals over window dates."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm

from core.bootstrap import group_sums, resample
from core.comparison import interval
from core.metrics import crps_from_quantiles, is_covered
from core.nn.forecaster import LEVELS

CONTEXT = 60
HORIZONS = tuple(range(1, 21))
NUM_RESAMPLES = 10_000


@dataclass(frozen=True)
class Protocol:
    """The windows that every model forecasts; W of them, by ticker and date.

    Attributes:
        prices: The file that they come from.
        tickers: Of each window, (W,).
        cutoffs: Last day known, (W,).
        last: Logarithm of its adjusted close, (W,).
        outcome: Log return from there at each horizon, (W, P).
        deviation: Of the ticker's daily return in its training part, (W,).
        num_test_days: At the end of each ticker, in which all outcomes lie.
    """

    prices: Path
    tickers: np.ndarray
    cutoffs: np.ndarray
    last: np.ndarray
    outcome: np.ndarray
    deviation: np.ndarray
    num_test_days: int

    @classmethod
    def read(cls, peers: Path) -> "Protocol":
        """As the peers' `common.py` cuts them.

        Raises:
            FileNotFoundError: It is not there.
        """
        path = peers / "common.py"
        spec = importlib.util.spec_from_file_location("peers_common", path)
        if not path.exists() or spec is None or spec.loader is None:
            raise FileNotFoundError(f"{path} does not exist; give --peers the peers' folder")
        common = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(common)
        outcome, last, tickers, cutoffs, deviation, _ = common.windows(common.load())
        prices = Path(common.PRICES).resolve()
        dates = pd.read_csv(prices, usecols=["Date"])["Date"].unique()
        calendar = np.sort(np.asarray(dates, "datetime64[D]"))
        return cls(
            prices=prices,
            tickers=tickers,
            cutoffs=calendar[cutoffs],
            last=last,
            outcome=outcome - last[:, None],
            deviation=deviation,
            num_test_days=common.NW * common.STEP + common.H - common.STEP,
        )


@dataclass(frozen=True)
class Forecast:
    """Quantiles of the log return by seed, window and horizon, at LEVELS.

    Attributes:
        quantiles: (S, W, P, Q).
        about: What made them.
    """

    quantiles: np.ndarray
    about: str

    @classmethod
    def read(cls, path: Path, protocol: Protocol) -> "Forecast":
        """What `peer_forecast.py` kept; a point forecast is a range without width.

        Raises:
            ValueError: It was made for other windows.
        """
        kept = np.load(path)
        if not np.allclose(kept["outcome"] - kept["last"][:, None], protocol.outcome, atol=1e-6):
            raise ValueError(f"{path}: holds other windows; remove it and run the peer again")
        point = np.repeat(kept["point"][..., None], len(LEVELS), axis=-1)
        levels = kept.get("quantiles", point)
        about = json.loads(str(kept["about"]))
        words = [f"{name} {about[name]}" for name in ("steps", "params", "scaler") if name in about]
        return cls((levels - kept["last"][:, None, None])[None], ", ".join(words))


def normal_fan(protocol: Protocol) -> np.ndarray:
    """No change, with the training part's volatility times the root of the horizon, (W, P, Q)."""
    width = protocol.deviation[:, None] * np.sqrt(HORIZONS)  # (W, P)
    return width[..., None] * norm.ppf(LEVELS)


@dataclass(frozen=True)
class Estimate:
    """A figure and what it is on resampled window dates.

    Attributes:
        observed: On all windows.
        resampled: (R,), paired between models.
    """

    observed: float
    resampled: np.ndarray


@dataclass(frozen=True)
class Scored:
    """Losses of one model by seed and window date.

    Attributes:
        by_date: Means over tickers and horizons of `mae`, `crps`, `in_80` and `in_90`, each (S, D).
        crossings: Share of neighbouring quantiles that fall.
        about: What made the forecasts.
    """

    by_date: dict[str, np.ndarray]
    crossings: float
    about: str

    @classmethod
    def of(cls, forecast: Forecast, protocol: Protocol) -> "Scored":
        """Score a forecast."""
        quantiles = torch.from_numpy(forecast.quantiles)
        levels = torch.tensor(LEVELS, dtype=torch.float64)
        outcome = torch.from_numpy(protocol.outcome).expand(quantiles.shape[:-1])
        scores = {
            "mae": (outcome - quantiles[..., LEVELS.index(0.5)]).abs(),
            "crps": crps_from_quantiles(quantiles, outcome, levels),
            "in_80": is_covered(quantiles, outcome, levels, 0.8),
            "in_90": is_covered(quantiles, outcome, levels, 0.9),
        }
        dates = protocol.cutoffs.tolist()
        per_date = len(dates) / len(set(dates))
        by_date = {
            name: group_sums(values.mean(-1).numpy().T, dates).T / per_date
            for name, values in scores.items()
        }
        return cls(by_date, float((quantiles.diff(dim=-1) < 0).double().mean()), forecast.about)

    @property
    def num_seeds(self) -> int:
        """How many seeds the means are over."""
        return len(self.by_date["mae"])

    def mean(self, name: str) -> float:
        """Over seeds and dates."""
        return float(self.by_date[name].mean())

    def ratio(self, name: str, base: "Scored") -> Estimate:
        """Mean score over another model's."""
        return _estimate(self._dates(name), base._dates(name), lambda own, its: own / its)

    def difference(self, name: str, base: "Scored | None") -> Estimate:
        """Mean score less another model's, or the score itself."""
        own = self._dates(name)
        other = np.zeros_like(own) if base is None else base._dates(name)
        return _estimate(own, other, lambda own, its: own - its)

    def seed_half_width(self, name: str, base: "Scored") -> float:
        """Of the 95 % interval of `ratio` over the seeds."""
        return round(interval(list(self.by_date[name].mean(-1) / base.mean(name)))[1], 4)

    def _dates(self, name: str) -> np.ndarray:
        return self.by_date[name].mean(0)


def _estimate(
    own: np.ndarray, other: np.ndarray, join: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Estimate:
    """Resample whole window dates, with all tickers of a date together."""
    units = np.stack([own, other], axis=1) / len(own)
    resampled = resample(units, lambda sums: join(sums[:, 0], sums[:, 1]), NUM_RESAMPLES)
    return Estimate(float(join(own.mean(), other.mean())), resampled)
