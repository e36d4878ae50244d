"""Go on learning from new conversations; keep the old model unless the new one is better."""

import logging
from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from pytorch_lightning import seed_everything

from apps.chatbot.datamodule import ChatDataModule
from apps.chatbot.evaluate import score_model, visible
from apps.chatbot.inference import Chatbot
from apps.chatbot.train import APP, Recipe, finish, make_module
from core.cli import verb
from core.runs import champion, load_run, new_run_dir, promote
from core.training import fit
from data.checking import stream_dialogues
from data.columns import ColumnsConfig
from data.data_report import DataReport, dialogue_hash
from data.dialogues import PARTS, Dialogue, hash64, mask_dialogue, reply_pairs
from data.preparing import SplitConfig
from data.sources import source_hash
from data.storing import num_stored

logger = logging.getLogger(__name__)
MARGIN_CHRF = 1.0  # points that the old data's hold-out may lose


def decision(result: dict[str, Any]) -> str:
    """The decision for people."""
    lines = [
        f"{part}: chrF {result['old'][part]['chrf']:.1f} -> {result['new'][part]['chrf']:.1f}"
        for part in ("old_data", "new_data")
    ]
    verdict = "promoted" if result["promoted"] else "kept the old run"
    return "\n".join([*lines, f"{verdict}: {result['reason']}", result["run"]])


@verb(decision)
def retrain(
    data: str,
    *,
    run: Path | None = None,
    out: Path | None = None,
    columns: ColumnsConfig = ColumnsConfig(),
    epochs: int = 3,
    learning_rate: float = 5e-4,
) -> dict[str, Any]:
    """Start from a run's weights, train on its old and the new dialogues, promote if better.

    Args:
        data: The new dialogues, as for `train`.
        run: The run to start from, which is not changed; left out: runs/chatbot/champion.
        out: The run folder to write; left out: beside `run`.
        columns: Columns and speakers of a table.
        epochs: Passes over old and new together, at least 1.
        learning_rate: Peak rate, positive.
    """
    old_run = load_run(champion(APP, run), APP)
    recipe = Recipe.from_config(old_run.config)
    recipe = replace(
        recipe,
        columns=columns,
        optim=replace(recipe.optim, learning_rate=learning_rate),
        trainer=replace(recipe.trainer, max_epochs=epochs, cpu_minutes=0.0),
    )
    old = ChatDataModule.from_run(old_run)
    name = f"{old_run.path.name}-retrained"
    run_dir = new_run_dir(APP, name, out or _beside(old_run.path, name))
    mixed = _mixed(data, recipe, old, run_dir)
    test = list(mixed.dialogues("test"))
    hold_outs = (test[: (num_old := _count(old, "test"))], test[num_old:])
    seed_everything(recipe.trainer.seed, verbose=False)
    module = make_module(mixed, recipe)
    old_run.load_weights(module.model)
    before = _scores(Chatbot.load(old_run), *hold_outs)
    seed = recipe.trainer.seed
    loaders = (mixed.loader("train", seed), mixed.loader("validation", seed))
    result = fit(module, loaders, recipe.trainer, run_dir)
    config = {"data": data, **asdict(recipe), "retrained_from": str(old_run.path)}
    bot = finish(run_dir, mixed, module, config, result)
    after = _scores(bot, *hold_outs)
    is_better, reason = _decide(before, after)
    if is_better:
        promote(run_dir, reason)
    return {
        "old": before,
        "new": after,
        "promoted": is_better,
        "reason": reason,
        "run": str(run_dir),
    }


def _mixed(data: str, recipe: Recipe, old: ChatDataModule, run_dir: Path) -> ChatDataModule:
    """The run's parts with the new dialogues, split, behind them, in a new run folder.

    New dialogues that the run has seen in any part are left out. The old ones stay in their parts,
    but that a training dialogue is left out whose opening is nearly that of a new held-out one.
    """
    report = DataReport(f"{old.folder} and {data}")
    known = (replace(d, part=part) for part in PARTS for d in old.dialogues(part))
    split = SplitConfig(
        seed=recipe.text.split_seed,
        test_share=max(recipe.text.test_share, 0.1),
        validation_share=recipe.text.validation_share,
        num_fixed=sum(_count(old, part) for part in PARTS),
    )
    return ChatDataModule.from_dialogues(
        chain(known, _fresh(data, recipe.columns, old, report)),
        run_dir,
        recipe.text,
        source_hash=source_hash(data),
        split=split,
        report=report,
        tokenizer=old.tokenizer,
    )


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
    if fresh < 3:
        raise ValueError(f"{data}: {fresh} dialogues are new to the run; add at least 3")


def _free(name: str, taken: Container[int]) -> str:
    """The id, or where its hash is taken the first of `id (2)`, `id (3)` and so on that is not."""
    names = chain([name], (f"{name} ({number})" for number in count(2)))
    return next(free for free in names if hash64(free) not in taken)


def _count(datamodule: ChatDataModule, part: str) -> int:
    return num_stored(datamodule.folder / "data" / f"{part}.parquet")


def _beside(path: Path, name: str) -> Path:
    number = 1
    while (path.parent / f"{name}-{number}").exists():
        number += 1
    return path.parent / f"{name}-{number}"


def _scores(bot: Chatbot, old: Sequence[Dialogue], new: Sequence[Dialogue]) -> dict[str, Any]:
    """Scores on both hold-outs, against the masked replies on both sides alike."""
    scores = {}
    for name, dialogues in (("old_data", old), ("new_data", new)):
        pairs = reply_pairs([visible(dialogue) for dialogue in dialogues])
        scores[name] = score_model(bot, pairs, [pair.reply for pair in pairs])
    return scores


def _decide(before: dict[str, Any], after: dict[str, Any]) -> tuple[bool, str]:
    lost = before["old_data"]["chrf"] - after["old_data"]["chrf"]
    won = after["new_data"]["chrf"] - before["new_data"]["chrf"]
    reason = f"chrF {-lost:+.2f} on the old hold-out, {won:+.2f} on the new one"
    if lost > MARGIN_CHRF:
        return False, f"{reason}: the old loses more than {MARGIN_CHRF}"
    return won > 0, reason
