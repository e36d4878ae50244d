"""The forecaster's page: a ticker's last prices and the range ahead."""

import sys
from pathlib import Path

import streamlit as st

from apps.stock_forecast.datamodule import stored_table
from apps.stock_forecast.inference import StockForecaster
from apps.stock_forecast.plots import quantile_fan
from core.runs import champion


@st.cache_resource(max_entries=2)
def load(path: str, changed: float) -> StockForecaster:
    """Open a run once for all visitors."""
    return StockForecaster.load(Path(path))


def main() -> None:
    """The page."""
    st.title("Price ranges")
    path = champion("stock_forecast", Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    if not (path / "manifest.json").exists():
        st.info(
            "There is no trained forecaster yet. Run `make run` (about 5 minutes), then reload."
        )
        return
    try:
        forecaster = load(str(path.resolve()), (path / "manifest.json").stat().st_mtime)
        table = stored_table(forecaster.run)
        result = forecaster.forecast(table)
    except (OSError, ValueError) as error:
        st.error(f"This run cannot be used: {error}")
        return
    st.caption(
        f"Prices are close to a random walk: trust the width of the range, not its middle. "
        f"Run {path.resolve().name}, as of {result['as_of']}. No advice."
    )
    ticker = st.selectbox("Ticker", list(dict.fromkeys(f["ticker"] for f in result["forecasts"])))
    st.plotly_chart(quantile_fan(table, result["forecasts"], ticker))
    st.dataframe(
        [
            {
                "days ahead": item["horizon"],
                "date": item["date"],
                "median": round(item["price"], 2),
                "80 % from": round(item["quantiles"]["0.1"], 2),
                "80 % to": round(item["quantiles"]["0.9"], 2),
            }
            for item in result["forecasts"]
            if item["ticker"] == ticker
        ],
        hide_index=True,
    )


main()
