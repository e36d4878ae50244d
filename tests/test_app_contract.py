"""Every folder under apps/ is an app of the same shape; a copy is tested without a new test."""

import importlib
import inspect
from pathlib import Path

import pytest

APPS = sorted(p.parent for p in (Path(__file__).parents[1] / "apps").glob("*/__main__.py"))
EVERY_APP = ("train.py", "datamodule.py", "streamlit_app.py")
WITH_RUNS = ("baselines.py", "evaluate.py", "inference.py", "compare.py", "configs/small.yaml")


def verbs(app: Path) -> dict[str, tuple[str, str]]:
    return importlib.import_module(f"apps.{app.name}.__main__").VERBS


@pytest.mark.parametrize("app", APPS, ids=lambda p: p.name)
def test_an_app_has_its_files(app):
    # What trains something to keep has a run folder, which an app that only measures has not.
    for name in (*EVERY_APP, *(WITH_RUNS if "train" in verbs(app) else ())):
        assert (app / name).exists(), name


@pytest.mark.parametrize("app", APPS, ids=lambda p: p.name)
def test_every_verb_is_a_documented_typed_function(app):
    if "train" in verbs(app):
        assert verbs(app).keys() >= {"evaluate", "compare", "retrain"}
    assert "demo" in verbs(app)
    for target, about in verbs(app).values():
        module, name = target.split(":")
        function = getattr(importlib.import_module(module), name)
        assert about
        assert function.__doc__
        for parameter in inspect.signature(function).parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty
            assert f"{parameter.name}:" in function.__doc__, parameter.name
