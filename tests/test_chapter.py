"""The chapter "Why RNNs forget, and what helps": whole, in two languages, true of the code."""

import ast
import inspect
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from apps.gradient_lab import show

ROOT = Path(__file__).parents[1]
CHAPTER = ROOT / "docs" / "why"
TOPICS = [
    "gradient-descent",
    "back-propagation",
    "vanishing-gradients",
    "exploding-gradients",
    "clipping",
    "lstm",
    "gru",
    "learning-rate",
    "regularisation",
    "batch-norm",
    "early-stopping",
    "attention",
    "residual-connections",
    "bidirectional",
    "encoder-decoder",
    "attention-kinds",
    "transformer",
    "recent-cells",
]
NEXT = dict(zip(TOPICS, [*TOPICS[1:], "index"], strict=True))
SUFFIXES = (".md", ".ko.md")
PAGES = [name + suffix for name in ["index", *TOPICS] for suffix in SUFFIXES]
# Numbers of a figure's paragraph that are neither measured nor an argument of its topic.
BESIDE: dict[str, set[str]] = {
    "gradient-descent": {"1e6"},  # where a path ends
    "vanishing-gradients": {"1", "59", "1.1", "58", "252"},  # lags; what the radius would give
    "lstm": {"1", "99"},  # the bias, lags
    "gru": {"1", "99"},
    "learning-rate": {"0.005"},  # the recipe's
    "regularisation": {"10", "5", "1"},  # T, a fifth
    "batch-norm": {"200"},  # steps, read from the figure
    "early-stopping": {"10", "5", "1", "0", "95"},  # T, patience, a fifth, zero, the interval
    "encoder-decoder": {"95"},
    "transformer": {"64", "95"},  # rows
    "recent-cells": {"1", "99", "32"},  # lags, rows
}
CODE_LINE = re.compile(r"^- \[`([\w/]+\.py)`\]\(([^)]+)\): (.+)$", re.M)


def read(name: str) -> str:
    return (CHAPTER / name).read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```$", text, re.M | re.S)


@cache
def defined(path: str) -> set[str]:
    """Every name that a module or one of its classes defines, a class's own as `Class.name`."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = _names(tree.body)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for name in _names(node.body)}
    return names


def _names(body: list[ast.stmt]) -> set[str]:
    names = {n.name for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    targets = [n.target for n in body if isinstance(n, ast.AnnAssign)]
    targets += [target for n in body if isinstance(n, ast.Assign) for target in n.targets]
    return names | {target.id for target in targets if isinstance(target, ast.Name)}


def test_the_chapter_holds_these_pages_and_no_other():
    assert sorted(path.name for path in CHAPTER.glob("*.md")) == sorted(PAGES)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_has_its_command_its_figure_and_the_way_on(topic, suffix):
    text = read(topic + suffix)
    shown = "".join(commands(text)).splitlines()
    assert f"gradient-lab show {topic}" in shown
    assert re.search(rf"^!\[[^\]]+\]\(figures/{topic}\.svg\)$", text, re.M)
    assert f"]({NEXT[topic]}.md)" in text.strip().splitlines()[-1]


def numbers(text: str) -> list[str]:
    """Every number that does not end a name (L2, float64), as written but without commas."""
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return re.findall(r"(?<![A-Za-z\d.])\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)


def rounds_to(measured: str, told: str) -> bool:
    """Whether a number is told as it was measured, or rounded to two decimals or more."""
    decimals = len(told.partition(".")[2])
    is_rounded = "e" not in told and decimals >= 2
    return measured == told or (is_rounded and f"{float(measured):.{decimals}f}" == told)


def sizes(topic: str) -> set[str]:
    """What is no measurement: the defaults of a topic's arguments, and BESIDE."""
    known = set(BESIDE.get(topic, ()))
    for parameter in inspect.signature(show.TOPICS[topic].run).parameters.values():
        default = parameter.default
        values = default if isinstance(default, tuple) else (default,)
        known |= {f"{abs(value):g}" for value in values}
    return known


def expected(lines: Sequence[str], known: set[str]) -> list[str]:
    """What was measured, in order; sizes that stand before a line's values are left out."""
    found = []
    for line in lines:
        head, _, values = line.rpartition(": ")
        found += [number for number in numbers(head) if number not in known]
        found += [number for number in numbers(values) if head or number not in known]
    return found


def first_fault(told: Sequence[str], measured: Sequence[str], known: set[str]) -> str:
    """Where a paragraph leaves what was measured: its numbers are those, in order, and sizes."""
    left = list(measured)
    for place, number in enumerate(told):
        if left and rounds_to(left[0], number):
            left.pop(0)
        elif number not in known:
            asked = f"{left[0]} was measured next" if left else "no more was measured"
            return f"{number} after {' '.join(told[max(0, place - 3) : place])}: {asked}"
    return f"{left} is not told" if left else ""


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_tells_what_its_figure_measured_in_order_and_no_other_number(topic, suffix):
    assert (CHAPTER / "figures" / f"{topic}.svg").is_file()
    lines = json.loads((CHAPTER / "figures" / "measured.json").read_text(encoding="utf-8"))[topic]
    reading = read(topic + suffix).partition(f"](figures/{topic}.svg)\n\n")[2].partition("\n")[0]
    known = sizes(topic)
    assert first_fault(numbers(reading), expected(lines, known), known) == ""


def test_swapped_values_and_another_size_are_seen():
    measured = expected(
        ["Share, after 400 steps: nothing 0.25 / 0.72, batch norm 1.00 / 0.24."], {"400"}
    )
    for told, fault in (
        ("After 400 steps: nothing 0.25, 0.72, batch norm 1.00 and 0.24", ""),
        ("nothing 0.72, 0.25, batch norm 1.00 and 0.24", "0.72 after : 0.25 was measured next"),
        ("At T=30: nothing 0.25", "30 after : 0.25 was measured next"),
        ("nothing 0.25, 0.72, batch norm 1.00", "['0.24'] is not told"),
        (
            "nothing 0.25, 0.72, batch norm 1.00, 0.24 of 5",
            "5 after 0.72 1.00 0.24: no more was measured",
        ),
    ):
        assert first_fault(numbers(told), measured, {"400"}) == fault


@pytest.mark.parametrize("topic", TOPICS)
def test_both_languages_give_the_same_commands_formulas_and_code(topic):
    english, korean = read(f"{topic}.md"), read(f"{topic}.ko.md")
    assert commands(english) == commands(korean)
    formulas = [re.findall(r"^```text\n.*?^```$", text, re.M | re.S) for text in (english, korean)]
    assert formulas[0] == formulas[1] != []
    assert CODE_LINE.findall(english) == CODE_LINE.findall(korean) != []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_index_leads_to_every_topic_in_order(suffix):
    links = re.findall(r"^\| \[[^\]]+\]\(([\w-]+)\.md\) \|", read("index" + suffix), re.M)
    assert links == TOPICS
    assert "](gradient-descent.md)" in read("index" + suffix).strip().splitlines()[-1]


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_name_that_a_page_gives_is_in_the_code(page):
    text = read(page)
    for path in re.findall(r"`((?:core|data|apps|benchmarks)/[\w/]+\.py)`", text):
        assert (ROOT / path).is_file(), path
    for path, link, names in CODE_LINE.findall(text):
        assert link == f"../reference/{path.removesuffix('.py')}.md"
        for name in re.findall(r"`([\w.]+)`", names):
            assert name in defined(path), f"{path} defines no {name}"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_chapter_leads_to_a_page(page):
    for link in re.findall(r"\]\(([\w-]+\.md)\)", read(page)):
        assert (CHAPTER / link).is_file(), link


@pytest.mark.parametrize("topic", TOPICS)
def test_a_korean_page_is_written_in_korean(topic):
    prose = re.sub(r"```.*?```|`[^`]*`", "", read(f"{topic}.ko.md"), flags=re.S)
    hangul = len(re.findall(r"[가-힣]", prose))
    assert hangul > len(re.findall(r"[A-Za-z]", prose))
