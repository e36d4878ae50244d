"""A visitor's own prices, kept until a training has read them."""

from pathlib import Path

import pandas as pd
import streamlit as st

from core.ui.texts import t
from core.ui.uploads import kept_upload
from data.prices import load_prices

FOLDER = "uploads"


def ask_for_prices(runs: Path) -> Path | None:
    """The place on the disk of the visitor's CSV file; None where there is none yet."""
    with st.expander(t("common.formats")):
        st.markdown(t("stock.formats_text"))
    upload = st.file_uploader(t("stock.upload"), type=["csv", "gz"], key="prices")
    return None if upload is None else kept_upload(runs / FOLDER, upload, ("csv", "csv.gz"))


def read_upload(path: Path) -> pd.DataFrame:
    """Its checked prices; errors speak of the visitor's file, not of our name for it.

    Raises:
        ValueError: What `load_prices` refuses.
    """
    try:
        return _read(str(path), path.stat().st_mtime)
    except (OSError, ValueError) as error:
        raise ValueError(str(error).replace(str(path), t("common.your_file"))) from None


@st.cache_data(max_entries=4, show_spinner=False)
def _read(path: str, changed: float) -> pd.DataFrame:
    return load_prices(path)
