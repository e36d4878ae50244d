import pytest
import torch

from core.nn.initialization import CELLS
from core.nn.recurrent import RecurrentConfig
from core.nn.sequence import Reading, SequenceModel

READINGS = ("last", "every", "attention")


def make(
    cell: str, reading: Reading, hidden_size: int = 5, bidirectional: bool = False
) -> SequenceModel:
    torch.manual_seed(0)
    config = RecurrentConfig(
        cell=cell, hidden_size=hidden_size, num_layers=2, bidirectional=bidirectional
    )
    return SequenceModel(3, 4, config, reading)


@pytest.mark.parametrize("cell", CELLS)
def test_the_last_answer_of_every_step_is_the_answer_of_the_last(cell: str) -> None:
    x = torch.randn(2, 7, 3)
    every, last = make(cell, "every")(x), make(cell, "last")(x)
    assert (every.shape, last.shape) == ((2, 7, 4), (2, 4))
    torch.testing.assert_close(every[:, -1], last)


@pytest.mark.parametrize("cell", CELLS)
def test_an_answer_at_every_step_reads_nothing_later(cell: str) -> None:
    model = make(cell, "every")
    x = torch.randn(2, 7, 3)
    changed = x.clone()
    changed[:, 4:] = 9.0
    before, after = model(x), model(changed)
    torch.testing.assert_close(after[:, :4], before[:, :4])
    assert (after[:, 4:] - before[:, 4:]).abs().amax(-1).min() > 1e-4


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("cell", CELLS)
def test_the_answer_learns_from_the_first_step(
    cell: str, reading: Reading, bidirectional: bool
) -> None:
    x = torch.randn(2, 7, 3, requires_grad=True)
    answer = make(cell, reading, 16, bidirectional)(x)
    (answer[:, -1] if reading == "every" else answer).sum().backward()
    assert (x.grad[:, 0].abs().sum(-1) > 0).all()


def test_attention_answers_from_the_last_state_and_the_states_it_weighs() -> None:
    model = make("gru", "attention", bidirectional=True)
    x = torch.randn(2, 7, 3)
    states = model.encoder(x)
    last = model.encoder.last_state(states)
    attention = model.attention
    energies = attention.energy(
        torch.tanh(attention.query(last).unsqueeze(1) + attention.key(states))
    )  # (B, T, 1)
    context = (energies.softmax(1) * states).sum(1)
    expected = model.head(torch.cat([last, context], dim=-1))
    torch.testing.assert_close(model(x), expected)


def test_readings_without_attention_have_no_weights_for_it() -> None:
    for reading in ("last", "every"):
        assert not any("attention" in name for name in make("gru", reading).state_dict())


@pytest.mark.parametrize(
    ("cell", "reading"),
    [*((cell, "last") for cell in CELLS), ("gru", "every"), ("gru", "attention")],
)
def test_overfits_eight_rows(cell: str, reading: Reading) -> None:
    model = make(cell, reading, hidden_size=16)
    x = torch.randn(8, 5, 3)
    target = torch.randint(0, 4, (8, 5) if reading == "every" else (8,))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        loss = torch.nn.functional.cross_entropy(model(x).flatten(0, -2), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.05:
            break
    assert loss < 0.05
