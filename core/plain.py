"""Values as JSON and YAML can hold them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def yaml_table(path: Path) -> dict[str, Any]:
    """A YAML file that holds a table.

    Aliases are refused: nine lines with them can stand for a thousand million values.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no YAML, or no table; the message names the file.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Without aliases."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("an alias; write the value out")
            return super().compose_node(parent, index)

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except OSError:
        raise
    except Exception as error:  # its constructors raise anything, such as KeyError at `!!bool x`
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: not YAML ({reason}); correct the file") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: a table of options is expected, such as `model: {{cell: gru}}`")
    return content


def plain(value: Any) -> Any:
    """Dicts, lists, strings, numbers and None; a number that is not finite becomes None.

    >>> plain({"a": (1.5, float("nan")), 2: Path("x")})
    {'a': [1.5, None], '2': 'x'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
