"""Selectors of retention rules: doublestar patterns over repositories and tags. Plain Python.

``*`` ends at a slash, ``**`` does not, ``{a,b}`` and commas are a choice; the whole name counts.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from wcmatch import glob

_FLAGS = glob.GLOBSTAR | glob.BRACE | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX
_ALTERNATIVES = 100
# A name's beginning without anything special, and one star.
_PREFIX = re.compile(r"[A-Za-z0-9._-]+\*")
MAX_PATTERN = 512
EVERYTHING = "**"


class PatternError(ValueError):
    """A pattern that means nothing, with the reason in words."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A pattern, and whether it names what is meant or what is not."""

    pattern: str
    is_excluding: bool = False

    def compiled(self) -> Callable[[str], bool]:
        """Return a function that tells whether a name is meant. Raises ``PatternError``."""
        if self.pattern == EVERYTHING and not self.is_excluding:
            return _anything
        return _compiled(self.pattern, self.is_excluding)


def _anything(_name: str) -> bool:
    return True


def _beginning(prefix: str, *, is_excluding: bool) -> Callable[[str], bool]:
    """The most usual pattern, ``pr-*``, without an expression."""
    length = len(prefix)

    def matches(name: str) -> bool:
        is_match = name.startswith(prefix) and "/" not in name[length:]
        return is_match != is_excluding

    return matches


def check(pattern: str) -> None:
    """Raise ``PatternError`` where a pattern cannot be used."""
    if not pattern:
        raise PatternError("a pattern is empty; ** means everything")
    if len(pattern) > MAX_PATTERN or "\0" in pattern or "\n" in pattern:
        raise PatternError(f"a pattern has at most {MAX_PATTERN} characters in one line")
    if pattern.count("{") != pattern.count("}") or pattern.count("[") != pattern.count("]"):
        raise PatternError(f"a bracket of {pattern!r} is not closed")
    _compiled(pattern, is_excluding=False)


@lru_cache(maxsize=1024)
def _compiled(pattern: str, is_excluding: bool) -> Callable[[str], bool]:  # noqa: FBT001 - cached
    # Commas outside of braces are a choice too, as Harbor's pages write them.
    whole = f"{{{pattern}}}" if "," in pattern and "{" not in pattern else pattern
    try:
        matcher = glob.compile(whole, flags=_FLAGS, limit=_ALTERNATIVES)
    except Exception as error:
        # wcmatch tells of too many alternatives by an exception that it keeps to itself.
        raise PatternError(f"{pattern!r} cannot be read as a pattern") from error
    if _PREFIX.fullmatch(pattern):
        return _beginning(pattern[:-1], is_excluding=is_excluding)
    seen: dict[str, bool] = {}

    def matches(name: str) -> bool:
        found = seen.get(name)
        if found is None:
            if len(seen) > 4096:
                seen.clear()
            found = seen[name] = matcher.match(name) != is_excluding
        return found

    return matches
