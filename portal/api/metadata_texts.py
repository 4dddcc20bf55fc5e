"""Reads the values of a project's ``metadata``, which are all texts: switches and whole numbers."""

import re
from collections.abc import Mapping

from accounts.errors import BadRequest

_SWITCHES = {"true": True, "false": False}


def switch(texts: Mapping[str, str], name: str) -> bool | None:
    """Return what the text of that name says, None where there is none.

    Raises ``BadRequest`` for anything but ``true`` and ``false``.
    """
    text = texts.get(name)
    if text is None:
        return None
    if text not in _SWITCHES:
        raise BadRequest(f"{name} must be true or false.", field=name)
    return _SWITCHES[text]


def number(texts: Mapping[str, str], name: str, *, least: int = 0) -> int | None:
    """Return the number of that name, None where there is none.

    Raises ``BadRequest`` for what is no whole number or is less than ``least``: 0, or -1 where
    that stands for no limit.
    """
    text = texts.get(name)
    if text is None:
        return None
    if not re.fullmatch("-1|[0-9]{1,9}", text) or int(text) < least:
        unlimited = ", or -1 for no limit" if least < 0 else ""
        raise BadRequest(f"{name} must be a whole number{unlimited}.", field=name)
    return int(text)
