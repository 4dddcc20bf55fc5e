"""Names of images as people write them: ``project/repository:tag`` or ``…@sha256:…``."""

import re
from dataclasses import dataclass

_REFERENCE = re.compile(
    r"(?P<project>[a-z0-9]+(?:[._-][a-z0-9]+)*)/(?P<path>[a-z0-9._/-]{1,255})"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_DEFAULT_TAG = "latest"


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed name; the digest counts where both are given, as docker has it."""

    project: str
    path: str
    tag: str
    digest: str


def parse(text: str) -> Reference | None:
    """Return what a name says, or None where it is none; a host and a scheme may stand before it.

    >>> parse("registry.example:5000/team/app:1.0")
    Reference(project='team', path='app', tag='1.0', digest='')
    """
    rest = text.strip().removeprefix("https://").removeprefix("http://")
    found = _REFERENCE.fullmatch(rest)
    head, slash, after = rest.partition("/")
    if slash and "/" in after and (found is None or "." in head or ":" in head):
        # A first part with a dot or a port is a host, as docker has it.
        found = _REFERENCE.fullmatch(after) or found
    if found is None:
        return None
    tag, digest = found["tag"] or "", found["digest"] or ""
    return Reference(
        found["project"], found["path"], tag or ("" if digest else _DEFAULT_TAG), digest
    )
