"""A question whose answer is still to come: one direction, and both."""

from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import seed_everything
from torch import Generator

from apps.gradient_lab.topics.fitting import fit
from apps.gradient_lab.topics.shown import Shown, each
from core.batch import SequenceBatch
from core.modules import SequenceModule
from core.nn.recurrent import RecurrentConfig
from core.optim import OptimConfig
from core.plots import quality_by_length

LETTERS = 4
LENGTH = 20
OFFSETS = (-3, -2, -1, 0, 1, 2, 3)
READERS = {"one direction": False, "both directions": True}


def bidirectional(offsets: Sequence[int] = OFFSETS, *, steps: int = 100, seeds: int = 3) -> Shown:
    """Share of steps at which a GRU names the letter so many steps later, or earlier.

    Args:
        offsets: Steps to the letter that is asked for, each below LENGTH either way.
        steps: Of the optimiser.
        seeds: Intervals are over so many.
    """
    right: dict[str, dict[str, list[float]]] = {
        name: {
            f"{offset:+d}": [_train(offset, both, steps, seed) for seed in range(seeds)]
            for offset in offsets
        }
        for name, both in READERS.items()
    }
    title = "Naming another letter of the sequence"
    where = "steps from the letter read to the letter asked for; + is the future"
    figure = quality_by_length(right, where, "share right", title)
    figure.add_hline(y=1 / LETTERS, line_dash="dot", annotation_text="a guess")
    figure.update_yaxes(range=[0, 1.05])
    last = f"{offsets[-1]:+d}"
    told = each({name: by_offset[last] for name, by_offset in right.items()})
    values: dict[str, Any] = {"right": right}
    return Shown(figure, [f"Share right {last} steps ahead (a guess: 0.25): {told}."], values)


def draw_letters(num: int, offset: int, generator: Generator) -> SequenceBatch:
    """Random letters, and at each step the one so many steps away; past the edge the nearest.

    Args:
        num: Rows.
        offset: Steps to the letter that is asked for.
        generator: The source of the draws.
    """
    letters = torch.randint(LETTERS, (num, LENGTH), generator=generator)
    asked = (torch.arange(LENGTH) + offset).clamp(0, LENGTH - 1)
    return SequenceBatch(torch.nn.functional.one_hot(letters, LETTERS).float(), letters[:, asked])


def _train(offset: int, both: bool, steps: int, seed: int) -> float:
    """Share right on fresh rows, of the steps whose answer lies in the sequence."""
    seed_everything(seed, verbose=False)
    model = RecurrentConfig(cell="gru", hidden_size=32, bidirectional=both)
    optim = OptimConfig(learning_rate=2e-2, weight_decay=0.0, schedule="constant")
    module = SequenceModule(LETTERS, LETTERS, model, optim, loss="cross_entropy", reading="every")
    fit(module, lambda generator: draw_letters(32, offset, generator), steps=steps, seed=seed)
    batch = draw_letters(200, offset, Generator().manual_seed(10_000 + seed))
    with torch.no_grad():
        is_right = module.model(batch.inputs).argmax(-1) == batch.target  # (B, T)
    kept = slice(max(0, -offset), LENGTH - max(0, offset))
    return float(is_right[:, kept].float().mean())
