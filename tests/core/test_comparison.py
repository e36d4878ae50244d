from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from core.comparison import (
    Candidate,
    Row,
    choose,
    compare,
    format_table,
    geometric_mean,
    interval,
    number_cell,
    numbers,
    range_cell,
)


def candidate(name: str, is_seeded: bool, seen: list[tuple[str, int]]) -> Candidate:
    def score(seed: int) -> tuple[int, Mapping[str, Any]]:
        seen.append((name, seed))
        return (1234 if is_seeded else 0), {"crps": 2.0 + seed, "bleu": None}

    return Candidate(name, score, is_seeded)


def rows() -> list[Row]:
    seen: list[tuple[str, int]] = []
    return compare([candidate("walk", False, seen), candidate("gru", True, seen)], 3, "1", Path())


def test_a_seeded_candidate_runs_with_every_seed_and_another_once() -> None:
    seen: list[tuple[str, int]] = []
    found = compare([candidate("gru", True, seen), candidate("walk", False, seen)], 3, "1", Path())
    assert seen == [("gru", 0), ("gru", 1), ("gru", 2), ("walk", 0)]
    assert [(row["name"], row["seed"]) for row in found] == seen
    assert all(set(row) == {"name", "seed", "parameters", "seconds", "metrics"} for row in found)
    assert found[2]["metrics"]["crps"] == 4.0
    assert found[0]["parameters"] == 1234


@pytest.mark.parametrize("num_seeds", [0, -1])
def test_fewer_than_one_seed_is_an_error(num_seeds: int) -> None:
    with pytest.raises(ValueError, match=f"seeds={num_seeds}"):
        compare([], num_seeds, "1", Path())


@pytest.mark.parametrize("values", [[1.0, 2.0], [3.0, 3.5, 9.0], [0.1, 0.2, 0.3, 0.25, 0.4]])
def test_the_interval_equals_scipys(values: list[float]) -> None:
    mean, half = interval(values)
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_a_single_value_has_no_interval() -> None:
    assert interval([4.0]) == (4.0, 0.0)


def test_all_takes_every_candidate_and_a_list_keeps_its_order() -> None:
    assert choose(["rnn", "gru", "lstm"], "all") == ["rnn", "gru", "lstm"]
    assert choose(["rnn", "gru", "lstm"], " lstm, rnn,") == ["lstm", "rnn"]


@pytest.mark.parametrize("wanted", ["rnn,grru", "", " , ", "ALL"])
def test_an_unknown_candidate_is_named_with_the_choice(wanted: str) -> None:
    with pytest.raises(ValueError, match="choose from rnn, gru") as error:
        choose(["rnn", "gru"], wanted)
    assert repr(wanted) in str(error.value)


def test_a_misspelled_candidate_is_told_from_the_right_ones() -> None:
    with pytest.raises(ValueError, match="'rnn,grru': grru is unknown"):
        choose(["rnn", "gru"], "rnn,grru")


def test_numbers_keep_their_order_and_come_once() -> None:
    assert numbers(" 250, 20,60,20,", "contexts") == [250, 20, 60]


@pytest.mark.parametrize("words", ["", " , ", "20,x", "0", "-5", "2.5", "20;60", "²"])
def test_what_is_no_whole_number_above_0_is_named(words: str) -> None:
    with pytest.raises(ValueError, match="contexts=.* must be whole numbers above 0") as error:
        numbers(words, "contexts")
    assert repr(words) in str(error.value)


def test_the_geometric_mean_goes_point_by_point_and_keeps_a_zero() -> None:
    assert geometric_mean([[1.0, 4.0, 0.0], [1.0, 9.0, 5.0]]) == pytest.approx([1.0, 6.0, 0.0])


def test_the_table_has_every_name_and_the_ratio_to_the_baseline() -> None:
    lines = format_table(rows(), ["crps", "bleu"], "walk", "crps").splitlines()
    assert lines[0].split("  ")[-1].strip() == "crps / walk"
    walk, gru = lines[2].split(), lines[3].split()
    assert (walk[0], gru[0]) == ("walk", "gru")
    assert (walk[1], gru[1]) == ("1", "3")
    assert (walk[2], gru[2]) == ("-", "1,234")
    assert (walk[-1], gru[-1]) == ("1.000", "1.500")
    mean, half = interval([2.0, 3.0, 4.0])
    assert f"{mean:.2f} ±{half:.2f}" in lines[3]
    assert len({len(line) for line in lines}) == 1


def test_without_the_baseline_the_table_leaves_the_ratio_out() -> None:
    lines = format_table(rows()[1:], ["crps"], "walk", "crps").splitlines()
    assert lines[2].split()[-1] == "-"


def test_a_metric_that_no_row_has_is_a_dash() -> None:
    lines = format_table(rows(), ["chrf"], "walk", "chrf").splitlines()
    assert all(line.split()[-2:] == ["-", "-"] for line in lines[2:])


def test_a_single_seed_shows_its_own_interval_and_several_the_one_over_the_seeds() -> None:
    found = rows()
    for row in found:
        row["metrics"]["intervals"] = {"crps": [1.5, 2.75]}
    lines = format_table(found, ["crps", "bleu"], "walk", "crps").splitlines()
    assert "2.00 [1.50, 2.75]" in lines[2]
    assert "±" in lines[3]
    assert "[" not in lines[3]


@pytest.mark.parametrize(
    ("value", "cell"), [(None, "-"), (12.34, "12.3"), (-1.239, "-1.24"), (0.01234, "0.0123")]
)
def test_a_number_has_three_to_four_digits(value: float | None, cell: str) -> None:
    assert number_cell(value) == cell


def test_an_interval_has_the_digits_of_its_larger_end() -> None:
    assert range_cell([0.5, 12.25]) == "[0.5, 12.2]"
    assert range_cell([-0.5, 1.25]) == "[-0.50, 1.25]"
