"""Compares two images as containers see them: files by content, packages by version."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from registry_sync.layers.entries import FILE, Directory, Entry, order
from registry_sync.layers.merge import Version, live_files
from registry_sync.layers.packages import Package

_MOST = 500


@dataclass(slots=True)
class Files:
    """What differs; ``rows`` are the largest changes."""

    added: int = 0
    removed: int = 0
    modified: int = 0
    same: int = 0
    added_bytes: int = 0
    removed_bytes: int = 0
    rows: list[tuple[int, str, str, int, int]] = field(default_factory=list)
    # Changes by directory near the root: path -> [added, modified, removed, bytes more].
    directories: dict[str, list[int]] = field(default_factory=dict)


def compare_files(
    base: Sequence[Iterable[Directory]], head: Sequence[Iterable[Directory]]
) -> Files:
    """Return how the finished file system of ``head`` differs from that of ``base``."""
    result = Files()
    joined = heapq.merge(_keyed(base, 0), _keyed(head, 1))
    for _key, pair in groupby(joined, key=lambda row: row[0]):
        sides: dict[int, tuple[str, Version]] = {
            side: (path, version) for _order, side, path, version in pair
        }
        _pair(result, sides.get(0), sides.get(1))
    result.rows.sort(key=lambda row: (-row[0], row[1]))
    return result


def compare_packages(
    base: Iterable[Package], head: Iterable[Package]
) -> list[tuple[str, str, str, str]]:
    """Return (ecosystem, name, version before, version after) of each that differs."""
    before, after = _versions(base), _versions(head)
    return [
        (*key, ", ".join(sorted(before.get(key, ()))), ", ".join(sorted(after.get(key, ()))))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def compare_layers(base: Sequence[str], head: Sequence[str]) -> int:
    """Return how many layers both have in common from the bottom."""
    count = 0
    for left, right in zip(base, head, strict=False):
        if left != right:
            break
        count += 1
    return count


def _versions(packages: Iterable[Package]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for package in packages:
        found.setdefault((package.ecosystem, package.name), set()).add(package.version)
    return found


def _keyed(
    layers: Sequence[Iterable[Directory]], side: int
) -> Iterator[tuple[tuple[str, str], int, str, Version]]:
    for path, version in live_files(layers):
        directory, _slash, name = path.rpartition("/")
        yield (order(directory), name), side, path, version


def _pair(
    result: Files, base: tuple[str, Version] | None, head: tuple[str, Version] | None
) -> None:
    path = (head or base or ("", None))[0]
    before = base[1].entry if base else None
    after = head[1].entry if head else None
    kind = _kind(before, after)
    if kind == "same":
        result.same += 1
        return
    old = before.bytes if before else 0
    new = after.bytes if after else 0
    setattr(result, kind, getattr(result, kind) + 1)
    result.added_bytes += new if kind == "added" else max(0, new - old)
    result.removed_bytes += old if kind == "removed" else max(0, old - new)
    top = "/".join(path.split("/")[:2]) if path.count("/") > 1 else path.rpartition("/")[0]
    row: list[Any] = result.directories.setdefault(top, [0, 0, 0, 0])
    row[("added", "modified", "removed").index(kind)] += 1
    row[3] += new - old
    entry = (max(old, new), path, kind, old, new)
    if len(result.rows) < _MOST:
        heapq.heappush(result.rows, entry)
    elif entry > result.rows[0]:
        heapq.heapreplace(result.rows, entry)


def _kind(before: Entry | None, after: Entry | None) -> str:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    is_same = (
        before.type == after.type
        and before.link == after.link
        and before.mode == after.mode
        and (before.uid, before.gid) == (after.uid, after.gid)
        and (before.type != FILE or (before.digest, before.size) == (after.digest, after.size))
    )
    return "same" if is_same else "modified"
