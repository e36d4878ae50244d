"""Scores of a run, and of the baselines beside it."""

import logging
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from apps.chatbot.answers import Answers
from apps.chatbot.baselines import WITHOUT_TRAINING, replies_without_training
from apps.chatbot.confidence import out_of_domain_pairs
from apps.chatbot.engines import Engine
from apps.chatbot.evaluate_table import table
from apps.chatbot.held_out import HeldOut, Scored, lead
from apps.chatbot.inference import Chatbot, Reply
from core.batch import Seq2SeqBatch
from core.champions import champion
from core.cli import verb
from core.progress import progress
from core.runs import Run
from core.stored import section
from data.checking import load_dialogues, stream_dialogues
from data.columns import ColumnsConfig
from data.data_report import dialogue_hash
from data.dialogues import (
    Dialogue,
    Pair,
    mask_dialogue,
    mask_dialogues,
    masked_id,
    reply_pairs,
)
from data.entities import PLACEHOLDER
from data.sources import source_hash
from data.storing import read_dialogues
from data.text import pad_batch

logger = logging.getLogger(__name__)
LATENCY_SAMPLES = 100


@verb(table)
def evaluate(
    run: Path | None = None,
    data: str | None = None,
    columns: ColumnsConfig = ColumnsConfig(),
    beam_size: int | None = None,
    engine: Engine = "torch",
) -> dict[str, Any]:
    """Score a run on its own test part, or on other dialogues.

    Intervals and the paired comparisons with the baselines resample dialogues, not replies.

    Args:
        run: The run folder; left out: runs/chatbot/champion.
        data: Dialogues of which every reply is scored; left out: the run's own test part.
        columns: Columns and speakers of a table.
        beam_size: Instead of the run's own.
        engine: What the search runs on; onnx reads the run's onnx/ and makes it where missing,
            int8 reads what `export` kept there.
    """
    answers = Answers(champion("chatbot", run), beam_size, engine)
    pairs, references = _pairs(answers.run, data, columns)
    training = reply_pairs(read_dialogues(answers.run.path / "data" / "train.parquet"))
    test = held_out(answers.bot, pairs, references)
    own = score_network(answers.bot, test)
    baselines = {}
    for name in WITHOUT_TRAINING:
        texts = replies_without_training(name, training, pairs, answers.bot.text.context_turns)
        other = test.score(texts)
        baselines[name] = {**other.metrics, "paired": lead([own], [other])}
    return {"run": str(answers.run.path), **own.metrics, "baselines": baselines}


def held_out(bot: Chatbot, pairs: Sequence[Pair], references: Sequence[str]) -> HeldOut:
    """The pairs, with their contexts as the chatbot reads them."""
    return HeldOut(pairs, references, [bot.encode_source(pair.context) for pair in pairs])


def answer_all(bot: Chatbot, pairs: Sequence[Pair]) -> list[Reply]:
    """A chatbot's replies to these pairs, with a bar."""
    with progress("replies", len(pairs)) as advance:
        return bot.reply_all(
            [pair.dialogue for pair in pairs], [pair.position for pair in pairs], advance=advance
        )


def score_network(bot: Chatbot, test: HeldOut) -> Scored:
    """Every metric of a chatbot, with bars; beside the texts' own: perplexity, hand-over, latency.

    Args:
        bot: Whose replies are scored.
        test: What it answers.
    """
    replies = answer_all(bot, test.pairs)
    scored = test.score([reply.text for reply in replies])
    metrics = {
        "num_pairs": len(test.pairs),
        "num_dialogues": test.num_dialogues,
        "perplexity": perplexity(bot, test),
        **scored.metrics,
        "handoff_rate": float(np.mean([reply.handoff for reply in replies])),
        "out_of_domain_handoff_rate": out_of_domain_handoff_rate(bot),
        **_latency(bot, test.pairs),
        **test.judge(scored, replies),
    }
    return replace(scored, metrics=metrics)


def out_of_domain_handoff_rate(bot: Chatbot) -> float:
    """Share handed over of messages that are no business of a support desk, and noise.

    None of them stood among those that the confidence was fitted on.
    """
    pairs = out_of_domain_pairs(is_kept_back=True)
    replies = bot.reply_all([pair.dialogue for pair in pairs], [pair.position for pair in pairs])
    return float(np.mean([reply.handoff for reply in replies]))


@torch.inference_mode()
def perplexity(bot: Chatbot, test: HeldOut, batch_size: int = 64) -> float:
    """Exponential of the mean cross-entropy per token of the masked references, EOS included."""
    most = bot.text.max_target_tokens
    targets = [bot.tokenizer.encode(pair.reply)[:most] for pair in test.pairs]
    encoded = sorted(zip(test.sources, targets, strict=True), key=lambda item: len(item[0]))
    total, count = 0.0, 0
    with progress("perplexity", len(encoded)) as advance:
        for start in range(0, len(encoded), batch_size):
            rows = encoded[start : start + batch_size]
            batch: Seq2SeqBatch = pad_batch(*zip(*rows, strict=True))
            logits, target = bot.model(batch)
            total += float(nn.functional.cross_entropy(logits, target, reduction="sum"))
            count += len(target)
            advance(len(rows))
    return math.exp(total / count)


def _latency(bot: Chatbot, pairs: Sequence[Pair]) -> dict[str, float]:
    """Median and 95th percentile of the time of a single reply, in milliseconds."""
    times = []
    chosen = pairs[:LATENCY_SAMPLES]
    with progress("latency", len(chosen)) as advance:
        for pair in chosen:
            started = time.perf_counter()
            bot.reply_all([pair.dialogue], [pair.position])
            times.append(1000 * (time.perf_counter() - started))
            advance(1)
    return {f"latency_ms_p{percent}": float(np.percentile(times, percent)) for percent in (50, 95)}


def _pairs(run: Run, data: str | None, columns: ColumnsConfig) -> tuple[list[Pair], list[str]]:
    """Masked pairs and raw references."""
    if data is not None:
        return with_raw(load_dialogues(data, columns))
    test = read_dialogues(run.path / "data" / "test.parquet")
    source = run.config["data"]
    raw: list[Dialogue] = []
    try:
        if source_hash(source) == run.manifest["source_sha256"]:
            raw = raw_dialogues(source, section(run, "columns", ColumnsConfig), test)
    except (OSError, ValueError):
        raw = []
    if len(raw) == len(test):
        return with_raw(raw)
    logger.warning(
        "%s is gone or changed since training: scoring against the masked replies in the run, in "
        "which numbers and names are placeholders",
        source,
    )
    pairs = reply_pairs([visible(dialogue) for dialogue in test])
    return pairs, [pair.reply for pair in pairs]


def visible(dialogue: Dialogue) -> Dialogue:
    """A masked dialogue whose placeholders stand for themselves."""
    names = {name for turn in dialogue.turns for name in PLACEHOLDER.findall(turn.text)}
    return Dialogue(
        dialogue.dialogue_id, dialogue.turns, dialogue.intent, None, {name: name for name in names}
    )


def raw_dialogues(source: str, columns: ColumnsConfig, kept: Iterable[Dialogue]) -> list[Dialogue]:
    """The dialogues of a source that a run keeps masked, as they were said.

    One that has the id of a kept dialogue and says anything else, masked, is passed over: the rows
    of a table are numbered, and other rows may have taken their place.
    """
    wanted = {dialogue.dialogue_id: dialogue_hash(dialogue) for dialogue in kept}
    return [
        dialogue
        for dialogue in stream_dialogues(source, columns)
        if (name := masked_id(dialogue.dialogue_id)) in wanted
        and dialogue_hash(mask_dialogue(dialogue)) == wanted[name]
    ]


def with_raw(dialogues: Sequence[Dialogue]) -> tuple[list[Pair], list[str]]:
    """Masked pairs that know what stands behind their placeholders, and the agents' own words."""
    raw = reply_pairs(dialogues)
    return reply_pairs(mask_dialogues(dialogues)), [pair.reply for pair in raw]
