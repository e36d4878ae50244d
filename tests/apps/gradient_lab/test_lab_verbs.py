import json
from dataclasses import replace

import pytest

from apps.gradient_lab.jobs import job_key, run_job, run_jobs
from apps.gradient_lab.memory import table
from apps.gradient_lab.recipes import recipe, with_model
from apps.gradient_lab.tuning import first_norms
from core.clipping import Clipping

KEYS = {
    "task", "length", "cell", "start", "seed", "score", "baseline", "solved", "steps", "seconds",
}  # fmt: skip


def test_memory_gives_a_row_per_length_cell_start_and_seed(command):
    words = ["--lengths", "10,20", "--cells", "rnn,lstm", "--seeds", 2, "--max_steps", 100]
    result = command("gradient-lab", "memory", "--task", "temporal_order", *words, "--json")
    rows = json.loads(result.out)
    assert len(rows) == 8
    assert all(row.keys() == KEYS for row in rows)
    assert {(row["cell"], row["start"]) for row in rows} == {
        ("rnn", "orthogonal"),
        ("lstm", "chrono"),
    }
    assert {row["baseline"] for row in rows} == {0.25}
    assert all(0 <= row["score"] <= 1 for row in rows)


def test_memory_prints_a_table_with_the_baseline(command):
    words = ["--lengths", "10", "--cells", "gru", "--seeds", 1, "--max_steps", 100]
    result = command("gradient-lab", "memory", *words)
    assert result.code == 0
    assert "baseline" in result.out
    assert "0.1667" in result.out


def test_a_length_at_which_a_cell_was_not_run_is_a_dash_in_the_table():
    row = {"task": "adding", "start": "chrono", "score": 0.005, "solved": True, "seconds": 1.0}
    rows = [{**row, "cell": "lstm", "length": length} for length in (20, 40)]
    *_, last = table([*rows, {**row, "cell": "gru", "length": 20}]).splitlines()
    assert last.split() == ["gru", "chrono", "0.0050", "(1/1)", "-", "1"]


def test_starts_that_a_cell_cannot_have_are_left_out(command):
    words = ["--lengths", "10", "--cells", "rnn,mingru", "--seeds", 1, "--max_steps", 100]
    words += ["--starts", "orthogonal,forget,chrono"]
    result = command("gradient-lab", "memory", *words, "--json")
    found = [(row["cell"], row["start"]) for row in json.loads(result.out)]
    assert found == [
        ("rnn", "orthogonal"),
        ("mingru", "default"),
        ("mingru", "forget"),
        ("mingru", "chrono"),
    ]


def test_gradients_order_the_starts_and_tell_the_states_apart(command):
    words = ["--cells", "lstm,gru", "--starts", "default,forget,chrono", "--steps", 0]
    result = command("gradient-lab", "gradients", *words, "--seeds", 1, "--json")
    curves = json.loads(result.out)
    assert all(
        curve.keys() == {"cell", "start", "state", "trained", "lag", "norm"} for curve in curves
    )
    far = {(c["cell"], c["start"], c["state"]): c["norm"][90] / c["norm"][1] for c in curves}
    for cell, state in (("lstm", "cell"), ("gru", "hidden")):
        default, forget, chrono = (
            far[cell, start, state] for start in ("default", "forget", "chrono")
        )
        assert default < 1e-3 * forget
        assert forget < 1e-1 * chrono


def test_gradients_are_measured_after_training_too(command):
    words = ["--cells", "rnn", "--starts", "default", "--steps", 100, "--length", 20]
    result = command("gradient-lab", "gradients", *words, "--seeds", 1, "--json")
    before, after = json.loads(result.out)
    assert (before["trained"], after["trained"]) == (False, True)
    assert before["norm"] != after["norm"]
    assert len(after["lag"]) == 20


def test_ablate_compares_each_remedy_with_nothing(command):
    words = ["--length", 10, "--remedies", "gru,clip_norm,plateau,early_stopping,batch_norm"]
    result = command("gradient-lab", "ablate", *words, "--seeds", 1, "--max_steps", 200)
    assert result.code == 0
    table = result.out.splitlines()
    names = [line.split()[0] for line in table[4:]]
    assert sorted(names) == sorted(
        ["nothing", "gru", "clip_norm", "plateau", "early_stopping", "batch_norm"]
    )


@pytest.mark.slow
def test_every_remedy_trains(command):
    result = command(
        "gradient-lab", "ablate", "--length", 10, "--seeds", 1, "--max_steps", 100, "--json"
    )
    from apps.gradient_lab.ablate import REMEDIES

    rows = json.loads(result.out)
    assert [row["remedy"] for row in rows] == list(REMEDIES)
    assert all(row["score"] is not None for row in rows)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["memory", "--task", "addition"], "adding"),
        (["memory", "--lengths", "ten"], "lengths='ten'"),
        (["memory", "--lengths", "0"], "lengths='0'"),
        (["memory", "--lengths", "1", "--task", "adding"], "length=1 is too short"),
        (["memory", "--cells", "gru,lsmt"], "lsmt"),
        (["memory", "--starts", "best"], "best"),
        (["memory", "--seeds", "0"], "seeds=0"),
        (["memory", "--max_steps", "50"], "max_steps=50"),
        (["gradients", "--steps", "50"], "steps=50"),
        (["gradients", "--hidden_size", "0", "--seeds", "1"], "hidden_size=0"),
        (["ablate", "--remedies", "prayer"], "prayer"),
        (["report", "--share", "2"], "share=2"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(words, said, command):
    result = command("gradient-lab", *words)
    assert result.code == 2
    assert said in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_finished_jobs_are_not_run_again_and_a_torn_line_is_dropped(tmp_path):
    store = tmp_path / "rows.jsonl"
    jobs = [
        with_model(recipe("adding", 10, "rnn", seed=seed, max_steps=100), hidden_size=4)
        for seed in (0, 1)
    ]
    first = run_jobs(jobs, "test", store)
    lines = store.read_text().splitlines()
    assert len(lines) == 2
    store.write_text(lines[0] + "\n" + lines[1][:40])
    kept = json.loads(lines[0])["key"].split()[1]
    again = run_jobs(jobs, "test", store)
    assert [row["score"] for row in again] == [row["score"] for row in first]
    assert len(store.read_text().splitlines()) == 3
    kept_row = first[[job_key(job) for job in jobs].index(kept)]
    assert again[[job_key(job) for job in jobs].index(kept)] == kept_row


def test_another_measurement_of_the_same_job_is_another_row(tmp_path):
    store = tmp_path / "rows.jsonl"
    job = with_model(recipe("adding", 10, "rnn", max_steps=100), hidden_size=4)
    assert "score" in run_jobs([job], "test", store)[0]
    assert "norms" in run_jobs([job], "test", store, first_norms)[0]


def test_rows_of_other_code_are_run_again(tmp_path, monkeypatch):
    store = tmp_path / "rows.jsonl"
    job = with_model(recipe("adding", 10, "rnn", max_steps=100), hidden_size=4)
    run_jobs([job], "test", store)
    monkeypatch.setattr("apps.gradient_lab.jobs.code_hash", lambda: "other")
    run_jobs([job], "test", store)
    assert len(store.read_text().splitlines()) == 2


def test_a_training_that_explodes_has_no_score():
    job = with_model(recipe("adding", 10, "irnn", max_steps=200), hidden_size=4)
    optim = replace(job.optim, optimizer="sgd", learning_rate=1e4)
    row = run_job(replace(job, optim=optim, clipping=Clipping()))
    assert row["score"] is None
    assert not row["solved"]
    assert row["curve"][-1][1] is None


def test_a_job_runs_the_same_in_a_pool_and_here():
    job = with_model(recipe("adding", 10, "gru", max_steps=100), hidden_size=4)
    here, there = run_job(job), run_jobs([job], "test")[0]
    assert {**here, "seconds": 0} == {**there, "seconds": 0}
