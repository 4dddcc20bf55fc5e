"""The client of other registries, held to one suite against three of them."""

import contextlib
import io
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest

from registry_sync.client import outbound
from registry_sync.client.errors import (
    RegistryError,
    RegistryRejectedError,
    RegistryUnavailableError,
)
from registry_sync.client.remote import RemoteRegistry
from registry_sync.manifests import IMAGE_TYPES, OCI_MANIFEST
from tests.factories import Image, digest_of, make_image, some_digest
from tests.live.client import make_project, unique
from tests.live.plain_registry import PASSWORD, USERNAME, PlainRegistry
from tests.live.stack import Stack

pytestmark = pytest.mark.live


@dataclass(frozen=True)
class Place:
    """A registry, and a name that nobody else uses there."""

    url: str
    username: str
    password: str
    name: str

    def client(self, password: str | None = None) -> RemoteRegistry:
        """Make a client."""
        given = self.password if password is None else password
        session = outbound.session(outbound.OPERATOR)
        return RemoteRegistry(self.url, username=self.username, password=given, session=session)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainRegistry]:
    """An open registry."""
    running = PlainRegistry(tmp_path_factory.mktemp("plain")).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainRegistry]:
    """A registry with a password."""
    running = PlainRegistry(tmp_path_factory.mktemp("locked"), with_password=True).start()
    yield running
    running.stop()


@pytest.fixture(params=["plain", "password", "moorage"])
def place(
    request: pytest.FixtureRequest, plain: PlainRegistry, locked: PlainRegistry, stack: Stack
) -> Place:
    """Each of them."""
    if request.param == "moorage":
        name = f"{make_project(stack)}/app"
        return Place(stack.url, "admin", stack.admin_password, name)
    if request.param == "password":
        return Place(locked.url, USERNAME, PASSWORD, f"{unique('some')}/app")
    return Place(plain.url, "", "", f"{unique('some')}/app")


def opener(content: bytes) -> Callable[[int], contextlib.AbstractContextManager[BinaryIO]]:
    """Return what opens these bytes at an offset."""

    @contextlib.contextmanager
    def opened(offset: int) -> Iterator[BinaryIO]:
        yield io.BytesIO(content[offset:])

    return opened


def push(client: RemoteRegistry, name: str, image: Image, *references: str) -> None:
    """Push a whole image."""
    for blob in image.blobs:
        client.put_blob(name, digest_of(blob), len(blob), opener(blob))
    for reference in references or (image.digest,):
        client.put_manifest(name, reference, image.media_type, image.content)


def test_it_lets_us_in(place: Place) -> None:
    place.client().ping()


def test_a_wrong_password_is_told(place: Place) -> None:
    if place.username:
        with pytest.raises(RegistryRejectedError):
            place.client("not it").ping()


def test_an_image_goes_there_and_comes_back(place: Place) -> None:
    client, image = place.client(), make_image()
    assert not client.has_manifest(place.name, image.digest, types=IMAGE_TYPES)
    assert client.tagged_digest(place.name, "v1", types=IMAGE_TYPES) == ""
    push(client, place.name, image, image.digest, "v1")
    assert client.has_manifest(place.name, image.digest, types=IMAGE_TYPES)
    assert client.tagged_digest(place.name, "v1", types=IMAGE_TYPES) == image.digest
    assert client.tags(place.name) == ["v1"]
    found = client.manifest(place.name, "v1", types=IMAGE_TYPES, limit=1_000_000)
    assert found == (OCI_MANIFEST, image.content)
    with client.open_blob(place.name, digest_of(image.blobs[1])) as parts:
        assert parts is not None
        assert b"".join(parts) == image.blobs[1]


def test_what_is_not_there(place: Place) -> None:
    client = place.client()
    push(client, place.name, make_image(), "v1")
    assert not client.has_blob(place.name, some_digest())
    assert client.manifest(place.name, some_digest(), types=IMAGE_TYPES, limit=10) is None


def test_a_blob_is_mounted_from_another_repository(place: Place) -> None:
    client, content = place.client(), secrets.token_bytes(1000)
    digest, other = digest_of(content), f"{place.name}-2"
    client.put_blob(place.name, digest, 1000, opener(content))
    assert client.has_blob(place.name, digest)
    assert client.mount(other, digest, place.name) == ""
    assert client.has_blob(other, digest)
    nowhere = f"{place.name}-3"
    location = client.mount(nowhere, digest, f"{place.name}-4")
    if location:
        client.put_blob(nowhere, digest, 1000, opener(content), location=location)
    assert client.has_blob(nowhere, digest)


def test_a_blob_goes_in_pieces(place: Place) -> None:
    client, content = place.client(), secrets.token_bytes(10_500)
    digest = digest_of(content)
    client.put_blob(place.name, digest, len(content), opener(content), piece=1000)
    with client.open_blob(place.name, digest) as parts:
        assert parts is not None
        assert b"".join(parts) == content


def test_a_piece_that_is_cut_costs_no_more_than_one_beginning(place: Place) -> None:
    client, content = place.client(), secrets.token_bytes(5000)
    client.pause = lambda _seconds: time.sleep(0.05)
    offsets: list[int] = []

    @contextlib.contextmanager
    def breaking(offset: int) -> Iterator[BinaryIO]:
        offsets.append(offset)
        # The third piece is cut short the first time.
        is_cut = offset == 2000 and offsets.count(2000) == 1
        yield _Cut(content[offset : offset + 100]) if is_cut else io.BytesIO(content[offset:])

    digest = digest_of(content)
    client.put_blob(place.name, digest, len(content), breaking, piece=1000)
    with client.open_blob(place.name, digest) as parts:
        assert parts is not None
        assert b"".join(parts) == content
    # Distribution gives up an upload whose piece was cut within, so that it may begin once more.
    assert offsets[:3] == [0, 1000, 2000]
    assert offsets.count(0) <= 2


class _Cut(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        if not content:
            raise ConnectionResetError
        return content


def test_bytes_that_are_not_the_digests_are_refused(place: Place) -> None:
    client = place.client()
    client.pause = lambda _seconds: None
    with pytest.raises(RegistryError):
        client.put_blob(place.name, some_digest(), 5, opener(b"12345"))
    assert client.tags(place.name) == []


def test_a_manifest_without_its_blobs_is_refused(place: Place) -> None:
    client, image = place.client(), make_image()
    push(client, place.name, make_image(), "other")
    with pytest.raises(RegistryRejectedError) as refused:
        client.put_manifest(place.name, "v1", image.media_type, image.content)
    assert refused.value.status == 400
    assert client.tagged_digest(place.name, "v1", types=IMAGE_TYPES) == ""


def test_a_registry_that_is_gone(tmp_path: Path) -> None:
    registry = PlainRegistry(tmp_path)
    client = RemoteRegistry(registry.url)
    with pytest.raises(RegistryUnavailableError):
        client.ping()
