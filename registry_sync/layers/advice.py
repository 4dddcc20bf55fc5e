"""Turns where bytes went into what to change in the Dockerfile; the pages have the sentences."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Below so many bytes nobody should be told to change anything.
WORTH = 1024 * 1024
_MOST = 12

_TOPICS = (
    ("apt_lists", re.compile(r"^var/lib/apt/lists/")),
    ("apt_archives", re.compile(r"^var/cache/apt/")),
    ("apk_cache", re.compile(r"^(?:var/cache|etc)/apk/cache|^var/cache/apk/")),
    ("yum_cache", re.compile(r"^var/cache/(?:yum|dnf)/|^var/lib/(?:yum|dnf)/")),
    ("pip_cache", re.compile(r"(?:^|/)\.cache/(?:pip|uv|pypoetry)/")),
    ("npm_cache", re.compile(r"(?:^|/)(?:\.npm/_cacache|\.cache/yarn|\.yarn/cache)/")),
    ("go_cache", re.compile(r"(?:^|/)(?:\.cache/go-build|go/pkg/mod/cache)/")),
    ("git", re.compile(r"(?:^|/)\.git/(?:objects|lfs)/")),
    ("compiler", re.compile(r"^usr/(?:lib/gcc|libexec/gcc|include)/|^usr/bin/.*-(?:gcc|g\+\+)")),
    ("temporary", re.compile(r"^(?:var/)?tmp/")),
)
# What is no use in a finished image although it is live.
_NEEDLESS = {
    "apt_lists",
    "apt_archives",
    "apk_cache",
    "yum_cache",
    "pip_cache",
    "npm_cache",
    "go_cache",
    "git",
    "compiler",
    "temporary",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Bytes that went one way: from a layer, by a layer, about one topic."""

    cause: str
    layer: int
    by: int
    topic: str
    bytes: int
    files: int
    path: str


def topic_of(path: str) -> str:
    """Return what a path is about, where it is one of those that advice speaks of."""
    for topic, pattern in _TOPICS:
        if pattern.search(path):
            return topic
    return ""


def advise(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return what to change, the most bytes first.

    Codes: ``rewritten`` (chown or chmod again), ``deleted`` (removed by a later layer),
    ``overwritten``, ``needless`` (live, but no container needs it); ``topic`` says more.
    """
    sums: dict[tuple[str, int, int, str], list[Any]] = {}
    for found in findings:
        if found.cause == "live":
            if found.topic not in _NEEDLESS:
                continue
            key = ("needless", found.layer, found.layer, found.topic)
        else:
            key = (found.cause, found.layer, found.by, found.topic)
        row = sums.setdefault(key, [0, 0, found.path])
        row[0] += found.bytes
        row[1] += found.files
    rows = [
        {
            "code": code,
            "layer": layer,
            "by": by,
            "topic": topic,
            "bytes": size,
            "files": files,
            "path": path,
        }
        for (code, layer, by, topic), (size, files, path) in sums.items()
        if size >= WORTH
    ]
    return sorted(rows, key=lambda row: -row["bytes"])[:_MOST]
