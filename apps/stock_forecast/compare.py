"""The candidates side by side: classical forecasts, recurrent cells and a Transformer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from apps.stock_forecast.baselines import BASELINES
from apps.stock_forecast.datamodule import PriceDataModule
from apps.stock_forecast.held_out import HeldOut
from apps.stock_forecast.inference import APP
from apps.stock_forecast.predicting import predict
from apps.stock_forecast.train import OPTIM, TRAINER, Recipe
from apps.stock_forecast.walking import trained
from core.cli import verb
from core.comparison import Candidate, Row, choose, format_table, numbers
from core.comparison import compare as compare_candidates
from core.comparison_report import ByLength, length_table, write_comparison
from core.diagnostics import lag_metrics, spread_rows
from core.fan_out import Workers, check_workers
from core.nn.forecaster import ForecasterConfig
from core.optim import OptimConfig
from core.runs import begin_run, is_begun, new_run_dir
from core.training import TrainerConfig
from data.prices import hash_prices
from data.windows import WindowConfig

NETWORKS: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "lstm": {"cell": "lstm"},
    "gru": {"cell": "gru"},
    "mingru": {"cell": "mingru"},
    "transformer": {"cell": "transformer"},
    "linear": {"cell": "linear"},
}
CONTEXT_TEXT = """\
Quality by context: each network is trained once with so many trading days to read, from the same
start, and scored on the test days that have the longest of these contexts. crps_relative is the
mean over the horizons of the CRPS over the random walk's on the same days: lower is better. What
the baselines read does not depend on the context. A longer context leaves a few examples fewer to
train on."""
BY_CONTEXT = ByLength(
    "crps_relative",
    "context (trading days)",
    CONTEXT_TEXT,
    lambda row: row["metrics"]["by_context"],
)


def table(rows: Sequence[Row]) -> str:
    """Scores, then quality by context beside the gradient by lag."""
    return f"{score_table(rows)}\n\n{length_table(rows, BY_CONTEXT)}"


def score_table(rows: Sequence[Row]) -> str:
    """The main scores; the last column divides by the best baseline."""
    baselines = {row["name"]: row["metrics"] for row in rows if row["name"] in BASELINES}
    best = min(baselines, key=lambda name: baselines[name]["crps_relative"], default="")
    return format_table(rows, ("crps_relative", "coverage_80_mean"), best, "crps_relative")


@verb(table)
def compare(
    data: str = "sample",
    *,
    run: Path | None = None,
    news: Path | None = None,
    candidates: str = "all",
    seeds: int = 3,
    contexts: str = "20,60,250",
    windows: WindowConfig = WindowConfig(),
    model: ForecasterConfig = ForecasterConfig(),
    optim: OptimConfig = OPTIM,
    trainer: TrainerConfig = TRAINER,
    offline: bool = False,
    workers: Workers = 1,
) -> list[Row]:
    """Train and score candidates on the same data with the same budget.

    The metrics are those of `evaluate`, their means, and `by_context`: `crps_relative` with each
    context, on the same test days. A recurrent network has `gradient_by_lag` as well, at
    `windows.context_length`: `lag`, `hidden` and, of an LSTM, `cell`; the others lack the key. The
    run folder gets `compare.json`, the rows, and `compare.html`.

    Every network is trained once more for each context but `windows.context_length`, and the time
    of a training grows with the context: the three of the default take five to six times as long as
    60 days alone. A row's seconds hold them all.

    A comparison that was stopped goes on when it is called again with the same `run` and options:
    what is trained is scored only, and a training that was begun is resumed. Candidates, seeds and
    contexts may be others than at first.

    Args:
        data: As for `train`.
        run: Folder for one run per network, context and seed; left out:
            runs/stock_forecast/<time>-compare.
        news: As for `train`.
        candidates: Names such as garch,gru, or all: random_walk, drift, ewma, garch, har,
            historical, ets, rnn, lstm, gru, mingru, transformer, linear.
        seeds: How many seeds each network is trained with.
        contexts: Days of context to compare, comma-separated, each at least 2; `60` alone trains
            nothing twice.
        windows: Context, horizons, split.
        model: The networks; `cell` is the candidate's.
        optim: The optimiser.
        trainer: Length and clipping; the seed is the comparison's.
        offline: Never ask Yahoo; read what `fetch` has cached.
        workers: How many candidates and seeds at once: 1 in this process, more in processes of
            their own, `ray` on a Ray cluster; see `core.fan_out`.
    """
    check_workers(workers)
    names = choose((*BASELINES, *NETWORKS), candidates)
    lengths = sorted(numbers(contexts, "contexts"))
    goes_on = is_begun(run)
    folder = new_run_dir(APP, "compare", run, goes_on)
    test = HeldOut.prepare(PriceDataModule.from_source(data, news, windows, offline), lengths)
    recipe = Recipe(model=model, optim=optim, trainer=trainer)
    source = {"data": data, "news": news}
    options = {"command": "compare", **source, "windows": asdict(windows), **asdict(recipe)}
    begin_run(folder, options, hash_prices(test.datamodule.table))
    contest = _Contest(test, recipe, source, folder.absolute())
    contestants = [contest.candidate(name) for name in names]
    rows = compare_candidates(contestants, seeds, workers, contest.folder)
    title = "Price ranges: the candidates side by side"
    write_comparison(folder, title, rows, score_table(rows), BY_CONTEXT)
    return rows


@dataclass(frozen=True)
class _Contest:
    """What the candidates share; it can be pickled.

    Attributes:
        test: The data of all of them, and what they forecast.
        recipe: Everything that does not tell them apart.
        source: `data` and `news`, as the user gave them.
        folder: The comparison's.
    """

    test: HeldOut
    recipe: Recipe
    source: dict[str, Any]
    folder: Path

    def candidate(self, name: str) -> Candidate:
        """A network or a baseline."""
        is_network = name in NETWORKS
        score = self._score_network if is_network else self._score_baseline
        return Candidate(name, partial(score, name), is_seeded=is_network)

    def _score_baseline(self, name: str, _: int) -> tuple[int, Mapping[str, Any]]:
        test = self.test
        quantiles = test.forecasts[name]
        value = test.crps_relative(quantiles[test.is_common])
        by_context = {str(context): value for context in test.contexts}
        return 0, {**test.metrics(quantiles), "by_context": by_context}

    def _score_network(self, name: str, seed: int) -> tuple[int, Mapping[str, Any]]:
        test, datamodule = self.test, self.test.datamodule
        model, trainer = self.recipe.model, self.recipe.trainer
        recipe = replace(
            self.recipe,
            model=replace(model, **NETWORKS[name]),
            trainer=replace(trainer, seed=seed),
        )
        run_dir = self.folder / f"{name}-seed{seed}"
        network, earlier = trained(datamodule, recipe, self.source, run_dir)
        quantiles = predict(network, datamodule, test.rows)
        by_context = {}
        for context in test.contexts:
            if context == datamodule.config.context_length:
                common = quantiles[test.is_common]
            else:
                run_dir = self.folder / f"{name}-context{context}-seed{seed}"
                other = datamodule.at_context(context)
                reader, seconds = trained(other, recipe, self.source, run_dir)
                earlier += seconds
                common = predict(reader, other, test.common)
            by_context[str(context)] = test.crps_relative(common)
        measured = test.rows[spread_rows(len(test.rows))]
        metrics = {
            **test.metrics(quantiles),
            "by_context": by_context,
            **lag_metrics(network.encoder, network.read(*datamodule.batch(measured).seen)),
            "earlier_seconds": earlier,
        }
        return sum(p.numel() for p in network.parameters()), metrics
