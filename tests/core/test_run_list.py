import json

import yaml

from core.run_list import finished_runs


def make(folder, name, created, app="chatbot", cell="lstm"):
    path = folder / name
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump({"model": {"cell": cell}}))
    manifest = {"app": app, "created": created, "source_sha256": "s"}
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def test_the_champion_comes_first_and_then_the_newest(tmp_path):
    for number in (1, 3, 2):
        make(tmp_path, f"run{number}", f"2026-01-0{number}")
    (tmp_path / "champion").symlink_to("run2")
    found = finished_runs(tmp_path, "chatbot")
    assert [run.name for run in found] == ["run2", "run3", "run1"]
    assert [run.is_champion for run in found] == [True, False, False]


def test_the_runs_of_a_comparison_are_among_them(tmp_path):
    make(tmp_path, "compare/rnn-seed0", "2026-01-01", cell="rnn")
    [found] = finished_runs(tmp_path, "chatbot")
    assert (found.name, found.config["model"]["cell"]) == ("compare/rnn-seed0", "rnn")


def test_what_is_no_whole_run_is_passed_over(tmp_path):
    make(tmp_path, "good", "2026-01-01")
    make(tmp_path, "other_app", "2026-01-01", app="stock_forecast")
    (tmp_path / "begun").mkdir()
    for name, manifest in (("broken", "{"), ("list", "[]"), ("empty", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(manifest)
    (make(tmp_path, "without", "2026-01-01") / "config.yaml").unlink()
    assert [run.name for run in finished_runs(tmp_path, "chatbot")] == ["good"]
    assert finished_runs(tmp_path / "nowhere", "chatbot") == []
