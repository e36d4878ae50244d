"""How much of a batch is padding: bucketed beside shuffled batches."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from apps.chatbot.datamodule import ChatDataModule, TextConfig
from benchmarks.record import record
from data.columns import ColumnsConfig
from data.text import bucketed_batches, padding_share

CUCOM = Path(__file__).parents[2] / "shared" / "data" / "cucom" / "dialogues.jsonl.gz"


def main() -> None:
    """Measure on the sample and, where it is there, on cucom."""
    rows = []
    for name, source in (("sample", "sample"), ("cucom", str(CUCOM))):
        if source != "sample" and not CUCOM.exists():
            print(f"skipped {name}: {CUCOM} is not there")
            continue
        with TemporaryDirectory() as folder:
            datamodule = ChatDataModule.from_source(
                source, ColumnsConfig(), TextConfig(), Path(folder)
            )
            pairs = datamodule.pairs("train")
        longest, size = datamodule.config.max_target_tokens, datamodule.config.batch_size
        sources = np.array([len(datamodule.encode_source(pair.context)) for pair in pairs])
        replies = (datamodule.tokenizer.encode(pair.reply)[:longest] for pair in pairs)
        targets = np.array([len(ids) + 2 for ids in replies])
        bucketed = bucketed_batches(sources, targets, size, np.random.default_rng(0))
        order = np.random.default_rng(0).permutation(len(pairs))
        shuffled = np.split(order, range(size, len(order), size))
        rows.append(
            {
                "data": name,
                "pairs": len(pairs),
                "padding_bucketed": round(padding_share(bucketed, sources, targets), 4),
                "padding_shuffled": round(padding_share(shuffled, sources, targets), 4),
            }
        )
    record("padding", rows)


if __name__ == "__main__":
    main()
