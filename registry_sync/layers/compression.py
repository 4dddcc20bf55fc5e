"""Opens a layer's stream by what it begins with; media types lie, first bytes do not."""

import io
from typing import BinaryIO

import zstandard
from isal import igzip_threaded

from registry_sync.layers.entries import LayerError
from registry_sync.layers.tar import Readable

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = {bytes([0x50 + n]) + b"\x2a\x4d\x18" for n in range(16)}
_UNREAD = {b"\xfd7zX": "xz", b"BZh": "bzip2"}
# A window this large is what `zstd --ultra` makes; more is an attack on memory.
_MAX_WINDOW = 1 << 27


def unpacked(source: BinaryIO) -> Readable:
    """Return the archive's bytes. Raises ``LayerError`` for a compression nobody's layers use."""
    start = source.read(4)
    joined = io.BufferedReader(_Joined(start, source), 1 << 20)
    if start.startswith(_GZIP):
        # A thread of its own unzips, so that hashing has the other core.
        opened: Readable = igzip_threaded.open(joined, "rb", threads=1)  # type: ignore[no-untyped-call]
        return opened
    if start == _ZSTD or start in _SKIPPABLE:
        unzip = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        return unzip.stream_reader(joined, read_across_frames=True)
    for magic, name in _UNREAD.items():
        if start.startswith(magic):
            raise LayerError(f"it is compressed with {name}, which container runtimes do not read")
    return joined


class _Joined(io.RawIOBase):
    """The first bytes, which were looked at, and the rest."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        """It can be."""
        return True

    def readinto(self, buffer: "memoryview", /) -> int:  # type: ignore[override]
        """Fill the buffer, as far as there is something at once."""
        if self._start:
            size = min(len(buffer), len(self._start))
            buffer[:size], self._start = self._start[:size], self._start[size:]
            return size
        data = self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
