"""JoeyNMT's side of `benchmarks.reply_latency`; runs in JoeyNMT's own environment.

Prints one JSON object: parameters, vocabularies, and CPU milliseconds of single replies by beam.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch


def main() -> None:
    """Build the peer script's model, untrained, and time its search on the test questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--script", type=Path, required=True, help="bench_joeynmt.py")
    parser.add_argument("--data", required=True, help="what gen_data.py wrote")
    parser.add_argument("--out", required=True, help="a folder that it may empty")
    parser.add_argument("--beams", type=int, nargs="+", required=True)
    parser.add_argument("--length", type=int, required=True, help="tokens of every reply")
    parser.add_argument("--replies", type=int, required=True)
    options = parser.parse_args()
    model = build(peer_config(options.script, options.data, options.out))
    questions = Path(options.data, "test.q").read_text().splitlines()[: options.replies]
    times = {beam: reply_times(model, questions, beam, options.length) for beam in options.beams}
    result = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "vocabularies": [len(model.src_vocab), len(model.trg_vocab)],
        "cpu_ms": times,
    }
    print(json.dumps(result))


def peer_config(script: Path, data: str, out: str) -> dict:
    """The configuration that the peer script trains with: its lines before the training."""
    before, found, _ = script.read_text().partition("import copy, yaml")
    if not found:
        raise ValueError(f"{script}: not the peer script that this reads; see shared/peers")
    sys.argv = [str(script), "--threads", "1", "--data", data, "--out", out]
    names: dict = {}
    exec(compile(before, script, "exec"), names)
    return names["cfg"]


def build(config: dict) -> torch.nn.Module:
    """An untrained model of that configuration, in evaluation mode."""
    from joeynmt.config import parse_global_args
    from joeynmt.prediction import prepare

    args = parse_global_args(config, rank=0, mode="train")
    return prepare(args, rank=0, mode="train")[0].eval()


def reply_times(
    model: torch.nn.Module, questions: list[str], beam: int, length: int
) -> list[float]:
    """CPU milliseconds of each single reply of exactly `length` tokens, encoding included."""
    from joeynmt.batch import Batch
    from joeynmt.search import search

    times = []
    for question in [questions[0], *questions]:  # the first warms up
        ids, lengths, _ = model.src_vocab.sentences_to_ids([question.split()], bos=False, eos=True)
        started = time.process_time()
        batch = Batch(
            src=torch.tensor(ids),
            src_length=torch.tensor(lengths),
            src_prompt_mask=None,
            trg=None,
            trg_prompt_mask=None,
            indices=torch.arange(1),
            device=torch.device("cpu"),
            pad_index=model.pad_index,
            eos_index=model.eos_index,
            is_train=False,
        )
        tokens, _, _ = search(
            model,
            batch,
            max_output_length=length,
            beam_size=beam,
            beam_alpha=1.0,
            min_output_length=length,
        )
        times.append(1000 * (time.process_time() - started))
        assert tokens.shape[1] >= length, tokens.shape
    return times[1:]


if __name__ == "__main__":
    main()
