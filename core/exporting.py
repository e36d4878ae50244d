"""ONNX graphs of a network, and the check that they give what torch gives at many lengths."""

import logging
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from core.batch import BOS_ID, PAD_ID
from core.nn.masking import clear_padding, real_positions
from core.nn.recurrent import TORCH_CELLS, StackState
from core.nn.seq2seq import EncoderDecoder, Memory, Seq2Seq
from core.onnx_engine import graph_files, open_graph

LENGTHS = (1, 2, 3, 5, 8, 13, 21, 40, 80, 120, 160)  # source lengths at which graphs are checked
TOLERANCE = 1e-4
_CHECKED_STEPS = 3
_OPSET = 17
_LONG = {"source", "values", "keys", "valid_mask", "weights"}  # their second axis is the source's


class Folded(Seq2Seq):
    """The same function, with fewer products a step.

    What `combine` does to the attended context, a linear map of a weighted sum, is done to each
    value before they are summed: once a source instead of once a step, and to narrower sums.
    """

    @classmethod
    def of(cls, model: Seq2Seq) -> "Folded":
        """A copy of a model, in evaluation mode."""
        made = cls(model.embedding.num_embeddings, model.config)
        made.load_state_dict(model.state_dict())
        return made.eval()

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, StackState]:
        """As in `Seq2Seq`, but the memory's values are (B, S, E), and zero in the padding."""
        memory, state = super().encode(source, lengths)
        if self.attention is None:
            return memory, state
        values = clear_padding(memory.values, memory.valid_mask)
        of_context = self.combine.weight[:, self.config.hidden_size :]  # (E, M)
        return memory._replace(values=nn.functional.linear(values, of_context)), state

    def attend(
        self, states: Tensor, memory: Memory, positions: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """As in `Seq2Seq`."""
        if self.attention is None:
            return super().attend(states, memory, positions)
        weights = self.attention.weigh(states, memory.keys, memory.valid_mask, positions)
        of_state = self.combine.weight[:, : self.config.hidden_size]  # (E, H)
        own = nn.functional.linear(states, of_state, self.combine.bias)
        return torch.tanh(own + torch.bmm(weights, memory.values)), weights


class _Encoder(nn.Module):
    """`encode` with plain tensors in and out."""

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        memory, state = self.model.encode(source, lengths)
        return (*memory, *(part for layer in state for part in layer))


class _DecoderStep(nn.Module):
    """`decode_step` with plain tensors in and out.

    It reads the one step by index: for a squeeze the exporter writes a branch on the axis' size.
    """

    def __init__(self, model: Seq2Seq, parts: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        self.parts = parts

    def forward(
        self, tokens: Tensor, values: Tensor, keys: Tensor, valid_mask: Tensor, *flat: Tensor
    ) -> tuple[Tensor, ...]:
        rest = iter(flat)
        state = tuple(tuple(next(rest) for _ in range(count)) for count in self.parts)
        memory = Memory(values, keys, valid_mask)
        features, state, weights = self.model.decode(tokens.unsqueeze(1), state, memory)
        seen = () if weights is None else (weights[:, 0],)
        return (
            self.model.logits(features[:, 0]),
            *(part for layer in state for part in layer),
            *seen,
        )


def export_graph(
    path: Path,
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
) -> None:
    """Trace a module and write it as ONNX.

    The exporter that torch takes by default freezes the source length of a bidirectional LSTM
    (pytorch#191855); the older one does not. What it warns of is what `largest_difference` checks.

    Args:
        path: The file to write.
        module: In evaluation mode; tensors in, a tuple of tensors out.
        inputs: Examples by name, in the order of the module's arguments.
        outputs: Names of what it gives.
        axes: Names of the axes that may change their size, per input or output.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.onnx")
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", message="Exporting a model to ONNX with a batch_size")
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes[name]) for name in (*inputs, *outputs) if name in axes},
            opset_version=_OPSET,
            dynamo=False,
        )


@torch.inference_mode()
def largest_difference(
    path: Path, module: nn.Module, cases: Iterable[Mapping[str, Tensor]]
) -> float:
    """Run a graph beside the module that it was made of.

    Args:
        path: What `export_graph` wrote.
        module: In evaluation mode.
        cases: Inputs by name, in the order of the module's arguments; of many sizes.

    Returns:
        The largest difference of any number of any output: absolute, and relative to the output's
        largest number where that exceeds 1 (the states of a ReLU cell grow with the length).

    Raises:
        ValueError: It exceeds TOLERANCE, or the shapes differ.
    """
    graph = open_graph(path)
    names = {node.name for node in graph.get_inputs()}
    largest = 0.0
    for case in cases:
        expected = module(*case.values())
        given = {name: part.numpy() for name, part in case.items() if name in names}
        for node, wanted, array in zip(
            graph.get_outputs(), expected, graph.run(None, given), strict=True
        ):
            gap = _gap(wanted.double(), torch.from_numpy(array).double())
            if not gap <= TOLERANCE:
                sizes = {name: tuple(part.shape) for name, part in case.items()}
                raise ValueError(
                    f"{path}: {node.name} differs from torch by {gap:.2g}, allowed are "
                    f"{TOLERANCE}, at {sizes}; use the torch engine"
                )
            largest = max(largest, gap)
    return largest


def _gap(wanted: Tensor, found: Tensor) -> float:
    if found.shape != wanted.shape:
        return math.inf
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1.0))


def check_exportable(model: EncoderDecoder) -> None:
    """Refuse what cannot be traced at every length.

    Raises:
        ValueError: A Transformer, another cell, or zoneout.
    """
    config = model.config
    known = f"ONNX export knows recurrent networks of {', '.join(TORCH_CELLS)}"
    if not isinstance(model, Seq2Seq):
        raise ValueError(f"architecture={config.architecture!r}: {known}; use the torch engine")
    if config.cell not in TORCH_CELLS:
        raise ValueError(f"cell={config.cell!r}: {known}; use the torch engine")
    if config.zoneout:
        raise ValueError(
            f"zoneout={config.zoneout}: {known} without zoneout, which runs step by step; use the "
            "torch engine"
        )


def export_seq2seq(model: EncoderDecoder, folder: Path) -> float:
    """Write `encoder.onnx` and `decoder_step.onnx`, and check both at every one of LENGTHS.

    Args:
        model: In evaluation mode, on the CPU.
        folder: Where the files go; made where missing.

    Returns:
        The largest difference to torch.

    Raises:
        ValueError: The model cannot be exported, or a graph disagrees with it.
    """
    check_exportable(model)
    assert isinstance(model, Seq2Seq)
    assert not model.training, "dropout would be traced"
    folded = Folded.of(model)
    encoder_path, decoder_path = graph_files(folder)
    encoder = _Encoder(folded).eval()  # the exporter puts back the mode that it finds
    # One row: of an example with several, the number is frozen into a recurrent layer.
    (example,) = _sources(model, (7,), rows=1)
    with torch.no_grad():
        _, state = model.encode(**example)
    states = [f"state_{i}_{j}" for i, layer in enumerate(state) for j in range(len(layer))]
    decoder = _DecoderStep(folded, [len(layer) for layer in state]).eval()
    (step,) = _steps(encoder, decoder, states, [example], count=1)
    memory = [*Memory._fields, *states]
    outputs = ["logits", *(f"next_{name}" for name in states)]
    outputs += [] if model.attention is None else ["weights"]
    axes = {
        name: {0: "batch", 1: "source"} if name in _LONG else {0: "batch"}
        for name in (*example, *step, *memory, *outputs)
    }
    export_graph(encoder_path, encoder, example, memory, axes)
    export_graph(decoder_path, decoder, step, outputs, axes)
    sources = [*_sources(model, LENGTHS, rows=1), *_sources(model, LENGTHS, rows=4)]
    steps = _steps(encoder, decoder, states, sources, _CHECKED_STEPS)
    return max(
        _folding_difference(model, folded, sources),
        largest_difference(encoder_path, encoder, sources),
        largest_difference(decoder_path, decoder, steps),
    )


@torch.inference_mode()
def _folding_difference(
    model: Seq2Seq, folded: Folded, sources: Iterable[Mapping[str, Tensor]]
) -> float:
    """The largest difference of the first scores of a reply, as `largest_difference` counts it.

    Raises:
        ValueError: It exceeds TOLERANCE.
    """
    largest = 0.0
    for source in sources:
        tokens = torch.full_like(source["lengths"], BOS_ID)
        wanted, found = (
            one.decode_step(tokens, state, memory)[0]
            for one in (model, folded)
            for memory, state in [one.encode(**source)]
        )
        largest = max(largest, _gap(wanted, found))
    if not largest <= TOLERANCE:
        raise ValueError(
            f"the network that would be exported differs from torch by {largest:.2g}, allowed are "
            f"{TOLERANCE}; use the torch engine"
        )
    return largest


def quantize(folder: Path) -> None:
    """Write int8 variants of both graphs beside them: weights of 8 bits, activations as they come.

    Args:
        folder: Where `export_seq2seq` wrote.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.disable(logging.WARNING)  # it tells on the root logger what it leaves as it is
    try:
        for source, target in zip(graph_files(folder), graph_files(folder, int8=True), strict=True):
            quantize_dynamic(source, target, weight_type=QuantType.QInt8)
    finally:
        logging.disable(logging.NOTSET)


def _sources(model: Seq2Seq, lengths: Sequence[int], rows: int) -> Iterator[dict[str, Tensor]]:
    """Random sources of each length, every further row shorter, down to one token."""
    generator = torch.Generator().manual_seed(0)
    for longest in lengths:
        own = torch.linspace(longest, 1, rows).long()
        source = torch.randint(model.embedding.num_embeddings, (rows, longest), generator=generator)
        valid_mask = real_positions(own, longest)
        yield {"source": source.masked_fill(~valid_mask, PAD_ID), "lengths": own}


@torch.no_grad()
def _steps(
    encoder: _Encoder,
    decoder: _DecoderStep,
    states: Sequence[str],
    sources: Iterable[Mapping[str, Tensor]],
    count: int,
) -> Iterator[dict[str, Tensor]]:
    """Inputs of the first steps of greedy replies."""
    for source in sources:
        values, keys, valid_mask, *state = encoder(**source)
        memory = Memory(values, keys, valid_mask)._asdict()
        tokens = torch.full_like(source["lengths"], BOS_ID)
        for _ in range(count):
            step = {"tokens": tokens, **memory, **dict(zip(states, state, strict=True))}
            yield step
            logits, *rest = decoder(*step.values())
            state = rest[: len(states)]
            tokens = logits.argmax(dim=-1)
