"""The main path: data, model, fit, run folder."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pytorch_lightning import seed_everything

from apps.chatbot.confidence import MOST_REPLIES, learn_confidence
from apps.chatbot.datamodule import ChatDataModule, TextConfig
from apps.chatbot.handover import FallbackConfig
from apps.chatbot.inference import Chatbot
from core.champions import promote_first
from core.decoding import DecodingConfig
from core.modules import Seq2SeqModule
from core.nn.seq2seq import Seq2SeqConfig
from core.optim import OptimConfig
from core.runs import Run, begin_run, beginning, is_finished, new_run_dir, save_run
from core.stored import conformed, naming
from core.training import FitResult, TrainerConfig, fit, stopped
from data.columns import ColumnsConfig
from data.sources import source_hash

logger = logging.getLogger(__name__)
APP = "chatbot"

DEFAULT_MODEL = Seq2SeqConfig(hidden_size=256, embedding_size=256, dropout=0.25)
DEFAULT_OPTIM = OptimConfig(learning_rate=4e-3)
DEFAULT_TRAINER = TrainerConfig(max_epochs=8)
DEFAULT_DECODING = DecodingConfig(beam_size=4)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a run's `config.yaml` says but where the data come from."""

    columns: ColumnsConfig
    text: TextConfig
    model: Seq2SeqConfig
    optim: OptimConfig
    trainer: TrainerConfig
    decoding: DecodingConfig
    fallback: FallbackConfig
    label_smoothing: float

    @classmethod
    def of_run(cls, run: Run) -> "Recipe":
        """The recipe of a run folder's `config.yaml`.

        Raises:
            ValueError: It says no such thing.
        """
        with naming(run.path / "config.yaml"):
            return conformed({field.name: run.config.get(field.name) for field in fields(cls)}, cls)

    def to_config(self, data: str) -> dict[str, Any]:
        """What a run's `config.yaml` says."""
        return {"data": data, **asdict(self)}


def train(
    data: str = "sample",
    *,
    run: Path | None = None,
    columns: ColumnsConfig = ColumnsConfig(),
    text: TextConfig = TextConfig(),
    model: Seq2SeqConfig = DEFAULT_MODEL,
    optim: OptimConfig = DEFAULT_OPTIM,
    trainer: TrainerConfig = DEFAULT_TRAINER,
    decoding: DecodingConfig = DEFAULT_DECODING,
    fallback: FallbackConfig = FallbackConfig(),
    label_smoothing: float = 0.1,
    resume: bool = False,
) -> None:
    """Train an encoder-decoder on dialogues and write a run folder.

    Args:
        data: `sample`, a path (.jsonl, .jsonl.gz, .csv, .parquet or a folder of them) or
            `hf:owner/name`.
        run: The run folder to write; left out: runs/chatbot/<time>-<cell>.
        columns: Columns and speakers of a table.
        text: Vocabulary, context, split.
        model: The network.
        optim: The optimiser.
        trainer: Length, clipping, early stopping, seed.
        decoding: How the run's replies are searched.
        fallback: What is said instead of an unsure reply.
        label_smoothing: Share of the probability spread over all tokens, 0 to below 1.
        resume: Go on from the run's last checkpoint; give the same options as at first.
    """
    if resume and run is not None and is_finished(run):
        promote_first(run, APP)  # it may have been killed before that
        return
    run_dir = new_run_dir(APP, model.cell, run, resume)
    recipe = Recipe(
        columns=columns,
        text=text,
        model=model,
        optim=optim,
        trainer=trainer,
        decoding=decoding,
        fallback=fallback,
        label_smoothing=label_smoothing,
    )
    with beginning(run_dir, recipe.to_config(data), source_hash(data)):
        datamodule = ChatDataModule.from_source(data, columns, text, run_dir)
    train_on(datamodule, recipe, data, run_dir, resume)
    datamodule.forget_tokens()
    promote_first(run_dir, APP)


def train_on(
    datamodule: ChatDataModule, recipe: Recipe, data: str, run_dir: Path, resume: bool = False
) -> Chatbot:
    """Fit a fresh network to prepared data and write the run folder.

    Raises:
        KeyboardInterrupt: Ctrl-C; the run can be used, and gone on with.
    """
    config = recipe.to_config(data)
    seed = recipe.trainer.seed
    begin_run(run_dir, config, datamodule.source_hash)
    loaders = (datamodule.loader("train", seed), datamodule.loader("validation", seed))
    seed_everything(seed, verbose=False)
    module = make_module(datamodule, recipe)
    result = fit(module, loaders, recipe.trainer, run_dir, resume)
    bot = learned(datamodule, module, recipe.decoding)
    write(run_dir, datamodule, bot, config, result)
    if result.is_stopped:
        raise KeyboardInterrupt(stopped(run_dir, result))
    return bot


def make_module(datamodule: ChatDataModule, recipe: Recipe) -> Seq2SeqModule:
    """A network with starting weights."""
    size = datamodule.tokenizer.vocab_size
    return Seq2SeqModule(size, recipe.model, recipe.optim, recipe.label_smoothing)


def learned(datamodule: ChatDataModule, module: Seq2SeqModule, decoding: DecodingConfig) -> Chatbot:
    """The chatbot of a trained network, which learns on the validation part how sure a reply is."""
    bot = Chatbot(module.model, datamodule.tokenizer, datamodule.config, decoding)
    bot.confidence = learn_confidence(
        bot, datamodule.dialogues("train"), datamodule.pairs("validation", MOST_REPLIES)
    )
    return bot


def write(
    run_dir: Path,
    datamodule: ChatDataModule,
    bot: Chatbot,
    config: Mapping[str, Any],
    result: FitResult,
    *,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write the run folder; `more` goes to its metrics."""
    assert bot.confidence is not None
    datamodule.write(run_dir)
    save_run(
        run_dir,
        app=APP,
        config=config,
        model=bot.model,
        preprocessor={
            "tokenizer": datamodule.tokenizer.to_json(),
            "confidence": bot.confidence.to_plain(),
        },
        metrics={**asdict(result), **(more or {})},
        source_hash=datamodule.source_hash,
        is_finished=not result.is_stopped,
    )
    logger.info("wrote %s (val_loss %.3f)", run_dir, result.val_loss)
