"""Plots and the report that holds them."""

from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import torch

from core.batch import ForecastBatch
from core.comparison import interval
from core.loading import BatchLoader
from core.modules import ForecastModule
from core.nn.forecaster import LEVELS, ForecasterConfig
from core.optim import OptimConfig
from core.plots import (
    COLORS,
    SMALLEST,
    NamedCurve,
    gradient_norms,
    lag_curves,
    loss_curves,
    quality_by_length,
    read_training_log,
    risk_coverage_curves,
    style,
)
from core.reporting import Section, write_report
from core.training import TrainerConfig, fit

NUM_BATCHES, NUM_EPOCHS = 10, 3


def train(run_dir: Path, num_batches: int = NUM_BATCHES) -> Path:
    """A tiny real training with its logs."""
    torch.manual_seed(0)
    fan = torch.linspace(-1, 1, len(LEVELS)).expand(1, -1)
    module = ForecastModule(2, (1,), ForecasterConfig(hidden_size=4), OptimConfig(), fan)

    def collate(rows: np.ndarray) -> ForecastBatch:
        return ForecastBatch(torch.randn(4, 3, 2), torch.ones(4, 1), torch.randn(4, 1))

    loader = BatchLoader(lambda _: [np.arange(4)] * num_batches, collate)
    config = TrainerConfig(max_epochs=NUM_EPOCHS, patience=0, progress=False)
    fit(module, (loader, loader), config, run_dir)
    return run_dir


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return read_training_log(train(tmp_path_factory.mktemp("run")))


@pytest.fixture
def logs(log: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    return {"gru": log, "lstm": log.assign(grad_norm=2 * log["grad_norm"])}


def test_loss_curves_show_the_training_and_validation_loss_of_each(
    logs: Mapping[str, pd.DataFrame],
) -> None:
    figure = loss_curves(logs, "nats per token")
    names = [f"{name}, {part}" for name in logs for part in ("training", "validation")]
    assert [trace.name for trace in figure.data] == names
    train, val = figure.data[:2]
    assert len(val.y) == NUM_EPOCHS
    assert len(train.y) == NUM_BATCHES * NUM_EPOCHS // 10
    for trace in (train, val):
        assert np.isfinite(np.array(trace.y, float)).all()
        assert (np.diff(np.array(trace.x, float)) > 0).all()
    assert max(val.x) == NUM_BATCHES * NUM_EPOCHS - 1
    assert train.line.color == val.line.color != figure.data[2].line.color
    assert figure.layout.yaxis.title.text == "loss (nats per token)"
    assert figure.layout.xaxis.title.text == "optimiser step"


def test_gradient_norms_show_each_training_on_a_logarithmic_axis(
    logs: Mapping[str, pd.DataFrame],
) -> None:
    figure = gradient_norms(logs)
    assert [trace.name for trace in figure.data] == list(logs)
    first, second = (np.array(trace.y, float) for trace in figure.data)
    assert (first > 0).all()
    np.testing.assert_allclose(second, 2 * first)
    assert figure.layout.yaxis.type == "log"


def test_every_training_is_drawn_however_many_there_are(log: pd.DataFrame) -> None:
    names = [f"run {number}" for number in range(len(COLORS) + 2)]
    logs = dict.fromkeys(names, log)
    assert {trace.name for trace in gradient_norms(logs).data} == set(names)
    assert len(loss_curves(logs, "x").data) == 2 * len(names)


def test_a_training_of_fewer_than_ten_steps_can_be_drawn(tmp_path: Path) -> None:
    short = {"short": read_training_log(train(tmp_path / "run", num_batches=2))}
    assert len(loss_curves(short, "x").data[1].y) == NUM_EPOCHS
    gradient_norms(short)


def test_style_names_the_axes_and_colours() -> None:
    figure = style(go.Figure(), "A title", "days", "USD")
    layout = figure.layout
    found = (layout.title.text, layout.xaxis.title.text, layout.yaxis.title.text)
    assert found == ("A title", "days", "USD")
    assert layout.colorway == COLORS


def test_lag_curves_are_relative_to_lag_1_and_dashed_for_the_cell_state() -> None:
    lags = [0, 1, 2, 3]
    figure = lag_curves(
        [
            NamedCurve("lstm", "hidden", lags, [9.0, 4.0, 2.0, 0.0]),
            NamedCurve("lstm", "cell", lags, [9.0, 2.0, 2.0, 1.0]),
            NamedCurve("rnn", "hidden", lags, [1.0, 0.0, 0.0, 0.0]),
        ],
        "Memory",
    )
    hidden, cell, rnn = figure.data
    assert [trace.name for trace in figure.data] == ["lstm", "lstm, cell state", "rnn"]
    assert list(hidden.x) == [1, 2, 3]
    np.testing.assert_allclose(np.array(hidden.y), [1.0, 0.5, SMALLEST])
    np.testing.assert_allclose(np.array(cell.y), [1.0, 1.0, 0.5])
    np.testing.assert_allclose(np.array(rnn.y), SMALLEST)
    assert (hidden.line.dash, cell.line.dash) == ("solid", "dash")
    assert hidden.line.color == cell.line.color != rnn.line.color
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.title.text == "Memory"


def test_quality_by_length_shows_means_with_intervals_and_skips_what_is_missing() -> None:
    values = {
        "gru": {"20": [1.0, 2.0], "60": [], "250": [3.0]},
        "ewma": {"20": [0.9], "60": [0.8], "250": [0.7]},
    }
    figure = quality_by_length(values, "days", "crps", "By days")
    gru, ewma = figure.data
    assert (list(gru.x), list(ewma.x)) == (["20", "250"], ["20", "60", "250"])
    assert list(gru.y) == [1.5, 3.0]
    assert list(gru.error_y.array) == pytest.approx([interval([1.0, 2.0])[1], 0.0])
    assert figure.layout.xaxis.type == "category"
    assert list(figure.layout.xaxis.categoryarray) == ["20", "60", "250"]
    found = (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text)
    assert found == ("days", "crps")
    assert figure.layout.title.text == "By days"


def test_more_candidates_than_colours_are_still_told_apart() -> None:
    figure = quality_by_length({str(n): {"20": [1.0]} for n in range(10)}, "days", "crps", "")
    looks = {(line.line.color, line.line.dash) for line in figure.data}
    assert len(figure.data) == len(looks) == 10


def test_risk_by_coverage_is_drawn_as_a_mean_over_the_seeds() -> None:
    seeds = [{"coverage": [0.5, 1.0], "risk": [0.1, risk], "aurc": 0.2} for risk in (0.3, 0.5)]
    figure = risk_coverage_curves({"lstm": seeds, "rnn": seeds[:1]}, "1 - chrF / 100")
    lstm, rnn = figure.data
    assert (lstm.name, rnn.name) == ("lstm", "rnn")
    assert list(lstm.x) == [50, 100]
    assert list(lstm.y) == pytest.approx([0.1, 0.4])
    assert list(rnn.y) == pytest.approx([0.1, 0.3])
    assert figure.layout.yaxis.title.text == "1 - chrF / 100"
    assert "%" in figure.layout.xaxis.title.text


class Page(HTMLParser):
    """Collects a page's tags, and its text outside scripts and styles."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []
        self.inside = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style", ""):
            self.text.append((self.inside, data))


def figure(title: str) -> go.Figure:
    return go.Figure(go.Scatter(x=[1, 2], y=[3, 4], name=title)).update_layout(title=title)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    nasty = "</script><script>alert(1)</script>"
    sections = [
        Section("One & <two>", f"First.\n\n{nasty}", "a  b\n1 < 2", [figure("x"), figure(nasty)]),
        Section("Only a title"),
        Section("Another", figures=[figure("y")]),
    ]
    write_report(path, "Runs <b>of</b> today", sections)
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    return Page(path.read_text(encoding="utf-8"))


def test_a_report_needs_no_network_and_no_other_file(page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "img", "base", "object", "embed")
        assert "src" not in attributes
        assert "href" not in attributes
    scripts = [tag for tag, _ in page.tags if tag == "script"]
    assert scripts


def test_a_report_shows_text_as_it_is_and_runs_none_of_it(page: Page) -> None:
    nasty = "</script><script>alert(1)</script>"
    assert ("h1", "Runs <b>of</b> today") in page.text
    assert ("title", "Runs <b>of</b> today") in page.text
    assert ("h2", "One & <two>") in page.text
    assert ("p", "First.") in page.text
    assert ("p", nasty) in page.text
    assert ("pre", "a  b\n1 < 2") in page.text
    assert not [tag for tag, _ in page.tags if tag == "b"]


def test_a_report_holds_every_figure_once_and_the_library_once(page: Page) -> None:
    plots = [a for tag, a in page.tags if tag == "div" and a.get("class") == "plotly-graph-div"]
    assert len(plots) == len({a["id"] for a in plots}) == 3
    # plotly.js itself and one or two small scripts a figure; a title adds none.
    per_figure = [
        tag for tag, _ in Page(figure("x").to_html(full_html=False, include_plotlyjs=False)).tags
    ]
    assert len([t for t, _ in page.tags if t == "script"]) == 1 + 3 * per_figure.count("script")
