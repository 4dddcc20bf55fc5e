"""Layers as one file system: who has a path, until which layer, and what took it away.

Layers are numbered from the bottom, the first is 0. A whiteout, an opaque directory, and anything
but a directory in a directory's place hide what *lower* layers have, never their own layer's
(OCI image-spec, "Layer Filesystem Changeset").
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from registry_sync.layers.entries import (
    DIRECTORY,
    FILE,
    OPAQUE,
    WHITEOUT,
    Directory,
    Entry,
    join,
    order,
)


class Fate(StrEnum):
    """What became of a layer's copy of a path in the finished image."""

    LIVE = "live"
    OVERWRITTEN = "overwritten"
    # The same content again; only owner, mode or time differ.
    REWRITTEN = "rewritten"
    DELETED = "deleted"


class Version(NamedTuple):
    """A layer's copy of a path."""

    layer: int
    entry: Entry


@dataclass(slots=True)
class Path:
    """One name in one directory, through all layers."""

    name: str
    versions: list[Version] = field(default_factory=list)
    # Layers that hide what is below them here, ascending.
    cuts: list[int] = field(default_factory=list)

    def at(self, layer: int) -> Version | None:
        """Return what is seen of it with the layers up to this one."""
        for version in reversed(self.versions):
            if version.layer <= layer:
                is_cut = any(version.layer < cut <= layer for cut in self.cuts)
                return None if is_cut else version
        return None

    def fate(self, number: int, top: int) -> tuple[Fate, int]:
        """Return what became of the n-th version, and by which layer; its own where it lives."""
        version = self.versions[number]
        cut = next((cut for cut in self.cuts if version.layer < cut <= top), None)
        later = self.versions[number + 1] if number + 1 < len(self.versions) else None
        # Hidden and put there again by one layer is written over, not deleted.
        if later is not None and later.layer <= top and (cut is None or later.layer <= cut):
            return _succeeded(version.entry, later.entry), later.layer
        if cut is not None:
            return Fate.DELETED, cut
        return Fate.LIVE, version.layer


class Merged(NamedTuple):
    """One directory through all layers."""

    path: str
    paths: list[Path]
    # Layers that have an opaque mark here.
    opaques: list[int]


def walk(layers: Sequence[Iterable[Directory]]) -> Iterator[Merged]:
    """Yield every directory, each before those below it; memory grows with depth alone.

    Each layer yields its directories in ``order``, and every parent before its children.
    """
    streams = [_numbered(layer, number) for number, layer in enumerate(layers)]
    # What hides the contents of the directories on the way down, innermost last.
    above: list[tuple[str, dict[str, list[int]], list[int]]] = []
    group: list[tuple[int, Directory]] = []
    key: str | None = None
    for found, number, directory in heapq.merge(*streams):
        if found != key and group:
            yield _merge(group, above)
            group = []
        key = found
        group.append((number, directory))
    if group:
        yield _merge(group, above)


def _numbered(layer: Iterable[Directory], number: int) -> Iterator[tuple[str, int, Directory]]:
    for directory in layer:
        yield order(directory.path), number, directory


def _succeeded(before: Entry, after: Entry) -> Fate:
    is_same = (
        before.type == after.type == FILE
        and before.digest == after.digest
        and before.size == after.size
    )
    return Fate.REWRITTEN if is_same else Fate.OVERWRITTEN


def _merge(
    group: list[tuple[int, Directory]], above: list[tuple[str, dict[str, list[int]], list[int]]]
) -> Merged:
    path = group[0][1].path
    while above and not _is_above(above[-1][0], path):
        above.pop()
    cuts: set[int] = set()
    if above:
        parent, cut_names, inherited = above[-1]
        cuts.update(inherited)
        cuts.update(cut_names.get(path[len(parent) :].lstrip("/"), ()))
    names, hidden, opaques = _collect(group)
    here = sorted({*cuts, *opaques})
    below: dict[str, list[int]] = {}
    for name, found in names.items():
        whiteouts = hidden.get(name, [])
        found.cuts = sorted({*here, *whiteouts}) if whiteouts else here
        if events := _replacements(found, whiteouts):
            below[name] = events
    above.append((path, below, here))
    return Merged(path, sorted(names.values(), key=lambda each: each.name), opaques)


def _collect(
    group: list[tuple[int, Directory]],
) -> tuple[dict[str, Path], dict[str, list[int]], list[int]]:
    """Return what layers have by name, which layers delete a name, and which are opaque."""
    names: dict[str, Path] = {}
    hidden: dict[str, list[int]] = {}
    opaques = []
    for number, directory in group:
        for entry in directory.entries:
            if entry.type == OPAQUE:
                opaques.append(number)
            elif entry.type == WHITEOUT:
                hidden.setdefault(entry.name, []).append(number)
            else:
                found = names.get(entry.name)
                if found is None:
                    found = names[entry.name] = Path(entry.name)
                found.versions.append(Version(number, entry))
    return names, hidden, opaques


def _replacements(path: Path, hidden: list[int]) -> list[int]:
    """Return the layers that hide what is below this path, by its own whiteout or replacement."""
    if not any(version.entry.type == DIRECTORY for version in path.versions):
        return []
    other = [version.layer for version in path.versions if version.entry.type != DIRECTORY]
    return sorted({*hidden, *other})


def _is_above(directory: str, path: str) -> bool:
    return not directory or path.startswith(f"{directory}/")


def live_files(layers: Sequence[Iterable[Directory]]) -> Iterator[tuple[str, Version]]:
    """Yield (path, version) of everything but directories in the finished image, in order."""
    top = len(layers) - 1
    for merged in walk(layers):
        for path in merged.paths:
            version = path.at(top)
            if version is not None and version.entry.type != DIRECTORY:
                yield join(merged.path, path.name), version
