import pytest
import torch

from core.decoding import DecodingConfig, beam_search
from core.exporting import (
    LENGTHS,
    TOLERANCE,
    export_graph,
    export_seq2seq,
    largest_difference,
    quantize,
)
from core.nn.attention import ATTENTION_KINDS
from core.nn.recurrent import StackState
from core.nn.seq2seq import EncoderDecoder, Seq2Seq, Seq2SeqConfig
from core.nn.transformer import make_seq2seq
from core.onnx_engine import OnnxSeq2Seq, graph_files, open_graph

VOCAB = 30


def model(**choices) -> EncoderDecoder:
    torch.manual_seed(0)
    sizes = {"hidden_size": 12, "embedding_size": 8, "num_heads": 2}
    built = make_seq2seq(VOCAB, Seq2SeqConfig(**{**sizes, **choices})).eval()
    built.output_bias.data.normal_()
    return built


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A bidirectional LSTM with attention, and the folder with its graphs."""
    folder = tmp_path_factory.mktemp("onnx")
    network = model()
    export_seq2seq(network, folder)
    return network, folder


def flat(state: StackState) -> list[torch.Tensor]:
    return [part for layer in state for part in layer]


@pytest.mark.parametrize("length", [*LENGTHS, 33, 200])
def test_the_engine_gives_what_torch_gives_at_every_length(exported, length):
    network, folder = exported
    engine = OnnxSeq2Seq(folder)
    lengths = torch.tensor([length, max(1, length // 2), 1])
    source = torch.randint(3, VOCAB, (3, length))
    for rows in (slice(0, 1), slice(None)):
        expected, found = (m.encode(source[rows], lengths[rows]) for m in (network, engine))
        tokens = torch.tensor([1, 5, 7])[rows]
        steps = [
            m.decode_step(tokens, state, memory)
            for m, (memory, state) in ((network, expected), (engine, found))
        ]
        for wanted, given in [
            *zip(expected[0][1:], found[0][1:], strict=True),  # values: see `Folded`
            *zip(flat(expected[1]), flat(found[1]), strict=True),
            (steps[0][0], steps[1][0]),
            (steps[0][2], steps[1][2]),
            *zip(flat(steps[0][1]), flat(steps[1][1]), strict=True),
        ]:
            torch.testing.assert_close(given, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "choices",
    [
        {"cell": "rnn"},
        {"cell": "irnn", "num_layers": 2, "residual": True},
        {"cell": "gru", "num_layers": 2, "norm": "layer"},
        {"cell": "lstm", "num_layers": 2, "norm": "batch", "dropout": 0.5},
        *({"attention": kind} for kind in ATTENTION_KINDS if kind not in ("dot", "general")),
        {"attention": "dot", "bidirectional": False},
    ],
    ids=str,
)
def test_every_torch_cell_and_attention_answers_alike(tmp_path, choices):
    network = model(**choices)
    assert export_seq2seq(network, tmp_path) <= TOLERANCE
    assert not network.training
    sources = torch.randint(3, VOCAB, (2, 9))
    lengths = torch.tensor([9, 4])
    config = DecodingConfig(beam_size=2, max_length=8)
    expected = beam_search(network, sources, lengths, config)
    found = beam_search(OnnxSeq2Seq(tmp_path), sources, lengths, config)
    assert [[h.tokens for h in row] for row in found] == [
        [h.tokens for h in row] for row in expected
    ]


def test_what_stands_in_the_padding_changes_nothing(exported):
    engine = OnnxSeq2Seq(exported[1])
    clean = torch.tensor([[4, 5, 6, 7], [8, 9, 0, 0]])
    garbage = torch.tensor([[4, 5, 6, 7], [8, 9, 17, 29]])
    lengths = torch.tensor([4, 2])
    steps = []
    for source in (clean, garbage):
        memory, state = engine.encode(source, lengths)
        steps.append(engine.decode_step(torch.tensor([1, 1]), state, memory))
    torch.testing.assert_close(steps[0][0], steps[1][0], atol=0, rtol=0)
    assert steps[0][2][1, 2:].eq(0).all()


def test_a_length_of_zero_is_refused(exported):
    with pytest.raises(ValueError, match="length 0"):
        OnnxSeq2Seq(exported[1]).encode(torch.tensor([[3]]), torch.tensor([0]))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_no_answer(exported, threads):
    network, folder = exported
    source, lengths = torch.tensor([[3, 9, 12]]), torch.tensor([3])
    config = DecodingConfig(beam_size=3, max_length=6)
    found = beam_search(OnnxSeq2Seq(folder, threads=threads), source, lengths, config)
    expected = beam_search(network, source, lengths, config)
    assert [h.tokens for h in found[0]] == [h.tokens for h in expected[0]]


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"cell": "mingru"}, "cell='mingru'"),
        ({"cell": "slstm"}, "cell='slstm'"),
        ({"architecture": "transformer"}, "architecture='transformer'"),
        ({"zoneout": 0.1}, "zoneout=0.1"),
    ],
)
def test_what_cannot_be_exported_is_refused_by_name_with_what_can(tmp_path, choices, named):
    with pytest.raises(ValueError, match=named) as error:
        export_seq2seq(model(**choices), tmp_path)
    assert "rnn, irnn, lstm, gru" in str(error.value)
    assert not list(tmp_path.iterdir())


class Doubling(torch.nn.Module):
    """Twice its input, or what else it is told."""

    factor = 2.0

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (x * self.factor,)


def test_any_module_is_exported_and_checked(tmp_path):
    path, module = tmp_path / "model.onnx", Doubling().eval()
    export_graph(path, module, {"x": torch.ones(1, 3)}, ["y"], {"x": {0: "batch", 1: "time"}})
    cases = [{"x": torch.randn(rows, time)} for rows in (1, 4) for time in (1, 7)]
    assert largest_difference(path, module, cases) == 0.0
    module.factor = 2.001
    with pytest.raises(ValueError, match=r"model\.onnx: y differs from torch by"):
        largest_difference(path, module, cases)
    with pytest.raises(ValueError, match="differs from torch by nan"):
        largest_difference(path, Doubling().eval(), [{"x": torch.tensor([[torch.nan]])}])


def test_quantised_graphs_are_smaller_and_close(tmp_path):
    export_seq2seq(model(hidden_size=64, embedding_size=64), tmp_path)
    quantize(tmp_path)
    for full, small in zip(graph_files(tmp_path), graph_files(tmp_path, int8=True), strict=True):
        assert small.stat().st_size < 0.5 * full.stat().st_size
    source, lengths = torch.randint(3, VOCAB, (1, 6)), torch.tensor([6])
    scores = []
    for int8 in (False, True):
        engine = OnnxSeq2Seq(tmp_path, int8=int8)
        memory, state = engine.encode(source, lengths)
        scores.append(engine.decode_step(torch.tensor([1]), state, memory)[0].softmax(-1))
    torch.testing.assert_close(scores[0], scores[1], atol=0.02, rtol=0)


def test_a_missing_or_spoilt_graph_is_told_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="encoder.onnx: no ONNX graph"):
        OnnxSeq2Seq(tmp_path)
    (tmp_path / "encoder.onnx").write_bytes(b"not a graph")
    with pytest.raises(ValueError, match="encoder.onnx: no ONNX graph") as error:
        open_graph(tmp_path / "encoder.onnx")
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="threads=0"):
        open_graph(tmp_path / "encoder.onnx", threads=0)


def test_the_export_leaves_the_model_as_it_was(tmp_path):
    network = model()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export_seq2seq(network, tmp_path)
    assert isinstance(network, Seq2Seq)
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
