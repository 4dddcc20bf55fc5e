"""Content and rows for tests: images as clients push them, and what the catalogue holds of them."""

import datetime
import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import Any, Protocol

from django.utils import timezone

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR, Actor
from registry_sync import blobs, catalog, image_config, manifests
from registry_sync.catalog import Push
from registry_sync.models import Artifact, Blob, Repository, RepositoryBlob

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

_serial = itertools.count(1)


def digest_of(content: bytes) -> str:
    """Name the content by its sha256."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def some_digest(word: str = "") -> str:
    """Return the digest of a word; of one nobody used before where none is given."""
    return digest_of((word or f"nothing {next(_serial)}").encode())


def descriptor(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """Describe content as a manifest does."""
    return {
        "mediaType": media_type,
        "digest": digest_of(content),
        "size": len(content),
        **more,
    }


def encoded(document: dict[str, Any]) -> bytes:
    """Write JSON as clients do."""
    return json.dumps(document, indent=2).encode()


@dataclass(frozen=True)
class Image:
    """A manifest with the bytes of every blob that it names."""

    media_type: str
    content: bytes
    blobs: tuple[bytes, ...] = ()

    @property
    def digest(self) -> str:
        """Name the manifest."""
        return digest_of(self.content)

    @property
    def size(self) -> int:
        """Count the bytes of the manifest and of each blob once."""
        return len(self.content) + sum(len(blob) for blob in set(self.blobs))

    @property
    def manifest(self) -> manifests.Manifest:
        """Parse the manifest."""
        return manifests.parse(self.content, self.media_type)


def make_image(
    word: str = "",
    *,
    layers: tuple[bytes, ...] | None = None,
    config: dict[str, Any] | None = None,
    is_docker: bool = False,
    **more: Any,
) -> Image:
    """Make an image; the same word makes the same bytes, no word makes new ones."""
    word = word or f"image {next(_serial)}"
    described = {"os": "linux", "architecture": "amd64", "author": word, **(config or {})}
    config_bytes = encoded(described)
    layer_bytes = (f"layer of {word}".encode(),) if layers is None else layers
    media_type = manifests.DOCKER_MANIFEST if is_docker else manifests.OCI_MANIFEST
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config_bytes, DOCKER_CONFIG if is_docker else OCI_CONFIG),
        "layers": [
            descriptor(layer, DOCKER_LAYER if is_docker else OCI_LAYER) for layer in layer_bytes
        ],
        **more,
    }
    return Image(media_type, encoded(document), (config_bytes, *layer_bytes))


def make_artifact(
    config_type: str,
    config: dict[str, Any],
    *layers: tuple[str, bytes, str],
    **more: Any,
) -> Image:
    """Make an artifact that is no image; a layer is a media type, bytes and a path (or nothing)."""
    config_bytes = encoded(config)
    title = "org.opencontainers.image.title"
    document = {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_MANIFEST,
        "config": descriptor(config_bytes, config_type),
        "layers": [
            descriptor(content, media_type, **({"annotations": {title: path}} if path else {}))
            for media_type, content, path in layers
        ],
        **more,
    }
    contents = tuple(content for _type, content, _path in layers)
    return Image(manifests.OCI_MANIFEST, encoded(document), (config_bytes, *contents))


def make_index(*children: Image, **more: Any) -> Image:
    """Make an index over images that were pushed before it."""
    names = ("amd64", "arm64", "s390x")
    platforms = [{"os": "linux", "architecture": name} for name in names]
    document = {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_INDEX,
        "manifests": [
            descriptor(child.content, child.media_type, platform=platform)
            for child, platform in zip(children, itertools.cycle(platforms), strict=False)
        ],
        **more,
    }
    return Image(manifests.OCI_INDEX, encoded(document))


def make_repository(project: Project, path: str = "app") -> Repository:
    """Make a repository into which nothing was pushed."""
    return Repository.objects.create(project=project, path=path)


def make_blob(
    digest: str = "",
    *,
    state: str = Blob.State.LIVE,
    age: datetime.timedelta = datetime.timedelta(0),
    size: int | None = 7,
    generation: int = 1,
) -> Blob:
    """Make a blob's row, last touched ``age`` ago."""
    return Blob.objects.create(
        digest=digest or some_digest(),
        size=size,
        state=state,
        generation=generation,
        touched_at=timezone.now() - age,
    )


def make_link(
    repository: Repository,
    digest: str,
    *,
    state: str = RepositoryBlob.State.PRESENT,
    age: datetime.timedelta = datetime.timedelta(0),
) -> RepositoryBlob:
    """Link a blob in a repository, last touched ``age`` ago."""
    return RepositoryBlob.objects.create(
        repository=repository,
        digest=digest,
        kind=RepositoryBlob.Kind.LAYER,
        state=state,
        touched_at=timezone.now() - age,
    )


class Uploader(Protocol):
    """What stands in for nginx and the registry while a client uploads."""

    def upload(self, repository: str, content: bytes) -> str:
        """Store and link the bytes; return their digest."""


def upload_blobs(registry: Uploader, repository: Repository, image: Image) -> None:
    """Upload an image's blobs as a client does: announced, then sent."""
    for blob in image.blobs:
        blobs.expect(repository, digest_of(blob))
        registry.upload(repository.registry_name, blob)


def prepare_push(
    repository: Repository, image: Image, tag: str = "", children: tuple[Image, ...] = ()
) -> Push:
    """Do what comes before the commit: the blobs are seen present, everything is pinned."""
    sizes = {digest_of(blob): len(blob) for blob in image.blobs}
    for digest, size in sizes.items():
        blobs.expect(repository, digest)
        blobs.confirm(repository, digest, size)
    child_digests = frozenset(child.digest for child in children)
    return Push(
        manifest=image.manifest,
        facts=image_config.read(image.blobs[0] if image.blobs else None),
        blob_sizes=sizes,
        child_digests=child_digests,
        pins=blobs.pin(repository, image.digest, {*sizes, *child_digests}),
        tag=tag,
    )


def push_image(
    repository: Repository,
    image: Image | None = None,
    tag: str = "latest",
    *,
    children: tuple[Image, ...] = (),
    actor: Actor = SYSTEM_ACTOR,
) -> Artifact:
    """Put an image into the catalogue, without any registry; an index after its children."""
    push = prepare_push(repository, image or make_image(), tag, children)
    return catalog.commit_manifest(repository, push, actor=actor)
