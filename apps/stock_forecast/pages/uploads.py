"""A visitor's own prices and news, kept until a training has read them."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st

from apps.stock_forecast.datamodule import read_table
from core.ui.texts import t
from core.ui.uploads import kept_upload, to_remove


class Upload(NamedTuple):
    """A visitor's files on the disk.

    Attributes:
        prices: Daily, CSV.
        news: Dated texts about the same tickers, JSONL; None for none.
    """

    prices: Path
    news: Path | None

    @property
    def words(self) -> list[str]:
        """What a training is told beside the prices."""
        return [] if self.news is None else [f"--news={self.news}"]

    @property
    def remove(self) -> list[Path]:
        """What must be gone when a training has read them."""
        return [part for path in self if path is not None for part in to_remove(path)]


def ask_for_files(runs: Path) -> Upload | None:
    """The visitor's files; None where there are no prices yet."""
    with st.expander(t("common.formats")):
        st.markdown(t("stock.formats_text"))
    left, right = st.columns(2)
    prices = left.file_uploader(t("stock.upload"), type=["csv", "gz"], key="prices")
    news = right.file_uploader(t("stock.upload_news"), type=["jsonl", "gz"], key="news")
    kept = None if prices is None else kept_upload(runs, prices, ("csv", "csv.gz"), "prices")
    told = None if news is None else kept_upload(runs, news, ("jsonl", "jsonl.gz"), "news")
    return None if kept is None else Upload(kept, told)


def read_upload(upload: Upload) -> pd.DataFrame:
    """Its checked prices, with the news of each day; errors speak of the visitor's file.

    Raises:
        ValueError: What `load_prices` and `load_news` refuse.
    """
    try:
        return _read(str(upload.prices), None if upload.news is None else str(upload.news))
    except (OSError, ValueError) as error:
        words = str(error).replace(str(upload.prices), t("common.your_file"))
        words = words.replace(str(upload.news), t("stock.your_news_file"))
        raise ValueError(words) from None


@st.cache_data(max_entries=4, show_spinner=False)
def _read(prices: str, news: str | None) -> pd.DataFrame:
    return read_table(prices, None if news is None else Path(news))
