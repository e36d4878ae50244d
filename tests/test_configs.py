"""Every YAML file is a valid configuration of its app."""

import importlib
from pathlib import Path

import pytest

from core.cli import call

CONFIGS = sorted((Path(__file__).parents[1] / "apps").glob("*/configs/*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: f"{p.parts[-3]}/{p.name}")
@pytest.mark.parametrize("verb", ["train", "compare"])
def test_a_config_is_accepted_and_changes_something(path, verb, capsys):
    module = importlib.import_module(f"apps.{path.parts[-3]}.{verb}")
    function = getattr(module, verb)
    printed = []
    for words in (["--config", str(path)], []):
        with pytest.raises(SystemExit) as ended:
            call(function, [*words, "--print_config"], verb)
        assert ended.value.code == 0
        printed.append(capsys.readouterr().out)
    is_default = path.stem in ("gru", "lstm")  # they spell out what is the default
    assert is_default or printed[0] != printed[1]
