"""One HTML file with tables, plots and text that opens anywhere, without a network."""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from core.files import write_text
from core.plain import plain

_STYLE = """
body { font-family: system-ui, sans-serif; color: #1a1a1a; max-width: 70rem; margin: 2rem auto;
       padding: 0 1rem; line-height: 1.5; }
h1 { font-size: 1.7rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
pre { background: #f5f5f5; padding: 1rem; overflow-x: auto; font-size: 0.76rem; line-height: 1.35; }
"""


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title: Its heading.
        text: Paragraphs, split at empty lines.
        table: Aligned text, shown as it is.
        figures: Plots below the table.
        numbers: What the plots show, as a reader can save it in JSON; None for nothing.
    """

    title: str
    text: str = ""
    table: str = ""
    figures: Sequence[go.Figure] = ()
    numbers: Any = None


def write_report(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write a self-contained HTML report.

    Args:
        path: The file; its folder is made.
        title: The heading of the page.
        sections: From top to bottom.
    """
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head><body>",
        f"<h1>{escape(title)}</h1>",
    ]
    for section in sections:
        parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += [f"<p>{escape(text)}</p>" for text in section.text.split("\n\n") if text]
        if section.table:
            parts.append(f"<pre>{escape(section.table)}</pre>")
        parts += [
            figure.to_html(full_html=False, include_plotlyjs=False) for figure in section.figures
        ]
        if section.numbers is not None:
            parts.append(_saveable(section))
    write_text(path, "\n".join([*parts, "</body></html>\n"]))


def _saveable(section: Section) -> str:
    """A link that saves a section's numbers: they stand in the page itself."""
    text = json.dumps(plain(section.numbers), allow_nan=False)
    data = base64.b64encode(text.encode()).decode()
    name = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-")
    return (
        f"<p><a download='{name}.json' href='data:application/json;base64,{data}'>"
        "Save the numbers behind this section (JSON)</a></p>"
    )
