import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from core.plain import plain


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
