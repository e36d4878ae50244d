import math

import pytest
import torch
from torch import Tensor

from core.batch import SequenceBatch
from data.synthetic import TASKS

NAMES = tuple(TASKS)
LEAST = {"adding": 2, "copy": 1, "temporal_order": 10}


def draw(name: str, length: int, num: int = 500, seed: int = 0) -> SequenceBatch:
    return TASKS[name].draw(num, length, torch.Generator().manual_seed(seed))


def symbols_of(batch: SequenceBatch) -> Tensor:
    """What each step shows, after checking that it is one symbol, (B, T)."""
    assert (batch.inputs.sum(-1) == 1).all()
    assert set(batch.inputs.unique().tolist()) == {0.0, 1.0}
    return batch.inputs.argmax(-1)


def same(one: SequenceBatch, other: SequenceBatch) -> bool:
    return torch.equal(one.inputs, other.inputs) and torch.equal(one.target, other.target)


@pytest.mark.parametrize("length", [2, 3, 50, 51])
def test_adding_asks_for_the_sum_of_two_marked_numbers_one_in_each_half(length: int) -> None:
    inputs, target = draw("adding", length)
    values, marks = inputs.unbind(-1)
    assert (inputs.dtype, inputs.shape, target.shape) == (torch.float32, (500, length, 2), (500, 1))
    assert (values >= 0).all()
    assert (values < 1).all()
    assert set(marks.unique().tolist()) <= {0.0, 1.0}
    half = length // 2
    assert (marks[:, :half].sum(1) == 1).all()
    assert (marks[:, half:].sum(1) == 1).all()
    torch.testing.assert_close(target[:, 0], (values * marks).sum(1))
    assert marks.any(0).all()  # every step may be marked


@pytest.mark.parametrize("length", [1, 2, 30])
def test_copy_repeats_its_first_ten_letters_after_the_go(length: int) -> None:
    batch = draw("copy", length)
    symbols, target = symbols_of(batch), batch.target
    assert batch.inputs.shape == (500, length + 20, 10)
    assert (target.dtype, target.shape) == (torch.int64, (500, length + 20))
    letters = symbols[:, :10]
    assert set(letters.unique().tolist()) == set(range(8))
    assert torch.equal(target[:, -10:], letters)
    assert (target[:, :-10] == 8).all()
    assert (symbols[:, length + 9] == 9).all()
    rest = symbols[:, 10:].clone()
    rest[:, length - 1] = 8
    assert (rest == 8).all()  # blanks but for the go, which stands right before the first answer


@pytest.mark.parametrize("length", [10, 15, 19, 100, 101])
def test_temporal_order_asks_for_the_two_symbols_that_matter(length: int) -> None:
    batch = draw("temporal_order", length, num=2000)
    symbols = symbols_of(batch)
    assert batch.inputs.shape == (2000, length, 6)
    assert (batch.target.dtype, batch.target.shape) == (torch.int64, (2000,))
    matters = symbols < 2
    assert (matters.sum(1) == 2).all()
    first = matters.int().argmax(1)
    second = length - 1 - matters.flip(1).int().argmax(1)
    order = symbols.gather(1, torch.stack([first, second], dim=1))
    assert torch.equal(batch.target, 2 * order[:, 0] + order[:, 1])
    assert set(batch.target.tolist()) == {0, 1, 2, 3}
    # Pascanu et al.: drawn from [T/10, 2T/10] and [4T/10, 5T/10], to the whole step below.
    for places, low, high in ((first, 1, 2), (second, 4, 5)):
        assert int(places.min()) == low * length // 10
        assert int(places.max()) == high * length // 10
    assert set(symbols.unique().tolist()) == set(range(6))


def test_temporal_order_classes_and_noise_are_balanced() -> None:
    batch = draw("temporal_order", 50, num=4000)
    shares = batch.target.bincount(minlength=4) / 4000
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.04, rtol=0)
    noise = symbols_of(batch).flatten().bincount(minlength=6)[2:]
    torch.testing.assert_close(noise / noise.sum(), torch.full((4,), 0.25), atol=0.01, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_those_of_the_batches(name: str) -> None:
    task = TASKS[name]
    batch = draw(name, 20)
    assert task.name == name
    assert batch.inputs.size(-1) == task.input_size
    if task.loss == "cross_entropy":
        assert int(batch.target.max()) == task.output_size - 1
    else:
        assert batch.target.size(-1) == task.output_size


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_batches_and_each_next_is_new(name: str) -> None:
    def batches(seed: int) -> list[SequenceBatch]:
        generator = torch.Generator().manual_seed(seed)
        return [TASKS[name].draw(8, 20, generator) for _ in range(6)]

    assert all(same(one, other) for one, other in zip(batches(0), batches(0), strict=True))
    drawn = [*batches(0), *batches(1)]
    assert not any(same(one, other) for i, one in enumerate(drawn) for other in drawn[:i])


@pytest.mark.parametrize("name", NAMES)
def test_drawing_leaves_the_global_generator_alone(name: str) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    draw(name, 20)
    assert torch.equal(torch.rand(3), expected)


def test_answering_1_to_the_adding_problem_scores_its_baseline() -> None:
    target = draw("adding", 20, num=200_000).target
    error = float((target - 1).square().mean())
    assert TASKS["adding"].baseline(20) == pytest.approx(error, rel=0.01)
    assert TASKS["adding"].baseline(20) == TASKS["adding"].baseline(2000) == 1 / 6


@pytest.mark.parametrize("length", [10, 200])
def test_blanks_and_then_a_guess_score_the_baseline_of_copy(length: int) -> None:
    target = draw("copy", length, num=50).target
    share = torch.zeros(50, length + 20, 9)
    share[:, :-10, 8] = 1.0
    share[:, -10:, :8] = 1 / 8
    loss = torch.nn.functional.nll_loss(share.log().flatten(0, 1), target.flatten())
    assert TASKS["copy"].baseline(length) == pytest.approx(float(loss), rel=1e-5)
    assert TASKS["copy"].baseline(length) == pytest.approx(10 * math.log(8) / (length + 20))


def test_one_class_is_right_in_a_quarter_of_temporal_order() -> None:
    target = draw("temporal_order", 20, num=20_000).target
    baseline = TASKS["temporal_order"].baseline(20)
    assert baseline == pytest.approx(float((target == 3).float().mean()), abs=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_a_length_that_is_too_short_is_named(name: str) -> None:
    draw(name, LEAST[name])
    for length in (LEAST[name] - 1, 0, -3):
        with pytest.raises(ValueError, match=f"length={length} is too short for {name}"):
            draw(name, length)
