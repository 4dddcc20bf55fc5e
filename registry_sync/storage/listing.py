"""Reading a registry's directory: its repositories with their links, and the bytes.

The layout is the filesystem driver's of distribution 2.8 and 3.x. What does not fit it (foreign
files, a temporary name, a link that holds no digest) is passed over.
"""

import datetime
import os
import re
from collections.abc import Iterator
from pathlib import Path

_HEXADECIMAL = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{2}")
ROOT = "docker/registry/v2"
FOLDERS = {"layer": "_layers", "manifest": "_manifests/revisions"}
_LINK_BYTES = 100


def repositories(root: Path) -> Iterator[str]:
    """Yield the names of all repositories, in no order."""
    top = root / ROOT / "repositories"
    waiting = [top]
    while waiting:
        here = waiting.pop()
        children = _directories(here)
        if {"_manifests", "_layers"} & children and here != top:
            yield here.relative_to(top).as_posix()
        waiting.extend(here / name for name in children if not name.startswith("_"))


def links(root: Path, repository: str, kind: str) -> dict[str, datetime.datetime]:
    """Return the digests linked in a repository, and since when."""
    top = _repository(root, repository) / FOLDERS[kind] / "sha256"
    found = {}
    for name in _directories(top):
        link = _read_link(top / name / "link") if _HEXADECIMAL.fullmatch(name) else None
        if link is not None and link[0] == f"sha256:{name}":
            found[link[0]] = link[1]
    return found


def tags(root: Path, repository: str) -> dict[str, tuple[str, datetime.datetime]]:
    """Return each tag's digest, and when it was moved there."""
    top = _repository(root, repository) / "_manifests/tags"
    found = {}
    for name in _directories(top):
        if (link := _read_link(top / name / "current/link")) is not None:
            found[name] = link
    return found


def prefixes(root: Path) -> set[str]:
    """Return the first two hexadecimal digits of all digests that have bytes."""
    names = _directories(root / ROOT / "blobs/sha256")
    return {name for name in names if _PREFIX.fullmatch(name)}


def blobs(root: Path, prefix: str) -> dict[str, int]:
    """Return the digests whose first two hexadecimal digits are ``prefix``, with their bytes."""
    top = root / ROOT / "blobs/sha256" / prefix
    found = {}
    for name in _directories(top):
        if _HEXADECIMAL.fullmatch(name) and name.startswith(prefix):
            try:
                found[f"sha256:{name}"] = (top / name / "data").stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                continue
    return found


def _repository(root: Path, repository: str) -> Path:
    return root / ROOT / "repositories" / repository


def _read_link(path: Path) -> tuple[str, datetime.datetime] | None:
    try:
        with path.open("rb") as file:
            digest = file.read(_LINK_BYTES).decode("ascii", "replace").strip()
            at = os.fstat(file.fileno()).st_mtime
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    algorithm, _colon, hexadecimal = digest.partition(":")
    if algorithm != "sha256" or not _HEXADECIMAL.fullmatch(hexadecimal):
        return None
    return digest, datetime.datetime.fromtimestamp(at, datetime.UTC)


def _directories(path: Path) -> set[str]:
    try:
        with os.scandir(path) as entries:
            return {entry.name for entry in entries if entry.is_dir(follow_symlinks=False)}
    except (FileNotFoundError, NotADirectoryError):
        return set()
