"""The case study as a table: rules, retrieval, vanilla RNN, LSTM, attention, Transformer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, tensor

from apps.chatbot.baselines import TfidfRetrieval, most_frequent_replies, rule_replies
from apps.chatbot.datamodule import ChatDataModule, TextConfig
from apps.chatbot.evaluate import answer_all, score_by_length, score_replies, score_texts
from apps.chatbot.train import (
    APP,
    DEFAULT_DECODING,
    DEFAULT_MODEL,
    DEFAULT_TRAINER,
    Recipe,
    train_on,
)
from core.cli import verb
from core.comparison import Candidate, Row, choose, format_table
from core.comparison import compare as compare_candidates
from core.comparison_report import ByLength, length_table, write_comparison
from core.decoding import DecodingConfig
from core.diagnostics import lag_metrics, spread_rows
from core.nn.seq2seq import Seq2SeqConfig
from core.optim import OptimConfig
from core.runs import new_run_dir
from core.training import TrainerConfig
from data.checking import stream_dialogues
from data.columns import ColumnsConfig
from data.dialogues import Pair, masked_id, reply_pairs

WITHOUT_TRAINING = ("rules", "most_frequent", "tfidf")
NETWORKS: dict[str, dict[str, Any]] = {
    "rnn_unclipped": {"cell": "rnn", "attention": "none"},
    "rnn": {"cell": "rnn"},
    "lstm": {"cell": "lstm", "attention": "none"},
    "lstm_attention": {"cell": "lstm"},
    "gru_attention": {"cell": "gru"},
    "transformer": {"architecture": "transformer"},
}
COLUMNS = ("bleu", "chrf", "perplexity", "entity_accuracy", "repetition_rate")
LONGEST_LAG = 100  # tokens over which the gradient is measured, at most
LENGTH_TEXT = """\
Quality by length: chrF of the replies to the short, middle and long third of the test part's
sources. A source is the message with the turns before it, in tokens, as the networks read it.
Replies to long sources may be easier or harder for everybody: compare the networks with each other
and with TF-IDF at the same length."""


@dataclass(frozen=True)
class HeldOut:
    """The test part, on which every candidate is scored.

    Attributes:
        pairs: Masked.
        references: What the agents wrote.
        sources: The contexts' token ids, as the networks read them.
    """

    pairs: Sequence[Pair]
    references: Sequence[str]
    sources: Sequence[Sequence[int]]

    def by_length(self, texts: Sequence[str]) -> dict[str, Any]:
        """Scores of these replies by the length of the source."""
        lengths = [len(source) for source in self.sources]
        return {"by_length": score_by_length(texts, self.references, lengths)}

    def long_sources(self) -> Tensor:
        """The last tokens of the longest quarter of the sources, nothing padded."""
        lengths = [len(source) for source in self.sources]
        length = min(LONGEST_LAG, int(np.quantile(lengths, 0.75, method="lower")))
        ends = [source[-length:] for source in self.sources if len(source) >= length]
        return tensor([ends[row] for row in spread_rows(len(ends))])  # (B, S)


def chrf_by_length(row: Row) -> dict[str, float | None]:
    """A row's chrF by length; the names say how many tokens that is."""
    found = {}
    for name, part in row["metrics"]["by_length"].items():
        tokens = part["tokens"]
        found[f"{name} ({tokens[0]}-{tokens[1]})" if tokens else name] = part["chrf"]
    return found


BY_LENGTH = ByLength("chrf", "length of the source in tokens", LENGTH_TEXT, chrf_by_length)


def table(rows: Sequence[Row]) -> str:
    """Scores, then quality by length beside the gradient by lag."""
    return f"{score_table(rows)}\n\n{length_table(rows, BY_LENGTH)}"


def score_table(rows: Sequence[Row]) -> str:
    """The main scores; the last column divides by TF-IDF's chrF."""
    return format_table(rows, COLUMNS, baseline="tfidf", ratio="chrf")


@verb(table)
def compare(
    data: str = "sample",
    *,
    run: Path | None = None,
    candidates: str = "all",
    seeds: int = 3,
    columns: ColumnsConfig = ColumnsConfig(),
    text: TextConfig = TextConfig(),
    model: Seq2SeqConfig = DEFAULT_MODEL,
    optim: OptimConfig = OptimConfig(),
    trainer: TrainerConfig = DEFAULT_TRAINER,
    decoding: DecodingConfig = DEFAULT_DECODING,
    label_smoothing: float = 0.1,
) -> list[Row]:
    """Train and score the candidates on the same split with the same number of steps.

    The metrics are those of `evaluate`, and `by_length`: chrF and BLEU of the short, middle and
    long third of the test part. A recurrent network has `gradient_by_lag` as well: `lag`, `hidden`
    and, of an LSTM, `cell`; the others lack the key. The run folder gets `compare.json`, the rows,
    and `compare.html`.

    Args:
        data: As for `train`.
        run: Folder for one run per network and seed; left out: runs/chatbot/<time>-compare.
        candidates: Comma-separated, or `all`: rules, most_frequent, tfidf, rnn_unclipped (vanilla,
            no attention, no clipping), rnn (vanilla with both), lstm (no attention),
            lstm_attention, gru_attention, transformer.
        seeds: Seeds per network, at least 1.
        columns: As for `train`.
        text: As for `train`.
        model: As for `train`; `architecture`, `cell` and `attention` are the candidate's.
        optim: As for `train`.
        trainer: As for `train`; seed and clipping are the candidate's.
        decoding: As for `train`.
        label_smoothing: As for `train`.
    """
    names = choose((*WITHOUT_TRAINING, *NETWORKS), candidates)
    recipe = Recipe(
        columns=columns,
        text=text,
        model=model,
        optim=optim,
        trainer=trainer,
        decoding=decoding,
        label_smoothing=label_smoothing,
    )
    folder = new_run_dir(APP, "compare", run)
    datamodule = ChatDataModule.from_source(data, columns, text, folder)
    pairs = datamodule.pairs("test")
    sources = [datamodule.encode_source(pair.context) for pair in pairs]
    test = HeldOut(pairs, raw_references(data, columns, datamodule), sources)
    rows = compare_candidates(
        [
            _network(name, datamodule, test, recipe=recipe, data=data, folder=folder)
            if name in NETWORKS
            else _baseline(name, datamodule, test)
            for name in names
        ],
        seeds,
    )
    title = "Customer support: the candidates side by side"
    write_comparison(folder, title, rows, score_table(rows), BY_LENGTH)
    return rows


def raw_references(data: str, columns: ColumnsConfig, datamodule: ChatDataModule) -> list[str]:
    """The test part's replies as the agents wrote them."""
    wanted = {dialogue.dialogue_id for dialogue in datamodule.dialogues("test")}
    raw = (d for d in stream_dialogues(data, columns) if masked_id(d.dialogue_id) in wanted)
    return [pair.reply for pair in reply_pairs(raw)]


def _baseline(name: str, datamodule: ChatDataModule, test: HeldOut) -> Candidate:
    pairs, training = test.pairs, datamodule.pairs("train")
    answer: dict[str, Callable[[], list[str]]] = {
        "rules": lambda: rule_replies(pairs),
        "most_frequent": lambda: most_frequent_replies(training, pairs),
        "tfidf": lambda: _tfidf(training, pairs, datamodule.config.context_turns),
    }

    def score(_: int) -> tuple[int, Mapping[str, Any]]:
        texts = answer[name]()
        return 0, {**score_texts(texts, pairs, test.references), **test.by_length(texts)}

    return Candidate(name, score, is_seeded=False)


def _tfidf(training: Sequence[Pair], pairs: Sequence[Pair], context_turns: int) -> list[str]:
    return TfidfRetrieval(training, context_turns).reply_all(pairs)


def _network(
    name: str,
    datamodule: ChatDataModule,
    test: HeldOut,
    *,
    recipe: Recipe,
    data: str,
    folder: Path,
) -> Candidate:
    model = replace(recipe.model, **{"architecture": "recurrent", **NETWORKS[name]})
    longest = test.long_sources()

    def score(seed: int) -> tuple[int, Mapping[str, Any]]:
        trainer = replace(recipe.trainer, seed=seed)
        if name == "rnn_unclipped":
            trainer = replace(trainer, clip_norm=0.0)
        own = replace(recipe, model=model, trainer=trainer)
        bot = train_on(datamodule, own, data, folder / f"{name}-seed{seed}")
        replies = answer_all(bot, test.pairs)
        metrics = {
            **score_replies(bot, replies, test.pairs, test.references),
            **test.by_length([reply.text for reply in replies]),
            **lag_metrics(bot.model.get_submodule("encoder"), bot.model.embedding(longest)),
        }
        return sum(p.numel() for p in bot.model.parameters()), metrics

    return Candidate(name, score, is_seeded=True)
