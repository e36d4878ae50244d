import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from core.plain import plain, yaml_table


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", [float, np.float32, np.float64, torch.tensor])
def test_a_number_that_is_not_finite_becomes_none(value: float, kind: type) -> None:
    assert plain({"a": [kind(value)]}) == {"a": [None]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        (torch.tensor(2), 2),
        (Path("a/b"), "a/b"),
        ((1, (2,)), [1, [2]]),
        ({1: {0.5: "x"}}, {"1": {"0.5": "x"}}),
        (None, None),
        (True, True),
        ("é", "é"),
    ],
)
def test_values_become_what_json_can_hold(value: object, expected: object) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    assert json.loads(json.dumps(found, allow_nan=False)) == expected


def test_plain_values_stay_as_they_are() -> None:
    value = {"a": [1, 2.5, None, "x", {"b": False}]}
    assert plain(value) == value
    assert plain(plain(value)) == plain(value)


@pytest.mark.parametrize(
    "text",
    [
        "a: [1",
        "a: \x07",
        "? [a]\n: 1",
        "a: &x [1]\nb: *x",
        "a: &x [*x]",
        "a: !!bool maybe",
        "a: !!int ''",
        "a: !!timestamp noon",
        "a: 2001-99-99",
        "a: !!python/object/apply:os.getcwd []",
        "a: " + "[" * 5000,
        "a: " + "9" * 5000,
        b"a: \xff",
    ],
)
def test_what_is_no_yaml_is_an_error_of_one_line_that_names_the_file(
    tmp_path: Path, text: str | bytes
) -> None:
    path = tmp_path / "options.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r"options.yaml: not YAML \(.+\); correct") as error:
        yaml_table(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "- a", "5", "null", "a"])
def test_yaml_that_is_no_table_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="options.yaml: a table of options is expected"):
        yaml_table(path)


def test_nine_lines_of_aliases_do_not_become_a_thousand_million_values(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 10)]
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match="an alias"):
        yaml_table(path)


def test_a_yaml_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("a: {b: [1, é]}\nc: .5\n", encoding="utf-8")
    assert yaml_table(path) == {"a": {"b": [1, "é"]}, "c": 0.5}
    with pytest.raises(FileNotFoundError):
        yaml_table(tmp_path / "none.yaml")
