import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core.batch import ForecastBatch
from core.loading import BatchLoader
from core.modules import ForecastModule
from core.nn.forecaster import LEVELS, ForecasterConfig
from core.optim import OptimConfig
from core.runs import FORMAT_VERSION, begin_run, load_run, new_run_dir, save_run, write_manifest
from core.training import TrainerConfig, fit

CONFIG = {"data": "sample", "model": {"cell": "gru"}, "trainer": {"seed": 5, "max_epochs": 3}}


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def write_run(path: Path, model: nn.Module | None = None, **changes: Any) -> Path:
    (path / "data").mkdir(parents=True)
    (path / "data" / "train.parquet").write_bytes(b"PAR1 rows PAR1")
    options: dict[str, Any] = {
        "app": "chatbot",
        "config": CONFIG,
        "model": network() if model is None else model,
        "preprocessor": {"tokenizer": {"words": ["é", "b"]}, "handoff": {"below": 0.25}},
        "metrics": {"val_loss": 1.5, "bleu": float("nan")},
        "source_hash": "ab" * 32,
    }
    save_run(path, **(options | changes))
    return path


def files_of(path: Path) -> list[str]:
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def change_manifest(run: Path, **changes: Any) -> None:
    write_manifest(run, json.loads((run / "manifest.json").read_text()) | changes)


HASHED = [
    "card.md",
    "config.yaml",
    "data/train.parquet",
    "metrics.json",
    "model.safetensors",
    "preprocessor/handoff.json",
    "preprocessor/tokenizer.json",
]


def test_a_run_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    model = network()
    model[1].running_mean.fill_(0.5)
    run = load_run(write_run(tmp_path / "run", model), "chatbot")
    assert run.config == CONFIG
    assert run.preprocessor == {"tokenizer": {"words": ["é", "b"]}, "handoff": {"below": 0.25}}
    assert run.metrics == {"val_loss": 1.5, "bleu": None}
    assert (run.manifest["seed"], run.manifest["source_sha256"]) == (5, "ab" * 32)
    other = network(1).train()
    run.load_weights(other)
    assert not other.training
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_weights_that_two_layers_share_come_back_in_both(tmp_path: Path) -> None:
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    run = load_run(write_run(tmp_path / "run", tied), "chatbot")
    other = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    other[1].weight = other[0].weight
    run.load_weights(other)
    assert torch.equal(other[1].weight, tied[0].weight)


def test_every_file_stands_in_the_manifest_with_its_sha256(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    assert files_of(run) == sorted([*HASHED, "manifest.json"])
    manifest = json.loads((run / "manifest.json").read_text())
    expected = {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in HASHED}
    assert manifest["files"] == expected


def test_logs_checkpoints_and_exports_may_change(tmp_path: Path) -> None:
    for name in ("logs", "checkpoints", "onnx"):
        (tmp_path / "run" / name).mkdir(parents=True)
        (tmp_path / "run" / name / "file").write_text("before")
    run = write_run(tmp_path / "run")
    for name in ("logs", "checkpoints", "onnx"):
        (run / name / "file").write_text("after")
    load_run(run, "chatbot")


@pytest.mark.parametrize("name", HASHED)
def test_one_changed_byte_is_reported_with_the_file(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "run")
    content = bytearray((run / name).read_bytes())
    content[len(content) // 2] ^= 1
    (run / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}: changed since"):
        load_run(run, "chatbot")


@pytest.mark.parametrize("name", HASHED)
def test_a_missing_file_is_reported(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "run")
    (run / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name}: missing from the run"):
        load_run(run, "chatbot")


def test_what_is_not_a_run_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such run folder"):
        load_run(tmp_path / "none", "chatbot")
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        load_run(tmp_path, "chatbot")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileNotFoundError, match="no such run folder"):
        load_run(tmp_path / "file", "chatbot")


def test_another_apps_run_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    with pytest.raises(ValueError, match="a run of chatbot, not of stock_forecast"):
        load_run(run, "stock_forecast")


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    change_manifest(run, format_version=1)
    with pytest.raises(ValueError, match=f"run format 1, this version reads {FORMAT_VERSION}"):
        load_run(run, "chatbot")


@pytest.mark.parametrize("content", ["[]", '"x"', "null", "{", "", "{}"])
def test_a_manifest_of_another_kind_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    run = write_run(tmp_path / "run")
    (run / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match=str(run)):
        load_run(run, "chatbot")


@pytest.mark.parametrize("files", [None, [], "x", 3])
def test_a_manifest_without_a_table_of_files_is_an_error_that_names_it(
    tmp_path: Path, files: object
) -> None:
    run = write_run(tmp_path / "run")
    change_manifest(run, files=files)
    with pytest.raises(ValueError, match="manifest.json"):
        load_run(run, "chatbot")


@pytest.mark.parametrize("name", ["../outside", "data/../../outside", "/etc/hostname"])
def test_a_file_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "run")
    (tmp_path / "outside").write_text("x")
    change_manifest(run, files={name: hashlib.sha256(b"x").hexdigest()})
    with pytest.raises(ValueError, match="leaves the run folder"):
        load_run(run, "chatbot")


def test_weights_that_were_cut_off_or_do_not_fit_are_an_error_of_one_line(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "run"), "chatbot")
    with pytest.raises(ValueError, match="model.safetensors: not the weights") as error:
        run.load_weights(nn.Linear(3, 4))
    assert "\n" not in str(error.value)
    weights = run.path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(ValueError, match="model.safetensors: not the weights") as error:
        run.load_weights(network())
    assert "\n" not in str(error.value)


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    assert not [name for name in files_of(run) if "partial" in name]


def test_a_new_run_goes_where_it_was_asked_or_beside_the_others(tmp_path: Path) -> None:
    asked = tmp_path / "run"
    assert new_run_dir("chatbot", "lstm", asked) == asked
    asked.mkdir()
    assert new_run_dir("chatbot", "lstm", asked) == asked
    default = new_run_dir("chatbot", "lstm", None)
    assert default.parent == Path("runs/chatbot")
    assert default.name.endswith("-lstm")


def test_a_new_run_never_overwrites(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ValueError, match="file: is a file"):
        new_run_dir("chatbot", "lstm", file)
    for resume in (False, True):
        with pytest.raises(ValueError, match="holds a finished run already"):
            new_run_dir("chatbot", "lstm", write_run(tmp_path / f"done{resume}"), resume)
    with pytest.raises(ValueError, match="is not empty and not a run"):
        new_run_dir("chatbot", "lstm", tmp_path)


def test_an_unfinished_training_is_gone_on_with_only_on_resume(tmp_path: Path) -> None:
    run = tmp_path / "run"
    begin_run(run, CONFIG, "ab")
    (run / "checkpoints").mkdir()
    with pytest.raises(ValueError, match="holds an unfinished training; add --resume"):
        new_run_dir("chatbot", "lstm", run)
    assert new_run_dir("chatbot", "lstm", run, resume=True) == run


def test_resume_needs_a_training_that_was_begun(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--resume needs --run"):
        new_run_dir("chatbot", "lstm", None, resume=True)
    with pytest.raises(FileNotFoundError, match="no training was begun here"):
        new_run_dir("chatbot", "lstm", tmp_path / "none", resume=True)


def test_the_same_options_and_data_resume(tmp_path: Path) -> None:
    config = CONFIG | {"shares": (0.1, 0.2), "path": Path("x"), "none": None}
    begin_run(tmp_path, config, "ab")
    begin_run(tmp_path, config, "ab")


@pytest.mark.parametrize(
    ("config", "source_hash", "match"),
    [
        (
            CONFIG | {"trainer": {"seed": 5, "max_epochs": 9}},
            "ab",
            "trainer.max_epochs was 3.*is 9",
        ),
        (CONFIG | {"model": {"cell": "lstm"}}, "ab", "model.cell was gru.*is lstm"),
        (CONFIG | {"new": 1}, "ab", "new was None.*is 1"),
        ({"data": "sample", "trainer": CONFIG["trainer"]}, "ab", "model.cell was gru.*is None"),
        (CONFIG, "cd", "source_sha256 was ab.*is cd"),
    ],
)
def test_resuming_with_another_option_names_it(
    tmp_path: Path, config: dict, source_hash: str, match: str
) -> None:
    begin_run(tmp_path, CONFIG, "ab")
    with pytest.raises(ValueError, match=match):
        begin_run(tmp_path, config, source_hash)


def test_a_finished_run_forgets_that_it_was_begun(tmp_path: Path) -> None:
    begin_run(tmp_path / "run", CONFIG, "ab")
    assert "started.json" not in files_of(write_run(tmp_path / "run"))


def test_no_file_that_inference_reads_is_a_pickle(tmp_path: Path) -> None:
    fan = torch.linspace(-1, 1, len(LEVELS)).expand(1, -1)
    module = ForecastModule(2, (1,), ForecasterConfig(hidden_size=2), OptimConfig(), fan)

    def collate(rows: np.ndarray) -> ForecastBatch:
        return ForecastBatch(torch.ones(len(rows), 3, 2), torch.ones(2, 1), torch.ones(2, 1))

    loader = BatchLoader(lambda _: [np.arange(2)], collate)
    run = tmp_path / "run"
    fit(module, (loader, loader), TrainerConfig(max_epochs=1, progress=False), run)
    write_run(run, module.model)
    magic = (b"PK\x03\x04", *(b"\x80" + bytes([protocol]) for protocol in range(6)))
    files = [run / name for name in files_of(run)]
    pickles = {p.relative_to(run).parts[0] for p in files if p.read_bytes().startswith(magic)}
    assert pickles == {"checkpoints"}
