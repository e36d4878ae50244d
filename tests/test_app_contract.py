"""Every folder under apps/ is an app of the same shape; a copy is tested without a new test."""

import importlib
import inspect
from pathlib import Path

import pytest

APPS = sorted(p.parent for p in (Path(__file__).parents[1] / "apps").glob("*/__main__.py"))
FILES = ("train.py", "datamodule.py", "baselines.py", "evaluate.py", "inference.py", "compare.py")


@pytest.mark.parametrize("app", APPS, ids=lambda p: p.name)
def test_an_app_has_its_files_a_page_and_a_small_config(app):
    for name in (*FILES, "streamlit_app.py", "configs/small.yaml"):
        assert (app / name).exists(), name


@pytest.mark.parametrize("app", APPS, ids=lambda p: p.name)
def test_every_verb_is_a_documented_typed_function(app):
    verbs = importlib.import_module(f"apps.{app.name}.__main__").VERBS
    assert verbs.keys() >= {"train", "evaluate", "compare", "retrain", "demo"}
    for target, about in verbs.values():
        module, name = target.split(":")
        function = getattr(importlib.import_module(module), name)
        assert about
        assert function.__doc__
        for parameter in inspect.signature(function).parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty
            assert f"{parameter.name}:" in function.__doc__, parameter.name
