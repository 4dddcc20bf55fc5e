"""Tag names: their grammar, and the order people expect them in."""

import re

# OCI distribution-spec 1.1, "Pulling manifests".
TAG_PATTERN = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)(.*)", re.IGNORECASE)
_DIGITS = re.compile(r"(\d+)")


def is_tag(name: str) -> bool:
    """True for a name the specification allows."""
    return bool(TAG_PATTERN.fullmatch(name))


def sort_key(name: str) -> str:
    """A string whose byte order, descending, lists tags as people read versions.

    ``latest`` first, then versions by number (1.10 over 1.9, a release over its candidates),
    then every other name with its numbers in order.
    """
    if name == "latest":
        return "9"
    version = _VERSION.fullmatch(name)
    if version is None:
        return "1" + _natural(name)
    numbers = "".join(_number(part) for part in version[1].split("."))
    # "!" is below "#", and both are below a digit: a release stands over its candidates, 1.4.2
    # over 1.4 and that over 1.
    suffix = version[2]
    return f"5{numbers}" + (f"!{_natural(suffix)}" if suffix else "#")


def _natural(text: str) -> str:
    return "".join(
        _number(part) if part.isdigit() else part.lower() for part in _DIGITS.split(text)
    )


def _number(digits: str) -> str:
    """Digits, led by their count so that longer numbers sort above shorter ones."""
    significant = digits.lstrip("0") or "0"
    return f"{len(significant):03d}{significant}"
