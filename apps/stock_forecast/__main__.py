"""The stock forecaster's commands."""

from core.cli import run

HERE = "apps.stock_forecast"
VERBS = {
    "fetch": (f"{HERE}.fetch:fetch", "download prices from Yahoo into the cache or a CSV file"),
    "train": (f"{HERE}.train:train", "learn from prices, write a run folder"),
    "evaluate": (f"{HERE}.evaluate:evaluate", "score a run beside the classical baselines"),
    "compare": (f"{HERE}.compare:compare_candidates", "train and score candidates side by side"),
    "forecast": (f"{HERE}.inference:forecast", "the distribution of prices ahead"),
    "retrain": (f"{HERE}.train:retrain", "go on from a run with new prices"),
}


def main() -> None:
    """Entry point of the console script `stock-forecast`."""
    run("stock-forecast", "Forecasts the distribution of prices, 1 to 60 days ahead.", VERBS)


if __name__ == "__main__":
    main()
