"""Go on learning from new conversations; keep the old model unless the new one is better."""

import logging
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from pytorch_lightning import seed_everything

from apps.chatbot.datamodule import REPORT, ChatDataModule
from apps.chatbot.evaluate import answer_all, held_out, perplexity, visible
from apps.chatbot.held_out import Scored, lead
from apps.chatbot.inference import Chatbot
from apps.chatbot.train import APP, Recipe, learned, make_module, write
from core.challenge import (
    Gain,
    NothingNew,
    beside,
    champion_before,
    check_options,
    decide,
    kept,
    settle,
    show_decision,
)
from core.champions import champion, rollback_of
from core.cli import verb
from core.files import read_json, write_json
from core.loading import Rehearsal
from core.nn.growing import start_from
from core.runs import Run, beginning, is_finished, load_run, new_run_dir
from core.training import fit, stopped
from data.checking import stream_dialogues
from data.columns import ColumnsConfig
from data.data_report import DataReport, dialogue_hash
from data.dialogues import PARTS, Dialogue, hash64, mask_dialogue, reply_pairs
from data.preparing import SplitConfig
from data.sources import source_hash
from data.storing import num_stored, stored_dialogues
from data.text import Tokenizer, grown
from data.text_drift import Corpus, drift_table, text_drift

logger = logging.getLogger(__name__)
TEST_SHARE = 0.1  # of the new dialogues, at least
LEAST_TEST = 20  # new test dialogues, where that is no more than half of them
LEAST_NEW = 3  # dialogues: one a part
HOLD_OUTS = ("old_data", "new_data")
rollback = rollback_of(APP)


@verb(show_decision)
def retrain(
    data: str,
    *,
    run: Path | None = None,
    out: Path | None = None,
    columns: ColumnsConfig = ColumnsConfig(),
    old_share: float = 0.5,
    new_tokens: int = 500,
    epochs: int = 4,
    learning_rate: float = 1e-3,
    margin: float = 1.0,
    resume: bool = False,
) -> dict[str, Any]:
    """Start from a run's weights, train on new and old dialogues mixed, promote if better.

    Both models answer the test part of the run, which stays frozen, and a hold-out of the new
    dialogues. The new one becomes champion where its chrF is better on the new dialogues and not
    worse by more than the margin on the old ones, both beyond chance (95 % intervals, paired over
    dialogues). Else the old one stays, and the exit code is 0 all the same.

    Args:
        data: The new dialogues, as for `train`; those that the run knows are left out.
        run: The run to start from, which is not changed; left out: runs/chatbot/champion. One that
            is not the champion of its folder has no heir that becomes champion.
        out: The run folder to write; left out: beside `run`, where alone it may become champion.
        columns: Columns and speakers of a table.
        old_share: Share of old dialogues' replies in an epoch, drawn anew each time, 0 to below 1:
            more forgets less and takes longer. Where the drift report tells of another domain, 0.9.
        new_tokens: Most tokens that are added to the vocabulary for words that the old data never
            had, 0 or more.
        epochs: Passes over the new dialogues, at least 1.
        learning_rate: Peak rate, positive.
        margin: Points of chrF that the old data's hold-out may lose.
        resume: Go on from where a retraining was stopped; give the same options. Without `out`:
            the newest beside the run.
    """
    check_options(margin, old_share)
    if resume and out is not None and is_finished(out):
        return settle(load_run(out, APP), APP)  # killed before it was promoted
    old_run = load_run(champion(APP, run), APP)
    recipe = Recipe.of_run(old_run)
    recipe = replace(
        recipe,
        columns=columns,
        optim=replace(recipe.optim, learning_rate=learning_rate),
        trainer=replace(recipe.trainer, max_epochs=epochs, cpu_minutes=0.0),
    )
    place = out or beside(old_run.path, resume)
    run_dir = new_run_dir(APP, old_run.path.name, place, resume, "--out")
    config = {
        **recipe.to_config(data),
        "retrained_from": old_run.path.name,
        "retraining": {"old_share": old_share, "new_tokens": new_tokens, "margin": margin},
    }
    before = champion_before(old_run.path, run_dir)
    try:
        with beginning(run_dir, {**config, **before}, _hash(data)):
            mixed = _mixed(data, recipe, old_run, run_dir, new_tokens)
    except NothingNew as reason:
        return kept(old_run, reason)
    mixed.rehearsal = Rehearsal(_old(mixed, "train", "pairs"), old_share)
    seed = recipe.trainer.seed
    loaders = (mixed.loader("train", seed), mixed.loader("validation", seed))
    seed_everything(seed, verbose=False)
    module = make_module(mixed, recipe)
    old_bot = Chatbot.load(old_run)
    start_from(module.model, old_bot.model.state_dict(), mixed.tokenizer.pieces(old_bot.tokenizer))
    result = fit(module, loaders, recipe.trainer, run_dir, resume)
    bot = learned(mixed, module, recipe.decoding)
    if result.is_stopped:
        write(run_dir, mixed, bot, config, result)
        raise KeyboardInterrupt(stopped(run_dir, result))
    told = {**_judge(old_bot, bot, mixed, margin), **before}
    write(run_dir, mixed, bot, config, result, more=told)
    mixed.forget_tokens()
    return settle(load_run(run_dir, APP), APP)


def _mixed(
    data: str, recipe: Recipe, old_run: Run, run_dir: Path, new_tokens: int
) -> ChatDataModule:
    """The run's parts with the new dialogues, split, behind them, in a new run folder.

    New dialogues that the run has seen in any part are left out. The old ones stay in their parts,
    but that a training dialogue is left out whose opening is nearly that of a new held-out one.
    """
    digest = source_hash(data)
    if (run_dir / "data").is_dir():
        return ChatDataModule.resumed(run_dir, recipe.text, digest)
    old = ChatDataModule.from_run(old_run)
    report = DataReport(f"{old.folder} and {data}")
    known = (replace(d, part=part) for part in PARTS for d in old.dialogues(part))
    split = SplitConfig(
        seed=recipe.text.split_seed,
        test_share=max(recipe.text.test_share, TEST_SHARE),
        validation_share=recipe.text.validation_share,
        num_fixed=sum(_count(old, part) for part in PARTS),
        least_test=LEAST_TEST,
    )

    def fitted(folder: Path) -> Tokenizer:
        """Told how far the data lie apart, the tokenizer with the new words."""
        _tell_drift(folder, report, old.tokenizer, run_dir)
        train = folder / "train.parquet"
        num_old = report.fixed["train"]["dialogues"]
        known, fresh = _texts(train, 0, num_old), _texts(train, num_old, None)
        return grown(old.tokenizer, known, fresh, new_tokens)

    return ChatDataModule.from_dialogues(
        chain(known, _fresh(data, recipe.columns, old, report)),
        run_dir,
        recipe.text,
        source_hash=digest,
        split=split,
        report=report,
        fitted=fitted,
    )


def _hash(data: str) -> str:
    """As `source_hash`; an inbox that is empty holds nothing new.

    Raises:
        NothingNew: It is.
    """
    if Path(data).is_dir() and not any(Path(data).iterdir()):
        raise NothingNew(f"{data}: is empty")
    return source_hash(data)


def _texts(path: Path, start: int, stop: int | None) -> Iterator[str]:
    dialogues = islice(stored_dialogues(path), start, stop)
    return (turn.text for dialogue in dialogues for turn in dialogue.turns)


def _tell_drift(folder: Path, report: DataReport, tokenizer: Tokenizer, run_dir: Path) -> None:
    """Write `drift.json` and say what it says, before anything is trained."""
    num_old = {part: report.fixed[part]["dialogues"] for part in PARTS}
    paths = {part: folder / f"{part}.parquet" for part in PARTS}

    def side(is_old: bool) -> Corpus:
        cuts = {part: (0, num) if is_old else (num, None) for part, num in num_old.items()}
        parts = (islice(stored_dialogues(paths[part]), *cut) for part, cut in cuts.items())
        return Corpus.count(chain.from_iterable(parts), tokenizer)

    drift = text_drift(side(True), side(False))
    write_json(run_dir / "drift.json", drift)
    logger.info(drift_table(drift))


def _fresh(
    data: str, columns: ColumnsConfig, old: ChatDataModule, report: DataReport
) -> Iterator[Dialogue]:
    """The new dialogues, masked, but for those that the run has seen in any part.

    One whose id the run has given to another gets a number behind it: ids stay unique.
    """
    said, taken = set(), set()
    for known in (dialogue for part in PARTS for dialogue in old.dialogues(part)):
        said.add(dialogue_hash(known))
        taken.add(hash64(known.dialogue_id))
    read = fresh = 0
    for dialogue in map(mask_dialogue, stream_dialogues(data, columns, report.dropped)):
        read += 1
        if dialogue_hash(dialogue) not in said:
            fresh += 1
            name = _free(dialogue.dialogue_id, taken)
            taken.add(hash64(name))
            yield replace(dialogue, dialogue_id=name, part=None)
    logger.info("%d of %d dialogues are new to the run", fresh, read)
    if fresh < LEAST_NEW:
        raise NothingNew(
            f"{data}: {fresh} dialogues are new to the run, {LEAST_NEW} are needed; add more"
        )


def _free(name: str, taken: Container[int]) -> str:
    """The id, or where its hash is taken the first of `id (2)`, `id (3)` and so on that is not."""
    names = chain([name], (f"{name} ({number})" for number in count(2)))
    return next(free for free in names if hash64(free) not in taken)


def _count(datamodule: ChatDataModule, part: str) -> int:
    return num_stored(datamodule.folder / "data" / f"{part}.parquet")


def _old(mixed: ChatDataModule, part: str, what: str) -> int:
    """How many dialogues or pairs of a part the run had; they stand first."""
    return int(read_json(mixed.folder / REPORT)["fixed"][part][what])


def _judge(old: Chatbot, new: Chatbot, mixed: ChatDataModule, margin: float) -> dict[str, Any]:
    """Both models' scores on both hold-outs, and the decision.

    Scored against the masked replies on both sides alike.
    """
    test = list(mixed.dialogues("test"))
    num_old = _old(mixed, "test", "dialogues")
    scores: dict[str, dict[str, Any]] = {"old": {}, "new": {}}
    gains = []
    for name, dialogues in zip(HOLD_OUTS, (test[:num_old], test[num_old:]), strict=True):
        before, after = (_scored(bot, dialogues) for bot in (old, new))
        scores["old"][name], scores["new"][name] = before.metrics, after.metrics
        told = lead([after], [before])["chrf"]
        gains.append(Gain(told["difference"], tuple(told["interval"]), len(dialogues), "dialogues"))
    promoted, reason = decide("chrF", gains[0], gains[1], margin)
    return {**scores, "promoted": promoted, "reason": reason}


def _scored(bot: Chatbot, dialogues: Sequence[Dialogue]) -> Scored:
    """What the replies are worth, every score a single number or an interval."""
    pairs = reply_pairs([visible(dialogue) for dialogue in dialogues])
    test = held_out(bot, pairs, [pair.reply for pair in pairs])
    replies = answer_all(bot, pairs)
    scored = test.score([reply.text for reply in replies])
    single = {k: v for k, v in scored.metrics.items() if not isinstance(v, (dict, list))}
    handoff = sum(reply.handoff for reply in replies) / len(replies)
    metrics = {
        "num_pairs": len(pairs),
        "perplexity": perplexity(bot, test),
        "handoff_rate": handoff,
        **single,
    }
    return replace(scored, metrics=metrics)
