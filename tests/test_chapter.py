"""The chapter "Why RNNs forget, and what helps": whole, in two languages, true of the code."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

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
    return re.findall(r"\d+(?:\.\d+)?(?:e[+-]\d+)?", text)


def rounds_to(measured: str, told: str) -> bool:
    """Whether a number is told as it was measured, or rounded to two decimals or more."""
    decimals = len(told.partition(".")[2])
    is_rounded = "e" not in told and decimals >= 2
    return measured == told or (is_rounded and f"{float(measured):.{decimals}f}" == told)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_tells_every_number_that_its_figure_measured(topic, suffix):
    assert (CHAPTER / "figures" / f"{topic}.svg").is_file()
    lines = json.loads((CHAPTER / "figures" / "measured.json").read_text(encoding="utf-8"))[topic]
    reading = read(topic + suffix).partition(f"](figures/{topic}.svg)\n\n")[2].partition("\n")[0]
    told = numbers(reading)
    for measured in numbers(" ".join(lines)):
        assert any(rounds_to(measured, number) for number in told), f"{measured} is not in {told}"


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
