"""Objects of one bucket: read, listed page by page, copied, moved, erased.

There is no rename. What is moved is copied, and then exactly the version that was copied is
deleted: a deletion that comes late, from a collector that was stopped or a request that hung,
never hits what somebody stored since. A bucket without versions has only keys to delete; there a
deletion is sent shortly after the copy or not at all, and one whose answer did not come is waited
out before anything else happens.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

from boto3 import Session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from registry_sync.storage.base import StorageUnavailableError
from registry_sync.storage.bucket import Bucket

_CONNECT_SECONDS = 5
_READ_SECONDS = 20
# A deletion whose answer did not come may still be on its way for so long.
QUARANTINE_SECONDS = 2.0 * _READ_SECONDS
# A deletion by key alone is sent so soon after the copy, or not at all.
FRESH_SECONDS = 30.0
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchVersion", "NoSuchUpload"})
# So many are copied at most before they are deleted by key alone; fewer where that takes longer.
_STRETCH = 25
_STRETCH_SECONDS = 2.0
# One request copies at most 5 GiB.
_COPY = TransferConfig(multipart_threshold=4 * 2**30, multipart_chunksize=2**30)
# Of what a service lists and deletes at once.
PAGE = 1000
_ATTEMPTS = 4

Entry = dict[str, Any]


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Say in our own words that the bucket cannot be used."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        reason = code or type(error).__name__
        raise StorageUnavailableError(f"the bucket cannot be used: {reason}") from error


class Objects:
    """One bucket; safe to share between threads. What boto3 raises is told by ``telling``."""

    def __init__(self, bucket: Bucket) -> None:
        """``bucket``: nothing is asked of it yet."""
        self.bucket = bucket.name
        self._bucket = bucket
        self.client = _client(bucket, attempts=_ATTEMPTS)

    @cached_property
    def _deleting(self) -> Any:
        """What is deleted by its key alone must not be sent again by itself."""
        return _client(self._bucket, attempts=1)

    @cached_property
    def _public(self) -> Any:
        """Signs for where clients reach the bucket."""
        endpoint = self._bucket.public_endpoint or self._bucket.endpoint
        return _client(replace(self._bucket, endpoint=endpoint), attempts=1)

    @cached_property
    def has_versions(self) -> bool:
        """Whether the bucket keeps versions."""
        answer = self.client.get_bucket_versioning(Bucket=self.bucket)
        return bool(answer.get("Status") == "Enabled")

    def require(self) -> None:
        """Ask whether it is there: one that is away must never look like an empty one."""
        self.client.head_bucket(Bucket=self.bucket)

    # --- Reading ------------------------------------------------------------------------------

    def head(self, key: str) -> Entry | None:
        """Return what is known of an object, or None."""
        try:
            found: Entry = self.client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if _is_absent(error):
                return None
            raise
        return found

    def open(self, key: str) -> Any:
        """Return an object's body to be read and closed, or None."""
        try:
            return self.client.get_object(Bucket=self.bucket, Key=key)["Body"]
        except ClientError as error:
            if _is_absent(error):
                return None
            raise

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, or None."""
        body = self.open(key)
        if body is None:
            return None
        with contextlib.closing(body):
            content: bytes = body.read()
        return content

    def below(self, prefix: str) -> Iterator[Entry]:
        """Yield all objects below a prefix, page by page."""
        pages = self.client.get_paginator("list_objects_v2")
        size = {"PageSize": PAGE}
        for page in pages.paginate(Bucket=self.bucket, Prefix=prefix, PaginationConfig=size):
            yield from page.get("Contents", ())

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the prefixes one level down, each with its slash at the end."""
        pages = self.client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/"):
            for entry in page.get("CommonPrefixes", ()):
                yield entry["Prefix"]

    def unfinished(self, prefix: str) -> Iterator[Entry]:
        """Yield the uploads in parts that were begun below a prefix."""
        pages = self.client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
            yield from page.get("Uploads", ())

    def parts(self, upload: Entry) -> Iterator[Entry]:
        """Yield what came of an upload in parts; nothing where it ended meanwhile."""
        pages = self.client.get_paginator("list_parts")
        named = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
        try:
            for page in pages.paginate(Bucket=self.bucket, **named):
                yield from page.get("Parts", ())
        except ClientError as error:
            if not _is_absent(error):
                raise

    def url(self, key: str, *, seconds: int) -> str:
        """Return an address at which anybody may read an object for so many seconds.

        Made here, without a request; what the object is a browser is not told.
        """
        values = {
            "Bucket": self.bucket,
            "Key": key,
            "ResponseContentType": "application/octet-stream",
            "ResponseContentDisposition": "attachment",
        }
        made = self._public.generate_presigned_url("get_object", Params=values, ExpiresIn=seconds)
        return str(made)

    # --- Writing ------------------------------------------------------------------------------

    def put(self, key: str, content: bytes) -> None:
        """Write a small object, whole or not at all."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def copy(self, source: str, target: str, *, version: str = "") -> None:
        """Copy an object, within the service."""
        named = {"Bucket": self.bucket, "Key": source}
        if version:
            named["VersionId"] = version
        self.client.copy(named, self.bucket, target, Config=_COPY)

    def move(self, moves: Sequence[tuple[str, str]]) -> None:
        """Copy objects, given with their targets, then delete what was copied.

        What is not there is no error.
        """
        size = PAGE if self.has_versions else _STRETCH
        copied, began = list[dict[str, str]](), time.monotonic()
        for source, target in moves:
            if len(copied) >= size or time.monotonic() - began > _STRETCH_SECONDS:
                self._delete_copied(copied, began)
                copied, began = [], time.monotonic()
            named = self._copied(source, target)
            if named is not None:
                copied.append(named)
        self._delete_copied(copied, began)

    def _delete_copied(self, copied: list[dict[str, str]], began: float) -> None:
        """Delete what was copied since; what a bucket has from before it had versions, by key."""
        self.delete([named for named in copied if "VersionId" in named])
        if by_key := [named for named in copied if "VersionId" not in named]:
            self._delete_fresh(by_key, began)

    def _copied(self, source: str, target: str) -> dict[str, str] | None:
        """Copy an object; return what names exactly that one, or None where none is."""
        found = self.head(source)
        if found is None:
            return None
        version = found.get("VersionId", "") if self.has_versions else ""
        try:
            self.copy(source, target, version=version)
        except ClientError as error:
            # Another one moved it meanwhile.
            if _is_absent(error):
                return None
            raise
        return {"Key": source, "VersionId": version} if version else {"Key": source}

    def _delete_fresh(self, copied: list[dict[str, str]], began: float) -> None:
        """Delete by key alone, where that can hit nothing newer than the copies."""
        is_doubtful = False
        for attempt in range(_ATTEMPTS):
            if time.monotonic() - began > FRESH_SECONDS:
                # Whoever stood still for so long does not know what lies there now.
                raise StorageUnavailableError("the bucket took too long; nothing was deleted")
            try:
                _delete(self._deleting, self.bucket, copied)
                break
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                    raise
                is_doubtful = True
            except (BotoCoreError, StorageUnavailableError):
                is_doubtful = True
            if attempt == _ATTEMPTS - 1:
                time.sleep(QUARANTINE_SECONDS)
                raise StorageUnavailableError("the bucket does not answer deletions")
        if is_doubtful:
            # The one without an answer must not come after somebody stored this anew.
            time.sleep(QUARANTINE_SECONDS)

    def abort(self, upload: Entry) -> None:
        """Give up an upload in parts; one that ended meanwhile is no error."""
        named = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
        try:
            self.client.abort_multipart_upload(Bucket=self.bucket, **named)
        except ClientError as error:
            if not _is_absent(error):
                raise

    def erase(self, prefix: str) -> None:
        """Delete everything below a prefix that nobody writes to any more, every version of it."""
        # Until nothing is listed: some services list what was written meanwhile, others do not.
        while batch := self.versions(prefix):
            self.delete(batch)

    def versions(self, prefix: str) -> list[dict[str, str]]:
        """Name all objects below a prefix, every version of them, as ``delete`` takes them."""
        if not self.has_versions:
            return [{"Key": entry["Key"]} for entry in self.below(prefix)]
        pages = self.client.get_paginator("list_object_versions")
        size = {"PageSize": PAGE}
        return [
            {"Key": entry["Key"], "VersionId": entry["VersionId"]}
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix, PaginationConfig=size)
            for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        ]

    def delete(self, named: Sequence[dict[str, str]]) -> None:
        """Delete objects by many; what is not there is no error.

        Where a key is named without its version, nobody may write it any more.
        """
        for start in range(0, len(named), PAGE):
            _delete(self.client, self.bucket, named[start : start + PAGE])


def _delete(client: Any, bucket: str, named: Sequence[dict[str, str]]) -> None:
    answer = client.delete_objects(Bucket=bucket, Delete={"Objects": list(named), "Quiet": True})
    for problem in answer.get("Errors", ()):
        if problem.get("Code") not in _ABSENT:
            raise StorageUnavailableError(f"the bucket keeps objects: {problem.get('Code')}")


@cache
def _session() -> Session:
    """What boto3 knows of its services takes a while to read."""
    return Session()


def _client(bucket: Bucket, *, attempts: int) -> Any:
    # Other services than Amazon's are found by path; they know no checksums of newer kinds.
    style = {"addressing_style": "path" if bucket.endpoint else "auto"}
    return _session().client(
        "s3",
        region_name=bucket.region,
        aws_access_key_id=bucket.access_key or None,
        aws_secret_access_key=bucket.secret_key or None,
        endpoint_url=bucket.endpoint or None,
        config=Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": attempts},
            s3=style,
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            proxies={},
        ),
    )


def _is_absent(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in _ABSENT
