"""The documentation builds without a warning, every link in it holds, and it loads nothing else."""

import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
FRONT = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("apps/*/README.md"))]
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
LOADED_LINKS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "manifest"}


class Page(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        self.anchors |= {told[name] for name in ("id", "name") if told.get(name)}
        if tag in LOADED and told.get(LOADED[tag]):
            self.loads.append(told[LOADED[tag]])
        elif tag == "link" and LOADED_LINKS & set((told.get("rel") or "").split()):
            self.loads.append(told["href"])
        elif tag == "a" and told.get("href") is not None:
            self.links.append(told["href"])


@cache
def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "site"
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.strip() == ""
    return folder


def broken_links(site: Path) -> list[str]:
    """Links, anchors and images within the site that lead nowhere."""
    return [
        f"{path.relative_to(site)}: {link}"
        for path in sorted(site.rglob("*.html"))
        for link in {*read(path).links, *read(path).loads}
        if not holds(site, path, link)
    ]


def holds(site: Path, path: Path, link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    place = unquote(parts.path)
    target = site / place.lstrip("/") if place.startswith("/") else path.parent / place
    target = (target if place else path).resolve()
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return False
    anchor = unquote(parts.fragment)
    return not anchor or target.suffix != ".html" or anchor in read(target).anchors


def foreign_loads(site: Path) -> list[str]:
    """What a page or a style sheet takes from another host."""
    pages = [
        f"{path.relative_to(site)}: {load}"
        for path in sorted(site.rglob("*.html"))
        for load in read(path).loads
        if urlsplit(load).netloc
    ]
    called = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")]+)")
    styles = [
        f"{path.relative_to(site)}: {address}"
        for path in sorted(site.rglob("*.css"))
        for address in called.findall(path.read_text(encoding="utf-8"))
    ]
    return pages + styles


def test_every_link_anchor_and_image_resolves(site):
    assert broken_links(site) == []


@pytest.mark.parametrize("path", FRONT, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_readme_leads_to_a_file(path):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    here = [link for link in links if not urlsplit(link).scheme]
    assert [link for link in here if not (path.parent / link).exists()] == []


def test_nothing_is_loaded_from_another_host(site):
    assert foreign_loads(site) == []


def test_every_module_has_a_page_with_its_public_names(site):
    for path in (path for name in ("core", "data", "apps") for path in (ROOT / name).rglob("*.py")):
        if path.stem.startswith("__"):
            continue
        page = site / "reference" / path.relative_to(ROOT).with_suffix(".html")
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for name in re.findall(r"^(?:def|class) ([a-zA-Z]\w*)", path.read_text(), re.M):
            assert f"{dotted}.{name}" in read(page).anchors


def test_the_checker_sees_what_is_broken(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="here">A</h1><a href="#here"></a><a href="#gone"></a><a href="b.html"></a>'
        '<img src="c.png"><a href="https://elsewhere.example/"></a>'
        '<script src="https://cdn.example/x.js"></script>'
    )
    (tmp_path / "a.css").write_text("@font-face{src:url(https://fonts.example/f.woff2)}")
    assert sorted(broken_links(tmp_path)) == ["a.html: #gone", "a.html: b.html", "a.html: c.png"]
    assert foreign_loads(tmp_path) == [
        "a.html: https://cdn.example/x.js",
        "a.css: https://fonts.example/f.woff2",
    ]
