"""Texts from outside, in the form that both databases can keep."""

import math
from typing import Any


def storable(text: str) -> str:
    """Leave out NUL, replace lone surrogates: PostgreSQL holds neither, nothing needs either."""
    return text.replace("\0", "").encode(errors="replace").decode()


def storable_json(value: Any, *, depth: int) -> Any:
    """The same for every text of a JSON value, and null for numbers that JSON cannot write.

    Raises ``ValueError`` for a value nested deeper than ``depth``.
    """
    if depth < 0:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [storable_json(entry, depth=depth - 1) for entry in value]
    if isinstance(value, dict):
        return {
            storable(name): storable_json(entry, depth=depth - 1) for name, entry in value.items()
        }
    return None if isinstance(value, float) and not math.isfinite(value) else value
