"""One small experiment and one figure for each topic of the chapter on why RNNs forget."""

import importlib.util
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import plotly.graph_objects as go
import torch

from apps.gradient_lab.topics.attending import attention, attention_kinds, encoder_decoder
from apps.gradient_lab.topics.descent import gradient_descent
from apps.gradient_lab.topics.directions import bidirectional
from apps.gradient_lab.topics.few import early_stopping, regularisation
from apps.gradient_lab.topics.lags import gru, lstm, recent_cells, vanishing_gradients
from apps.gradient_lab.topics.normalising import batch_norm
from apps.gradient_lab.topics.norms import clipping, exploding_gradients, residual_connections
from apps.gradient_lab.topics.rates import learning_rate
from apps.gradient_lab.topics.shown import Shown
from apps.gradient_lab.topics.through_time import back_propagation
from apps.gradient_lab.topics.transforming import transformer
from core.cli import verb
from core.comparison import choose
from core.files import read_json, replacing, write_json
from core.reporting import Section, write_report

logger = logging.getLogger(__name__)
Ending = Literal["html", "svg", "png"]
WIDTH, HEIGHT = 800, 450  # of an image, in pixels
INSTALL = "install it (`pip install kaleido`, `apt-get install chromium`) or choose html"


class Topic(NamedTuple):
    """An experiment, and what it shows.

    Attributes:
        run: Makes it; its arguments are sizes, which have defaults.
        about: In a line.
    """

    run: Callable[..., Shown]
    about: str


TOPICS: dict[str, Topic] = {
    "gradient-descent": Topic(gradient_descent, "loss over two weights, and paths of three rates"),
    "back-propagation": Topic(back_propagation, "each step's share of the gradient, by hand"),
    "vanishing-gradients": Topic(vanishing_gradients, "gradient by lag for four spectral radii"),
    "exploding-gradients": Topic(exploding_gradients, "gradient norm at every step, three cells"),
    "clipping": Topic(clipping, "score without clipping and with three kinds of it"),
    "lstm": Topic(lstm, "gradient by lag for three starts, beside a tanh RNN"),
    "gru": Topic(gru, "gradient by lag for three starts, beside a tanh RNN"),
    "learning-rate": Topic(learning_rate, "a range test of two cells, and four schedules"),
    "regularisation": Topic(regularisation, "loss on few rows and on others, five regularisers"),
    "batch-norm": Topic(batch_norm, "score of a deep RNN with layer norm and with batch norm"),
    "early-stopping": Topic(early_stopping, "losses of learning by heart, and where it stops"),
    "attention": Topic(attention, "which letter is read while a word is reversed"),
    "residual-connections": Topic(residual_connections, "gradient norm of each layer of a stack"),
    "bidirectional": Topic(bidirectional, "naming a letter that is still to come"),
    "encoder-decoder": Topic(encoder_decoder, "one fixed vector and attention, by word length"),
    "attention-kinds": Topic(attention_kinds, "score of each attention after a short training"),
    "transformer": Topic(transformer, "score and time beside an LSTM with attention"),
    "recent-cells": Topic(recent_cells, "gradient by lag and time of minGRU, minLSTM, LRU, sLSTM"),
}


def told(rows: Sequence[dict[str, Any]]) -> str:
    """What was measured, and where the figure is."""
    return "\n\n".join("\n".join([*row["lines"], row["figure"]]) for row in rows)


@verb(
    told,
    positional="topic",
    after="topics:\n" + "\n".join(f"  {name:<21}{topic.about}" for name, topic in TOPICS.items()),
)
def show(
    topic: str, *, out: Path = Path("runs/gradient_lab"), format: Ending = "html"
) -> list[dict[str, Any]]:
    """Run the experiment of a topic and draw its figure.

    Args:
        topic: One of those below; several, comma-separated; or `all`, three to six minutes.
        out: The figure's file, whose ending says what it is; or a folder, which gets a file named
            after each topic and `measured.json`, what was measured.
        format: Of the files in a folder: `html`, which opens anywhere and holds its numbers;
            `svg` or `png`.
    """
    names = choose(tuple(TOPICS), topic, "topics")
    is_file = out.suffix.lstrip(".") in ("html", "svg", "png")
    if is_file and len(names) > 1:
        raise ValueError(f"out={out} is one file for {len(names)} topics; give a folder")
    if not is_file and out.suffix:
        raise ValueError(f"out={out} ends in {out.suffix}; choose .html, .svg, .png or a folder")
    if is_file or format != "html":
        check_images(out.suffix.lstrip(".") if is_file else format)
    rows = []
    for name in names:
        path = out if is_file else out / f"{name}.{format}"
        rows.append(make(name, path))
        if not is_file:
            note(out / "measured.json", name, rows[-1]["lines"])
    return rows


def make(name: str, path: Path) -> dict[str, Any]:
    """Run one topic's experiment and write its figure.

    Args:
        name: One of TOPICS.
        path: The figure's file; its ending says what it is.
    """
    torch.set_num_threads(1)  # sums of several threads differ in the last digit
    started = time.perf_counter()
    shown = TOPICS[name].run()
    logger.info("%s: %.0f seconds", name, time.perf_counter() - started)
    write_figure(shown, path)
    return {"topic": name, "figure": str(path), "lines": shown.lines, "values": shown.values}


def write_figure(shown: Shown, path: Path) -> None:
    """Write a figure as a page with its numbers, or as an image."""
    if path.suffix == ".html":
        title = shown.figure.layout.title.text
        section = Section(title, "\n\n".join(shown.lines), "", [shown.figure], shown.values)
        write_report(path, title, [section])
        return
    image = draw(shown.figure, path.suffix.lstrip("."))
    with replacing(path) as temporary:
        temporary.write_bytes(image)


def check_images(ending: str) -> None:
    """Refuse an image where it cannot be drawn, before anything is measured."""
    if ending == "html":
        return
    if importlib.util.find_spec("kaleido") is None:
        raise ValueError(f"{ending} is drawn by kaleido, which is missing; {INSTALL}")
    draw(go.Figure(), ending)


def draw(figure: go.Figure, ending: str) -> bytes:
    """A figure as an image, `svg` or `png`."""
    try:
        image: bytes = figure.to_image(ending, width=WIDTH, height=HEIGHT)
    except RuntimeError:  # what plotly raises where kaleido finds no browser
        raise ValueError(f"{ending}: no Chromium to draw it; {INSTALL}") from None
    return image


def note(path: Path, name: str, lines: list[str]) -> None:
    """Add what a topic measured to a file, in the order of TOPICS."""
    known = read_json(path) if path.exists() else {}
    known[name] = lines
    write_json(path, {topic: known[topic] for topic in TOPICS if topic in known})
