"""Is the forecaster fit to forecast?"""

from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd

from apps.stock_forecast.datamodule import read_table
from apps.stock_forecast.inference import APP, Engine, StockForecaster
from apps.stock_forecast.stored import stored_table
from core.champions import champion
from core.cli import verb
from core.health import Opened, examine, exit_code, show


@verb(show, code=exit_code)
def check(
    run: Path | None = None,
    *,
    data: str | None = None,
    news: Path | None = None,
    max_seconds: float = 5.0,
    max_age_days: float = 0.0,
    offline: bool = False,
    engine: Engine = "torch",
) -> dict[str, Any]:
    """Look whether a run is intact, forecasts in time and has fresh prices; for a monitor.

    Exit codes: 0 healthy, 1 slow or stale, 2 it cannot forecast (or a wrong option).

    Args:
        run: The run folder; left out: runs/stock_forecast/champion.
        data: Prices to forecast from and whose age counts; left out: the run's own.
        news: Dated texts to the data, where the run was trained with some.
        max_seconds: The slowest of five forecasts of all tickers may take so long.
        max_age_days: Calendar days since the newest price; 0 sets no limit. A long weekend has 4.
        offline: Never ask Yahoo; read what `fetch` has cached.
        engine: What the network runs on.
    """
    path = champion(APP, run)

    def load() -> Opened:
        forecaster = StockForecaster.load(path, engine)

        @cache  # Yahoo is asked once
        def table() -> pd.DataFrame:
            return stored_table(forecaster.run) if data is None else read_table(data, news, offline)

        def answer(_: int) -> None:
            prices = [item["price"] for item in forecaster.forecast(table())["forecasts"]]
            if not prices or not all(map(isfinite, prices)):
                raise ValueError(f"{path}: forecasts no finite price; train again")

        return Opened(answer, lambda: ("the newest price", table()["Date"].max().date()))

    return examine(path, load, max_seconds=max_seconds, max_age_days=max_age_days)
