"""A visitor's own prices and news, kept until a training has read them."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st

from apps.stock_forecast.datamodule import read_table
from core.ui.heard import heard
from core.ui.page import error_words, show_error
from core.ui.texts import literally, t
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
    if news is not None and prices is None:
        st.info(t("stock.news_need_prices"))
    kept = None if prices is None else kept_upload(runs, prices, ("csv", "csv.gz"), "prices")
    told = None if news is None else kept_upload(runs, news, ("jsonl", "jsonl.gz"), "news")
    return None if kept is None else Upload(kept, told)


def read_upload(upload: Upload) -> pd.DataFrame | None:
    """Its checked prices, with the news of each day.

    What is wrong with the files is told on the page; None where they cannot be used.
    """
    names = {upload.prices: t("common.your_file")}
    if upload.news is not None:
        names[upload.news] = t("stock.your_news_file")
    try:
        with st.spinner(t("stock.reading")):
            table, noticed = _read(*map(str, names))
    except (OSError, ValueError) as error:
        show_error(error, names)
        return None
    if noticed:
        words = [error_words(ValueError(one), names) for one in noticed]
        st.warning("\n- ".join([t("common.noticed"), *map(literally, words)]))
    return table


@st.cache_data(max_entries=4, show_spinner=False)
def _read(prices: str, news: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    with heard("data") as noticed:
        return read_table(prices, None if news is None else Path(news)), noticed
