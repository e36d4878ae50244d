"""Doctests in docstrings become code blocks of the reference, not Markdown's quotes and links."""

import re
from typing import Any

from griffe import Extension, Object

_DOCTEST = re.compile(r"(?m)^>>> .*(?:\n\S.*)*")


class FencedDoctests(Extension):
    """Puts a fence around each block that starts with a prompt and ends at an empty line."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of whatever was read."""
        if obj.docstring:
            obj.docstring.value = _DOCTEST.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
