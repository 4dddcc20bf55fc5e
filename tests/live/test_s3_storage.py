"""What only a bucket can do to us: late deletions, answers that do not come, uploads in parts."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from botocore.exceptions import ReadTimeoutError

from registry_sync.storage import s3_objects
from registry_sync.storage.base import StorageUnavailableError
from registry_sync.storage.s3 import S3Storage
from registry_sync.storage.s3_objects import Objects
from tests.buckets import Service
from tests.factories import digest_of

pytestmark = pytest.mark.live

TOKEN, OTHER = "1" * 32, "2" * 32
CONTENT = b"some bytes"
DIGEST = digest_of(CONTENT)
HEXADECIMAL = DIGEST.removeprefix("sha256:")
KEY = f"deep/root/docker/registry/v2/blobs/sha256/{HEXADECIMAL[:2]}/{HEXADECIMAL}/data"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """An S3 service."""
    running = Service().start()
    yield running
    running.stop()


def interrupted(monkeypatch: pytest.MonkeyPatch, meanwhile: Any) -> None:
    """Let something happen between a copy and the deletion of what was copied."""
    copy = Objects.copy

    def then(self: Objects, source: str, target: str, *, version: str = "") -> None:
        copy(self, source, target, version=version)
        monkeypatch.setattr(Objects, "copy", copy)
        meanwhile()

    monkeypatch.setattr(Objects, "copy", then)


def test_a_late_deletion_hits_no_newer_version(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = service.bucket(has_versions=True)
    client, storage = service.client(), S3Storage(bucket)
    client.put_object(Bucket=bucket.name, Key=KEY, Body=CONTENT)

    def taken_over() -> None:
        # Another collector takes over, puts everything back, and goes.
        storage.set_aside(OTHER, {DIGEST: []}, with_bytes=True)
        storage.put_back(OTHER, [DIGEST])

    interrupted(monkeypatch, taken_over)
    storage.set_aside(TOKEN, {DIGEST: []}, with_bytes=True)
    assert storage.read(DIGEST, limit=100) == CONTENT


def test_without_versions_who_stood_still_deletes_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = service.bucket()
    storage = S3Storage(bucket)
    service.client().put_object(Bucket=bucket.name, Key=KEY, Body=CONTENT)
    interrupted(monkeypatch, lambda: monkeypatch.setattr(s3_objects, "FRESH_SECONDS", -1.0))
    with pytest.raises(StorageUnavailableError):
        storage.set_aside(TOKEN, {DIGEST: []}, with_bytes=True)
    assert storage.read(DIGEST, limit=100) == CONTENT


class SlowClock:
    """Time that goes by only while something is copied."""

    now = 0.0

    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return self.now


def test_without_versions_many_large_blobs_are_moved_one_after_the_other(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = service.bucket()
    client, storage, clock = service.client(), S3Storage(bucket), SlowClock()
    digests = [digest_of(bytes([number])) for number in range(4)]
    for digest in digests:
        client.put_object(Bucket=bucket.name, Key=storage._blob(digest), Body=CONTENT)
    copy = Objects.copy

    def slowly(self: Objects, source: str, target: str, *, version: str = "") -> None:
        clock.now += s3_objects.FRESH_SECONDS - 5
        copy(self, source, target, version=version)

    monkeypatch.setattr(Objects, "copy", slowly)
    monkeypatch.setattr(s3_objects, "time", clock)
    storage.set_aside(TOKEN, dict.fromkeys(digests, ()), with_bytes=True)
    assert [storage.size(digest) for digest in digests] == [None] * 4
    assert len(list(storage.set_aside_bytes())) == 4


def test_without_versions_a_deletion_without_an_answer_is_waited_out(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = service.bucket()
    storage = S3Storage(bucket)
    service.client().put_object(Bucket=bucket.name, Key=KEY, Body=CONTENT)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    deleting = storage._objects._deleting
    real, calls = deleting.delete_objects, []

    def once(**named: Any) -> Any:
        calls.append(named)
        if len(calls) == 1:
            raise ReadTimeoutError(endpoint_url=service.url)
        return real(**named)

    monkeypatch.setattr(deleting, "delete_objects", once)
    storage.set_aside(TOKEN, {DIGEST: []}, with_bytes=True)
    assert len(calls) == 2
    assert slept == [s3_objects.QUARANTINE_SECONDS]
    assert storage.size(DIGEST) is None


def test_an_upload_in_parts_is_found_and_given_up(service: Service) -> None:
    bucket = service.bucket()
    client, storage = service.client(), S3Storage(bucket)
    top = "deep/root/docker/registry/v2/repositories/team/app/_uploads/abc"
    client.put_object(Bucket=bucket.name, Key=f"{top}/startedat", Body=b"2024-01-01T00:00:00Z")
    begun = client.create_multipart_upload(Bucket=bucket.name, Key=f"{top}/data")
    client.upload_part(
        Bucket=bucket.name,
        Key=f"{top}/data",
        UploadId=begun["UploadId"],
        PartNumber=1,
        Body=b"x" * 1000,
    )
    (upload,) = storage.uploads()
    assert (upload.repository, upload.number, upload.size) == ("team/app", "abc", 1000)
    storage.remove_upload(upload)
    assert list(storage.uploads()) == []
    assert not client.list_multipart_uploads(Bucket=bucket.name).get("Uploads")


def test_what_is_more_than_a_page_is_listed_and_erased(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_objects, "PAGE", 5)
    bucket = service.bucket(has_versions=True)
    client, storage = service.client(), S3Storage(bucket)
    for number in range(12):
        key = f"deep/root/moorage/aside/{TOKEN}/{HEXADECIMAL}/layer/app{number}/@link"
        client.put_object(Bucket=bucket.name, Key=key, Body=b"x")
    assert len(storage.set_aside_links(TOKEN, [DIGEST])[DIGEST]) == 12
    storage.discard(TOKEN, [DIGEST])
    assert "Versions" not in client.list_object_versions(Bucket=bucket.name)


def test_an_address_gives_the_bytes_to_anybody(service: Service) -> None:
    bucket = service.bucket()
    storage = S3Storage(bucket)
    service.client().put_object(Bucket=bucket.name, Key=KEY, Body=CONTENT)
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(storage.url(DIGEST, seconds=60), timeout=10)
    assert answer.content == CONTENT
    assert answer.headers["Content-Disposition"] == "attachment"
