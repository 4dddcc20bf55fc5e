"""What collection, checks and imports may rely on, whatever the registry's storage lies on."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from registry_sync.storage.base import Link, Storage, StorageUnavailableError
from registry_sync.storage.bucket import Bucket
from registry_sync.storage.filesystem import FilesystemStorage
from registry_sync.storage.s3 import S3Storage
from tests.buckets import Service
from tests.factories import digest_of

ONE, TWO = "1" * 32, "2" * 32
CONTENT = b"some bytes"
DIGEST = digest_of(CONTENT)
LAYER = Link("team/app", "layer")
MANIFEST = Link("team/app", "manifest")
OTHER = Link("team/deep/er", "layer")
_FOLDERS = {"layer": "_layers", "manifest": "_manifests/revisions"}


class Place(Protocol):
    """The registry's side: writes as it does, without the driver."""

    def put(self, path: str, content: bytes) -> None:
        """Write an object."""

    def paths(self) -> set[str]:
        """Return everything that lies there."""


class Directory:
    """A directory."""

    def __init__(self, root: Path) -> None:
        """``root`` is the registry's."""
        self.root = root

    def put(self, path: str, content: bytes) -> None:
        """Write a file."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def paths(self) -> set[str]:
        """Return all files."""
        return {p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file()}


class Objects:
    """A bucket."""

    def __init__(self, client: Any, bucket: Bucket) -> None:
        """``client`` may do everything."""
        self.client = client
        self.bucket = bucket

    def put(self, path: str, content: bytes) -> None:
        """Write an object."""
        key = f"{self.bucket.prefix}/{path}"
        self.client.put_object(Bucket=self.bucket.name, Key=key, Body=content)

    def paths(self) -> set[str]:
        """Return all keys."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket.name)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return {key.removeprefix(f"{self.bucket.prefix}/") for key in keys}

    def versions(self) -> int:
        """Count all versions, and deletions that are kept."""
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket.name)
        return sum(len(p.get("Versions", ())) + len(p.get("DeleteMarkers", ())) for p in pages)


@dataclass
class Subject:
    """A driver, and the registry's side of what it drives."""

    storage: Storage
    place: Place


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """An S3 service."""
    running = Service().start()
    yield running
    running.stop()


@pytest.fixture(
    params=[
        "directory",
        pytest.param("bucket", marks=pytest.mark.live),
        pytest.param("bucket with versions", marks=pytest.mark.live),
    ]
)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    """Each driver in turn."""
    if request.param == "directory":
        (tmp_path / "docker").mkdir()
        return Subject(FilesystemStorage(tmp_path), Directory(tmp_path))
    service: Service = request.getfixturevalue("service")
    bucket = service.bucket(has_versions="versions" in request.param)
    return Subject(S3Storage(bucket), Objects(service.client(), bucket))


@pytest.fixture
def storage(subject: Subject) -> Storage:
    """The driver."""
    return subject.storage


@pytest.fixture
def place(subject: Subject) -> Place:
    """The registry's side."""
    return subject.place


def blob_path(digest: str) -> str:
    hexadecimal = digest.removeprefix("sha256:")
    return f"docker/registry/v2/blobs/sha256/{hexadecimal[:2]}/{hexadecimal}/data"


def link_path(digest: str, link: Link) -> str:
    hexadecimal = digest.removeprefix("sha256:")
    folder = f"{_FOLDERS[link.kind]}/sha256/{hexadecimal}/link"
    return f"docker/registry/v2/repositories/{link.repository}/{folder}"


def put_blob(place: Place, content: bytes = CONTENT, *links: Link) -> str:
    digest = digest_of(content)
    place.put(blob_path(digest), content)
    for link in links:
        place.put(link_path(digest, link), digest.encode())
    return digest


class TestLooking:
    def test_a_blob_has_its_size_and_bytes(self, storage: Storage, place: Place) -> None:
        put_blob(place)
        assert storage.size(DIGEST) == len(CONTENT)
        assert storage.read(DIGEST, limit=len(CONTENT)) == CONTENT
        assert storage.read(DIGEST, limit=len(CONTENT) - 1) is None
        with storage.open(DIGEST) as stream:
            assert stream is not None
            assert (stream.read(4), stream.read(100), stream.read(1)) == (b"some", b" bytes", b"")

    def test_what_is_not_there_is_no_error(self, storage: Storage) -> None:
        assert storage.size(DIGEST) is None
        assert storage.read(DIGEST, limit=10) is None
        assert not storage.has_link(DIGEST, LAYER)
        assert storage.links("team/app", "layer") == {}
        assert storage.tags("team/app") == {}
        assert storage.blobs("00") == {}
        assert storage.prefixes() == set()
        assert list(storage.repositories()) == []
        assert list(storage.uploads()) == []
        with storage.open(DIGEST) as stream:
            assert stream is None

    def test_blobs_are_listed_by_prefix(self, storage: Storage, place: Place) -> None:
        digests = {put_blob(place, str(n).encode()): len(str(n)) for n in range(20)}
        place.put("docker/registry/v2/blobs/sha256/ab/foreign", b"x")
        found: dict[str, int] = {}
        assert storage.prefixes() == {digest[7:9] for digest in digests} | {"ab"}
        for prefix in {digest[7:9] for digest in digests} | {"ab"}:
            here = storage.blobs(prefix)
            assert all(digest[7:9] == prefix for digest in here)
            found |= here
        assert found == digests

    def test_links_and_repositories_are_listed(self, storage: Storage, place: Place) -> None:
        put_blob(place, CONTENT, LAYER, OTHER)
        manifest = put_blob(place, b"{}", MANIFEST)
        now = datetime.datetime.now(datetime.UTC)
        assert set(storage.repositories()) == {"team/app", "team/deep/er"}
        assert storage.links("team/app", "layer").keys() == {DIGEST}
        assert storage.links("team/app", "manifest").keys() == {manifest}
        at = storage.links("team/app", "layer")[DIGEST]
        assert abs((now - at).total_seconds()) < 60
        assert storage.has_link(DIGEST, OTHER)
        assert not storage.has_link(DIGEST, Link("team", "layer"))

    def test_tags_of_the_registry_are_listed(self, storage: Storage, place: Place) -> None:
        top = "docker/registry/v2/repositories/team/app/_manifests/tags"
        hexadecimal = DIGEST.removeprefix("sha256:")
        place.put(f"{top}/1.0/current/link", DIGEST.encode())
        place.put(f"{top}/1.0/index/sha256/{hexadecimal}/link", DIGEST.encode())
        place.put(f"{top}/broken/current/link", b"rubbish")
        assert {name: digest for name, (digest, _at) in storage.tags("team/app").items()} == {
            "1.0": DIGEST
        }

    def test_an_upload_is_found_and_removed(self, storage: Storage, place: Place) -> None:
        top = "docker/registry/v2/repositories/team/app/_uploads"
        place.put(f"{top}/abc/startedat", b"2024-01-01T00:00:00Z")
        place.put(f"{top}/abc/data", b"half")
        place.put(f"{top}/other/startedat", b"2024-01-01T00:00:00Z")
        found = {upload.number: upload for upload in storage.uploads()}
        assert found.keys() == {"abc", "other"}
        assert (found["abc"].repository, found["abc"].size) == ("team/app", 4)
        storage.remove_upload(found["abc"])
        storage.remove_upload(found["abc"])
        assert [upload.number for upload in storage.uploads()] == ["other"]


class TestSettingAside:
    def test_set_aside_is_out_of_sight_and_comes_back_whole(
        self, storage: Storage, place: Place
    ) -> None:
        put_blob(place, CONTENT, LAYER, OTHER)
        before = place.paths()
        storage.prepare(ONE)
        storage.set_aside(ONE, {DIGEST: [LAYER, OTHER]}, with_bytes=True)
        assert storage.size(DIGEST) is None
        assert not storage.has_link(DIGEST, LAYER)
        assert sorted(storage.set_aside_links(ONE, [DIGEST])[DIGEST], key=str) == sorted(
            [LAYER, OTHER], key=str
        )
        assert list(storage.lying_aside()) == [(ONE, DIGEST)]
        storage.put_back(ONE, [DIGEST])
        storage.finish(ONE)
        assert place.paths() == before
        assert storage.read(DIGEST, limit=100) == CONTENT
        assert list(storage.lying_aside()) == []

    def test_discarded_is_gone_and_nothing_else_is(self, storage: Storage, place: Place) -> None:
        put_blob(place, CONTENT, LAYER)
        other = put_blob(place, b"other", LAYER)
        storage.set_aside(ONE, {DIGEST: [LAYER]}, with_bytes=True)
        storage.discard(ONE, [DIGEST])
        storage.finish(ONE)
        assert place.paths() == {blob_path(other), link_path(other, LAYER)}
        if isinstance(place, Objects) and storage.links_per_transaction:
            # The bytes are freed, not only hidden.
            assert place.versions() == 2

    def test_only_links(self, storage: Storage, place: Place) -> None:
        put_blob(place, CONTENT, LAYER, OTHER)
        storage.set_aside(ONE, {DIGEST: [OTHER]}, with_bytes=False)
        assert storage.size(DIGEST) == len(CONTENT)
        assert storage.has_link(DIGEST, LAYER)
        storage.discard(ONE, [DIGEST])
        assert not storage.has_link(DIGEST, OTHER)

    def test_everything_may_be_done_again(self, storage: Storage, place: Place) -> None:
        put_blob(place, CONTENT, LAYER)
        for _again in range(2):
            storage.prepare(ONE)
            storage.set_aside(ONE, {DIGEST: [LAYER]}, with_bytes=True)
        for _again in range(2):
            storage.put_back(ONE, [DIGEST])
        assert storage.read(DIGEST, limit=100) == CONTENT
        storage.set_aside(ONE, {DIGEST: [LAYER]}, with_bytes=True)
        for _again in range(2):
            storage.discard(ONE, [DIGEST])
            storage.finish(ONE)
        assert place.paths() == set()

    def test_a_token_touches_nothing_of_another(self, storage: Storage, place: Place) -> None:
        put_blob(place, CONTENT, LAYER)
        storage.set_aside(ONE, {DIGEST: [LAYER]}, with_bytes=True)
        storage.put_back(TWO, [DIGEST])
        storage.discard(TWO, [DIGEST])
        assert storage.size(DIGEST) is None
        storage.put_back(ONE, [DIGEST])
        assert storage.size(DIGEST) == len(CONTENT)

    def test_what_lies_aside_has_its_bytes(self, storage: Storage, place: Place) -> None:
        assert list(storage.set_aside_bytes()) == []
        put_blob(place)
        place.put(link_path(DIGEST, LAYER), DIGEST.encode())
        place.put("moorage/aside/of somebody else/blobs/file", b"not ours")
        storage.set_aside(ONE, {DIGEST: [LAYER]}, with_bytes=True)
        assert list(storage.set_aside_bytes()) == [(DIGEST, len(CONTENT))]
        put_blob(place)
        storage.set_aside(TWO, {DIGEST: []}, with_bytes=True)
        assert list(storage.set_aside_bytes()) == 2 * [(DIGEST, len(CONTENT))]

    def test_who_comes_late_discards_nothing_of_what_was_put_back(
        self, storage: Storage, place: Place
    ) -> None:
        put_blob(place, CONTENT, LAYER)
        storage.set_aside(ONE, {DIGEST: [LAYER]}, with_bytes=True)
        storage.put_back(ONE, [DIGEST])
        # The one who was stopped goes on.
        storage.discard(ONE, [DIGEST])
        assert storage.read(DIGEST, limit=100) == CONTENT
        assert storage.has_link(DIGEST, LAYER)

    def test_what_was_stored_anew_meanwhile_stays(self, storage: Storage, place: Place) -> None:
        put_blob(place, CONTENT, LAYER)
        storage.set_aside(ONE, {DIGEST: [LAYER]}, with_bytes=True)
        put_blob(place, CONTENT, LAYER)
        storage.put_back(ONE, [DIGEST])
        assert storage.read(DIGEST, limit=100) == CONTENT
        assert place.paths() == {blob_path(DIGEST), link_path(DIGEST, LAYER)}

    def test_more_than_one_page(self, storage: Storage, place: Place) -> None:
        links = [Link(f"team/app{number:04}", "layer") for number in range(20)]
        put_blob(place, CONTENT, *links)
        storage.set_aside(ONE, {DIGEST: links}, with_bytes=True)
        assert len(storage.set_aside_links(ONE, [DIGEST])[DIGEST]) == 20
        storage.discard(ONE, [DIGEST])
        assert place.paths() == set()


class TestRepairing:
    def test_a_link_is_made(self, storage: Storage, place: Place) -> None:
        put_blob(place)
        storage.link(DIGEST, LAYER)
        assert storage.has_link(DIGEST, LAYER)
        assert storage.links("team/app", "layer").keys() == {DIGEST}

    def test_condemned_bytes_are_kept_out_of_sight(self, storage: Storage, place: Place) -> None:
        assert storage.condemned_bytes() == 0
        place.put(blob_path(DIGEST), b"rot")
        storage.condemn(DIGEST)
        storage.condemn(DIGEST)
        assert storage.size(DIGEST) is None
        (kept,) = place.paths()
        assert kept.startswith(f"moorage/damaged/{DIGEST.removeprefix('sha256:')}")
        assert storage.condemned_bytes() == len(b"rot")
        place.put(blob_path(DIGEST), b"more rot")
        storage.condemn(DIGEST)
        assert storage.size(DIGEST) is None


class TestMarker:
    def test_it_is_kept(self, storage: Storage) -> None:
        assert storage.read_marker() == ""
        storage.write_marker("first")
        storage.write_marker("second")
        assert storage.read_marker() == "second"


class TestTrouble:
    def test_a_storage_that_is_away_is_no_empty_one(self, subject: Subject) -> None:
        away: Storage
        if isinstance(subject.place, Directory):
            away = FilesystemStorage(subject.place.root / "not mounted")
        else:
            assert isinstance(subject.place, Objects)
            bucket = subject.place.bucket
            away = S3Storage(
                Bucket(
                    "no-such-bucket",
                    endpoint=bucket.endpoint,
                    access_key="testing",
                    secret_key="testing",
                )
            )
        with pytest.raises(StorageUnavailableError):
            away.read_marker()
        with pytest.raises(StorageUnavailableError):
            away.prepare(ONE)
        with pytest.raises(StorageUnavailableError):
            list(away.uploads())
        with pytest.raises(StorageUnavailableError):
            list(away.repositories())
        with pytest.raises(StorageUnavailableError):
            away.blobs("00")
