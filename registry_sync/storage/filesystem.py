"""The registry's filesystem driver's layout (distribution 2.8 and 3.x alike), on one directory."""

import contextlib
import datetime
import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from registry_sync.storage import listing
from registry_sync.storage.aside import Aside, move, remove_tree
from registry_sync.storage.base import Link, LinkKind, StorageUnavailableError, Upload
from registry_sync.storage.listing import FOLDERS, ROOT

P = ParamSpec("P")
T = TypeVar("T")

_MARKER = "moorage/epoch"
# Bytes that were not what their name says.
_DAMAGED = "moorage/damaged"


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
    """A registry's directory."""

    links_per_transaction = 200

    def __init__(self, root: Path) -> None:
        """``root`` is the registry's ``rootdirectory``."""
        self._root = root
        self._aside = Aside(root)

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
        move(str(_blob_folder(self._root, digest)), str(target), "data")

    @_told
    def condemned_bytes(self) -> int:
        """Return how many bytes are kept so."""
        return sum(path.stat().st_size for path in (self._root / _DAMAGED).glob("*/data"))

    # --- Removing -----------------------------------------------------------------------------

    @_told
    def prepare(self, token: str) -> None:
        """Prove that something could be set aside now."""
        self._require()
        self._aside.prepare(token)

    @_told
    def set_aside(
        self, token: str, links: Mapping[str, Sequence[Link]], *, with_bytes: bool
    ) -> None:
        """Take the digests' links, then their bytes, out of the registry's sight."""
        self._require()
        self._aside.take(token, links, with_bytes=with_bytes)

    @_told
    def put_back(self, token: str, digests: Collection[str]) -> None:
        """Let the registry see again what lies under the token, the bytes before the links."""
        self._aside.give_back(token, digests)

    @_told
    def discard(self, token: str, digests: Collection[str]) -> None:
        """Remove for good what lies under the token."""
        self._aside.remove(token, digests)

    @_told
    def set_aside_links(self, token: str, digests: Collection[str]) -> dict[str, list[Link]]:
        """Return each digest's links that lie under the token."""
        return self._aside.links(token, digests)

    @_told
    def lying_aside(self) -> Iterator[tuple[str, str]]:
        """Yield the token and digest of all that lies aside."""
        return iter(list(self._aside.lying()))

    @_told
    def set_aside_bytes(self) -> Iterator[tuple[str, int]]:
        """Yield digest and bytes of each blob that lies aside, one for each token that has it."""
        return iter(list(self._aside.sizes()))

    @_told
    def finish(self, token: str) -> None:
        """Forget a token under which nothing lies any more."""
        self._aside.forget(token)

    @_told
    def remove_upload(self, upload: Upload) -> None:
        """Remove an upload that nobody will go on with."""
        repository = self._root / ROOT / "repositories" / upload.repository
        remove_tree(str(repository / "_uploads" / upload.number))

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


def _write(path: Path, text: str) -> None:
    """Write a small file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
