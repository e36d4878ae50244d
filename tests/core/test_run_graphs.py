from dataclasses import replace
from pathlib import Path

import pytest

from core.run_graphs import ensure_graphs, hand_out, is_current, write_graphs
from core.runs import Run


@pytest.fixture
def run(tmp_path) -> Run:
    manifest = {"files": {"model.safetensors": "a hash"}}
    return Run(tmp_path, config={}, manifest=manifest, preprocessor={}, metrics={})


def export(*names: str):
    """An export that writes the same graphs whenever it is called."""

    def write(folder: Path) -> float:
        for name in names:
            (folder / name).write_bytes(b"graph of " + name.encode())
        return 1e-6

    return write


def test_graphs_that_lack_a_wanted_file_are_made_anew(run):
    write_graphs(run, export("encoder.onnx"))
    assert is_current(run, ["encoder.onnx"])
    assert not is_current(run, ["encoder.onnx", "step.onnx"])
    folder = ensure_graphs(run, ["encoder.onnx", "step.onnx"], export("encoder.onnx", "step.onnx"))
    assert (folder / "step.onnx").exists()
    assert is_current(run, ["encoder.onnx", "step.onnx"])


def test_graphs_of_other_weights_or_changed_since_are_not_current(run):
    write_graphs(run, export("model.onnx"))
    other = replace(run, manifest={"files": {"model.safetensors": "another hash"}})
    assert not is_current(other, ["model.onnx"])
    (run.path / "onnx" / "model.onnx").write_bytes(b"cut off")
    assert not is_current(run, ["model.onnx"])


def test_graphs_of_an_earlier_export_do_not_stay(run):
    write_graphs(run, export("model.onnx", "model.int8.onnx"))
    note = write_graphs(run, export("model.onnx"))
    assert set(note["files"]) == {"model.onnx"}
    assert [path.name for path in (run.path / "onnx").glob("*.onnx")] == ["model.onnx"]


def test_what_an_export_wrote_before_it_failed_does_not_count(run):
    write_graphs(run, export("model.onnx"))

    def failing(folder: Path) -> float:
        export("model.onnx")(folder)
        raise ValueError("differs from torch")

    with pytest.raises(ValueError, match="differs from torch"):
        write_graphs(run, failing)
    assert not is_current(run, ["model.onnx"])


@pytest.mark.parametrize("has_out", [True, False])
def test_handing_out_copies_only_where_asked_and_tells_what_was_written(run, tmp_path, has_out):
    note = write_graphs(run, export("model.onnx"))
    out = tmp_path / "far" / "away" if has_out else None
    told = hand_out(run, note, out)
    assert told == {
        "run": str(run.path),
        "out": str(out) if has_out else None,
        "max_difference": 1e-6,
        "files": {"model.onnx": len(b"graph of model.onnx")},
    }
    copies = [path for path in tmp_path.rglob("model.onnx") if path.parent.name != "onnx"]
    assert copies == ([out / "model.onnx"] if has_out else [])
