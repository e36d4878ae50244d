"""What every view of the page needs: an opened run and its prices, shared by all visitors."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st
import torch

from apps.stock_forecast.as_of import TestPart, fit_baselines, judge
from apps.stock_forecast.baselines import Baselines
from apps.stock_forecast.datamodule import stored_table
from apps.stock_forecast.inference import StockForecaster
from core.ui.runs import written


class Opened(NamedTuple):
    """A run as the views read it.

    Attributes:
        path: Its folder.
        runs: The folder of the app's runs.
        forecaster: The network with all that it needs.
        table: The prices that the run keeps.
    """

    path: Path
    runs: Path
    forecaster: StockForecaster
    table: pd.DataFrame

    def lacks_news(self, table: pd.DataFrame) -> bool:
        """Whether the network learned from news and the table has none."""
        return self.forecaster.run.preprocessor["prices"]["has_news"] and "News" not in table


def open_run(path: Path, runs: Path) -> Opened:
    """The run, opened once for all visitors and anew where it was written again.

    Raises:
        FileNotFoundError: The folder is gone.
        ValueError: It is no run of the forecaster, or a file of it was changed.
    """
    return Opened(path, runs, *_open(str(path), written(path)))


def baselines_of(path: Path) -> Baselines:
    """The classical models of a run, fitted once."""
    return _baselines(str(path), written(path))


def judged(path: Path) -> TestPart:
    """A run's scores on its test part, computed once."""
    return _judged(str(path), written(path))


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(path: str, changed: float) -> tuple[StockForecaster, pd.DataFrame]:
    torch.set_num_threads(1)
    forecaster = StockForecaster.load(Path(path))
    return forecaster, stored_table(forecaster.run)


@st.cache_resource(max_entries=4, show_spinner=False)
def _baselines(path: str, changed: float) -> Baselines:
    return fit_baselines(_open(path, changed)[0])


@st.cache_resource(max_entries=4, show_spinner=False)
def _judged(path: str, changed: float) -> TestPart:
    return judge(_open(path, changed)[0])
