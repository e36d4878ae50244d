"""An exported encoder-decoder, run by onnxruntime: what the search needs, and nothing of the model.

onnxruntime is imported when a graph is opened, so that nobody else pays for it.
"""

from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from core.nn.recurrent import StackState
from core.nn.seq2seq import Memory

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def graph_files(folder: Path, int8: bool = False) -> tuple[Path, Path]:
    """Where the encoder and the decoder step of an export stand."""
    kind = ".int8" if int8 else ""
    return folder / f"encoder{kind}.onnx", folder / f"decoder_step{kind}.onnx"


def open_graph(path: Path, threads: int = 1) -> "InferenceSession":
    """Load an ONNX file.

    Args:
        path: The file.
        threads: Cores that one operation may use, at least 1.

    Raises:
        ValueError: No such file, not an ONNX graph, or no thread.
    """
    import onnxruntime

    if threads < 1:
        raise ValueError(f"threads={threads} must be at least 1")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # The level above rearranges images, and takes longer on a step of a few small products.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3  # errors: a warning about an unused weight helps nobody
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes share no other base
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: no ONNX graph to run ({reason}); export again") from None


class OnnxSeq2Seq:
    """The graphs that `core.exporting.export_seq2seq` wrote; greedy and beam search run on it.

    Its numbers agree with the exported model's in evaluation mode; it cannot be trained.

    Args:
        folder: Where the two graphs stand.
        int8: Take the quantised pair.
        threads: Cores that one operation may use. A reply's step is too small to be shared, so
            that more than 1 pays for large batches alone.

    Raises:
        ValueError: A graph is missing or spoilt.
    """

    def __init__(self, folder: Path, int8: bool = False, threads: int = 1) -> None:
        encoder, decoder = graph_files(folder, int8)
        self._encoder = open_graph(encoder, threads)
        self._decoder = open_graph(decoder, threads)
        states = [n.name for n in self._encoder.get_outputs() if n.name.startswith("state_")]
        layers = groupby(states, key=lambda name: name.rsplit("_", 1)[0])
        self._parts = [len(list(names)) for _, names in layers]
        # Without attention the step reads no memory, and its graph has no such inputs.
        read = {node.name for node in self._decoder.get_inputs()}
        given = enumerate(("tokens", *Memory._fields, *states))
        self._inputs = [(name, place) for place, name in given if name in read]

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, StackState]:
        """Read the sources; arguments and results as in `EncoderDecoder.encode`."""
        if int(lengths.min()) < 1:
            raise ValueError("a sequence of length 0 cannot be encoded; drop it before batching")
        values, keys, valid_mask, *state = _run(
            self._encoder, {"source": source.numpy(), "lengths": lengths.numpy()}
        )
        return Memory(values, keys, valid_mask), self._by_layer(state)

    def decode_step(
        self, tokens: Tensor, state: StackState, memory: Memory
    ) -> tuple[Tensor, StackState, Tensor | None]:
        """One decoding step; arguments and results as in `EncoderDecoder.decode_step`."""
        given = (tokens, *memory, *(part for layer in state for part in layer))
        logits, *rest = _run(
            self._decoder, {name: given[place].numpy() for name, place in self._inputs}
        )
        count = sum(self._parts)
        weights = rest[count] if len(rest) > count else None
        return logits, self._by_layer(rest[:count]), weights

    def _by_layer(self, flat: list[Tensor]) -> StackState:
        parts = iter(flat)
        return tuple(tuple(islice(parts, count)) for count in self._parts)


def _run(graph: "InferenceSession", inputs: dict[str, NDArray[Any]]) -> list[Tensor]:
    """Outputs in the graph's order; neither they nor the inputs are copied."""
    return [torch.from_numpy(array) for array in graph.run(None, inputs)]
