"""What the site has beside the files of this folder: a page per module, and the apps' READMEs."""

import ast
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "data", "apps")
MODULES = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if path.stem not in ("__init__", "__main__")
)
READMES = sorted((ROOT / "apps").glob("*/README.md"))
INDEX = "reference/index.md"
_LINK = re.compile(r"(?<=\]\()([^)#:\s]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages: each gets its text when it is read, no file is written."""
    for uri in [INDEX, *map(module_page, MODULES), *map(readme_page, READMES)]:
        files.append(File(uri, config.docs_dir, config.site_dir, config.use_directory_urls))
    return files


def on_page_read_source(page: Page, config: MkDocsConfig) -> str | None:
    """The text of a generated page, or None where a file has it."""
    uri = page.file.src_uri
    if uri == INDEX:
        return reference_index()
    for path in MODULES:
        if uri == module_page(path):
            return f"# `{dotted(path)}`\n\n::: {dotted(path)}\n"
    for path in READMES:
        if uri == readme_page(path):
            return moved_links(path)
    return None


def module_page(path: Path) -> str:
    """Such as `reference/core/nn/cells.md`."""
    return f"reference/{path.relative_to(ROOT).with_suffix('.md').as_posix()}"


def readme_page(path: Path) -> str:
    """Such as `apps/chatbot.md`."""
    return f"apps/{path.parent.name}.md"


def dotted(path: Path) -> str:
    """Such as `core.nn.cells`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def moved_links(readme: Path) -> str:
    """An app's README whose links into `docs/` hold from its place on the site."""

    def moved(link: re.Match[str]) -> str:
        target = (readme.parent / link[1]).resolve()
        return f"../{target.relative_to(ROOT / 'docs').as_posix()}"

    return _LINK.sub(moved, readme.read_text(encoding="utf-8"))


def reference_index() -> str:
    """Every module with the first line of its docstring."""
    lines = ["# Reference", "", "Made from the docstrings: every module with what it is for."]
    folder = None
    for path in MODULES:
        if path.parent != folder:
            folder = path.parent
            name = folder.relative_to(ROOT).as_posix()
            lines += ["", f"## `{name}/`", "", "| module | what |", "|---|---|"]
        about = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[
            0
        ]
        page = module_page(path).removeprefix("reference/")
        lines.append(f"| [`{dotted(path)}`]({page}) | {about.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"
