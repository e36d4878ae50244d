"""The stock forecaster's commands."""

from pathlib import Path

from core.cli import run as run_command

HERE = "apps.stock_forecast"
VERBS = {
    "fetch": (f"{HERE}.fetch:fetch", "download prices from Yahoo into the cache or a CSV file"),
    "train": (f"{HERE}.train:train", "learn from prices, write a run folder"),
    "evaluate": (f"{HERE}.evaluate:evaluate", "score a run beside the classical baselines"),
    "backtest": (f"{HERE}.backtest:backtest", "walk forward: train, forecast, move on, score"),
    "compare": (f"{HERE}.compare:compare", "train and score candidates side by side"),
    "forecast": (f"{HERE}.inference:forecast", "the distribution of prices ahead"),
    "export": (f"{HERE}.export:export", "write the network as ONNX, checked against torch"),
    "retrain": (f"{HERE}.retrain:retrain", "go on from a run with new prices"),
    "rollback": (f"{HERE}.retrain:rollback", "make an earlier champion the champion again"),
    "check": (f"{HERE}.check:check", "is a run intact, quick and fresh? with exit codes"),
    "demo": (f"{HERE}.__main__:demo", "open the forecaster in the browser"),
}

PRELOAD = (
    "apps.stock_forecast.inference",
    "apps.stock_forecast.plots",
)  # what the page needs, and takes seconds


def main() -> None:
    """Entry point of the console script `stock-forecast`."""
    run_command(
        "stock-forecast", "Forecasts the distribution of prices, 1 to 60 days ahead.", VERBS
    )


def demo(run: Path | None = None, port: int = 8501, host: str = "localhost") -> None:
    """Serve the page until Ctrl-C.

    Args:
        run: The run folder; left out: runs/stock_forecast/champion.
        port: Where the page listens, 1024 to 65535.
        host: Address to listen on; the default is reached from this machine alone.
    """
    from core.demo import open_page

    page = Path(__file__).with_name("streamlit_app.py")
    open_page(page, port, run=run, host=host, preload=PRELOAD)


if __name__ == "__main__":
    main()
