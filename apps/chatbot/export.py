"""Write a run's network as ONNX, and as int8 where that costs next to no quality."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sacrebleu

from apps.chatbot.datamodule import ChatDataModule
from apps.chatbot.evaluate import answer_all, visible
from apps.chatbot.inference import Chatbot
from core.champions import champion
from core.cli import verb
from core.exporting import export_seq2seq, quantize
from core.onnx_engine import OnnxSeq2Seq, graph_files
from core.run_graphs import hand_out, write_graphs, write_note
from core.runs import load_run
from data.dialogues import Pair

MAX_CHRF_LOSS = 0.5
MAX_PAIRS = 200  # validation replies, from all over the part, that int8 is judged by


def summary(result: dict[str, Any]) -> str:
    """What was written, for people."""
    lines = [f"{name}  {size / 2**20:.1f} MiB" for name, size in result["files"].items()]
    lines.append(f"largest difference to torch: {result['max_difference']:.1e}")
    return "\n".join([*lines, f"int8: {result['int8']['reason']}"])


@verb(summary)
def export(run: Path | None = None, out: Path | None = None) -> dict[str, Any]:
    """Write `encoder.onnx` and `decoder_step.onnx`, checked against torch at many lengths.

    Args:
        run: The run folder; left out: runs/chatbot/champion. The files go into its `onnx/`.
        out: A folder that gets copies of them.
    """
    opened = load_run(champion("chatbot", run), "chatbot")
    folder = opened.path / "onnx"
    bot = Chatbot.load(opened)
    note = write_graphs(opened, lambda folder: export_seq2seq(bot.model, folder))
    validation = ChatDataModule.from_run(opened).pairs("validation", MAX_PAIRS)
    pairs = [Pair(visible(pair.dialogue), pair.position) for pair in validation]
    int8 = add_int8(bot, folder, pairs)
    written = write_note(opened, {**note, "int8": int8})
    return {**hand_out(opened, written, out), "int8": int8}


def add_int8(bot: Chatbot, folder: Path, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Quantise the graphs, and keep that only where chrF loses no more than MAX_CHRF_LOSS.

    Args:
        bot: The chatbot that the graphs were made of.
        folder: Where the graphs stand.
        pairs: What it is judged by; where there is none, nothing is kept.

    Returns:
        `kept`, `reason`, `num_pairs`, and the chrF of both: `chrf_float`, `chrf_int8`.
    """
    result: dict[str, Any] = {"kept": False, "num_pairs": len(pairs)}
    if not pairs:
        return {**result, "reason": "left out: the run has no validation reply to judge it by"}
    quantize(folder)
    before = _chrf(bot, OnnxSeq2Seq(folder), pairs)
    after = _chrf(bot, OnnxSeq2Seq(folder, int8=True), pairs)
    kept = before - after <= MAX_CHRF_LOSS
    if not kept:
        for path in graph_files(folder, int8=True):
            path.unlink()
    reason = (
        f"{'kept' if kept else 'left out'}: chrF {after:.2f} beside {before:.2f} on {len(pairs)} "
        f"validation replies, a loss of {MAX_CHRF_LOSS} is allowed"
    )
    return {**result, "kept": kept, "reason": reason, "chrf_float": before, "chrf_int8": after}


def _chrf(bot: Chatbot, engine: OnnxSeq2Seq, pairs: Sequence[Pair]) -> float:
    other = Chatbot(bot.model, bot.tokenizer, bot.text, bot.decoding, engine=engine)
    texts = [reply.text for reply in answer_all(other, pairs)]
    return float(sacrebleu.corpus_chrf(texts, [[pair.reply for pair in pairs]]).score)
