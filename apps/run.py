"""`make run`: both case studies on the samples, small: tables, answers, a forecast, a report."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from core.cli import call, guarded

if TYPE_CHECKING:  # torch takes seconds to import: the first words come before it
    import pandas as pd

    from core.reporting import Section

HERE = Path(__file__).parent
RUNS = Path("runs")
REPORT = RUNS / "report.html"
CHAT_CANDIDATES = ("rules", "most_frequent", "tfidf", "bm25", "rnn_unclipped", "lstm_attention")
STOCK_CANDIDATES = ("random_walk", "drift", "ewma", "garch", "har", "historical", "rnn", "gru")
CHAT_WINNER, STOCK_WINNER = "lstm_attention-seed0", "gru-seed0"
CHAT_TEXT = """\
Every network read the same training part for the same number of steps. The test
part's phrasings never occur in training, so that copying the nearest question is not enough. The
last column divides each chrF by that of TF-IDF retrieval.

rnn_unclipped is where the case study failed: a vanilla RNN without attention or clipping. What
each remedy mends alone shows in `chatbot compare`, which has a row for the vanilla RNN with both,
for the LSTM without attention and for the GRU."""
STOCK_TEXT = """\
crps_relative is the mean over the horizons of 1, 5, 20 and 60 days of each CRPS over the random
walk's: lower is better. coverage_80_mean is how often the 80 % interval held the
outcome. On daily prices the vanilla RNN is about as good as the GRU: what can be won is the width
of the range, and both read it from the same features."""
FAN_TEXT = "The bands hold the price with the stated probability, if tomorrow resembles the past."
QUESTIONS = (
    "hi, where is my laptop? my order number is A-7522119",
    "how do I return my tent, it is too small, order SO89873736",
    "do you ship a backpack to Norway",
)
TICKER = "AAPL"
ONE_CONTEXT = "60"  # days, those of the main score: nothing is trained twice


def main() -> None:
    """Train, compare, answer, forecast, report."""
    started = time.perf_counter()
    stamp = time.strftime("%Y%m%d-%H%M%S")
    sections = [*chatbot(stamp), *stock_forecast(stamp)]
    say("Report")
    from core.reporting import write_report

    write_report(REPORT, "Recurrent networks at work: both case studies, small", sections)
    print(f"Plots and tables: {REPORT}\nFinished in {time.perf_counter() - started:.0f} s.")
    print("Next: make demo, or chatbot train --data YOUR.jsonl (see README.md)")


def chatbot(stamp: str) -> Sequence["Section"]:
    """Compare the chatbot's candidates and ask the LSTM three questions."""
    say("Case study 1: customer support (chatbot compare)")
    from apps.chatbot.answers import Answers
    from apps.chatbot.compare import compare, table
    from core.comparison_report import LAG_TEXT, lag_figures
    from core.plots import gradient_norms, loss_curves
    from core.reporting import Section
    from data.dialogues import Turn

    folder = RUNS / "chatbot" / f"{stamp}-compare"
    rows = call(compare, options("chatbot", folder, CHAT_CANDIDATES), "make run")
    print(f"\n{table(rows)}\n")
    run = keep_winner(folder, CHAT_WINNER)
    answers = Answers(run)
    dialogue = [(question, answers([Turn("user", question)])["text"]) for question in QUESTIONS]
    spoken = "\n".join(f"customer: {question}\nchatbot:  {text}" for question, text in dialogue)
    print(f"{spoken}\n")
    logs = training_logs(folder)
    return [
        Section(
            "Customer support: who answers best?",
            f"{CHAT_TEXT}\n\n{LAG_TEXT}",
            table(rows),
            [loss_curves(logs, "nats per token"), gradient_norms(logs), *lag_figures(rows)],
        ),
        Section("Three questions to the LSTM with attention", table=spoken),
    ]


def stock_forecast(stamp: str) -> Sequence["Section"]:
    """Compare the forecasters and print one forecast of the GRU."""
    say("Case study 2: price ranges (stock-forecast compare)")
    from apps.stock_forecast.compare import compare, table
    from apps.stock_forecast.datamodule import stored_table
    from apps.stock_forecast.inference import StockForecaster, forecast_table
    from apps.stock_forecast.plots import quantile_fan
    from core.comparison_report import lag_figures
    from core.plots import gradient_norms, loss_curves
    from core.reporting import Section

    folder = RUNS / "stock_forecast" / f"{stamp}-compare"
    words = options("stock_forecast", folder, STOCK_CANDIDATES, "--contexts", ONE_CONTEXT)
    rows = call(compare, words, "make run")
    print(f"\n{table(rows)}\n")
    forecaster = StockForecaster.load(keep_winner(folder, STOCK_WINNER))
    result = forecaster.forecast(tickers=[TICKER])
    print(f"{forecast_table(result)}\n")
    fan = quantile_fan(stored_table(forecaster.run), result["forecasts"], TICKER)
    logs = training_logs(folder)
    return [
        Section(
            "Price ranges: who forecasts best?",
            STOCK_TEXT,
            table(rows),
            [
                loss_curves(logs, "pinball, in units of volatility"),
                gradient_norms(logs),
                *lag_figures(rows),
            ],
        ),
        Section(f"A forecast of the GRU for {TICKER}", FAN_TEXT, forecast_table(result), [fan]),
    ]


def options(app: str, folder: Path, candidates: Sequence[str], *more: str) -> list[str]:
    """The words of the `compare` command."""
    config = HERE / app / "configs" / "small.yaml"
    words = ["--config", str(config), "--run", str(folder), "--candidates", ",".join(candidates)]
    return [*words, "--seeds", "1", *more]


def keep_winner(folder: Path, name: str) -> Path:
    """Put the run to use beside the app's other runs; the first one becomes its champion."""
    from core.champions import promote_first

    run = folder.with_name(f"{folder.name}-{name}")
    shutil.copytree(folder / name, run)
    promote_first(run, folder.parent.name)
    return run


def training_logs(folder: Path) -> Mapping[str, "pd.DataFrame"]:
    """The logs of a comparison's trainings by the candidate's name."""
    from core.plots import read_training_log

    runs = sorted(path for path in folder.iterdir() if (path / "logs").is_dir())
    return {run.name.rsplit("-seed", 1)[0]: read_training_log(run) for run in runs}


def say(title: str) -> None:
    """A heading on standard error, between the bars."""
    Console(stderr=True).rule(title)


if __name__ == "__main__":
    guarded("make run", main)
