"""Append rows to a results file, with the commit and the machine that they belong to."""

import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"


def record(
    name: str, rows: Sequence[Mapping[str, Any]], decides: Sequence[str] | None = None
) -> None:
    """Append rows to `results/<name>.json` and print them.

    Args:
        name: The benchmark.
        rows: Flat, alike.
        decides: What `standing` will ask of, where a later call is to go on from these rows.
    """
    about = {
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--", "*.py")),
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        **({"code": code_key(decides)} if decides else {}),
    }
    path = RESULTS / f"{name}.json"
    before = json.loads(path.read_text()) if path.exists() else []
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([*before, *({**row, **about} for row in rows)], indent=1) + "\n")
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))


def standing(name: str, decides: Sequence[str]) -> list[dict[str, Any]]:
    """The rows on record whose figures still count.

    Args:
        name: The benchmark.
        decides: Files and folders that decide its figures; a row counts where they hold what they
            held when it was made.
    """
    path = RESULTS / f"{name}.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    code = code_key(decides)
    return [row for row in rows if row.get("code") == code]


def code_key(decides: Sequence[str]) -> str:
    """A short name of what the deciding files hold.

    Args:
        decides: Files and folders of the project; of a folder, its modules.
    """
    digest = hashlib.sha256()
    for name in decides:
        path = ROOT / name
        for module in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            held = module.read_bytes()
            digest.update(f"{module.relative_to(path.parent)} {len(held)} ".encode())
            digest.update(held)
    return digest.hexdigest()[:12]


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], capture_output=True, text=True, check=False, cwd=ROOT
    ).stdout.strip()
