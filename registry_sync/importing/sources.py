"""Where a plain registry's images are read from: its storage, or its API."""

import datetime
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from registry_sync.client.remote import RemoteRegistry
from registry_sync.manifests import (
    IMAGE_TYPES,
    INDEX_TYPES,
    MAX_MANIFEST_BYTES,
    OCI_INDEX,
    OCI_MANIFEST,
)
from registry_sync.storage.base import Storage

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
    """The registry's own storage, which is or was a plain registry's."""

    def __init__(self, storage: Storage) -> None:
        """``storage`` is what our registry uses."""
        self._storage = storage

    def repositories(self) -> Iterator[str]:
        """Yield every repository's name."""
        return self._storage.repositories()

    def pointers(self, repository: str) -> Pointers:
        """Return tags and manifests, with the times of their links."""
        return Pointers(
            dict(self._storage.tags(repository)),
            dict(self._storage.links(repository, "manifest")),
            frozenset(self._storage.links(repository, "layer")),
        )

    def manifest(self, repository: str, digest: str) -> Stored | None:
        """Return a manifest, linked in the repository or not."""
        content = self._storage.read(digest, limit=MAX_MANIFEST_BYTES)
        return None if content is None else Stored(_media_type(content), content)

    def blob_size(self, repository: str, digest: str) -> int | None:
        """Return the bytes of a blob, linked in the repository or not."""
        return self._storage.size(digest)

    def small_blob(self, repository: str, digest: str, *, limit: int) -> bytes | None:
        """Return a blob's bytes."""
        return self._storage.read(digest, limit=limit)


class RegistrySource:
    """A registry that answers."""

    def __init__(self, registry: RemoteRegistry) -> None:
        """``registry`` is read by one thread."""
        self._registry = registry

    def repositories(self) -> Iterator[str]:
        """Yield every repository's name."""
        return self._registry.repositories()

    def pointers(self, repository: str) -> Pointers:
        """Return the tags; what has none is found only through an index."""
        tags: dict[str, tuple[str, datetime.datetime | None]] = {}
        for tag in self._registry.tags(repository):
            if digest := self._registry.tagged_digest(repository, tag, types=_TYPES):
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
