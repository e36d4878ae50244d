"""The case study as a table: rules, retrieval, vanilla RNN, LSTM, attention."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.chatbot.baselines import TfidfRetrieval, most_frequent_replies, rule_replies
from apps.chatbot.datamodule import ChatDataModule, TextConfig
from apps.chatbot.evaluate import score_model, score_texts
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
from core.decoding import DecodingConfig
from core.nn.seq2seq import Seq2SeqConfig
from core.optim import OptimConfig
from core.runs import new_run_dir
from core.training import TrainerConfig
from data.dialogues import ColumnsConfig, Pair, load_dialogues, reply_pairs

WITHOUT_TRAINING = ("rules", "most_frequent", "tfidf")
NETWORKS: dict[str, dict[str, Any]] = {
    "rnn_unclipped": {"cell": "rnn", "attention": "none"},
    "rnn": {"cell": "rnn"},
    "lstm": {"cell": "lstm", "attention": "none"},
    "lstm_attention": {"cell": "lstm"},
    "gru_attention": {"cell": "gru"},
}
COLUMNS = ("bleu", "chrf", "perplexity", "entity_accuracy", "repetition_rate")


def table(rows: Sequence[Row]) -> str:
    """The comparison for people; the last column divides by TF-IDF's chrF."""
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

    Args:
        data: As for `train`.
        run: Folder for one run per network and seed; left out: runs/chatbot/<time>-compare.
        candidates: Comma-separated, or `all`: rules, most_frequent, tfidf, rnn_unclipped (vanilla,
            no attention, no clipping), rnn (vanilla with both), lstm (no attention),
            lstm_attention, gru_attention.
        seeds: Seeds per network, at least 1.
        columns: As for `train`.
        text: As for `train`.
        model: As for `train`; `cell` and `attention` are the candidate's.
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
    datamodule = ChatDataModule.from_source(data, columns, text)
    references = raw_references(data, columns, datamodule)
    return compare_candidates(
        [
            _network(name, datamodule, references, recipe=recipe, data=data, folder=folder)
            if name in NETWORKS
            else _baseline(name, datamodule, references)
            for name in names
        ],
        seeds,
    )


def raw_references(data: str, columns: ColumnsConfig, datamodule: ChatDataModule) -> list[str]:
    """The test part's replies as the agents wrote them."""
    raw = {dialogue.dialogue_id: dialogue for dialogue in load_dialogues(data, columns)}
    test = [raw[dialogue.dialogue_id] for dialogue in datamodule.parts["test"]]
    return [pair.reply for pair in reply_pairs(test)]


def _baseline(name: str, datamodule: ChatDataModule, references: Sequence[str]) -> Candidate:
    pairs = datamodule.pairs("test")
    training = datamodule.pairs("train")
    answer: dict[str, Callable[[], list[str]]] = {
        "rules": lambda: rule_replies(pairs),
        "most_frequent": lambda: most_frequent_replies(training, pairs),
        "tfidf": lambda: _tfidf(training, pairs, datamodule.config.context_turns),
    }

    def score(_: int) -> tuple[int, Mapping[str, Any]]:
        return 0, score_texts(answer[name](), pairs, references)

    return Candidate(name, score, is_seeded=False)


def _tfidf(training: Sequence[Pair], pairs: Sequence[Pair], context_turns: int) -> list[str]:
    return TfidfRetrieval(training, context_turns).reply_all(pairs)


def _network(
    name: str,
    datamodule: ChatDataModule,
    references: Sequence[str],
    *,
    recipe: Recipe,
    data: str,
    folder: Path,
) -> Candidate:
    def score(seed: int) -> tuple[int, Mapping[str, Any]]:
        trainer = replace(recipe.trainer, seed=seed)
        if name == "rnn_unclipped":
            trainer = replace(trainer, clip_norm=0.0)
        own = replace(recipe, model=replace(recipe.model, **NETWORKS[name]), trainer=trainer)
        bot = train_on(datamodule, own, data, folder / f"{name}-seed{seed}")
        metrics = score_model(bot, datamodule.pairs("test"), references)
        return sum(p.numel() for p in bot.model.parameters()), metrics

    return Candidate(name, score, is_seeded=True)
