import numpy as np
import pytest

from data.dialogues import Dialogue, Turn, reply_pairs
from data.entities import placeholders
from data.text import Tokenizer, pad_batch
from data.token_file import TokenFile

TEXTS = ["where is my order <order_1>", "here it is", "주문이 어디 있어요?", "¿dónde está?", "😀🎉"]


def dialogues(count=20):
    for number in range(count):
        words = [TEXTS[(number + n) % len(TEXTS)] * (n + 1) for n in range(2 + 2 * (number % 4))]
        turns = [Turn(("user", "agent")[n % 2], text) for n, text in enumerate(words)]
        yield Dialogue(str(number), tuple(turns))


@pytest.mark.parametrize("vocab_size", [400, 100_000])
def test_batches_are_those_made_in_memory(tmp_path, vocab_size, monkeypatch):
    tokenizer = Tokenizer.train(TEXTS * 5, 400, placeholders())
    monkeypatch.setattr(Tokenizer, "vocab_size", property(lambda _: vocab_size))
    cuts = {"context_turns": 3, "max_source_tokens": 40, "max_target_tokens": 12}
    file = TokenFile(dialogues(), tokenizer, tmp_path, **cuts)
    pairs = reply_pairs(dialogues())
    sources = [tokenizer.encode_context(pair.context, 3, 40) for pair in pairs]
    targets = [tokenizer.encode(pair.reply)[:12] for pair in pairs]
    assert file.source_lengths.tolist() == [len(ids) for ids in sources]
    assert file.target_lengths.tolist() == [len(ids) + 2 for ids in targets]
    rows = np.array([7, 0, len(pairs) - 1])
    expected = pad_batch([sources[row] for row in rows], [targets[row] for row in rows])
    assert all((a == b).all() for a, b in zip(file.batch(rows), expected, strict=True))
    assert file.uncut["reply"].total() == len(pairs) == len(file)
    assert list(tmp_path.iterdir()) == []  # it has no name
