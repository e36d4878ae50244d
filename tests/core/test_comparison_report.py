"""Quality by length and gradient by lag: in a row, in the table, in the folder."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core.comparison import Row, interval
from core.comparison_report import (
    LAG_TEXT,
    ByLength,
    lag_figures,
    length_table,
    mean_curves,
    part_section,
    part_table,
    write_comparison,
)
from core.diagnostics import MEASURED_ROWS, gradient_by_lag, lag_metrics, spread_rows
from core.nn.initialization import CellName, Start
from core.nn.recurrent import RecurrentConfig, RecurrentStack

BY_LENGTH = ByLength(
    "chrf", "length of the source", "Longer is harder.", lambda row: row["metrics"]["by_length"]
)
STEPS = 60


def row(name: str, seed: int, short: float | None, long: float | None, **metrics: Any) -> Row:
    scores = {"by_length": {"short": short, "long": long}, **metrics}
    return {"name": name, "seed": seed, "parameters": 0, "seconds": 0.0, "metrics": scores}


def curves(state: str = "hidden", **shares: float) -> dict[str, Mapping[str, list[float]]]:
    """A curve that is 2 but at the given lags, where it is twice the share."""
    norm = [2.0] * 30
    for lag, share in shares.items():
        norm[int(lag.removeprefix("at_"))] = 2 * share
    return {"gradient_by_lag": {"lag": list(range(30)), state: norm}}


def stack(cell: CellName, start: Start, num_layers: int = 1) -> RecurrentStack:
    torch.manual_seed(0)
    config = RecurrentConfig(
        cell=cell, hidden_size=16, start=start, longest_lag=STEPS, num_layers=num_layers
    )
    return RecurrentStack(3, config)


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return torch.randn(16, STEPS, 3, generator=torch.Generator().manual_seed(0))


def line_of(table: str, name: str) -> list[str]:
    """The cells of a candidate's line behind its name."""
    line = next(line for line in table.splitlines() if line.startswith(f"{name}  "))
    return line.removeprefix(name).split()


@pytest.mark.parametrize(
    ("cell", "states"), [("rnn", ["hidden"]), ("gru", ["hidden"]), ("lstm", ["hidden", "cell"])]
)
def test_a_row_holds_the_curves_of_the_layer_that_reads_the_input(
    cell: CellName, states: list[str], x: torch.Tensor
) -> None:
    network = stack(cell, "default", num_layers=2)
    found = lag_metrics(network, x)["gradient_by_lag"]
    assert list(found) == ["lag", *states]
    assert found["lag"] == list(range(STEPS))
    expected = {(curve.layer, curve.state): curve.norm for curve in gradient_by_lag(network, x)}
    for state in states:
        assert found[state] == expected[0, state] != expected[1, state]


def test_what_is_no_recurrent_stack_has_no_curve(x: torch.Tensor) -> None:
    assert lag_metrics(nn.Linear(3, 16), x) == {}


def test_an_lstm_that_starts_to_remember_stands_above_one_that_forgets(x: torch.Tensor) -> None:
    rows = [
        row(start, 0, 1.0, 1.0, **lag_metrics(stack("lstm", start), x))
        for start in ("default", "chrono")
    ]
    table = length_table(rows, BY_LENGTH)
    for name in ("", ", cell state"):
        forgets, remembers = (line_of(table, start + name)[-3:] for start in ("default", "chrono"))
        assert all(float(a) < float(b) for a, b in zip(forgets, remembers, strict=True))
        assert float(forgets[2]) < 1e-6
        assert float(remembers[2]) > 1e-3


def test_the_table_shows_means_over_the_seeds_and_the_gradients_geometric_mean() -> None:
    rows = [
        row("gru", 0, 20.0, 12.0, **curves(at_10=1e-2, at_20=1.0)),
        row("gru", 1, 30.0, None, **curves(at_10=1e-4, at_20=4.0)),
    ]
    table = length_table(rows, BY_LENGTH)
    assert table.startswith("chrf by length of the source; gradient norm at a lag over that at")
    header = next(line for line in table.splitlines() if line.startswith("candidate"))
    assert header.split("  ")[0] == "candidate"
    assert [word.strip() for word in header.split("  ") if word][1:] == [
        "chrf short",
        "chrf long",
        "lag 10",
        "lag 20",
        "lag 50",
    ]
    half = interval([20.0, 30.0])[1]
    assert line_of(table, "gru") == ["25.0", f"±{half:.1f}", "12.0", "1e-03", "2e+00", "-"]


def test_a_candidate_without_a_curve_has_dashes_and_a_cell_state_its_own_line() -> None:
    lstm = curves(at_10=0.5)["gradient_by_lag"] | {"cell": [1.0] * 10 + [0.1] * 20}
    rows = [row("tfidf", 0, 31.0, None), row("lstm", 0, 1.0, 2.0, gradient_by_lag=lstm)]
    table = length_table(rows, BY_LENGTH)
    assert line_of(table, "tfidf") == ["31.0", "-", "-", "-", "-"]
    assert line_of(table, "lstm") == ["1.00", "2.00", "5e-01", "1e+00", "-"]
    assert line_of(table, "lstm, cell state") == ["1e-01", "1e-01", "-"]


@pytest.mark.parametrize("norm", [[0.0] * 30, [float("nan")] * 30])
def test_a_gradient_that_vanished_or_broke_is_shown_without_a_warning(norm: list[float]) -> None:
    rows = [row("rnn", 0, 1.0, 1.0, gradient_by_lag={"lag": list(range(30)), "hidden": norm})]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = line_of(length_table(rows, BY_LENGTH), "rnn")[2]
        lag_figures(rows)
    assert shown == ("nan" if np.isnan(norm[0]) else "0e+00")


def test_curves_are_named_by_candidate_and_state() -> None:
    lstm = curves()["gradient_by_lag"] | {"cell": [1.0] * 30}
    rows = [row(name, 0, 1.0, 1.0, gradient_by_lag=lstm) for name in ("a", "b")]
    found = [(curve.name, curve.state) for curve in mean_curves([*rows, row("c", 0, 1.0, 1.0)])]
    assert found == [("a", "hidden"), ("a", "cell"), ("b", "hidden"), ("b", "cell")]


@pytest.mark.parametrize("has_curve", [True, False])
def test_a_comparison_writes_its_rows_and_its_report(has_curve: bool, tmp_path: Path) -> None:
    rows = [row("tfidf", 0, 31.0, None)]
    rows += [row("gru", 0, 20.0, 12.0, **curves(at_10=1e-2))] if has_curve else []
    write_comparison(tmp_path / "new", "Who answers best?", rows, "the scores", BY_LENGTH)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "compare.html",
        "compare.json",
    ]
    assert json.loads((tmp_path / "new" / "compare.json").read_text()) == rows
    page = (tmp_path / "new" / "compare.html").read_text()
    for text in ("Who answers best?", "<pre>the scores</pre>", "Longer is harder.", "chrf short"):
        assert text in page
    assert LAG_TEXT.splitlines()[0].split("'")[0] in page
    assert page.count("Plotly.newPlot(") == 1 + has_curve
    assert "download='by-length-of-the-input.json'" in page


def test_another_measure_has_its_own_table_section_and_place_in_the_report(tmp_path: Path) -> None:
    rows = [row("tfidf", 0, 31.0, None), row("gru", 0, 20.0, 12.0), row("gru", 1, 30.0, 14.0)]
    table = part_table(rows, BY_LENGTH)
    half = interval([20.0, 30.0])[1]
    assert line_of(table, "gru")[:2] == ["25.0", f"±{half:.1f}"]
    assert line_of(table, "tfidf") == ["31.0", "-"]
    section = part_section("By turn", rows, BY_LENGTH)
    assert section.numbers == {
        "tfidf": {"short": [31.0], "long": []},
        "gru": {"short": [20.0, 30.0], "long": [12.0, 14.0]},
    }
    write_comparison(tmp_path, "Title", rows, "the scores", BY_LENGTH, more=[section])
    page = (tmp_path / "compare.html").read_text()
    assert page.index("By length of the input") < page.index("<h2>By turn</h2>")
    assert page.count("Plotly.newPlot(") == 2


@pytest.mark.parametrize("count", [1, 5, MEASURED_ROWS, MEASURED_ROWS + 1, 1000])
def test_measured_rows_are_spread_from_the_first_to_the_last(count: int) -> None:
    rows = spread_rows(count)
    assert len(rows) == min(count, MEASURED_ROWS)
    assert rows[0] == 0
    assert rows[-1] == (count - 1 if count > 1 else 0)
    steps = np.diff(rows)
    assert (steps > 0).all()
    assert count == 1 or steps.max() - steps.min() <= 1
