"""The main path: data, model, fit, run folder."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytorch_lightning import seed_everything

from apps.chatbot.datamodule import ChatDataModule, TextConfig
from core.decoding import DecodingConfig
from core.modules import Seq2SeqModule
from core.nn.seq2seq import Seq2SeqConfig
from core.optim import OptimConfig
from core.runs import new_run_dir, promote, save_run
from core.training import TrainerConfig, fit
from data.dialogues import ColumnsConfig, source_hash

logger = logging.getLogger(__name__)
APP = "chatbot"


def train(
    data: str = "sample",
    run: Path | None = None,
    columns: ColumnsConfig = ColumnsConfig(),
    text: TextConfig = TextConfig(),
    model: Seq2SeqConfig = Seq2SeqConfig(hidden_size=256, embedding_size=256, dropout=0.25),
    optim: OptimConfig = OptimConfig(),
    trainer: TrainerConfig = TrainerConfig(max_epochs=18),
    decoding: DecodingConfig = DecodingConfig(beam_size=4),
    label_smoothing: float = 0.1,
    resume: bool = False,
) -> dict[str, Any]:
    """Train an encoder-decoder on dialogues and write a run folder.

    Args:
        data: `sample`, a path (.jsonl, .jsonl.gz, .csv, .parquet or a folder of them) or
            `hf:owner/name`.
        run: The run folder to write; left out: runs/chatbot/<time>-<cell>.
        columns: Text columns, where the data are question-answer pairs.
        text: Vocabulary, context, split.
        model: The network.
        optim: The optimiser.
        trainer: Length, clipping, early stopping, seed.
        decoding: How the run's replies are searched.
        label_smoothing: Share of the probability spread over all tokens, 0 to below 1.
        resume: Go on from the run's last checkpoint; give the same options as at first.
    """
    run_dir = new_run_dir(APP, model.cell, run)
    datamodule = ChatDataModule.from_source(data, columns, text)
    seed_everything(trainer.seed, verbose=False)
    module = Seq2SeqModule(datamodule.tokenizer.vocab_size, model, optim, label_smoothing)
    loaders = (datamodule.loader("train", trainer.seed), datamodule.loader("validation", 0))
    result = fit(module, loaders, trainer, run_dir, resume)
    config = {
        "data": data,
        "columns": asdict(columns),
        "text": asdict(text),
        "model": asdict(model),
        "optim": asdict(optim),
        "trainer": asdict(trainer),
        "decoding": asdict(decoding),
        "label_smoothing": label_smoothing,
    }
    return finish(run_dir, datamodule, module, config, asdict(result), source_hash(data))


def finish(
    run_dir: Path,
    datamodule: ChatDataModule,
    module: Seq2SeqModule,
    config: dict[str, Any],
    metrics: dict[str, Any],
    data_hash: str,
) -> dict[str, Any]:
    """Write the run folder of a trained module; the first run of a folder becomes its champion."""
    datamodule.write(run_dir)
    save_run(
        run_dir,
        app=APP,
        config=config,
        model=module.model,
        preprocessor={"tokenizer": datamodule.tokenizer.to_json()},
        metrics=metrics,
        source_hash=data_hash,
    )
    promote(run_dir, "the first run here", only_first=True)
    logger.info("wrote %s (val_loss %.3f)", run_dir, metrics["val_loss"])
    return {"run": str(run_dir), **metrics}
