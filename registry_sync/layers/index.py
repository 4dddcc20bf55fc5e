"""One layer's index: its entries by directory, in compressed frames, and what it sums up to."""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson
import zstandard

from registry_sync.layers import packages, secrets
from registry_sync.layers.compression import unpacked
from registry_sync.layers.entries import (
    DIRECTORY,
    FILE,
    OPAQUE,
    WHITEOUT,
    Directory,
    Entry,
    Flag,
    LayerError,
    join,
    order,
    split,
)
from registry_sync.layers.packages import Package
from registry_sync.layers.tar import Member, TarReader

# Raised whenever an index made before would differ: those are made anew.
VERSION = 1
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
# So many entries to a frame: a directory is read with one or two of them.
_FRAME = 1000
_PACK = zstandard.ZstdCompressor(level=9)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a layer may cost; beyond it is not read on."""

    entries: int = 2_000_000
    unpacked_bytes: int = 50 * 1024**3
    # Bytes of all paths, link targets and headers together, as they are kept.
    text_bytes: int = 512 * 1024**2
    ratio: int = 1000
    # Below so many bytes the ratio is nobody's concern: a file of zeros packs well.
    ratio_from: int = 256 * 1024**2


@dataclass(slots=True)
class Layer:
    """What was read of a layer."""

    directories: dict[str, dict[str, Entry]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    packages: dict[str, list[Package]] = field(default_factory=dict)
    unpacked_bytes: int = 0
    entries: int = 0
    text_bytes: int = 0


def read(source: BinaryIO, *, size: int, limits: Limits) -> Layer:
    """Read a layer's stream, ``size`` compressed bytes long. Raises ``LayerError``."""
    most = limits.unpacked_bytes
    if size:
        most = min(most, max(limits.ratio_from, size * limits.ratio))
    reader = TarReader(unpacked(source), max_bytes=most)
    layer = Layer()
    for member in reader.members():
        layer.entries += 1
        layer.text_bytes += len(member.name) + len(member.link) + 100
        if layer.entries > limits.entries:
            raise LayerError(f"it has more than {limits.entries} entries")
        if layer.text_bytes > limits.text_bytes:
            raise LayerError("its file names are too long to be kept")
        _add(layer, member, reader)
    layer.unpacked_bytes = reader.consumed
    _complete(layer)
    return layer


def frames(layer: Layer) -> Iterator[tuple[str, str, bytes]]:
    """Yield (first directory, last directory, bytes) of each frame, in order."""
    rows: list[tuple[str, list[Entry]]] = []
    count = 0
    for path in sorted(layer.directories, key=order):
        entries = sorted(layer.directories[path].values())
        for start in range(0, len(entries), _FRAME):
            part = entries[start : start + _FRAME]
            rows.append((path, part))
            count += len(part)
            if count >= _FRAME:
                yield _frame(rows)
                rows, count = [], 0
    if rows:
        yield _frame(rows)


def unpack(frame: bytes) -> list[Directory]:
    """Return the directories, or parts of large ones, that a frame holds."""
    rows = orjson.loads(zstandard.ZstdDecompressor().decompress(frame))
    return [Directory(path, [Entry(*entry) for entry in entries]) for path, entries in rows]


def frames_of(table: list[list[str]], path: str) -> range:
    """Return which frames hold a directory; ``table`` is [first, last] of each, in order."""
    wanted = order(path)
    start = bisect_left(table, wanted, key=lambda row: order(row[1]))
    end = bisect_right(table, wanted, key=lambda row: order(row[0]))
    return range(start, end)


def joined(parts: Iterable[Directory]) -> Iterator[Directory]:
    """Put together the directories that lie in several frames."""
    held: Directory | None = None
    for part in parts:
        if held is not None and held.path == part.path:
            held.entries.extend(part.entries)
            continue
        if held is not None:
            yield held
        held = Directory(part.path, list(part.entries))
    if held is not None:
        yield held


def summary(layer: Layer) -> dict[str, Any]:
    """Return what pages say of a layer without its frames."""
    counts = dict.fromkeys(("files", "directories", "links", "devices", "whiteouts", "opaques"), 0)
    total = 0
    for entries in layer.directories.values():
        for entry in entries.values():
            counts[_COUNTED.get(entry.type, "devices")] += not entry.flags & Flag.IMPLIED
            total += entry.bytes
    return {
        **counts,
        "entries": layer.entries,
        "bytes": total,
        "archive_bytes": layer.unpacked_bytes,
        "outside": sum(
            bool(entry.flags & Flag.OUTSIDE)
            for entries in layer.directories.values()
            for entry in entries.values()
        ),
    }


_COUNTED = {
    FILE: "files",
    DIRECTORY: "directories",
    "l": "links",
    "h": "links",
    WHITEOUT: "whiteouts",
    OPAQUE: "opaques",
}


def _frame(rows: list[tuple[str, list[Entry]]]) -> tuple[str, str, bytes]:
    plain = [(path, [tuple(entry) for entry in entries]) for path, entries in rows]
    return rows[0][0], rows[-1][0], _PACK.compress(orjson.dumps(plain))


def _add(layer: Layer, member: Member, reader: TarReader) -> None:
    """Keep one member, whose content comes next in the stream."""
    path, flags = _normal(member.name)
    if not path and member.type == DIRECTORY:
        return
    directory, name = split(path)
    if name.startswith(_WHITEOUT):
        _mark(layer, directory, name)
        return
    if member.is_sparse:
        flags |= Flag.SPARSE
    digest = ""
    if member.type == FILE:
        digest, head = _content(layer, path, reader)
        if kind := secrets.kind_of(path, head):
            layer.secrets[path] = kind
            flags |= Flag.SECRET
    entry = Entry(
        name,
        member.type,
        member.size,
        member.mode,
        member.uid,
        member.gid,
        member.mtime,
        member.link,
        digest,
        int(flags),
    )
    # The last of two members of one path wins, as when it is unpacked.
    layer.directories.setdefault(directory, {})[name] = entry


def _mark(layer: Layer, directory: str, name: str) -> None:
    if name == _OPAQUE:
        layer.directories.setdefault(directory, {})[_OPAQUE] = Entry("", OPAQUE)
    elif not name.startswith(_WHITEOUT * 2):  # The others are aufs' own.
        hidden = name.removeprefix(_WHITEOUT)
        layer.directories.setdefault(directory, {})[name] = Entry(hidden, WHITEOUT)


def _normal(name: str) -> tuple[str, Flag]:
    """Return the path below the root; one that leaves the root is kept as it is written."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return "/".join(parts), Flag.OUTSIDE if ".." in parts else Flag(0)


def _content(layer: Layer, path: str, reader: TarReader) -> tuple[str, bytes]:
    """Hash the content as it passes; return that and the beginning, and note packages."""
    digest = hashlib.sha256()
    head = b""
    database = packages.reader_of(path)
    kept: list[bytes] = []
    size = 0
    for chunk in reader.content():
        if not head:
            head = chunk[: secrets.HEAD]
        digest.update(chunk)
        if database is not None:
            size += len(chunk)
            kept.append(chunk)
            if size > packages.MAX_DATABASE:
                database, kept = None, []
    if database is not None and (found := list(database(b"".join(kept)))):
        layer.packages[path] = found
    return digest.hexdigest()[:32], head


def _complete(layer: Layer) -> None:
    """Add the parents that the archive only implies, and sum directories up."""
    for path in list(layer.directories):
        while path:
            parent, name = split(path)
            entries = layer.directories.setdefault(parent, {})
            if name not in entries:
                entries[name] = Entry(name, DIRECTORY, flags=int(Flag.IMPLIED))
            if _OPAQUE in layer.directories[path]:
                flags = entries[name].flags | Flag.OPAQUE
                entries[name] = entries[name]._replace(flags=int(flags))
            path = parent
    below: dict[str, int] = {}
    for path in sorted(layer.directories, key=order, reverse=True):
        entries = layer.directories[path]
        for name, entry in entries.items():
            if entry.type == DIRECTORY:
                entries[name] = entry._replace(size=below.get(join(path, name), 0))
        below[path] = sum(
            entry.size for entry in entries.values() if entry.type in (FILE, DIRECTORY)
        )
