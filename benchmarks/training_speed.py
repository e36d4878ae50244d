"""Training beside JoeyNMT: target tokens per CPU-second, share of the machine's peak, and BLEU.

Both sides learn the same 5,000 pairs with the same words, widths and layers, on one thread, one
after the other in one run. JoeyNMT stands in an environment of its own:

    python -m benchmarks.training_speed --peer_python PATH/bin/python --peers PATH_TO_PEER_SCRIPTS

The pairs and JoeyNMT's side come from the peer scripts (`gen_data.py`, `bench_joeynmt.py`).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import sacrebleu
import tokenizers
import torch
from pytorch_lightning import seed_everything
from tokenizers import models, pre_tokenizers

from benchmarks.record import record
from core.batch import Seq2SeqBatch
from core.decoding import DecodingConfig, beam_search
from core.loading import BatchLoader
from core.memory import keep_freed_memory
from core.modules import Seq2SeqModule
from core.nn.seq2seq import Seq2SeqConfig
from core.optim import OptimConfig
from core.training import TrainerConfig, fit, resolve_precision
from data.text import bucketed_batches, pad_batch

PEERS = Path(__file__).parents[2] / "shared" / "peers"
WIDTH, BATCH = 256, 64
Precision = Literal["32-true", "bf16-mixed"]
SPECIALS = ["<pad>", "<bos>", "<eos>", "<unk>"]


def main() -> None:
    """Measure both sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=PEERS, help="gen_data.py, bench_joeynmt.py")
    parser.add_argument("--peer_python", help="Python that has joeynmt; left out: our side alone")
    parser.add_argument("--epochs", type=int, default=3, help="JoeyNMT's passes over the pairs")
    parser.add_argument("--own_epochs", type=int, default=7, help="ours, within the same CPU time")
    options = parser.parse_args()
    if not (options.peers / "gen_data.py").exists():
        print(f"skipped: {options.peers} has no gen_data.py; give --peers its folder")
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers = options.peers.resolve()
        run([sys.executable, str(peers / "gen_data.py")], folder)
        rows = (
            []
            if options.peer_python is None
            else [joeynmt(options.peer_python, peers, folder, options.epochs)]
        )
        precisions = dict.fromkeys(("32-true", resolve_precision("auto")))
        ours = [
            train_own(folder / "data", folder / precision, options.own_epochs, precision)
            for precision in precisions
        ]
    rows += ours
    for row in rows:
        speeds = [one["target_tokens_per_cpu_second"] for one in (row, rows[0])]
        row["ratio"] = round(speeds[0] / speeds[1], 2)
    record("training_speed", rows)


def joeynmt(python: str, peers: Path, folder: Path, epochs: int) -> dict[str, Any]:
    """The peer's row."""
    words = ["--threads", "1", "--epochs", str(epochs), "--lr", "0.002", "--out", "run"]
    run([python, str(peers / "bench_joeynmt.py"), *words], folder)
    found = json.loads((folder / "run" / "result.json").read_text())
    return {
        "side": "joeynmt",
        "parameters": round(1e6 * found["params_M"]),
        "target_tokens_per_cpu_second": found["tok_per_cpu_s"],
        "training_cpu_seconds": round(found["train"]["cpu"], 1),
        "bleu_greedy": found["beam1_bs64_bleu"],
        "bleu_beam_5": found["beam5_bs64_bleu"],
    }


def run(command: list[str], folder: Path) -> None:
    """Run the peer on one thread; its environment is its own."""
    subprocess.run(
        command,
        cwd=folder,
        check=True,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(folder)},
    )


def train_own(data: Path, run_dir: Path, epochs: int, precision: Precision) -> dict[str, Any]:
    """Train our encoder-decoder with the project's own `fit` and score it.

    As JoeyNMT's side is set to validate never, ours validates on one batch an epoch.
    """
    pairs = {part: read(data, part) for part in ("train", "dev", "test")}
    vocabulary = word_vocabulary([text for pair in pairs["train"] for text in pair])
    size = vocabulary.get_vocab_size()
    model = Seq2SeqConfig(hidden_size=WIDTH, embedding_size=WIDTH, dropout=0.1)
    seed_everything(0, verbose=False)
    module = Seq2SeqModule(size, model, OptimConfig(learning_rate=4e-3, warmup_steps=50), 0.0)
    loaders = (
        loader(pairs["train"], vocabulary, is_training=True),
        loader(pairs["dev"][:BATCH], vocabulary, is_training=False),
    )
    config = TrainerConfig(max_epochs=epochs, patience=0, precision=precision, progress=False)
    started = time.process_time()
    fit(module, loaders, config, run_dir)
    seconds = time.process_time() - started
    lengths = [
        (len(encode(vocabulary, q)), len(encode(vocabulary, a)) + 1) for q, a in pairs["train"]
    ]
    source, target = (epochs * sum(column) for column in zip(*lengths, strict=True))
    operations = training_operations(
        module, source, target, vocab_size=size, mean_source=source / epochs / len(lengths)
    )
    return {
        "side": f"ours, {precision}",
        "parameters": sum(p.numel() for p in module.parameters()),
        "target_tokens_per_cpu_second": round(target / seconds),
        "training_cpu_seconds": round(seconds, 1),
        "bleu_greedy": bleu(module, vocabulary, pairs["test"], 1),
        "bleu_beam_5": bleu(module, vocabulary, pairs["test"], 5),
        "share_of_peak": round(operations / seconds / peak(), 3),
    }


def training_operations(
    module: Seq2SeqModule, source: int, target: int, vocab_size: int, mean_source: float
) -> float:
    """Multiplications and additions of all matrix products, forward and twice that backward."""
    width = WIDTH
    lstm = 4 * width * 2 * width  # one direction, input and state as wide as each other
    attention = mean_source * 3 * width + 3 * width * width  # scores, context, combination
    per_source = 2 * lstm + 2 * width * width  # both directions, keys
    per_target = lstm + attention + width * vocab_size
    return 3 * 2 * (source * per_source + target * per_target)


def peak() -> float:
    """Operations per second of a large matrix product on one thread."""
    size = 1024
    a, b = torch.randn(size, size), torch.randn(size, size)
    best = 0.0
    for _ in range(20):
        started = time.process_time()
        for _ in range(5):
            a @ b
        best = max(best, 5 * 2 * size**3 / (time.process_time() - started))
    return best


def bleu(
    module: Seq2SeqModule, vocabulary: tokenizers.Tokenizer, pairs: list[list[str]], beam: int
) -> float:
    """Of the test part, as the peer scores it."""
    config = DecodingConfig(beam_size=beam, max_length=50, no_repeat_ngram=0)
    texts = []
    module.eval()
    for start in range(0, len(pairs), BATCH):
        chunk = pairs[start : start + BATCH]
        batch = pad_batch([encode(vocabulary, q) for q, _ in chunk], [[3] for _ in chunk])
        for found in beam_search(module.model, batch.source, batch.source_lengths, config):
            texts.append(" ".join(vocabulary.id_to_token(token) for token in found[0].tokens))
    return round(sacrebleu.corpus_bleu(texts, [[a for _, a in pairs]], tokenize="none").score, 2)


def read(data: Path, part: str) -> list[list[str]]:
    """Question and answer of each pair."""
    sides = ((data / f"{part}.{side}").read_text().splitlines() for side in "qa")
    return [list(pair) for pair in zip(*sides, strict=True)]


def word_vocabulary(texts: list[str]) -> tokenizers.Tokenizer:
    """One token a word, as the peer has it."""
    words = sorted({word for text in texts for word in text.split()})
    ids = {word: number for number, word in enumerate([*SPECIALS, *words])}
    made = tokenizers.Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made


def encode(vocabulary: tokenizers.Tokenizer, text: str) -> list[int]:
    """Token ids."""
    return list(vocabulary.encode(text).ids)


def loader(
    pairs: list[list[str]], vocabulary: tokenizers.Tokenizer, is_training: bool
) -> BatchLoader[Seq2SeqBatch]:
    """Bucketed batches."""
    sources, targets = ([encode(vocabulary, pair[side]) for pair in pairs] for side in (0, 1))
    lengths = [np.array([len(ids) for ids in side]) for side in (sources, targets)]

    def plan(generator: np.random.Generator) -> list[np.ndarray]:
        return bucketed_batches(*lengths, BATCH, generator if is_training else None)

    def collate(rows: np.ndarray) -> Seq2SeqBatch:
        return pad_batch([sources[row] for row in rows], [targets[row] for row in rows])

    return BatchLoader(plan, collate, 0)


if __name__ == "__main__":
    keep_freed_memory()
    main()
