"""What a chatbot's search runs on: torch, or the run's ONNX graphs, made where they are missing."""

import json
import logging
from collections.abc import Mapping
from typing import Any, Literal

from core.exporting import export_seq2seq
from core.nn.seq2seq import EncoderDecoder
from core.onnx_engine import OnnxSeq2Seq, graph_files
from core.runs import Run, file_hash, write_json

Engine = Literal["torch", "onnx", "int8"]
NOTE = "export.json"  # in the run's onnx/: whose weights the graphs hold, and their checksums
logger = logging.getLogger(__name__)


def onnx_engine(run: Run, model: EncoderDecoder, int8: bool = False) -> OnnxSeq2Seq:
    """The run's graphs; where they are missing, spoilt or of other weights, they are made anew.

    Args:
        run: The run.
        model: Its network, in evaluation mode.
        int8: Take the quantised graphs, which `chatbot export` alone writes.

    Raises:
        ValueError: The model cannot be exported, the run folder cannot be written, or it has no
            quantised graphs.
    """
    folder = run.path / "onnx"
    if not is_current(run):
        logger.info("%s: writing the ONNX graphs of this run", folder)
        write_graphs(run, model)
    if int8 and not all(path.exists() for path in graph_files(folder, int8=True)):
        raise ValueError(
            f"{folder}: holds no int8 graphs; `chatbot export --run {run.path}` writes them where "
            "they keep the quality and says why where it does not"
        )
    return OnnxSeq2Seq(folder, int8)


def is_current(run: Run) -> bool:
    """Whether the run's `onnx/` holds graphs of its weights, unchanged since they were written."""
    folder = run.path / "onnx"
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return bool(note["weights_sha256"] == _weights_hash(run) and note["files"] == _hashes(run))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_graphs(run: Run, model: EncoderDecoder) -> dict[str, Any]:
    """Export a run's network into its `onnx/`, with a note of what it was made of.

    Returns:
        The note: `weights_sha256`, `max_difference` to torch, `files` with their SHA-256.

    Raises:
        ValueError: As in `onnx_engine`.
    """
    folder = run.path / "onnx"
    try:
        folder.mkdir(exist_ok=True)
        (folder / NOTE).unlink(missing_ok=True)  # the note comes last: without it nothing counts
        for path in graph_files(folder, int8=True):
            path.unlink(missing_ok=True)
        note = {
            "weights_sha256": _weights_hash(run),
            "max_difference": export_seq2seq(model, folder),
        }
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


def _hashes(run: Run) -> dict[str, str]:
    """Of both graphs, and of the quantised ones where they are there."""
    folder = run.path / "onnx"
    extra = [path for path in graph_files(folder, int8=True) if path.exists()]
    return {path.name: file_hash(path) for path in (*graph_files(folder), *extra)}


def _weights_hash(run: Run) -> str:
    return str(run.manifest["files"]["model.safetensors"])
