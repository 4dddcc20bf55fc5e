"""What an image's bytes are good for: live, overwritten, deleted, rewritten, by layer and cause."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry_sync.layers.advice import Finding, advise, topic_of
from registry_sync.layers.entries import DIRECTORY, FILE, Directory, Flag, ancestors, join
from registry_sync.layers.merge import Fate, Merged, Path, Version, walk

# Raised whenever an analysis made before would differ.
VERSION = 1
_TOP = 100
_TOP_OF_LAYER = 10


@dataclass(slots=True)
class LayerShare:
    """What became of one layer's bytes, and how it changed what was below."""

    live: int = 0
    overwritten: int = 0
    rewritten: int = 0
    deleted: int = 0
    added: int = 0
    modified: int = 0
    removed: int = 0
    opaques: int = 0
    biggest: list[tuple[int, str]] = field(default_factory=list)

    @property
    def wasted(self) -> int:
        """Bytes that no container ever sees."""
        return self.overwritten + self.rewritten + self.deleted


class _Sums:
    """What is counted while walking."""

    def __init__(self, count: int, databases: Sequence[dict[str, list[list[str]]]]) -> None:
        self.databases = databases or [{} for _layer in range(count)]
        self.packages: list[list[Any]] = []
        self.shares = [LayerShare() for _layer in range(count)]
        self.wasted: list[tuple[int, str, int, int, str]] = []
        self.biggest: list[tuple[int, str, int]] = []
        # (cause, from layer, by layer, topic) -> bytes, files, one path.
        self.flows: dict[tuple[str, int, int, str], list[Any]] = {}
        self.sizes: dict[str, int] = {}
        self.secrets: list[dict[str, Any]] = []
        self.files = 0


def analyse(
    layers: Sequence[Iterable[Directory]],
    secrets: Sequence[dict[str, str]],
    packages: Sequence[dict[str, list[list[str]]]] = (),
) -> dict[str, Any]:
    """Return an image's analysis as plain data.

    ``layers`` are its layers' directories from the bottom; ``secrets`` and ``packages`` what each
    layer's index found, by path.
    """
    sums = _Sums(len(layers), packages)
    top = len(layers) - 1
    for merged in walk(layers):
        _directory(merged, top, secrets, sums)
    sums.sizes = _with_below(sums.sizes)
    return _result(sums)


def _with_below(sizes: dict[str, int]) -> dict[str, int]:
    """Return each directory's bytes with those of everything below it."""
    totals: dict[str, int] = {}
    for path, size in sizes.items():
        for above in ancestors(path):
            totals[above] = totals.get(above, 0) + size
    return totals


def _directory(merged: Merged, top: int, secrets: Sequence[dict[str, str]], sums: _Sums) -> None:
    for layer in merged.opaques:
        sums.shares[layer].opaques += 1
    live_here = 0
    for path in merged.paths:
        _changes(path, top, sums)
        full = join(merged.path, path.name)
        for number, version in enumerate(path.versions):
            if version.entry.type != FILE:
                continue
            fate, by = path.fate(number, top)
            live_here += version.entry.size if fate is Fate.LIVE else 0
            _file(full, version, fate, by, sums)
            if version.entry.flags & Flag.SECRET:
                kind = secrets[version.layer].get(full, "")
                sums.secrets.append(
                    {
                        "path": full,
                        "kind": kind,
                        "layer": version.layer,
                        "fate": fate.value,
                        "by": by,
                    }
                )
    if live_here:
        sums.sizes[merged.path] = live_here


def _file(path: str, version: Version, fate: Fate, by: int, sums: _Sums) -> None:
    """Count one layer's copy of a file."""
    size, layer = version.entry.size, version.layer
    share = sums.shares[layer]
    setattr(share, fate.value, getattr(share, fate.value) + size)
    _keep(share.biggest, (size, path), _TOP_OF_LAYER)
    _flow(sums, (fate.value, layer, by, topic_of(path)), size, path)
    if fate is Fate.LIVE:
        sums.files += 1
        sums.packages += [[*package, layer] for package in sums.databases[layer].get(path, ())]
        _keep(sums.biggest, (size, path, layer), _TOP)
    elif size:
        _keep(sums.wasted, (size, path, layer, by, fate.value), _TOP)


def _changes(path: Path, top: int, sums: _Sums) -> None:
    """Count what each layer added, modified and removed."""
    for version in path.versions:
        if version.entry.type == DIRECTORY:
            continue
        before = path.at(version.layer - 1) if version.layer else None
        share = sums.shares[version.layer]
        if before is None:
            share.added += 1
        else:
            share.modified += 1
    layers = {version.layer for version in path.versions}
    for cut in path.cuts:
        if cut <= top and cut not in layers and cut:
            before = path.at(cut - 1)
            if before is not None and before.entry.type != DIRECTORY:
                sums.shares[cut].removed += 1


def _flow(sums: _Sums, key: tuple[str, int, int, str], size: int, path: str) -> None:
    flow = sums.flows.setdefault(key, [0, 0, path, 0])
    flow[0] += size
    flow[1] += 1
    if size > flow[3]:
        flow[2], flow[3] = path, size


def _keep(heap: list[Any], row: Any, most: int) -> None:
    if len(heap) < most:
        heapq.heappush(heap, row)
    elif row > heap[0]:
        heapq.heapreplace(heap, row)


def _result(sums: _Sums) -> dict[str, Any]:
    live = sum(share.live for share in sums.shares)
    causes = {
        cause: sum(getattr(share, cause) for share in sums.shares)
        for cause in ("overwritten", "rewritten", "deleted")
    }
    total = live + sum(causes.values())
    findings = [
        Finding(cause, layer, by, topic, *flow[:3])
        for (cause, layer, by, topic), flow in sums.flows.items()
    ]
    return {
        "files": sums.files,
        "live": live,
        **causes,
        "wasted": total - live,
        "total": total,
        # An image without a byte wastes none.
        "efficiency": live / total if total else 1.0,
        "layers": [
            {
                "live": share.live,
                "wasted": share.wasted,
                "overwritten": share.overwritten,
                "rewritten": share.rewritten,
                "deleted": share.deleted,
                "added": share.added,
                "modified": share.modified,
                "removed": share.removed,
                "opaques": share.opaques,
                "biggest": [
                    {"path": path, "size": size}
                    for size, path in sorted(share.biggest, reverse=True)
                ],
            }
            for share in sums.shares
        ],
        "biggest": [
            {"path": path, "size": size, "layer": layer}
            for size, path, layer in sorted(sums.biggest, reverse=True)
        ],
        "most_wasted": [
            {"path": path, "size": size, "layer": layer, "by": by, "cause": cause}
            for size, path, layer, by, cause in sorted(sums.wasted, reverse=True)
        ],
        "secrets": sums.secrets,
        # [ecosystem, name, version, layer]
        "packages": sorted(sums.packages),
        "advice": advise(findings),
        "sizes": sums.sizes,
    }
