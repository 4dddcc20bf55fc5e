"""Where a plain registry's images are read from: its storage, or its API."""

import datetime
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry_sync.client.source import SourceRegistry
from registry_sync.manifests import (
    IMAGE_TYPES,
    INDEX_TYPES,
    MAX_MANIFEST_BYTES,
    OCI_INDEX,
    OCI_MANIFEST,
)
from registry_sync.storage import listing
from registry_sync.storage.filesystem import blob_path, read_blob

_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"


@dataclass(frozen=True, slots=True)
class Stored:
    """A manifest as it is stored."""

    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Pointers:
    """What a repository's tags point to, and its manifests as far as the source can tell.

    Each with the time it was pushed, where the source knows it.
    """

    tags: dict[str, tuple[str, datetime.datetime | None]]
    revisions: dict[str, datetime.datetime | None]
    # The blobs linked in the repository, where the source tells them apart from others of its own;
    # then the revisions too are all that the repository gives.
    layers: frozenset[str] | None = None


class Source(Protocol):
    """A plain registry, to be read."""

    def repositories(self) -> Iterator[str]:
        """Yield every repository's name."""

    def pointers(self, repository: str) -> Pointers:
        """Return tags and manifests of a repository."""

    def manifest(self, repository: str, digest: str) -> Stored | None:
        """Return a manifest, or None where it is absent or too large."""

    def blob_size(self, repository: str, digest: str) -> int | None:
        """Return a blob's bytes, or None where it is absent."""

    def small_blob(self, repository: str, digest: str, *, limit: int) -> bytes | None:
        """Return a blob, or None where it is absent or larger than ``limit`` bytes."""


class StorageSource:
    """The registry's own directory, which is or was a plain registry's."""

    def __init__(self, root: Path) -> None:
        """``root`` is the ``rootdirectory`` of the registry's filesystem driver."""
        self._root = root

    def repositories(self) -> Iterator[str]:
        """Yield every repository's name."""
        return listing.repositories(self._root)

    def pointers(self, repository: str) -> Pointers:
        """Return tags and manifests, with the times of their links."""
        return Pointers(
            dict(listing.tags(self._root, repository)),
            dict(listing.revisions(self._root, repository)),
            frozenset(listing.layers(self._root, repository)),
        )

    def manifest(self, repository: str, digest: str) -> Stored | None:
        """Return a manifest, linked in the repository or not."""
        content = read_blob(self._root, digest, limit=MAX_MANIFEST_BYTES)
        return None if content is None else Stored(_media_type(content), content)

    def blob_size(self, repository: str, digest: str) -> int | None:
        """Return the bytes of a blob, linked in the repository or not."""
        try:
            return blob_path(self._root, digest).stat().st_size
        except FileNotFoundError:
            return None

    def small_blob(self, repository: str, digest: str, *, limit: int) -> bytes | None:
        """Return a blob's bytes."""
        return read_blob(self._root, digest, limit=limit)


class RegistrySource:
    """A registry that answers."""

    def __init__(self, registry: SourceRegistry) -> None:
        """``registry`` is read by one thread."""
        self._registry = registry

    def repositories(self) -> Iterator[str]:
        """Yield every repository's name."""
        return self._registry.repositories()

    def pointers(self, repository: str) -> Pointers:
        """Return the tags; what has none is found only through an index."""
        tags: dict[str, tuple[str, datetime.datetime | None]] = {}
        for tag in self._registry.tags(repository):
            digest = self._registry.digest(repository, tag, types=_TYPES)
            if digest is not None:
                tags[tag] = (digest, None)
        return Pointers(tags, {digest: None for digest, _at in tags.values()})

    def manifest(self, repository: str, digest: str) -> Stored | None:
        """Return a manifest by its digest."""
        found = self._registry.manifest(repository, digest, types=_TYPES, limit=MAX_MANIFEST_BYTES)
        return None if found is None else Stored(*found)

    def blob_size(self, repository: str, digest: str) -> int | None:
        """Return a blob's bytes."""
        return self._registry.blob_size(repository, digest)

    def small_blob(self, repository: str, digest: str, *, limit: int) -> bytes | None:
        """Return a blob's bytes."""
        with self._registry.open_blob(repository, digest) as parts:
            if parts is None:
                return None
            content = bytearray()
            for part in parts:
                content += part
                if len(content) > limit:
                    return None
            return bytes(content)

    def open_blob(
        self, repository: str, digest: str
    ) -> AbstractContextManager[Iterator[bytes] | None]:
        """Give a blob's bytes in parts."""
        return self._registry.open_blob(repository, digest)


# The old type too, so that it is named where it is met.
_TYPES = IMAGE_TYPES | INDEX_TYPES | {_SCHEMA_1}


def _media_type(content: bytes) -> str:
    """Say what a stored manifest is: the registry keeps no type, and OCI's may leave it out."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    own = document.get("mediaType")
    if isinstance(own, str):
        return own
    if document.get("schemaVersion") == 1:
        return _SCHEMA_1
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST
