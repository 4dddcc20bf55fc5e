"""One directory of an image for a page: what a layer changed in it, or what is seen there."""

from collections.abc import Sequence
from dataclasses import dataclass

from registry_sync.layers.entries import DIRECTORY, Directory, Entry, Flag
from registry_sync.layers.merge import Merged, Path, Version, walk

ADDED = "added"
MODIFIED = "modified"
REMOVED = "removed"
SAME = "same"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the tree."""

    name: str
    change: str
    entry: Entry
    # The layer that supplied what is shown.
    layer: int
    # Bytes more than before; what went counts negative.
    delta: int
    is_opaque: bool = False

    @property
    def is_directory(self) -> bool:
        """Whether it can be opened."""
        return self.entry.type == DIRECTORY


def merged(chain: Sequence[Sequence[Directory]]) -> dict[str, Merged]:
    """Return directories through all layers, by path.

    ``chain``: of each layer from the bottom, the directories from the root down to one of them
    that the layer has.
    """
    return {each.path: each for each in walk(chain)}


def changes(directory: Merged, layer: int) -> list[Row]:
    """Return what a layer did in a directory."""
    rows = (_change(path, layer) for path in directory.paths)
    return _sorted([row for row in rows if row is not None])


def seen(directory: Merged, layer: int) -> list[Row]:
    """Return what is seen in a directory with the layers up to this one."""
    rows = []
    for path in directory.paths:
        version = path.at(layer)
        if version is not None:
            version = _owner(path, version)
            rows.append(Row(path.name, SAME, version.entry, version.layer, version.entry.bytes))
    return _sorted(rows)


def _owner(path: Path, seen: Version) -> Version:
    """Return the layer's copy that says what a directory is; a layer above may only imply it."""
    for version in reversed(path.versions):
        if version.layer > seen.layer:
            continue
        is_directory = version.entry.type == DIRECTORY
        if not is_directory or any(version.layer < cut <= seen.layer for cut in path.cuts):
            break
        if not version.entry.flags & Flag.IMPLIED:
            return version
    return seen


def _change(path: Path, layer: int) -> Row | None:
    before = path.at(layer - 1) if layer else None
    here = next((each for each in path.versions if each.layer == layer), None)
    if here is None:
        if before is None or layer not in path.cuts:
            return None
        return Row(path.name, REMOVED, before.entry, before.layer, -before.entry.size)
    if before is None:
        change = ADDED
    elif here.entry.flags & Flag.IMPLIED or _is_same(before.entry, here.entry):
        change = SAME
    else:
        change = MODIFIED
    if here.entry.type == DIRECTORY:
        delta = here.entry.size
    else:
        delta = here.entry.bytes - (before.entry.bytes if before else 0)
    is_opaque = bool(here.entry.flags & Flag.OPAQUE)
    return Row(path.name, change, here.entry, layer, delta, is_opaque)


def _is_same(before: Entry, after: Entry) -> bool:
    """Whether a directory was only repeated: what is in it changed, not itself."""
    return before.type == after.type == DIRECTORY and before[3:6] == after[3:6]


def _sorted(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (not row.is_directory, row.name))
