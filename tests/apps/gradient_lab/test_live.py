import json
import math
from dataclasses import replace

import pytest

from apps.gradient_lab.gradients import measure
from apps.gradient_lab.live import STORY, Experiment, clear, live, saturation
from apps.gradient_lab.train import make_module, train
from core.cli import call

SHORT = Experiment(task="adding", length=20, cell="gru", start="chrono", steps=200)


def test_the_file_tells_what_the_training_did(tmp_path):
    out = tmp_path / "live.json"
    result = live(out, SHORT)
    assert json.loads(out.read_text()) == json.loads(json.dumps(result))
    trained = train(SHORT.job)
    assert result["score"] == trained.score
    assert result["curve"] == [[check.step, check.score] for check in trained.checks]
    after = measure(SHORT.job, trained.module, is_trained=True)
    assert result["lags"][-1]["norm"] == after[-1]["norm"]
    assert [curve["trained"] for curve in result["lags"]] == [False, True]


def test_saturation_is_told_by_gate_from_the_start_on(tmp_path):
    result = live(tmp_path / "live.json", SHORT)
    assert set(result["saturation"]) == {"reset", "update", "candidate"}
    for points in result["saturation"].values():
        assert [step for step, _ in points] == [0, 100, 200]
        assert all(0 <= share <= 1 for _, share in points)


def test_measuring_leaves_the_network_as_it_was():
    module = make_module(SHORT.job)
    module.train()
    before = [parameter.clone() for parameter in module.parameters()]
    saturation(SHORT.job, module)
    assert module.training
    assert all((a == b).all() for a, b in zip(before, module.parameters(), strict=True))


def test_the_words_of_an_experiment_are_read_as_they_were_meant(tmp_path):
    wanted = replace(SHORT, clip_norm=0.1, seed=7, reading="attention")
    seen = {}

    def note(out: str, experiment: Experiment = Experiment()) -> None:
        """Keep it.

        Args:
            out: A file.
            experiment: What to train.
        """
        seen["experiment"] = experiment

    call(note, [f"--out={tmp_path}", *wanted.words()], "note")
    assert seen["experiment"] == wanted
    assert wanted.job.clipping.norm == 0.1
    assert wanted.job.reading == "attention"


def test_a_training_that_diverges_says_so(tmp_path, monkeypatch):
    wild = Experiment(task="temporal_order", length=50, cell="irnn", start="identity", clip_norm=0)
    monkeypatch.setattr(
        Experiment,
        "job",
        property(lambda _: replace(_job(wild), optim=replace(_job(wild).optim, learning_rate=1e9))),
    )
    result = live(tmp_path / "live.json", wild)
    assert result["score"] is None or not math.isfinite(result["score"])
    assert not result["solved"]


def _job(experiment):
    from apps.gradient_lab.recipes import recipe

    return recipe(experiment.task, experiment.length, experiment.cell, experiment.start)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "is_solved"),
    [("rnn", False), ("clipping", False), ("lstm", True), ("gru", True), ("attention", True)],
)
def test_the_story_is_true(name, is_solved, tmp_path):
    result = live(tmp_path / "live.json", STORY[name])
    assert result["solved"] == is_solved
    if not is_solved:
        assert result["score"] > 0.9 * result["baseline"]  # nothing is learnt, not merely less


def test_what_others_left_is_cleared_and_the_visitors_own_is_not(tmp_path):
    for name in ("old.json", "mine.json"):
        (tmp_path / name).write_text("{}")
    clear(tmp_path, ["mine.json"], older_than=2**40)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]
    clear(tmp_path, [], older_than=0)
    assert (tmp_path / "mine.json").exists()
