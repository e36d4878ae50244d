"""Scores of a run, and of the baselines beside it."""

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sacrebleu
import torch
from torch import nn

from apps.chatbot.baselines import TfidfRetrieval, most_frequent_replies, rule_replies
from apps.chatbot.inference import Answers, Chatbot, Reply
from core.batch import Seq2SeqBatch
from core.cli import verb
from core.progress import progress
from core.runs import Run, champion
from core.text_metrics import distinct_n, repetition_rate
from data.checking import load_dialogues, stream_dialogues
from data.columns import ColumnsConfig
from data.dialogues import Dialogue, Pair, mask_dialogues, masked_id, reply_pairs
from data.entities import PLACEHOLDER, mask_once
from data.sources import source_hash
from data.storing import read_dialogues
from data.text import pad_batch

logger = logging.getLogger(__name__)
LATENCY_SAMPLES = 30
LENGTHS = ("short", "middle", "long")


def table(result: dict[str, Any]) -> str:
    """The scores for people: one line a metric, one column a way to answer."""
    rows = {"model": result, **result["baselines"]}
    lines = [f"{result['run']}", f"{'':<26}" + "".join(f"{name:>15}" for name in rows)]
    for name in (key for key in result if key not in ("baselines", "run")):
        cells = ["-" if row.get(name) is None else f"{row[name]:.4g}" for row in rows.values()]
        lines.append(f"{name:<26}" + "".join(f"{cell:>15}" for cell in cells))
    return "\n".join(lines)


@verb(table)
def evaluate(
    run: Path | None = None,
    data: str | None = None,
    columns: ColumnsConfig = ColumnsConfig(),
    beam_size: int | None = None,
) -> dict[str, Any]:
    """Score a run on its own test part, or on other dialogues.

    Args:
        run: The run folder; left out: runs/chatbot/champion.
        data: Dialogues of which every reply is scored; left out: the run's own test part.
        columns: Columns and speakers of a table.
        beam_size: Instead of the run's own.
    """
    answers = Answers(champion("chatbot", run), beam_size)
    pairs, references = _pairs(answers.run, data, columns)
    training = reply_pairs(read_dialogues(answers.run.path / "data" / "train.parquet"))
    context_turns = answers.bot.text.context_turns
    result = {"run": str(answers.run.path), **score_model(answers.bot, pairs, references)}
    result["baselines"] = {
        "most_frequent": score_texts(most_frequent_replies(training, pairs), pairs, references),
        "tfidf": score_texts(
            TfidfRetrieval(training, context_turns).reply_all(pairs), pairs, references
        ),
        "rules": score_texts(rule_replies(pairs), pairs, references),
    }
    return result


def score_model(bot: Chatbot, pairs: Sequence[Pair], references: Sequence[str]) -> dict[str, Any]:
    """Every metric of a chatbot on these pairs."""
    return score_replies(bot, answer_all(bot, pairs), pairs, references)


def answer_all(bot: Chatbot, pairs: Sequence[Pair]) -> list[Reply]:
    """A chatbot's replies to these pairs, with a bar."""
    with progress("replies", len(pairs)) as advance:
        return bot.reply_all(
            [pair.dialogue for pair in pairs], [pair.position for pair in pairs], advance=advance
        )


def score_replies(
    bot: Chatbot, replies: Sequence[Reply], pairs: Sequence[Pair], references: Sequence[str]
) -> dict[str, Any]:
    """Every metric of a chatbot that gave these replies to these pairs."""
    return {
        "num_pairs": len(pairs),
        "perplexity": perplexity(bot, pairs),
        **score_texts([reply.text for reply in replies], pairs, references),
        "handoff_rate": float(np.mean([reply.handoff for reply in replies])),
        "latency_ms_p50": _latency(bot, pairs),
    }


def score_texts(
    texts: Sequence[str], pairs: Sequence[Pair], references: Sequence[str]
) -> dict[str, Any]:
    """The metrics that need the replies alone.

    Args:
        texts: Replies with the user's own entities put back.
        pairs: What they answer, masked.
        references: What the agent wrote, unmasked where it is known.
    """
    right = wanted = invented = 0
    for text, pair in zip(texts, pairs, strict=True):
        said = {name for turn in pair.context for name in PLACEHOLDER.findall(turn.text)}
        values = [value for name, value in pair.dialogue.values.items() if name in said]
        for name in set(PLACEHOLDER.findall(pair.reply)) & said:
            wanted += 1
            right += pair.dialogue.values.get(name, name) in text
        spans = [text[start:end] for start, end, _ in mask_once(text)]
        invented += any(not any(span in value for value in values) for span in spans)
    return {
        **overlap(texts, references),
        "distinct_2": distinct_n(texts, 2),
        "repetition_rate": repetition_rate(texts),
        "entity_accuracy": right / wanted if wanted else None,
        "hallucinated_entity_rate": invented / len(texts),
    }


def overlap(texts: Sequence[str], references: Sequence[str]) -> dict[str, float | None]:
    """BLEU and chrF of the whole corpus; None without a text."""
    if not texts:
        return {"bleu": None, "chrf": None}
    return {
        "bleu": sacrebleu.corpus_bleu(list(texts), [list(references)]).score,
        "chrf": sacrebleu.corpus_chrf(list(texts), [list(references)]).score,
    }


def score_by_length(
    texts: Sequence[str], references: Sequence[str], lengths: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """BLEU and chrF of the replies to short, middle and long sources.

    Args:
        texts: Replies with the user's own entities put back.
        references: What the agent wrote.
        lengths: Tokens of each source.

    Returns:
        By name: `tokens` (fewest and most), `num_pairs`, `bleu`, `chrf`. Sources of one length stay
        together, so that a third may be empty: then all but `num_pairs` is None.
    """
    bounds = np.quantile(lengths, [1 / 3, 2 / 3], method="lower")
    third = np.searchsorted(bounds, lengths)  # 0 up to the first bound, 1 up to the second
    scores: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(LENGTHS):
        rows = np.flatnonzero(third == number).tolist()
        own = [lengths[row] for row in rows]
        scores[name] = {
            "tokens": [min(own), max(own)] if own else None,
            "num_pairs": len(own),
            **overlap([texts[row] for row in rows], [references[row] for row in rows]),
        }
    return scores


@torch.inference_mode()
def perplexity(bot: Chatbot, pairs: Sequence[Pair], batch_size: int = 64) -> float:
    """Exponential of the mean cross-entropy per token of the masked references, EOS included."""
    encoded = [
        (
            bot.tokenizer.encode_context(
                pair.context, bot.text.context_turns, bot.text.max_source_tokens
            ),
            bot.tokenizer.encode(pair.reply)[: bot.text.max_target_tokens],
        )
        for pair in pairs
    ]
    encoded.sort(key=lambda item: len(item[0]))
    total, count = 0.0, 0
    for start in range(0, len(encoded), batch_size):
        sources, targets = zip(*encoded[start : start + batch_size], strict=True)
        batch: Seq2SeqBatch = pad_batch(sources, targets)
        logits, target = bot.model(batch)
        total += float(nn.functional.cross_entropy(logits, target, reduction="sum"))
        count += len(target)
    return math.exp(total / count)


def _latency(bot: Chatbot, pairs: Sequence[Pair]) -> float:
    """Median time of a single reply, in milliseconds."""
    times = []
    for pair in pairs[:LATENCY_SAMPLES]:
        started = time.perf_counter()
        bot.reply_all([pair.dialogue], [pair.position])
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times))


def _pairs(run: Run, data: str | None, columns: ColumnsConfig) -> tuple[list[Pair], list[str]]:
    """Masked pairs and raw references."""
    if data is not None:
        return _with_raw(load_dialogues(data, columns))
    test = read_dialogues(run.path / "data" / "test.parquet")
    source = run.config["data"]
    wanted = {dialogue.dialogue_id for dialogue in test}
    raw: list[Dialogue] = []
    try:
        if source_hash(source) == run.manifest["source_sha256"]:
            found = stream_dialogues(source, ColumnsConfig(**run.config["columns"]))
            raw = [dialogue for dialogue in found if masked_id(dialogue.dialogue_id) in wanted]
    except (OSError, ValueError):
        raw = []
    if len(raw) == len(test):
        return _with_raw(raw)
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


def _with_raw(dialogues: Sequence[Dialogue]) -> tuple[list[Pair], list[str]]:
    raw = reply_pairs(dialogues)
    return reply_pairs(mask_dialogues(dialogues)), [pair.reply for pair in raw]
