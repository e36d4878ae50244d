"""The forecaster's page: the range of prices ahead, how good it was, and your own prices."""

from functools import partial
from pathlib import Path

from apps.stock_forecast.pages import ahead, judged, opened, own_data
from core.ui.page import show_page
from core.ui.runs import Sample, show_runs

SMALL = Path(__file__).with_name("configs") / "small.yaml"
VIEWS = {"ahead": ahead.show, "judged": judged.show, "own_data": own_data.show}
SAMPLE = Sample("apps.stock_forecast.train:train", SMALL, "gru")

show_page(
    "stock.title", partial(show_runs, "stock_forecast", "stock", VIEWS, opened.open_run, SAMPLE)
)
