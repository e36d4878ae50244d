"""Values as JSON and YAML can hold them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


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
