"""A run's `onnx/` folder: graphs of its weights, and a note that tells whether they still are."""

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.files import file_hash, write_json
from core.runs import Run

NOTE = "export.json"  # whose weights the graphs hold, and their checksums
logger = logging.getLogger(__name__)


def ensure_graphs(run: Run, names: Sequence[str], export: Callable[[Path], float]) -> Path:
    """The folder with the run's graphs; missing, spoilt or other weights' ones are made anew.

    Args:
        run: The run.
        names: Files that must be there.
        export: As for `write_graphs`.

    Raises:
        ValueError: As in `write_graphs`.
    """
    folder = run.path / "onnx"
    if not is_current(run, names):
        logger.info("%s: writing the ONNX graphs of this run", folder)
        write_graphs(run, export)
    return folder


def is_current(run: Run, names: Sequence[str]) -> bool:
    """Whether the run's `onnx/` holds graphs of its weights, unchanged since they were written.

    Args:
        run: The run.
        names: Files that must be among them.
    """
    try:
        note = json.loads((run.path / "onnx" / NOTE).read_text(encoding="utf-8"))
        is_own = note["weights_sha256"] == _weights_hash(run) and note["files"] == _hashes(run)
        return bool(is_own and note["files"].keys() >= set(names))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def write_graphs(run: Run, export: Callable[[Path], float]) -> dict[str, Any]:
    """Export a run's network into its `onnx/`, with a note of what it was made of.

    Args:
        run: The run.
        export: Writes the graphs into a folder and gives their largest difference to torch.

    Returns:
        The note: `weights_sha256`, `max_difference` to torch, `files` with their SHA-256.

    Raises:
        ValueError: The network cannot be exported, or the run folder cannot be written.
    """
    folder = run.path / "onnx"
    try:
        folder.mkdir(exist_ok=True)
        (folder / NOTE).unlink(missing_ok=True)  # the note comes last: without it nothing counts
        for path in folder.glob("*.onnx"):
            path.unlink()
        note = {"weights_sha256": _weights_hash(run), "max_difference": export(folder)}
        return write_note(run, note)
    except OSError as error:
        raise ValueError(
            f"{folder}: cannot be written ({error.strerror or error}); copy the run to where you "
            "may write, or use the torch engine"
        ) from None


def write_note(run: Run, note: Mapping[str, Any]) -> dict[str, Any]:
    """Write down what the run's `onnx/` holds now; gives the note with `files`, their SHA-256."""
    full = {**note, "files": _hashes(run)}
    write_json(run.path / "onnx" / NOTE, full)
    return full


def hand_out(run: Run, note: Mapping[str, Any], out: Path | None) -> dict[str, Any]:
    """Copy the run's graphs to where they are wanted, and tell what was written.

    Args:
        run: The run.
        note: As `write_graphs` or `write_note` give it.
        out: A folder that gets copies; None for none.

    Returns:
        `run`, `out`, `max_difference` to torch, and `files` with their size in bytes.
    """
    written = [run.path / "onnx" / name for name in note["files"]]
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for path in written:
            shutil.copy2(path, out)
    return {
        "run": str(run.path),
        "out": None if out is None else str(out),
        "max_difference": note["max_difference"],
        "files": {path.name: path.stat().st_size for path in written},
    }


def _hashes(run: Run) -> dict[str, str]:
    return {path.name: file_hash(path) for path in sorted((run.path / "onnx").glob("*.onnx"))}


def _weights_hash(run: Run) -> str:
    return str(run.manifest["files"]["model.safetensors"])
