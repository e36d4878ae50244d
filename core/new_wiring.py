"""The shared files that name every app: the project, the page's texts, the overview, fixtures."""

import ast
import re

from core.new_names import Kind, command_of, renamed, title_of

SHARED_TEXTS = ("common", "plots")


def insert_once(text: str, pattern: str, new: str, where: str) -> str:
    """Put a text behind the only place that a pattern finds.

    Args:
        text: Of the file.
        pattern: Regular expression, over lines.
        new: What comes behind it.
        where: The file, for the error.

    Raises:
        ValueError: The pattern is found nowhere, or more than once.
    """
    found = list(re.finditer(pattern, text, re.MULTILINE))
    if len(found) != 1:
        raise ValueError(f"{where} has {len(found)} places like {pattern!r}, not one; mend it")
    return text[: found[0].end()] + new + text[found[0].end() :]


def add_project_entries(text: str, _: Kind, name: str) -> str:
    """`pyproject.toml` with the copy's command."""
    script = command_of(name)
    entry = f'{script} = "apps.{name}.__main__:main"\n'
    return insert_once(text, r"^\[project\.scripts\]\n", entry, "pyproject.toml")


def add_texts(text: str, kind: Kind, name: str) -> str:
    """The page's texts with a section of the copy's, and its card on the overview."""
    section = re.search(rf"^{kind.section}:.*\n(?:(?:[ #].*)?\n)*", text, re.MULTILINE)
    card = re.search(rf"^  {kind.section}:\n(?:    .*\n)+", text, re.MULTILINE)
    if section is None or card is None:
        raise ValueError(f"core/ui/texts.yaml has no section or card {kind.section}; mend it")
    own = renamed(_without_comments_at_the_end(section[0]), kind, name)
    own = re.sub(rf"^{kind.section}:.*", f"{name}:", own)
    words = title_of(name)
    title = r'\A(.*\n  title:\n    en: ")(.*\n    ko: ")'
    own = re.sub(title, rf"\g<1>{words}: \g<2>{words}: ", own)
    own_card = renamed(card[0], kind, name).replace(f"  {kind.section}:", f"  {name}:", 1)
    text = text[: card.end()] + own_card + text[card.end() :]
    return f"{text.rstrip()}\n\n{own}"


def own_texts(text: str, name: str) -> str:
    """The page's texts with one app's section and those that every page shares."""
    head, *sections = re.split(r"^(?=\w+:)", text, flags=re.MULTILINE)
    kept = [one for one in sections if one.split(":")[0] in (*SHARED_TEXTS, name)]
    return head + "\n".join(_without_comments_at_the_end(one) for one in kept)


def add_front_end(text: str, kind: Kind, name: str) -> str:
    """`apps/home.py` with the copy among its pages."""
    script = command_of(name)
    icon = re.search(rf'^    "{kind.section}": (":material/\w+:"),$', text, re.MULTILINE)
    if icon is None:
        raise ValueError(f"apps/home.py has no icon of {kind.section}; mend it")
    for table, value in (("FRONT_ENDS", f'"{name}"'), ("ADDRESSES", f'"{script}"')):
        text = _with_entry(text, table, f'"{name}": {value}')
    return _with_entry(text, "ICONS", f'"{name}": {icon[1]}')


def fixtures_of(tests: str, *names: str) -> str:
    """A module of the fixtures that train a small run, as `tests/conftest.py` has them.

    Args:
        tests: The text of `tests/conftest.py`.
        names: Of the fixtures.
    """
    found = [
        node
        for node in ast.parse(tests).body
        if isinstance(node, ast.FunctionDef) and node.name in names
    ]
    if len(found) != len(names):
        raise ValueError(f"tests/conftest.py has not all of the fixtures {', '.join(names)}")
    lines = tests.splitlines()
    bodies = [
        "\n".join(lines[node.decorator_list[0].lineno - 1 : node.end_lineno]) for node in found
    ]
    used = [
        word
        for word in ("TINY_CHAT", "TINY_PRICES", "write_dialogues", "write_prices")
        if any(re.search(rf"\b{word}\b", body) for body in bodies)
    ]
    return (
        '"""A small run of this app, for its tests."""\n\n'
        "from types import SimpleNamespace\n\nimport pytest\n\nfrom core.cli import call\n"
        f"from tests.conftest import {', '.join(used)}\n\n\n" + "\n\n\n".join(bodies) + "\n"
    )


def without_fixtures(tests: str, *names: str) -> str:
    """`tests/conftest.py` without some of its fixtures."""
    lines = tests.splitlines(keepends=True)
    for node in reversed(ast.parse(tests).body):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            del lines[node.decorator_list[0].lineno - 1 : (node.end_lineno or 0) + 2]
    return "".join(lines)


def _with_entry(text: str, table: str, entry: str) -> str:
    """A literal table with one more entry at its end, one entry a line."""
    found = re.search(rf"^{table} = \{{(.*?)\}}$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"apps/home.py has no table {table}; mend it")
    entries = [one.strip() for one in found[1].split(",") if one.strip()]
    body = "".join(f"    {one},\n" for one in [*entries, entry])
    return f"{text[: found.start()]}{table} = {{\n{body}}}{text[found.end() :]}"


def _without_comments_at_the_end(section: str) -> str:
    """A section without the rule that leads to the next one."""
    lines = section.rstrip().splitlines()
    while lines[-1].startswith("#") or not lines[-1]:
        lines.pop()
    return "\n".join(lines) + "\n"
