"""CPU time of one reply of 25 tokens, greedy and beam 5, by both engines and by JoeyNMT.

Weights are random and no reply can end early, so that every side takes the same 25 steps.
`cpu_ms` is from the masked question to what the search found, the encoder, constraints and n-gram
blocking included, and compared with JoeyNMT's from token ids to token ids; `reply_ms` is the whole
reply, its text, confidence and attention included. Both sides read the same questions on one
pinned thread.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from apps.chatbot.datamodule import TextConfig
from apps.chatbot.inference import Chatbot
from benchmarks.record import record
from core.batch import EOS_ID
from core.decoding import DecodingConfig
from core.exporting import export_seq2seq, quantize
from core.nn.seq2seq import Seq2Seq, Seq2SeqConfig
from core.onnx_engine import OnnxSeq2Seq
from data.dialogues import Dialogue, Turn, mask_dialogues
from data.entities import placeholders
from data.text import Tokenizer

PEERS = Path(__file__).parents[2] / "shared" / "peers"
BEAMS = (1, 5)
LENGTH = 25


def main() -> None:
    """Measure every side and record the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=PEERS, help="gen_data.py, bench_joeynmt.py")
    parser.add_argument("--peer_python", type=Path, help="Python that has joeynmt; left out: none")
    parser.add_argument("--replies", type=int, default=50)
    parser.add_argument("--note", default="", help="goes into the rows, such as: busy machine")
    options = parser.parse_args()
    if not (options.peers / "gen_data.py").exists():
        print(f"skipped: {options.peers} has no gen_data.py; give --peers its folder")
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        subprocess.run(
            [sys.executable, options.peers / "gen_data.py", data],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        peer = None
        if options.peer_python is not None:
            peer = joeynmt(options.peer_python, options.peers, folder, options.replies)
        vocab_size = 1200 if peer is None else max(peer["vocabularies"])
        rows = own_rows(data, folder, vocab_size, options.replies)
    if peer is not None:
        rows += [
            row("joeynmt", int(beam), times, peer["parameters"], max(peer["vocabularies"]))
            for beam, times in peer["cpu_ms"].items()
        ]
    record("reply_latency", [{**one, "note": options.note} for one in compared(rows)])


def own_rows(data: Path, folder: Path, vocab_size: int, replies: int) -> list[dict]:
    """A chatbot of the peer's sizes, on each engine."""
    text = [line for kind in "qa" for line in (data / f"train.{kind}").read_text().splitlines()]
    tokenizer = Tokenizer.train(text, vocab_size, placeholders())
    torch.manual_seed(0)
    sizes = Seq2SeqConfig(hidden_size=256, embedding_size=256)
    model = Seq2Seq(tokenizer.vocab_size, sizes).eval()
    model.output_bias.data[EOS_ID] = -1e4  # no reply ends before LENGTH tokens
    export_seq2seq(model, folder)
    quantize(folder)
    questions = (data / "test.q").read_text().splitlines()[:replies]
    dialogues = mask_dialogues(
        [Dialogue(str(number), (Turn("user", q),)) for number, q in enumerate(questions)]
    )
    engines = {
        "torch": model,
        "onnx": OnnxSeq2Seq(folder),
        "onnx int8": OnnxSeq2Seq(folder, int8=True),
    }
    rows = []
    for name, engine in engines.items():
        for beam in BEAMS:
            search = DecodingConfig(beam_size=beam, max_length=LENGTH)
            bot = Chatbot(model, tokenizer, TextConfig(), search, engine=engine)
            parameters = sum(parameter.numel() for parameter in model.parameters())
            searching, replying = own_times(bot, dialogues)
            rows.append(row(name, beam, searching, parameters, tokenizer.vocab_size))
            rows[-1]["reply_ms_median"] = round(float(np.median(replying)), 2)
    return rows


def own_times(bot: Chatbot, dialogues: list[Dialogue]) -> tuple[list[float], list[float]]:
    """CPU milliseconds of each single search, and of each single reply."""
    searching, replying = [], []
    for dialogue in [dialogues[0], *dialogues]:  # the first warms up
        started = time.process_time()
        (found,) = bot.search_all([dialogue], [1])
        searching.append(1000 * (time.process_time() - started))
        assert len(found[0].tokens) == LENGTH, len(found[0].tokens)
        started = time.process_time()
        bot.reply_all([dialogue])
        replying.append(1000 * (time.process_time() - started))
    return searching[1:], replying[1:]


def joeynmt(python: Path, peers: Path, folder: Path, replies: int) -> dict:
    """What JoeyNMT's side prints."""
    command = [python, Path(__file__).with_name("joeynmt_latency.py")]
    command += ["--script", peers / "bench_joeynmt.py", "--data", folder / "data"]
    command += ["--out", folder / "joey", "--length", LENGTH, "--replies", replies]
    command += ["--beams", *BEAMS]
    result = subprocess.run(
        [str(word) for word in command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return json.loads(result.stdout.splitlines()[-1])


def row(name: str, beam: int, times: list[float], parameters: int, vocab_size: int) -> dict:
    """One line of the table; the least time is what a quiet machine would take."""
    return {
        "engine": name,
        "beam_size": beam,
        "tokens": LENGTH,
        "cpu_ms_median": round(float(np.median(times)), 2),
        "cpu_ms_least": round(min(times), 2),
        "replies": len(times),
        "vocab_size": vocab_size,
        "parameters": parameters,
    }


def compared(rows: list[dict]) -> list[dict]:
    """The rows with how many times faster each is than JoeyNMT, where that was measured."""
    peer = {r["beam_size"]: r["cpu_ms_median"] for r in rows if r["engine"] == "joeynmt"}
    return [
        {**r, "joeynmt_times": round(peer[r["beam_size"]] / r["cpu_ms_median"], 1)} if peer else r
        for r in rows
    ]


if __name__ == "__main__":
    main()
