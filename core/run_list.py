"""The finished runs under a folder, without opening their weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPTH = ("*", "*/*")  # a run of its own, and one of a comparison


@dataclass(frozen=True)
class RunInfo:
    """A finished run.

    Attributes:
        path: Its folder, links resolved.
        name: The path below the runs' folder.
        created: When it was written, ISO 8601 in UTC.
        config: What its `config.yaml` says.
        source_sha256: Of the data that it was trained on.
        is_champion: Whether the folder's `champion` points at it.
    """

    path: Path
    name: str
    created: str
    config: dict[str, Any]
    source_sha256: str
    is_champion: bool


def finished_runs(folder: Path, app: str) -> list[RunInfo]:
    """The app's finished runs, the champion first and then the newest.

    Args:
        folder: Where the app's runs are, such as runs/chatbot; it need not exist.
        app: Whose runs.

    Returns:
        What can be read; a folder that holds no whole run is passed over.
    """
    link = folder / "champion"
    best = link.resolve() if link.exists() else None
    found: dict[Path, RunInfo] = {}
    for pattern in DEPTH:
        for manifest_path in folder.glob(f"{pattern}/manifest.json"):
            path = manifest_path.parent.resolve()
            try:
                manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
                config = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
                if manifest["app"] != app or not isinstance(config, dict):
                    continue
                found.setdefault(
                    path,
                    RunInfo(
                        path=path,
                        name=_name(path, folder),
                        created=str(manifest.get("created", "")),
                        config=config,
                        source_sha256=str(manifest["source_sha256"]),
                        is_champion=path == best,
                    ),
                )
            except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
                continue
    newest = sorted(found.values(), key=lambda run: run.created, reverse=True)
    return sorted(newest, key=lambda run: not run.is_champion)


def _name(path: Path, folder: Path) -> str:
    try:
        return str(path.relative_to(folder.resolve()))
    except ValueError:  # a link to elsewhere
        return path.name
