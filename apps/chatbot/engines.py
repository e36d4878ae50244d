"""What a chatbot's search runs on: torch, or the run's ONNX graphs, made where they are missing."""

from typing import Literal

from core.exporting import export_seq2seq
from core.nn.seq2seq import EncoderDecoder
from core.onnx_engine import OnnxSeq2Seq, graph_files
from core.run_graphs import ensure_graphs
from core.runs import Run

Engine = Literal["torch", "onnx", "int8"]


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
    names = [path.name for path in graph_files(run.path)]
    folder = ensure_graphs(run, names, lambda folder: export_seq2seq(model, folder))
    if int8 and not all(path.exists() for path in graph_files(folder, int8=True)):
        raise ValueError(
            f"{folder}: holds no int8 graphs; `chatbot export --run {run.path}` writes them where "
            "they keep the quality and says why where it does not"
        )
    return OnnxSeq2Seq(folder, int8)
