import json
import sys

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from apps.gradient_lab.gradients import measure
from apps.gradient_lab.recipes import recipe, with_model
from apps.gradient_lab.show import TOPICS, Topic
from apps.gradient_lab.topics.attending import encoder_decoder
from apps.gradient_lab.topics.descent import gradient_descent
from apps.gradient_lab.topics.directions import LENGTH, bidirectional, draw_letters
from apps.gradient_lab.topics.few import stop_of
from apps.gradient_lab.topics.lags import gru, lstm, vanishing_gradients
from apps.gradient_lab.topics.norms import residual_connections
from apps.gradient_lab.topics.reversing import draw_words
from apps.gradient_lab.topics.through_time import back_propagation
from apps.gradient_lab.train import make_module
from core.comparison import geometric_mean
from core.resuming import StaysStopped

SHORT = {"steps": 100, "seeds": 1}
TINY = {
    "gradient-descent": {"steps": 5, "grid": 5},
    "back-propagation": {"length": 6, "hidden_size": 4},
    "vanishing-gradients": {"length": 10, "hidden_size": 8, "seeds": 1},
    "exploding-gradients": {"length": 10, **SHORT},
    "clipping": {"length": 10, **SHORT},
    "lstm": {"length": 10, "hidden_size": 8, "seeds": 1},
    "gru": {"length": 10, "hidden_size": 8, "seeds": 1},
    "learning-rate": {"length": 10, "steps": 40, "total": 100, "seeds": 1},
    "regularisation": {"rows": 32, **SHORT},
    "batch-norm": {"length": 10, "num_layers": 2, **SHORT},
    "early-stopping": {"rows": 32, **SHORT},
    "attention": {"length": 4, "steps": 10},
    "residual-connections": {"num_layers": 3, "length": 10, "seeds": 1},
    "bidirectional": {"offsets": (-1, 1), "steps": 10, "seeds": 1},
    "encoder-decoder": {"lengths": (2, 3), "steps": 10, "seeds": 1},
    "attention-kinds": {"length": 4, "steps": 5, "seeds": 1},
    "transformer": {"lengths": (2, 3), "timed": (2, 4), "steps": 10, "seeds": 1},
    "recent-cells": {"length": 10, "hidden_size": 8, "seeds": 1},
}


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_draws_finite_data_on_named_axes(topic):
    figure, lines, values = TOPICS[topic].run(**TINY[topic])
    layout = figure.layout.to_plotly_json()
    axes = [key for key in layout if key.startswith(("xaxis", "yaxis"))]
    assert len(axes) >= 2
    assert all(layout[axis]["title"]["text"] for axis in axes)
    assert figure.data
    for trace in figure.data:
        for data in (trace.x, trace.y, getattr(trace, "z", None)):
            numbers = [] if data is None else np.asarray(data)
            assert not np.issubdtype(np.asarray(numbers).dtype, np.number) or (
                np.isfinite(numbers).all()
            )
    assert 1 <= len(lines) <= 3
    assert values


def test_the_gradient_by_hand_is_autograds():
    values = back_propagation().values
    assert values["relative_error"] < 1e-6
    assert values["by_hand"] == pytest.approx(values["autograd"], rel=1e-6, abs=1e-12)
    assert values["by_hand"][0] == 0.0  # before the first step there is no state


def test_the_gradient_decays_below_a_radius_of_one_and_not_at_it():
    share = vanishing_gradients(length=30).values["share"]
    assert share["0.7"] < 1e-3 < share["0.9"] < 0.2
    assert share["1"] == pytest.approx(1.0, abs=0.1)
    assert share["1.1"] > 5


@pytest.mark.parametrize("cell", [lstm, gru])
def test_a_start_that_keeps_keeps_the_gradient(cell):
    curves = {(c["cell"], c["start"]): c["norm"] for c in cell(length=50).values["curves"]}
    name = cell.__name__
    far = [curves[name, start][-1] / curves[name, start][1] for start in ("default", "forget")]
    assert far[0] < far[1] < curves[name, "chrono"][-1] / curves[name, "chrono"][1]


@pytest.mark.parametrize(("cell", "share"), [("lstm", 2e-7), ("gru", 5e-10)])
def test_a_bias_of_one_alone_keeps_far_less_than_with_orthogonal_matrices(cell, share):
    """The chapter's numbers: torch's start, and 1 in the gate that keeps."""
    norms = []
    for seed in range(3):
        job = with_model(recipe("adding", 100, cell, "default", seed=seed), hidden_size=64)
        torch.manual_seed(seed)
        module = make_module(job)
        layer = module.model.encoder.cells()[0][0]
        layer.get_parameter("bias_ih_l0").data[64:128] = 1.0  # torch: i, f, g, o and r, z, n
        norms.append(measure(job, module, is_trained=False)[-1]["norm"])
    norm = geometric_mean(norms)
    assert norm[99] / norm[1] == pytest.approx(share, rel=0.3)
    start = TOPICS[cell].run().values["curves"][2]
    assert start["start"] == "forget"
    assert start["norm"][99] / start["norm"][1] > 100 * norm[99] / norm[1]


def test_the_middle_rate_goes_furthest_down():
    losses = gradient_descent(grid=5).values["losses"]
    assert losses["0.1"] < 1e-3 < losses["0.01"] < losses["0.6"]


def test_residual_connections_keep_the_gradient_of_the_first_layer():
    norms = residual_connections(seeds=2).values["norms"]
    assert all(seed[0] < 0.1 * seed[-1] for seed in norms["without"])
    assert all(seed[0] > 0.3 * seed[-1] for seed in norms["with residual connections"])


def test_only_both_directions_know_the_next_letter():
    right = bidirectional((1,), steps=100, seeds=1).values["right"]
    assert right["one direction"]["+1"][0] < 0.4
    assert right["both directions"]["+1"][0] > 0.9


def test_attention_reverses_longer_words_than_a_fixed_vector():
    right = encoder_decoder((8,), steps=150, seeds=1).values["right"]
    assert right["with attention"]["8"][0] > right["one fixed vector"]["8"][0] + 0.1


def test_a_training_stops_after_patience_looks_without_a_better_loss():
    assert stop_of([3.0, 2.0, 2.5, 2.1, 1.0], patience=2) == 3
    assert stop_of([3.0, 2.0, 2.5, 1.0], patience=2) == 3  # the end: it never had to stop


class _Losses(pl.LightningModule):
    """Logs one validation loss after the other."""

    def __init__(self, losses):
        super().__init__()
        self.losses = iter(losses)
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.looks = 0

    def training_step(self, *_):
        return self.weight.sum()

    def validation_step(self, *_):
        self.log("val_loss", next(self.losses))
        self.looks += 1

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize("losses", [[3, 2, 2.5, 2.1, 1], [3, 2, 2, 1.9, 2, 1.95, 1.8], [2, 1]])
def test_the_stop_that_is_marked_is_lightnings(losses, tmp_path):
    module = _Losses(map(float, losses))
    trainer = pl.Trainer(
        max_epochs=len(losses),
        num_sanity_val_steps=0,
        callbacks=[StaysStopped("val_loss", patience=2)],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    rows = torch.utils.data.DataLoader([0.0])
    trainer.fit(module, rows, rows)
    assert module.looks - 1 == stop_of(losses, patience=2)


def test_a_words_target_is_the_word_backwards():
    source, lengths, target = draw_words(3, 5, torch.Generator().manual_seed(0))
    assert torch.equal(target[:, 1:-1], source.flip(1))
    assert lengths.tolist() == [5, 5, 5]


@pytest.mark.parametrize("offset", [-2, 0, 3])
def test_the_letter_asked_for_lies_so_many_steps_away(offset):
    inputs, target = draw_letters(4, offset, torch.Generator().manual_seed(0))
    step = 8
    assert torch.equal(target[:, step], inputs.argmax(-1)[:, step + offset])
    assert target.shape == (4, LENGTH)


@pytest.mark.parametrize("topic", ["exploding-gradients", "bidirectional", "early-stopping"])
def test_a_topic_measures_the_same_again(topic):
    run = TOPICS[topic].run
    assert run(**TINY[topic]).values == run(**TINY[topic]).values


def test_topics_write_pages_with_what_was_measured(command, tmp_path):
    words = ["back-propagation,vanishing-gradients", "--out", tmp_path, "--json"]
    rows = json.loads(command("gradient-lab", "show", *words).out)
    measured = json.loads((tmp_path / "measured.json").read_text())
    assert measured == {row["topic"]: row["lines"] for row in rows}
    for row in rows:
        page = (tmp_path / f"{row['topic']}.html").read_text()
        assert "Save the numbers" in page
        assert "src=" not in page.split("<body>")[1]  # nothing is loaded from elsewhere


def test_a_second_call_adds_to_what_was_measured(command, tmp_path):
    for topic in ("vanishing-gradients", "back-propagation"):
        command("gradient-lab", "show", topic, "--out", tmp_path)
    measured = json.loads((tmp_path / "measured.json").read_text())
    assert list(measured) == ["back-propagation", "vanishing-gradients"]


def test_the_ending_of_a_file_chooses_the_image(command, tmp_path):
    pytest.importorskip("kaleido")
    path = tmp_path / "one.svg"
    result = command("gradient-lab", "show", "back-propagation", "--out", path)
    if "no Chromium" in result.err:
        pytest.skip("no chromium on this machine: `apt-get install chromium` runs this test")
    assert str(path) in result.out
    assert path.read_text().startswith("<svg")
    assert not (tmp_path / "measured.json").exists()


def test_an_unknown_topic_is_refused_with_the_known_ones(command):
    result = command("gradient-lab", "show", "atention")
    assert result.code == 2
    assert "atention is unknown" in result.err
    assert all(topic in result.err for topic in TOPICS)
    assert result.err.strip().count("\n") == 0


def test_what_cannot_be_drawn_is_refused_before_anything_is_measured(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "kaleido", None)
    for words, told in (
        (["lstm", "--out", "one.svg"], "pip install kaleido"),
        (["lstm,gru", "--out", "one.html"], "give a folder"),
        (["lstm", "--out", "one.pdf"], "ends in .pdf"),
    ):
        result = command("gradient-lab", "show", *words)
        assert result.code == 2
        assert told in result.err


def test_a_missing_browser_is_told_before_anything_is_measured(command, monkeypatch, tmp_path):
    pytest.importorskip("kaleido")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-browser"))
    monkeypatch.setitem(TOPICS, "lstm", Topic(lambda: pytest.fail("it was measured"), "none"))
    result = command("gradient-lab", "show", "lstm", "--out", tmp_path, "--format", "png")
    assert result.code == 2
    assert "no Chromium" in result.err
    assert "apt-get install chromium" in result.err


def test_the_help_lists_every_topic_with_a_line(command):
    text = command("gradient-lab", "show", "--help").out
    for name, topic in TOPICS.items():
        assert any(name in line and topic.about in line for line in text.splitlines())
