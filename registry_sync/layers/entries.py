"""What a layer holds of one path, and how paths are ordered."""

from enum import IntFlag
from typing import NamedTuple

MAX_PATH = 4096

# One letter each: they are stored a hundred thousand times.
FILE = "f"
DIRECTORY = "d"
SYMLINK = "l"
HARDLINK = "h"
CHARACTER_DEVICE = "c"
BLOCK_DEVICE = "b"
FIFO = "p"
# A deleted path, and a directory that hides what lower layers have in it (OCI image-spec,
# "Layer Filesystem Changeset", Whiteouts).
WHITEOUT = "w"
OPAQUE = "o"


class LayerError(Exception):
    """The layer cannot be read; the text says why, for people."""


class Flag(IntFlag):
    """What is special about an entry."""

    # No entry of its own: a parent that the archive only implies.
    IMPLIED = 1
    # Its name left the archive's root; it is shown as written and resolved nowhere.
    OUTSIDE = 2
    SPARSE = 4
    SECRET = 8
    # A directory that hides what lower layers have in it.
    OPAQUE = 16


class Entry(NamedTuple):
    """One path in one layer; ``size`` of a directory is that of everything below it, here."""

    name: str
    type: str
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    link: str = ""
    # The first 16 bytes of the content's SHA-256, in hexadecimal; empty where there is none.
    digest: str = ""
    flags: int = 0

    @property
    def is_mark(self) -> bool:
        """Whether it hides something instead of being something."""
        return self.type in (WHITEOUT, OPAQUE)

    @property
    def bytes(self) -> int:
        """What it adds to the unpacked size."""
        return self.size if self.type == FILE else 0


class Directory(NamedTuple):
    """The entries of one directory in one layer, ordered by name."""

    path: str
    entries: list[Entry]


def order(path: str) -> str:
    """Return the key that puts each directory right before everything below it."""
    return path.replace("/", "\0")


def join(directory: str, name: str) -> str:
    """Return the path of a name in a directory; the root is the empty path."""
    return f"{directory}/{name}" if directory else name


def split(path: str) -> tuple[str, str]:
    """Return a path's directory and name."""
    directory, _slash, name = path.rpartition("/")
    return directory, name


def ancestors(path: str) -> list[str]:
    """Return the directories above a path and the path itself, from the root down."""
    parts = path.split("/") if path else []
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]
