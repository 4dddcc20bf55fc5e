"""The registry's filesystem driver's layout (distribution 2.8 and 3.x alike), on one directory."""

import contextlib
import datetime
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from registry_sync.storage import listing
from registry_sync.storage.base import Link, LinkKind, StorageUnavailableError, Upload
from registry_sync.storage.listing import FOLDERS, ROOT

P = ParamSpec("P")
T = TypeVar("T")

# Beside what the registry reads, on the same file system: setting aside is one rename.
_ASIDE = "moorage/aside"
_MARKER = "moorage/epoch"
# Bytes that were not what their name says.
_DAMAGED = "moorage/damaged"
# Ends a link's path below its repository's; no repository has a part of this name.
_LINK = "@link"
_TOKEN = re.compile(r"[0-9a-f]{32}")
_HEXADECIMAL = re.compile(r"[0-9a-f]{64}")


def blob_path(root: Path, digest: str) -> Path:
    """Where the bytes of ``sha256:<hex>`` lie."""
    return _blob_folder(root, digest) / "data"


def read_blob(root: Path, digest: str, *, limit: int) -> bytes | None:
    """Return a blob's bytes, or None where it is absent or larger than ``limit`` bytes."""
    try:
        with blob_path(root, digest).open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        return None
    return content if len(content) <= limit else None


def _blob_folder(root: Path, digest: str) -> Path:
    hexadecimal = digest.removeprefix("sha256:")
    return root / ROOT / "blobs/sha256" / hexadecimal[:2] / hexadecimal


def _link_folder(root: Path, digest: str, link: Link) -> Path:
    place = root / ROOT / "repositories" / link.repository / FOLDERS[link.kind]
    return place / "sha256" / digest.removeprefix("sha256:")


def _told(work: Callable[P, T]) -> Callable[P, T]:
    """Say in our own words that the directory cannot be used."""

    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise StorageUnavailableError(f"the storage cannot be used: {reason}") from error

    return told


class FilesystemStorage:
    """A registry's directory. Removes by path only, never through an opened directory.

    A directory that somebody renamed back in the meantime is thus never emptied where it lies now.
    """

    links_per_transaction = 50

    def __init__(self, root: Path) -> None:
        """``root`` is the registry's ``rootdirectory``."""
        self._root = root

    # --- Looking ------------------------------------------------------------------------------

    @_told
    def size(self, digest: str) -> int | None:
        """Return a blob's bytes, or None where there is none."""
        self._require()
        try:
            return blob_path(self._root, digest).stat().st_size
        except FileNotFoundError:
            return None

    @_told
    def has_link(self, digest: str, link: Link) -> bool:
        """Tell whether the registry would find the digest in that repository."""
        return (_link_folder(self._root, digest, link) / "link").is_file()

    def uploads(self) -> Iterator[Upload]:
        """Yield every upload that was begun."""
        self._require()
        top = self._root / ROOT / "repositories"
        for folder, names, _files in os.walk(top):
            if "_uploads" in names:
                repository = Path(folder).relative_to(top).as_posix()
                yield from self._uploads_of(repository, Path(folder) / "_uploads")
            names[:] = [name for name in names if not name.startswith("_")]

    def _uploads_of(self, repository: str, folder: Path) -> Iterator[Upload]:
        for upload in sorted(folder.iterdir()):
            newest, size = 0.0, 0
            for place, _names, files in os.walk(upload):
                for name in files:
                    with contextlib.suppress(FileNotFoundError):
                        seen = (Path(place) / name).stat()
                        newest = max(newest, seen.st_mtime)
                        size += seen.st_size if name == "data" else 0
            if newest:
                at = datetime.datetime.fromtimestamp(newest, datetime.UTC)
                yield Upload(repository, upload.name, at, size)

    @_told
    def repositories(self) -> Iterator[str]:
        """Yield the names of all repositories, in no order."""
        self._require()
        return listing.repositories(self._root)

    @_told
    def links(self, repository: str, kind: LinkKind) -> dict[str, datetime.datetime]:
        """Return the digests linked in a repository, each with the time of its link."""
        return listing.links(self._root, repository, kind)

    @_told
    def tags(self, repository: str) -> dict[str, tuple[str, datetime.datetime]]:
        """Return the registry's own tags: digest, and when it was moved there."""
        return listing.tags(self._root, repository)

    @_told
    def prefixes(self) -> set[str]:
        """Return the first two hexadecimal digits of all digests that have bytes."""
        self._require()
        return listing.prefixes(self._root)

    @_told
    def blobs(self, prefix: str) -> dict[str, int]:
        """Return the digests whose first two hexadecimal digits are ``prefix``, with bytes."""
        self._require()
        return listing.blobs(self._root, prefix)

    @_told
    def read(self, digest: str, *, limit: int) -> bytes | None:
        """Return a blob, or None where it is absent or larger than ``limit`` bytes."""
        return read_blob(self._root, digest, limit=limit)

    @contextlib.contextmanager
    def open(self, digest: str) -> Iterator[BinaryIO | None]:
        """Give a blob's bytes to be read as far as wanted, or None where it is absent."""
        try:
            file = blob_path(self._root, digest).open("rb")
        except FileNotFoundError:
            yield None
            return
        with file:
            yield file

    # --- Repairing ----------------------------------------------------------------------------

    @_told
    def link(self, digest: str, link: Link) -> None:
        """Let the registry find the digest in that repository; its bytes are there."""
        self._require()
        _write(_link_folder(self._root, digest, link) / "link", digest)

    @_told
    def condemn(self, digest: str) -> None:
        """Take bytes that are not the digest's out of the registry's sight, and keep them."""
        self._require()
        target = self._root / _DAMAGED / digest.removeprefix("sha256:")
        number = 0
        while target.exists():
            number += 1
            target = target.with_suffix(f".{number}")
        self._move(_blob_folder(self._root, digest), target, "data")

    # --- Removing -----------------------------------------------------------------------------

    @_told
    def prepare(self, token: str) -> None:
        """Prove that something could be set aside now."""
        self._require()
        probe = self._root / _ASIDE / token / "probe"
        probe.mkdir(parents=True, exist_ok=True)
        probe.rmdir()

    @_told
    def set_aside(
        self, token: str, digest: str, links: Sequence[Link], *, with_bytes: bool
    ) -> None:
        """Take these links, then the bytes, out of the registry's sight."""
        self._require()
        aside = self._aside(token, digest)
        for link in links:
            self._move(_link_folder(self._root, digest, link), _aside_link(aside, link), "link")
        if with_bytes:
            self._move(_blob_folder(self._root, digest), aside / "blob", "data")

    @_told
    def put_back(self, token: str, digest: str) -> None:
        """Let the registry see again what lies under the token, the bytes before the links."""
        aside = self._aside(token, digest)
        self._move(aside / "blob", _blob_folder(self._root, digest), "data")
        for link in self.set_aside_links(token, digest):
            self._move(_aside_link(aside, link), _link_folder(self._root, digest, link), "link")
        self.discard(token, digest)

    @_told
    def discard(self, token: str, digest: str) -> None:
        """Remove for good what lies under the token."""
        _remove(self._aside(token, digest))

    @_told
    def set_aside_links(self, token: str, digest: str) -> list[Link]:
        """Return the links that lie under the token."""
        links = []
        for kind in ("layer", "manifest"):
            top = self._aside(token, digest) / kind
            for folder, names, _files in os.walk(top):
                if _LINK in names:
                    links.append(Link(Path(folder).relative_to(top).as_posix(), kind))
                    names.remove(_LINK)
        return links

    @_told
    def lying_aside(self) -> Iterator[tuple[str, str]]:
        """Yield the token and digest of all that lies aside."""
        found = []
        for token in _names(self._root / _ASIDE, _TOKEN):
            digests = _names(self._root / _ASIDE / token, _HEXADECIMAL)
            found += [(token, f"sha256:{name}") for name in digests]
        return iter(found)

    @_told
    def finish(self, token: str) -> None:
        """Forget a token under which nothing lies any more."""
        with contextlib.suppress(FileNotFoundError):
            (self._root / _ASIDE / token).rmdir()

    @_told
    def remove_upload(self, upload: Upload) -> None:
        """Remove an upload that nobody will go on with."""
        repository = self._root / ROOT / "repositories" / upload.repository
        _remove(repository / "_uploads" / upload.number)

    # --- The marker ---------------------------------------------------------------------------

    @_told
    def read_marker(self) -> str:
        """Return the text that was last written, or nothing."""
        self._require()
        try:
            return (self._root / _MARKER).read_text().strip()
        except FileNotFoundError:
            return ""

    @_told
    def write_marker(self, text: str) -> None:
        """Keep a short text with the storage, whole or not at all."""
        self._require()
        _write(self._root / _MARKER, text)

    # --- Inside -------------------------------------------------------------------------------

    def _require(self) -> None:
        """An empty mount point must never look like an empty registry."""
        if not self._root.is_dir():
            raise StorageUnavailableError("the storage is not there")

    def _aside(self, token: str, digest: str) -> Path:
        return self._root / _ASIDE / token / digest.removeprefix("sha256:")

    @staticmethod
    def _move(source: Path, target: Path, content: str) -> None:
        """Rename a digest's own directory; merge where there is one already.

        Both then hold the same content, for it has the same digest; the longer file is whole.
        """
        for _again in range(3):
            try:
                source.rename(target)
            except FileNotFoundError:
                if not source.is_dir():
                    return
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError:
                if not target.is_dir():
                    raise
                _merge(source / content, target / content)
                _remove(source)
                return
            else:
                return
        raise OSError("the directory keeps moving")


def _write(path: Path, text: str) -> None:
    """Write a small file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _aside_link(aside: Path, link: Link) -> Path:
    return aside / link.kind / link.repository / _LINK


def _merge(source: Path, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        theirs = target.stat().st_size if target.exists() else -1
        if source.stat().st_size > theirs:
            source.replace(target)


def _remove(top: Path) -> None:
    """Remove a tree that lies aside, path by path."""
    for folder, names, files in os.walk(top, topdown=False):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                (Path(folder) / name).unlink()
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                (Path(folder) / name).rmdir()
    with contextlib.suppress(FileNotFoundError):
        top.rmdir()


def _names(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if pattern.fullmatch(path.name))
    except FileNotFoundError:
        return []
