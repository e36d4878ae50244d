"""Files that visitors upload: on the disk until a training has read them, and no longer."""

import re
import shutil
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.ui.texts import t

FOLDER = "uploads"
KEPT_HOURS = 24  # of an upload that no training was started on
LONGEST_NAME = 60  # letters


def kept_upload(runs: Path, upload: Any, endings: Sequence[str], kind: str) -> Path | None:
    """Where a visitor's file lies on the disk, in a folder of its own; one of a kind a session.

    Args:
        runs: The app's runs, among which uploads are kept.
        upload: What `st.file_uploader` gave.
        endings: Of the names that are known, such as `csv.gz`; a file without any gets the first.
        kind: What is in it.

    Returns:
        The file; None where a training has read it, after which it is gone for good.
    """
    known: tuple[str, Path] | None = st.session_state.get(f"upload of {kind}")
    if known is not None and known[0] == upload.file_id:
        if known[1].exists():
            return known[1]
        st.info(t("common.upload_is_gone"))
        return None
    if known is not None:
        shutil.rmtree(known[1].parent, ignore_errors=True)
    folder = runs / FOLDER / uuid.uuid4().hex
    folder.mkdir(parents=True, mode=0o700)
    path = folder / _safe_name(str(upload.name), endings)
    path.write_bytes(upload.getbuffer())
    st.session_state[f"upload of {kind}"] = (upload.file_id, path)
    return path


def to_remove(upload: Path) -> list[Path]:
    """What must go for an upload to be gone, for `start_training`."""
    return [upload, upload.parent]


def _safe_name(name: str, endings: Sequence[str]) -> str:
    """The visitor's name, which may name a ticker, with nothing in it that a path would read."""
    name = re.split(r"[/\\]", name)[-1]
    fitting = [ending for ending in endings if name.lower().endswith(f".{ending}")]
    if fitting:
        suffix = "." + max(fitting, key=len)
        stem = name[: -len(suffix)]
    else:  # its reader says what it takes
        stem, suffix = Path(name).stem, Path(name).suffix or f".{endings[0]}"
    stem, suffix = (re.sub(r"[^\w.^=-]", "_", part)[:LONGEST_NAME] for part in (stem, suffix))
    return (stem.lstrip(".") or "upload") + suffix


def forget_old(runs: Path) -> None:
    """Remove what visitors left behind a day ago or longer."""
    for one in (runs / FOLDER).glob("*"):
        if time.time() - one.stat().st_mtime > 3600 * KEPT_HOURS:
            shutil.rmtree(one, ignore_errors=True)
