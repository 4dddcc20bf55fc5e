"""Doubles of what stands outside; ``contracts/`` proves that they behave like the real ones."""

import io
import itertools
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from django.db import connection

from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.client.registry import StartedUpload
from registry_sync.manifests import IMAGE_TYPES, INDEX_TYPES, NON_DISTRIBUTABLE_TYPES
from tests.factories import digest_of


def _transaction_depth() -> int:
    return len(connection.savepoint_ids) + int(connection.in_atomic_block)


class FakeRegistry:
    """A registry in memory, with the surface of ``RegistryClient``.

    Fails the test when it is called inside a transaction that the test did not open itself.
    """

    def __init__(self) -> None:
        """Start empty; remember how deep in transactions the test itself is."""
        self.blobs: dict[str, bytes] = {}
        self.links: set[tuple[str, str]] = set()
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        # The bytes that each open upload holds, by repository and id.
        self.offsets: dict[tuple[str, str], int] = {}
        # (method, repository, digest), in the order of the calls.
        self.calls: list[tuple[str, str, str]] = []
        self.is_down = False
        # What a method raises instead of doing its work.
        self.failures: dict[str, Exception] = {}
        # Run before a method's work, by its name: what happens elsewhere meanwhile.
        self.meanwhile: dict[str, Callable[[], object]] = {}
        self._depth = _transaction_depth()
        self._lock = threading.Lock()
        self._uploads = itertools.count(1)

    # --- What tests do to it ----------------------------------------------------------------------

    def upload(self, repository: str, content: bytes) -> str:
        """Store and link a blob, as an upload that nginx passed on would."""
        digest = digest_of(content)
        with self._lock:
            self.blobs[digest] = content
            self.links.add((repository, digest))
        return digest

    def count(self, method: str) -> int:
        """Return how often a method was called."""
        return sum(call[0] == method for call in self.calls)

    # --- The surface of RegistryClient ------------------------------------------------------------

    def head_blob(self, repository: str, digest: str) -> int | None:
        """Return the size of a blob linked in the repository, or None."""
        self._begin("head_blob", repository, digest)
        content = self._blob(repository, digest)
        return None if content is None else len(content)

    def get_blob(self, repository: str, digest: str, *, limit: int) -> bytes | None:
        """Return a blob's bytes, or None where it is absent or larger than ``limit``."""
        self._begin("get_blob", repository, digest)
        content = self._blob(repository, digest)
        return content if content is not None and len(content) <= limit else None

    @contextmanager
    def open_blob(self, repository: str, digest: str) -> Iterator[BinaryIO | None]:
        """Give a blob's bytes to be read, or None where it is absent."""
        self._begin("open_blob", repository, digest)
        content = self._blob(repository, digest)
        yield None if content is None else io.BytesIO(content)

    def start_upload(self, repository: str, *, mount: str = "", source: str = "") -> StartedUpload:
        """Open an upload, or mount where the source holds the blob."""
        self._begin("start_upload", repository, mount)
        if mount and source and self._blob(source, mount) is not None:
            with self._lock:
                self.links.add((repository, mount))
            return StartedUpload(
                is_mounted=True, location=f"/v2/{repository}/blobs/{mount}", upload_id=""
            )
        number = f"upload-{next(self._uploads)}"
        self.offsets[repository, number] = 0
        return StartedUpload(
            is_mounted=False,
            location=f"/v2/{repository}/blobs/uploads/{number}?_state=signed",
            upload_id=number,
        )

    def upload_blob(
        self, repository: str, digest: str, parts: Iterable[bytes], *, size: int
    ) -> None:
        """Store bytes as a blob, where they have the digest."""
        self._begin("upload_blob", repository, digest)
        content = b"".join(parts)
        if digest_of(content) != digest or len(content) != size:
            raise RegistryRejectedError(400, "DIGEST_INVALID")
        self.upload(repository, content)

    def upload_offset(self, repository: str, upload: str) -> int | None:
        """Return the bytes that an open upload holds, or None where there is no such upload."""
        self._begin("upload_offset", repository, "")
        return self.offsets.get((repository, upload.partition("?")[0]))

    def put_manifest(self, repository: str, digest: str, media_type: str, content: bytes) -> None:
        """Store a manifest whose digest holds and whose references are all linked here."""
        self._begin("put_manifest", repository, digest)
        if digest_of(content) != digest:
            raise RegistryRejectedError(400, "DIGEST_INVALID")
        references = self._references(media_type, content)
        missing = tuple(digest for digest in references if not self._holds(repository, digest))
        if missing:
            raise RegistryRejectedError(400, "MANIFEST_BLOB_UNKNOWN", missing)
        with self._lock:
            self.manifests[repository, digest] = (media_type, content)

    # --- Inside -----------------------------------------------------------------------------------

    def _begin(self, method: str, repository: str, digest: str) -> None:
        with self._lock:
            self.calls.append((method, repository, digest))
        assert _transaction_depth() <= self._depth, f"{method} inside a transaction"
        event = self.meanwhile.pop(method, None)
        if event is not None:
            event()
        if self.is_down:
            raise RegistryUnavailableError("the registry does not answer")
        if method in self.failures:
            raise self.failures[method]

    def _blob(self, repository: str, digest: str) -> bytes | None:
        return self.blobs.get(digest) if (repository, digest) in self.links else None

    def _holds(self, repository: str, digest: str) -> bool:
        is_manifest = (repository, digest) in self.manifests
        return is_manifest or self._blob(repository, digest) is not None

    @staticmethod
    def _references(media_type: str, content: bytes) -> list[str]:
        """What must be there: an index's entries may be manifests or blobs."""
        try:
            document: dict[str, Any] = json.loads(content)
        except ValueError:
            document = {}
        if document.get("schemaVersion") != 2 or media_type not in IMAGE_TYPES | INDEX_TYPES:
            raise RegistryRejectedError(400, "MANIFEST_INVALID")
        if media_type in INDEX_TYPES:
            return [entry["digest"] for entry in document["manifests"]]
        layers = [
            layer["digest"]
            for layer in document["layers"]
            if not (layer["mediaType"] in NON_DISTRIBUTABLE_TYPES and layer.get("urls"))
        ]
        return [document["config"]["digest"], *layers]
