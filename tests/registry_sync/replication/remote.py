"""A registry in memory that is read, and policies that fetch from it."""

import contextlib
from collections.abc import Iterator

from accounts.principals import SYSTEM_ACTOR
from registry_sync import remote_registries
from registry_sync.client.managed import Described, UnableError
from registry_sync.models import Tag
from registry_sync.remote_registries import Address
from registry_sync.replication import policies
from registry_sync.replication.policies import Terms
from tests.factories import Image, digest_of


class Remote:
    """Another registry that is read."""

    def __init__(self) -> None:
        """Start empty."""
        self.tagged: dict[tuple[str, str], str] = {}
        self.images: dict[str, Image] = {}
        self.about: dict[str, list[str]] = {}
        self.blobs: dict[str, bytes] = {}
        self.catalogue: list[str] | None = None
        # What a Harbor says of its artifacts; a plain registry says nothing.
        self.told: dict[str, Described] | None = None

    def put(self, name: str, image: Image, *tags: str) -> None:
        """Store an image."""
        self.images[image.digest] = image
        self.blobs |= {digest_of(blob): blob for blob in image.blobs}
        self.tagged |= {(name, tag): image.digest for tag in tags}

    def repositories_in(self, namespace: str) -> Iterator[str]:
        assert self.catalogue is not None, "it was asked for its catalogue"
        yield from self.catalogue

    def described(self, _name: str) -> dict[str, Described]:
        if self.told is None:
            raise UnableError
        return self.told

    def tags(self, name: str) -> list[str]:
        return sorted(tag for where, tag in self.tagged if where == name)

    def has_project(self, _name: str) -> bool:
        return True

    def prepare(self, _repository: str) -> None:
        pass

    def tagged_digest(self, name: str, tag: str, **_types: object) -> str:
        return self.tagged.get((name, tag), "")

    def manifest(self, _name: str, digest: str, **_more: object) -> tuple[str, bytes] | None:
        image = self.images.get(digest)
        return (image.media_type, image.content) if image else None

    def has_manifest(self, _name: str, digest: str, **_types: object) -> bool:
        return digest in self.images

    def referrers(self, _name: str, digest: str) -> list[str]:
        return self.about.get(digest, [])

    def blob_size(self, _name: str, digest: str) -> int | None:
        return len(self.blobs[digest]) if digest in self.blobs else None

    @contextlib.contextmanager
    def open_blob(self, _name: str, digest: str) -> Iterator[Iterator[bytes] | None]:
        yield iter([self.blobs[digest]]) if digest in self.blobs else None


def make_policy(
    name: str = "base/tool",
    *more: dict[str, object],
    kind: str = "docker-registry",
    **terms: object,
) -> int:
    address = Address("https://there.example", kind)
    there = remote_registries.create(
        name="there", description="", address=address, actor=SYSTEM_ACTOR
    )
    found = ({"type": "name", "value": name}, *more)
    wanted = Terms("all", there, is_pull=True, filters=found, namespace="team", **terms)  # type: ignore[arg-type]
    return policies.create(wanted, actor=SYSTEM_ACTOR).pk


def state() -> set[tuple[str, str, str]]:
    tags = Tag.objects.filter(artifact__trash_entry=None)
    rows = tags.values_list("repository__path", "name", "artifact__body_id")
    return {(path, name, str(digest)) for path, name, digest in rows}
