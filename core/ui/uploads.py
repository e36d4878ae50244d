"""Files that visitors upload: on the disk until a training has read them, and no longer."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.ui.texts import t


def kept_upload(folder: Path, upload: Any, endings: Sequence[str]) -> Path | None:
    """Where a visitor's file lies on the disk, under a name of our own; one a session.

    Args:
        folder: Where uploads are kept.
        upload: What `st.file_uploader` gave.
        endings: Of the names that are known, such as `csv.gz`; any other file gets the first.

    Returns:
        The file; None where a training has read it, after which it is gone for good.
    """
    known: tuple[str, Path] | None = st.session_state.get("upload")
    if known is not None and known[0] == upload.file_id:
        if known[1].exists():
            return known[1]
        st.info(t("common.upload_is_gone"))
        return None
    if known is not None:
        known[1].unlink(missing_ok=True)
    name = str(upload.name).lower()
    fitting = [ending for ending in endings if name.endswith(f".{ending}")]
    ending = max(fitting, key=len, default=endings[0])
    path = folder / f"{uuid.uuid4().hex}.{ending}"
    folder.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_bytes(upload.getbuffer())
    st.session_state["upload"] = (upload.file_id, path)
    return path
