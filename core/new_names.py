"""What `new-app` can copy, which names it takes, and how names change in a copy."""

import keyword
import re
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path
from token import NAME
from tokenize import tokenize

LONGEST = 20
OUR_OWN = ("core", "data", "apps", "tests", "benchmarks", "docs", "deploy", "runs", "build", "site")
VERBS = "train|evaluate|compare|retrain|rollback|export|reply|chat|serve|check|demo"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """An app that can be copied.

    Attributes:
        app: Its folder under `apps/`.
        section: Its section of the page's texts.
        fixture: The fixture of `tests/conftest.py` that trains it.
        places: What to change: words, file, and how the line begins.
        measured: Sections of its README that a copy has yet to earn.
    """

    app: str
    section: str
    fixture: str
    places: tuple[tuple[str, str, str], ...]
    measured: tuple[str, ...]


_TEXTS = (
    "the page's texts, and the sizes in apps/{name}/configs/",
    "core/ui/texts.yaml",
    "{name}:",
)
KINDS = {
    "chatbot": Kind(
        app="chatbot",
        section="chatbot",
        fixture="chat",
        places=(
            ("where the data come from (--data)", "apps/{name}/datamodule.py", "class ChatData"),
            (
                "what is masked before anything is learned (kinds: data/entities.py)",
                "apps/{name}/inference.py",
                "def masked_live",
            ),
            ("the baselines to beat", "apps/{name}/baselines.py", "WITHOUT_TRAINING"),
            ("the metrics", "apps/{name}/scores.py", "def score_content"),
            _TEXTS,
        ),
        measured=("What retraining gains and costs", "Results"),
    ),
    "stock_forecast": Kind(
        app="stock_forecast",
        section="stock",
        fixture="stocks",
        places=(
            ("where the data come from (--data)", "apps/{name}/datamodule.py", "def read_table"),
            (
                "the target and its horizons (options: WindowConfig in data/windows.py)",
                "apps/{name}/datamodule.py",
                "class PriceDataModule",
            ),
            ("the baselines to beat", "apps/{name}/baselines.py", "BASELINES"),
            ("the metrics", "apps/{name}/row_scores.py", "ROW_METRICS"),
            _TEXTS,
        ),
        measured=("What to hope for", "Results", "How far back, how far ahead"),
    ),
}


def check_name(name: str, root: Path) -> None:
    """Refuse a name that cannot be a package, a command and a section of the texts at once.

    Args:
        name: As it was given.
        root: The checkout that the app is to stand in.

    Raises:
        ValueError: What is wrong with it, and which other would do.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > LONGEST:
        raise ValueError(
            f"{name!r} is no name for an app; take up to {LONGEST} lower-case letters, digits and "
            "single underscores, a letter first, such as demand or spare_parts"
        )
    reserved = {*keyword.kwlist, *keyword.softkwlist, *sys.stdlib_module_names, *OUR_OWN}
    if name in reserved or name in packages_distributions():
        raise ValueError(f"{name} is reserved: Python or a library has it; choose another name")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = (root / "core" / "ui" / "texts.yaml").read_text(encoding="utf-8")
    taken = {
        *(path.stem for path in (root / "apps").iterdir()),
        *(path.stem for path in (root / "tests" / "apps").iterdir()),
        *(script.replace("-", "_") for script in project["scripts"]),
        *re.findall(r"^(\w+):", texts, re.MULTILINE),
    }
    if name in taken:
        raise ValueError(f"{name} is taken in this repository; choose another name")


def camel_case(name: str) -> str:
    """The name of a class, from that of a package."""
    return "".join(word.capitalize() for word in name.split("_"))


def command_of(name: str) -> str:
    """The console script, from the name of a package."""
    return name.replace("_", "-")


def title_of(name: str) -> str:
    """A heading, from the name of a package."""
    return name.replace("_", " ").capitalize()


def check_free(name: str, kind: Kind, root: Path) -> None:
    """Refuse a name that would come to stand for two things in one copied file.

    Raises:
        ValueError: A variable, function or class there would get the name of another one.
    """
    for folder in (root / "apps" / kind.app, root / "tests" / "apps" / kind.app):
        for path in folder.rglob("*.py"):
            words = _words(path)
            for word in words:
                if (new := renamed(word, kind, name)) != word and new in words:
                    raise ValueError(
                        f"{name} is taken: {path.relative_to(root)} calls something {new}; choose "
                        f"another name, such as {name[: LONGEST - 4]}_app"
                    )


def _words(path: Path) -> set[str]:
    """The names of a Python file, but for those behind a dot."""
    with path.open("rb") as lines:
        tokens = list(tokenize(lines.readline))
    return {
        token.string
        for before, token in pairwise(tokens)
        if token.type == NAME and before.string != "."
    }


def renamed(text: str, kind: Kind, name: str) -> str:
    """The text of a copied file under the new name.

    Args:
        text: Code, a configuration or prose.
        kind: What was copied.
        name: The copy's name.
    """
    script = command_of(name)
    camel = camel_case(name)
    if kind.app == "chatbot":
        changes = {
            r"Chatbot": camel,
            rf"chatbot(?= (?:{VERBS})\b)": script,
            r'(?<=command\(")chatbot': script,
            r"(?<=console script `)chatbot": script,
            r"(?<=[a-z,] )chatbot(?=s?[ ,.;]|'s|$)": "bot",  # prose, whose lines must not grow
            r"chatbot": name,
        }
    else:
        changes = {
            r"StockForecaster": f"{camel.removesuffix('Forecast')}Forecaster",
            # The cache of downloads is data's, and shared.
            r"(?<!CACHE_HOME/)(?<!\.cache/)stock-forecast": script,
            r"stock_forecast": name,
            r"\bstock_view\b": f"{name}_view",  # the page's switch, in its tests
            r'(?<=["`])stock(?=["`.])': name,
            r"\bstock forecaster": f"{name} forecaster",
            r"\bStock forecaster": f"{camel} forecaster",
        }
    # In one pass: a name may hold the word that it replaces, as my_chatbot does.
    words = list(changes.values())
    pattern = "|".join(f"({old})" for old in changes)
    return re.sub(pattern, lambda found: words[(found.lastindex or 1) - 1], text, flags=re.M)


def without_results(readme: str, kind: Kind, name: str) -> str:
    """A copied README without what was measured on another app's data.

    Raises:
        ValueError: A section that is to be left out is not there.
    """
    head, *sections = re.split(r"^(?=## )", readme, flags=re.MULTILINE)
    by_heading = {section.partition("\n")[0].removeprefix("## "): section for section in sections}
    if missing := set(kind.measured) - by_heading.keys():
        raise ValueError(f"README of {kind.app} has no section {missing.pop()!r}; mend new_names")
    head = re.sub(r"^# .*", f"# {title_of(name)}", head)
    kept = [text for heading, text in by_heading.items() if heading not in kind.measured]
    own = (
        "## Results\n"
        f"None of its own yet. `{command_of(name)} compare` and `evaluate` measure them, on "
        "data that was held out; put the table here.\n"
    )
    return "".join([head, *kept]).rstrip() + f"\n\n{own}"


def wrapped(line: str, width: int = 100) -> str:
    """A line of prose or of a text in quotes, broken in two where it has grown too long.

    Args:
        line: As ruff leaves it, that is without code that could be broken.
        width: Most characters.
    """
    if len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    cut = line.rfind(" ", 0, width - 2) + 1
    if quoted := re.match(r'\s*(f?")(?!"")', line):
        return f'{line[:cut]}"\n{indent}{quoted[1]}{line[cut:]}'
    deeper = "    " if re.match(r"\s*\w+: ", line) else ""
    return f"{line[:cut].rstrip()}\n{indent}{deeper}{line[cut:]}"
