"""A plain registry's directory, written as its filesystem driver does."""

import datetime
import os
from pathlib import Path

from registry_sync.storage.filesystem import blob_path
from tests.factories import Image, digest_of

PUSHED_AT = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)


def put_blob(root: Path, content: bytes) -> str:
    """Write bytes under their digest."""
    digest = digest_of(content)
    path = blob_path(root, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


def layer_link(root: Path, repository: str, digest: str) -> Path:
    """Where a layer's link lies."""
    return _folder(root, repository) / "_layers/sha256" / digest.removeprefix("sha256:") / "link"


def revision_link(root: Path, repository: str, digest: str) -> Path:
    """Where a manifest's link lies."""
    folder = _folder(root, repository) / "_manifests/revisions/sha256"
    return folder / digest.removeprefix("sha256:") / "link"


def put_image(root: Path, repository: str, image: Image, *tags: str) -> None:
    """Write an image with everything it names, as a push leaves it."""
    for content in image.blobs:
        _link(layer_link(root, repository, put_blob(root, content)), digest_of(content))
    put_blob(root, image.content)
    _link(revision_link(root, repository, image.digest), image.digest)
    for tag in tags:
        place = _folder(root, repository) / "_manifests/tags" / tag
        hexadecimal = image.digest.removeprefix("sha256:")
        _link(place / "current/link", image.digest)
        _link(place / "index/sha256" / hexadecimal / "link", image.digest)


def _folder(root: Path, repository: str) -> Path:
    return root / "docker/registry/v2/repositories" / repository


def _link(path: Path, digest: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(digest)
    os.utime(path, (PUSHED_AT.timestamp(), PUSHED_AT.timestamp()))
