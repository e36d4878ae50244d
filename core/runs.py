"""A run folder: what training leaves and everything else reads. Nothing in it is pickled."""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_model, save_model
from torch import nn

from core.plain import plain

FORMAT_VERSION = 4
_STARTED = "started.json"
_UNHASHED = ("logs", "checkpoints", "onnx", "manifest.json", _STARTED)
_NEEDED = {"config.yaml", "model.safetensors", "metrics.json"}
_PACKAGE = "recurrent-suite"


@dataclass(frozen=True)
class Run:
    """An opened run folder.

    Attributes:
        path: The folder, links resolved.
        config: What `config.yaml` says.
        manifest: Format version, seed, hashes.
        preprocessor: Each `preprocessor/*.json` by its stem.
        metrics: What `metrics.json` says.
    """

    path: Path
    config: dict[str, Any]
    manifest: dict[str, Any]
    preprocessor: dict[str, Any]
    metrics: dict[str, Any]

    def load_weights(self, model: nn.Module) -> None:
        """Put the run's weights into a model of the same shape, and set it to evaluation mode.

        Raises:
            ValueError: The file is cut off, or does not fit the model.
        """
        path = self.path / "model.safetensors"
        try:
            load_model(model, path)
        except Exception as error:
            head, *rest = str(error).splitlines()
            reason = rest[0].strip() if rest else head  # torch names the first tensor after a title
            raise ValueError(
                f"{path}: not the weights of this run ({reason}); train again"
            ) from None
        model.eval()


def new_run_dir(app: str, name: str, run: Path | None, resume: bool = False) -> Path:
    """The folder to train into: `run`, or `runs/<app>/<time>-<name>`.

    Args:
        app: Part of the default path.
        name: Likewise.
        run: What the user asked for.
        resume: Whether the folder holds a training to go on with.

    Raises:
        FileNotFoundError: `resume` without a training that was begun there.
        ValueError: The folder holds a run, finished or not, or other files.
    """
    if resume and run is None:
        raise ValueError("--resume needs --run: the folder of the training to go on with")
    path = run or Path("runs") / app / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path}: is a file; give --run a folder that does not exist yet")
    if (path / "manifest.json").exists():
        raise ValueError(f"{path}: holds a finished run already; give --run another folder")
    if resume and not is_begun(path):
        raise FileNotFoundError(f"{path}: no training was begun here; train without --resume")
    if is_begun(path) and not resume:
        raise ValueError(
            f"{path}: holds an unfinished training; add --resume or give --run another folder"
        )
    # What a preparation of the data leaves that was killed is cleared by the next one.
    left = [file for file in path.iterdir() if file.suffix != ".partial"] if path.is_dir() else []
    if left and not is_begun(path):
        raise ValueError(f"{path}: is not empty and not a run; give --run another folder")
    return path


def is_begun(run: Path | None) -> bool:
    """Whether a training or a comparison was begun in a folder."""
    return run is not None and (run / _STARTED).exists()


def begin_run(path: Path, config: Mapping[str, Any], source_hash: str, resume: bool) -> None:
    """Note what is about to be trained; on resume, check that it is the same.

    Args:
        path: What `new_run_dir` gave.
        config: Plain containers.
        source_hash: SHA-256 of the data.
        resume: Whether a training goes on.

    Raises:
        ValueError: Another option or other data than at first; the message names it.
    """
    now = json.loads(json.dumps(_flat({**plain(config), "source_sha256": source_hash})))
    if not resume:
        write_json(path / _STARTED, now)
        return
    before = _read_json(path / _STARTED)
    for name in sorted(now.keys() | before.keys()):
        if now.get(name) != before.get(name):
            raise ValueError(
                f"{path}: {name} was {before.get(name)} when the training began, is "
                f"{now.get(name)}; resume with the same options and data"
            )


def save_run(
    path: Path,
    *,
    app: str,
    config: Mapping[str, Any],
    model: nn.Module,
    preprocessor: Mapping[str, Any],
    metrics: Mapping[str, Any],
    source_hash: str,
) -> None:
    """Write a run folder; `manifest.json` comes last, so a folder without it is unfinished.

    Args:
        path: The folder; `data/` may hold the parts already.
        app: Which app may read it.
        config: Plain containers.
        model: Whose weights are kept (tied weights once).
        preprocessor: JSON values by name, one file each.
        metrics: Plain containers.
        source_hash: SHA-256 of the data that it was trained on.
    """
    (path / "preprocessor").mkdir(parents=True, exist_ok=True)
    write_text(path / "config.yaml", yaml.safe_dump(plain(config), sort_keys=False))
    for name, value in preprocessor.items():
        write_json(path / "preprocessor" / f"{name}.json", value)
    save_model(model, str(path / "model.safetensors"))
    write_json(path / "metrics.json", metrics)
    write_text(path / "card.md", _card(app, config, model, metrics, source_hash))
    files = sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
    hashes = {
        str(p.relative_to(path)): file_hash(p)
        for p in files
        if p.relative_to(path).parts[0] not in _UNHASHED
    }
    manifest = {
        "format_version": FORMAT_VERSION,
        "code_version": version(_PACKAGE),
        "app": app,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seed": config.get("trainer", {}).get("seed", 0),
        "source_sha256": source_hash,
        "files": hashes,
    }
    write_json(path / "manifest.json", manifest)
    (path / _STARTED).unlink(missing_ok=True)


def load_run(path: Path, app: str) -> Run:
    """Open a run folder and check every file against its checksum.

    Args:
        path: The folder, or a link to it.
        app: Which app asks.

    Raises:
        FileNotFoundError: There is no such folder, or it holds no run.
        ValueError: Another app's, another format's, or a changed file.
    """
    manifest_path = path / "manifest.json"
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such run folder; run `train` first or give --run")
    if not manifest_path.is_file():
        raise FileNotFoundError(
            f"{path}: not a run folder (it has no manifest.json); run `train --run {path}` first"
        )
    path = path.resolve()
    manifest = _read_json(manifest_path)
    if not isinstance(manifest, dict):
        raise ValueError(f"{manifest_path}: not a run's manifest; restore it or train again")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path}: run format {manifest.get('format_version')}, this version reads "
            f"{FORMAT_VERSION}; train again"
        )
    if manifest.get("app") != app:
        raise ValueError(
            f"{path}: a run of {manifest.get('app')}, not of {app}; give another --run"
        )
    spoilt = ValueError(f"{manifest_path}: not a run's manifest; restore it or train again")
    files = manifest.get("files")
    if not isinstance(files, dict) or "source_sha256" not in manifest:
        raise spoilt
    for name, expected in files.items():
        file = path / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"{manifest_path}: the file name {name!r} leaves the run folder")
        if not file.is_file():
            raise FileNotFoundError(f"{file}: missing from the run; restore it or train again")
        if file_hash(file) != expected:
            raise ValueError(f"{file}: changed since the run was written; restore or train again")
    if not files.keys() >= _NEEDED:
        raise spoilt
    return Run(
        path=path,
        config=yaml.safe_load((path / "config.yaml").read_text()),
        manifest=manifest,
        preprocessor={
            Path(name).stem: _read_json(path / name)
            for name in manifest["files"]
            if Path(name).parts[0] == "preprocessor"
        },
        metrics=_read_json(path / "metrics.json"),
    )


def champion(app: str, run: Path | None) -> Path:
    """The run to read: the given one, else `runs/<app>/champion`."""
    return run or Path("runs") / app / "champion"


def promote(run: Path, reason: str, only_first: bool = False) -> bool:
    """Point `champion` in the run's parent folder at it, in one atomic step.

    Args:
        run: A finished run.
        reason: Goes to `history.jsonl` beside it.
        only_first: Leave an existing champion alone.

    Returns:
        Whether the link was moved.
    """
    link = run.parent / "champion"
    if only_first and link.exists():
        return False
    old = os.readlink(link) if link.is_symlink() else None
    fresh = run.parent / f".champion-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(run.name, target_is_directory=True)
    fresh.replace(link)
    entry = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "run": run.name,
        "replaced": old,
        "reason": reason,
        "source_sha256": _read_json(run / "manifest.json")["source_sha256"],
    }
    with (run.parent / "history.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
    return True


def write_json(path: Path, value: Any) -> None:
    """Write JSON under a temporary name, then rename."""
    write_text(path, json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text under a temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error}); restore it or train again") from None


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options under the names that the command line gives them."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key}"
        flat |= _flat(item, f"{name}.") if isinstance(item, Mapping) else {name: item}
    return flat


def _card(
    app: str,
    config: Mapping[str, Any],
    model: nn.Module,
    metrics: Mapping[str, Any],
    source_hash: str,
) -> str:
    """The model card: what it is, on what it was trained, how it did."""
    lines = [f"# {app} run", ""]
    lines.append(f"- Parameters: {sum(p.numel() for p in model.parameters()):,}")
    lines.append(f"- Data: `{config.get('data')}` (SHA-256 {source_hash[:16]}...)")
    lines += [f"- {name}: {value}" for name, value in config.get("model", {}).items()]
    lines += ["", "## Metrics", ""]
    lines += [f"- {name}: {value}" for name, value in metrics.items()]
    return "\n".join(lines) + "\n"
