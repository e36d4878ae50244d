import math
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, NotRequired, TypedDict

import pytest
from torch import nn

from core.runs import Run
from core.stored import check_size, conformed, kept, section


@dataclass(frozen=True, kw_only=True)
class Size:
    width: int = 3
    share: float = 0.5
    kind: Literal["round", "square"] = "round"
    name: str | None = None
    days: tuple[int, ...] = (1,)
    grid: tuple[tuple[float, ...], ...] = ()
    is_open: bool = False

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width={self.width} must be at least 1")


class Table(TypedDict):
    size: Size
    rows: list[list[int]]
    other: NotRequired[Size | None]


def run_of(path: Path, **config: Any) -> Run:
    return Run(path, config, {}, {"words": config}, {})


def test_lists_become_the_tuples_that_they_were() -> None:
    values = {"days": [1, 5], "grid": [[1, 0.5], []], "share": 1, "name": "x"}
    assert conformed(values, Size) == Size(days=(1, 5), grid=((1, 0.5), ()), share=1, name="x")
    table = conformed({"size": {}, "rows": [[1], []], "other": None}, Table)
    assert table == {"size": Size(), "rows": [[1], []], "other": None}
    assert conformed({"size": {}, "rows": [], "other": {"width": 2}}, Table)["other"] == Size(
        width=2
    )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (None, "must be a table, not None"),
        ([], "must be a table, not list"),
        ({"widht": 3}, "widht is unknown"),
        ({"width": "3"}, "width must be int, not '3'"),
        ({"width": 3.0}, "width must be int, not 3.0"),
        ({"width": True}, "width must be int, not True"),
        ({"width": None}, "width must be int, not None"),
        ({"width": 2**63}, "width must be int"),
        ({"width": 10**400}, "width must be int, not int"),
        ({"width": 0}, "width=0 must be at least 1"),
        ({"share": math.nan}, "share must be float, not nan"),
        ({"share": -math.inf}, "share must be float"),
        ({"share": 10**400}, "share must be float"),
        ({"share": "x" * 1000}, "share must be float, not str"),
        ({"kind": "oval"}, "kind must be"),
        ({"kind": []}, "kind must be"),
        ({"kind": {}}, "kind must be"),
        ({"name": 5}, "name must be str, not 5"),
        ({"name": "cut \ud83d"}, "name must be str"),
        ({"days": 5}, "days must be"),
        ({"days": {"1": 2}}, "days must be"),
        ({"days": [1, None]}, "days must be"),
        ({"grid": [[1], 2]}, "grid must be"),
        ({"is_open": 1}, "is_open must be bool, not 1"),
    ],
)
def test_what_is_of_another_kind_is_named(values: Any, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        conformed(values, Size)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"size": {}}, "rows is missing"),
        ({"size": None, "rows": []}, "size must be a table"),
        ({"size": {"days": "x"}, "rows": []}, "size.days must be"),
        ({"size": {}, "rows": [[1.5]]}, "rows must be"),
        ({"size": {}, "rows": [[1], 5]}, "rows must be"),
        ({"size": {}, "rows": [], "other": 5}, "other must be a table"),
    ],
)
def test_a_part_of_another_kind_is_named_with_its_place(values: Any, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        conformed(values, Table)


def test_an_error_names_the_file_and_says_what_to_do(tmp_path: Path) -> None:
    run = run_of(tmp_path, model={"width": "x"})
    with pytest.raises(ValueError, match=r"config.yaml: model.width must be int.*train again"):
        section(run, "model", Size)
    with pytest.raises(ValueError, match=r"config.yaml: text must be a table"):
        section(run, "text", Size)
    with (
        pytest.raises(ValueError, match=r"preprocessor/tokenizer.json: not among the run's files"),
        kept(run, "tokenizer"),
    ):
        pass
    with pytest.raises(ValueError, match=r"words.json: no words; restore"), kept(run, "words"):
        raise ValueError("no words")
    with kept(run, "words") as value:
        assert value == run.config


def test_a_network_far_larger_than_its_weights_is_refused_before_it_takes_memory(
    tmp_path: Path,
) -> None:
    run = run_of(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(bytes(4 * 100))

    def build(width: int = 60_000) -> nn.Module:
        return nn.Linear(width, width)

    with pytest.raises(ValueError, match=r"config.yaml: model asks for 3,600,060,000 parameters"):
        check_size(run, [60_000], 1, build)
    check_size(run, [10], 1, lambda: pytest.fail("is small"))
    check_size(run, [60_000], 1, lambda: build(5))  # of other sizes than it seems


def test_the_weights_of_a_run_set_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(bytes(4 * 2**21))
    run = SimpleNamespace(path=tmp_path)
    check_size(run, [2**12], 2, lambda: pytest.fail("fits"))  # type: ignore[arg-type]
