"""A run folder: what training leaves and everything else reads. Nothing in it is pickled."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from core.files import PARTIAL, file_hash, read_json, replacing, write_json, write_text
from core.plain import plain, yaml_table
from core.processes import is_first_process, name_run, named_run, wait_for

FORMAT_VERSION = 5
MANIFEST = "manifest.json"
_STARTED = "started.json"
# Graphs have a note with checksums of their own (`core.run_graphs`).
_UNHASHED = ("logs", "checkpoints", "onnx", "tokens", MANIFEST, _STARTED)
WEIGHTS = "model.safetensors"
_NEEDED = {"config.yaml", WEIGHTS, "metrics.json"}
_BLANK = "0" * 64  # where the manifest's own checksum will stand
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
        path = self.path / WEIGHTS
        try:
            load_model(model, path)
        except Exception as error:
            head, *rest = str(error).splitlines()
            reason = rest[0].strip() if rest else head  # torch names the first tensor after a title
            raise ValueError(
                f"{path}: not the weights of this run ({reason}); train again"
            ) from None
        model.eval()


def new_run_dir(
    app: str, name: str, run: Path | None, resume: bool = False, option: str = "--run"
) -> Path:
    """The folder to train into: `run`, or `runs/<app>/<time>-<name>`.

    Args:
        app: Part of the default path.
        name: Likewise.
        run: What the user asked for.
        resume: Whether the folder holds a training to go on with.
        option: How the user names the folder, for messages.

    Raises:
        FileNotFoundError: `resume` without a training that was begun there.
        ValueError: The folder holds a run, finished or not, or other files.
    """
    if not is_first_process():
        path = named_run(run)
        wait_for(path / _STARTED)
        return path
    if resume and run is None:
        raise ValueError(f"--resume needs {option}: the folder of the training to go on with")
    path = run or Path("runs") / app / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path}: is a file; give {option} a folder that does not exist yet")
    if is_finished(path):
        raise ValueError(f"{path}: holds a finished run already; give {option} another folder")
    if resume and not is_begun(path):
        raise FileNotFoundError(f"{path}: no training was begun here; train without --resume")
    left = [file for file in path.iterdir() if file.suffix != PARTIAL] if path.is_dir() else []
    if not resume and left == [path / _STARTED]:  # killed while its data were prepared
        left.pop().unlink()
    if is_begun(path) and not resume:
        raise ValueError(
            f"{path}: holds an unfinished training; add --resume or give {option} another folder"
        )
    # What a preparation of the data leaves that was killed is cleared by the next one.
    if left and not is_begun(path):
        raise ValueError(f"{path}: is not empty and not a run; give {option} another folder")
    name_run(path)
    return path


def is_begun(run: Path | None) -> bool:
    """Whether a folder holds a training or a comparison that was begun and has not ended."""
    return run is not None and (run / _STARTED).exists()


def is_finished(run: Path) -> bool:
    """Whether a folder holds a run whose training has ended, not one that Ctrl-C cut short."""
    return (run / MANIFEST).exists() and not is_begun(run)


@contextmanager
def beginning(path: Path, config: Mapping[str, Any], source_hash: str) -> Iterator[None]:
    """Note in a folder what is about to be trained there while the block prepares the data.

    Where the block fails in a folder that held nothing, all of it goes again.

    Args:
        path: What `new_run_dir` gave.
        config: Plain containers.
        source_hash: SHA-256 of the data.

    Raises:
        ValueError: A training was begun there with another option or other data; the message
            names it.
    """
    was_there, was_begun = path.exists(), is_begun(path)
    begin_run(path, config, source_hash)
    try:
        yield
    except BaseException:
        if not was_begun:
            _empty(path)
        if not was_there:
            with suppress(OSError):
                path.rmdir()
        raise


def _empty(folder: Path) -> None:
    """Remove what a preparation that failed has written."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def begin_run(path: Path, config: Mapping[str, Any], source_hash: str) -> None:
    """Note what is about to be trained; where a training goes on, check that it is the same.

    Args:
        path: What `new_run_dir` gave.
        config: Plain containers.
        source_hash: SHA-256 of the data.

    Raises:
        ValueError: Another option or other data than at first; the message names it.
    """
    now = json.loads(json.dumps(_flat({**plain(config), "source_sha256": source_hash})))
    if not is_begun(path):
        write_json(path / _STARTED, now)
        return
    before = read_json(path / _STARTED)
    if not isinstance(before, dict):
        raise ValueError(f"{path / _STARTED}: not the options of a training; train elsewhere anew")
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
    is_finished: bool = True,
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
        is_finished: Whether nothing is left to go on with; of a training that was stopped by
            Ctrl-C the run can be used, and resumed.
    """
    (path / MANIFEST).unlink(missing_ok=True)  # of a training that was stopped and resumed
    write_text(path / "config.yaml", yaml.safe_dump(plain(config), sort_keys=False))
    for name, value in preprocessor.items():
        write_json(path / "preprocessor" / f"{name}.json", value)
    try:
        with replacing(path / WEIGHTS) as temporary:
            save_model(model, str(temporary))
            temporary.chmod((path / "config.yaml").stat().st_mode)  # not the owner's alone
    except SafetensorError as error:  # such as of a full disk
        raise OSError(f"{path / WEIGHTS}: cannot be written ({error}); then --resume") from None
    write_json(path / "metrics.json", metrics)
    write_text(path / "card.md", _card(app, config, model, metrics, source_hash))
    files = sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
    hashes = {
        str(p.relative_to(path)): file_hash(p)
        for p in files
        if p.relative_to(path).parts[0] not in _UNHASHED and p.suffix != PARTIAL
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
    write_manifest(path, manifest)
    if is_finished:
        (path / _STARTED).unlink(missing_ok=True)


def write_manifest(run: Path, manifest: Mapping[str, Any]) -> None:
    """Write a run's manifest with a checksum of itself."""
    write_text(run / MANIFEST, manifest_text(manifest))


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """A manifest as it is written: under `sha256` the hash of the text with zeros in its place.

    Args:
        manifest: Plain containers.
    """
    text = json.dumps({**plain(manifest), "sha256": _BLANK}, indent=1) + "\n"
    return text.replace(_BLANK, _text_hash(text))


def load_run(path: Path, app: str) -> Run:
    """Open a run folder and check every file against its checksum.

    Args:
        path: The folder, or a link to it.
        app: Which app asks.

    Raises:
        FileNotFoundError: There is no such folder, or it holds no run.
        ValueError: Another app's, another format's, or a changed file.
    """
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(
            f"{path}: points to {os.readlink(path)}, which is gone; `rollback --run {path}` goes "
            "back to the champion before it"
        )
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such run folder; run `train` first or give --run")
    if is_begun(path) and not (path / MANIFEST).exists():
        raise FileNotFoundError(
            f"{path}: not a run folder (it has no {MANIFEST}): a training that has not ended, with "
            "which --resume goes on, or a comparison"
        )
    if not (path / MANIFEST).is_file():
        raise FileNotFoundError(
            f"{path}: not a run folder (it has no {MANIFEST}); run `train --run {path}` first"
        )
    path = path.resolve()
    manifest = _read_manifest(path, app)
    for name, expected in manifest["files"].items():
        file = path / name
        if not file.is_file():
            raise FileNotFoundError(f"{file}: missing from the run; restore it or train again")
        if file_hash(file) != expected:
            raise ValueError(f"{file}: changed since the run was written; restore or train again")
    return Run(
        path=path,
        config=yaml_table(path / "config.yaml"),
        manifest=manifest,
        preprocessor={
            Path(name).stem: read_json(path / name)
            for name in manifest["files"]
            if Path(name).parts[0] == "preprocessor"
        },
        metrics=_table(path / "metrics.json", read_json(path / "metrics.json")),
    )


def _read_manifest(path: Path, app: str) -> dict[str, Any]:
    file = path / MANIFEST
    manifest = _table(file, read_json(file))
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{file}: run format {manifest.get('format_version')}, this version reads "
            f"{FORMAT_VERSION}; train again"
        )
    if manifest.get("app") != app:
        raise ValueError(
            f"{file}: a run of {manifest.get('app')}, not of {app}; give another --run"
        )
    files = manifest.get("files")
    is_whole = (
        isinstance(files, dict)
        and files.keys() >= _NEEDED
        and all(map(_is_name, files))
        and isinstance(manifest.get("source_sha256"), str)
    )
    for name in files if isinstance(files, dict) else ():
        if _is_name(name) and not _is_within(path, name):
            raise ValueError(f"{file}: the file name {name!r} leaves the run folder")
    if not is_whole:
        raise ValueError(f"{file}: not a run's manifest; restore it or train again")
    own, text = manifest.get("sha256"), file.read_text(encoding="utf-8")
    if not isinstance(own, str) or _text_hash(text.replace(own, _BLANK)) != own:
        raise ValueError(f"{file}: changed since the run was written; restore or train again")
    return manifest


def _is_name(name: str) -> bool:
    """Whether a file may be called so: nothing else can be asked of the system."""
    try:
        return bool(name) and b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _is_within(folder: Path, name: str) -> bool:
    """Whether a name leads, through whatever links, to a place in the folder."""
    return Path(os.path.realpath(folder / name)).is_relative_to(folder)


def _table(path: Path, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{path}: not a run's {path.stem}; restore it or train again")
    return value


def _text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


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
