"""The case study as a table: rules, retrieval, vanilla RNN, LSTM, attention, Transformer."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from apps.chatbot.baselines import WITHOUT_TRAINING, replies_without_training
from apps.chatbot.candidates import NETWORKS, candidate_model
from apps.chatbot.compare_report import REFERENCE, table, write_report
from apps.chatbot.datamodule import ChatDataModule, TextConfig
from apps.chatbot.evaluate import raw_dialogues, score_network, with_raw
from apps.chatbot.handover import FallbackConfig
from apps.chatbot.held_out import HeldOut, Scored, lead
from apps.chatbot.inference import Chatbot
from apps.chatbot.train import (
    APP,
    DEFAULT_DECODING,
    DEFAULT_MODEL,
    DEFAULT_OPTIM,
    DEFAULT_TRAINER,
    Recipe,
    train_on,
)
from core.cli import verb
from core.comparison import Candidate, Row, choose
from core.comparison import compare as compare_candidates
from core.decoding import DecodingConfig
from core.diagnostics import lag_metrics
from core.fan_out import Workers, check_workers
from core.nn.seq2seq import Seq2SeqConfig
from core.optim import OptimConfig
from core.runs import Run, beginning, is_begun, is_finished, load_run, new_run_dir
from core.training import TrainerConfig
from data.columns import ColumnsConfig
from data.sources import source_hash

logger = logging.getLogger(__name__)


@verb(table)
def compare(
    data: str = "sample",
    *,
    run: Path | None = None,
    candidates: str = "all",
    seeds: int = 3,
    cpu_minutes: float = 0.0,
    columns: ColumnsConfig = ColumnsConfig(),
    text: TextConfig = TextConfig(),
    model: Seq2SeqConfig = DEFAULT_MODEL,
    optim: OptimConfig = DEFAULT_OPTIM,
    trainer: TrainerConfig = DEFAULT_TRAINER,
    decoding: DecodingConfig = DEFAULT_DECODING,
    label_smoothing: float = 0.1,
    workers: Workers = 1,
) -> list[Row]:
    """Train and score the candidates on the same split with the same number of steps or CPU time.

    The metrics are those of `evaluate`; a network has `cpu_minutes` and `steps` of its training as
    well, and a recurrent one `gradient_by_lag`: `lag`, `hidden` and, of an LSTM, `cell`; the others
    lack the key. `paired` is how far lstm_attention lies above a candidate. The run folder gets
    `compare.json`, the rows, and `compare.html`.

    A comparison that was stopped goes on when it is called again with the same `run` and options:
    what is trained is scored only, and a training that was begun is resumed (its seconds are then
    those of the last part; `cpu_minutes` under a budget is the whole). Candidates and seeds may be
    others than at first.

    Args:
        data: As for `train`.
        run: Folder for one run per network and seed; left out: runs/chatbot/<time>-compare.
        candidates: Comma-separated, or `all`: rules, most_frequent, tfidf, bm25, rnn_unclipped
            (vanilla, no attention, no clipping), rnn (vanilla with both), lstm (no attention),
            lstm_attention, gru_attention, transformer (as many parameters as lstm_attention).
        seeds: Seeds per network, at least 1.
        cpu_minutes: CPU time that each network trains for, instead of `trainer.max_epochs` and
            without early stopping, see `core.budget.CpuBudget`; 0 gives all the same steps.
        columns: As for `train`.
        text: As for `train`.
        model: As for `train`; `architecture`, `cell` and `attention` are the candidate's, and of
            the Transformer the sizes.
        optim: As for `train`.
        trainer: As for `train`; seed and clipping are the candidate's.
        decoding: As for `train`.
        label_smoothing: As for `train`.
        workers: How many candidates and seeds at once: 1 in this process, more in processes of
            their own, `ray` on a Ray cluster; see `core.fan_out`.
    """
    check_workers(workers)
    names = choose((*WITHOUT_TRAINING, *NETWORKS), candidates)
    if cpu_minutes:
        trainer = replace(trainer, cpu_minutes=cpu_minutes, patience=0)
    recipe = Recipe(
        columns=columns,
        text=text,
        model=model,
        optim=optim,
        trainer=trainer,
        decoding=decoding,
        fallback=FallbackConfig(),
        label_smoothing=label_smoothing,
    )
    goes_on = is_begun(run)
    folder = new_run_dir(APP, "compare", run, goes_on)
    options = {"command": "compare", **recipe.to_config(data)}
    with beginning(folder, options, source_hash(data)):
        datamodule = ChatDataModule.from_source(data, columns, text, folder)
    pairs, references = with_raw(raw_dialogues(data, columns, datamodule.dialogues("test")))
    sources = [datamodule.encode_source(pair.context) for pair in pairs]
    test = HeldOut(pairs, references, sources)
    rows = _Contest(datamodule, test, recipe, data, folder.absolute()).rows(names, seeds, workers)
    datamodule.forget_tokens()
    write_report(folder, rows)
    return rows


@dataclass(frozen=True)
class _Contest:
    """What the candidates share; it can be pickled.

    Attributes:
        datamodule: The data of all of them.
        test: What they answer.
        recipe: Everything that does not tell them apart.
        data: Where the data come from.
        folder: The comparison's.
    """

    datamodule: ChatDataModule
    test: HeldOut
    recipe: Recipe
    data: str
    folder: Path

    def rows(self, names: Sequence[str], seeds: int, workers: Workers) -> list[Row]:
        """Score these candidates; add to each how far the reference lies above it."""
        make = {name: self._network if name in NETWORKS else self._baseline for name in names}
        candidates = [make[name](name) for name in names]
        rows = compare_candidates(candidates, seeds, workers, self.folder)
        scored: dict[str, list[Scored]] = {name: [] for name in names}
        for row in rows:
            scored[row["name"]].append(row["metrics"].pop("scored"))
        for row in rows:
            if REFERENCE in names and row["name"] != REFERENCE:
                row["metrics"]["paired"] = lead(scored[REFERENCE], scored[row["name"]])
        return rows

    def _baseline(self, name: str) -> Candidate:
        return Candidate(name, partial(self._score_baseline, name), is_seeded=False)

    def _network(self, name: str) -> Candidate:
        model = candidate_model(name, self.datamodule.tokenizer.vocab_size, self.recipe.model)
        return Candidate(name, partial(self._score_network, name, model), is_seeded=True)

    def _score_baseline(self, name: str, _: int) -> tuple[int, Mapping[str, Any]]:
        training, turns = self.datamodule.pairs("train"), self.datamodule.config.context_turns
        scored = self.test.score(replies_without_training(name, training, self.test.pairs, turns))
        return 0, {**scored.metrics, "scored": scored}

    def _score_network(
        self, name: str, model: Seq2SeqConfig, seed: int
    ) -> tuple[int, Mapping[str, Any]]:
        trainer = replace(self.recipe.trainer, seed=seed)
        if name == "rnn_unclipped":
            trainer = replace(trainer, clip_norm=0.0)
        run, is_new = self._trained(name, replace(self.recipe, model=model, trainer=trainer))
        bot = Chatbot.load(run)
        longest = self.test.long_sources()
        scored = score_network(bot, self.test)
        metrics = {
            **scored.metrics,
            "cpu_minutes": run.metrics["cpu_seconds"] / 60,
            "steps": run.metrics["steps"],
            **lag_metrics(bot.model.get_submodule("encoder"), bot.model.embed(longest)),
            "scored": scored,
            "earlier_seconds": 0.0 if is_new else run.metrics["seconds"],
        }
        return sum(p.numel() for p in bot.model.parameters()), metrics

    def _trained(self, name: str, recipe: Recipe) -> tuple[Run, bool]:
        """The run of a candidate and seed, and whether it was trained now, not by an earlier call.

        A training that was begun is gone on with.
        """
        run_dir = self.folder / f"{name}-seed{recipe.trainer.seed}"
        is_new = not is_finished(run_dir)
        if is_new:
            train_on(self.datamodule, recipe, self.data, run_dir, resume=is_begun(run_dir))
        else:
            logger.info("%s is trained already", run_dir)
        return load_run(run_dir, APP), is_new
