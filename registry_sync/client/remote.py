"""Writes to somebody else's registry (OCI distribution-spec 1.1, "Pushing").

Everything is asked before it is sent; a blob is mounted where the registry can, sent in pieces
where one likes, and goes on where it broke off. Waits as long as ``Retry-After`` says, but not for
ever.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Protocol
from urllib.parse import quote, urlencode, urljoin, urlsplit

import requests

from registry_sync.client import outbound, referrers
from registry_sync.client.errors import (
    RegistryError,
    RegistryRejectedError,
    RegistryUnavailableError,
)
from registry_sync.client.half_written import until_written
from registry_sync.client.source import BUSY, PAUSE, SourceRegistry, wait_of

_ERROR_BYTES = 64 * 1024
_MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Of several that write a list at once, one is done at each turn.
_LIST_ATTEMPTS = 8
# The upload is not where we think it is: it may still be at the piece that broke off.
_ADRIFT = frozenset({404, 416})
# Answers of one that does not know the upload, or does not know that it can be asked.
_UNTOLD = frozenset({400, 404, 405})


class Source(Protocol):
    """What a blob is read from."""

    def __call__(self, offset: int, /) -> AbstractContextManager[BinaryIO]:
        """Open the blob's bytes from ``offset`` on."""


class SourceBrokenError(RegistryError):
    """What is to be sent is shorter than was said: nothing that another attempt would cure."""


class RemoteRegistry(SourceRegistry):
    """A registry that is read and written; for one thread."""

    # Whether it is looked at by the right to push, which is wanted next: one token fewer. Who only
    # reads asks for none, for there are registries that give strangers nothing then.
    is_sending = False

    def ping(self) -> None:
        """Ask whether it is a registry and lets us in.

        Raises ``RegistryUnavailableError`` or ``RegistryRejectedError``.
        """
        with self._get("/v2/", "") as response:
            self._expect(response)

    def has_manifest(self, repository: str, digest: str, *, types: frozenset[str]) -> bool:
        """Return whether a repository holds a manifest; distribution finds only accepted types."""
        path = f"/v2/{repository}/manifests/{digest}"
        return self._is_there(path, repository, headers={"Accept": ", ".join(sorted(types))})

    def has_blob(self, repository: str, digest: str) -> bool:
        """Return whether a repository holds a blob."""
        return self._is_there(f"/v2/{repository}/blobs/{digest}", repository)

    def tagged_digest(self, repository: str, tag: str, *, types: frozenset[str]) -> str:
        """Return the digest a tag points to, empty where there is no such tag. One request."""
        path = f"/v2/{repository}/manifests/{quote(tag)}"
        headers = {"Accept": ", ".join(sorted(types))}
        with self._ask("HEAD", path, self._looking(repository), headers=headers) as response:
            if response.status_code == 404:
                return ""
            self._require(response, 200)
            named = response.headers.get("Docker-Content-Digest", "")
        if _DIGEST.fullmatch(named):
            return named
        # Not every registry says it (the specification only recommends that), nor always so that
        # we can use it.
        found = self.manifest(repository, tag, types=types, limit=_MAX_MANIFEST_BYTES)
        return f"sha256:{hashlib.sha256(found[1]).hexdigest()}" if found else ""

    def put_manifest(self, repository: str, reference: str, media_type: str, content: bytes) -> str:
        """Store a manifest under a tag or its digest; return the subject that was noted of it.

        Nothing where it has none, or the registry has no referrers API: then ``add_referrers`` is
        to be called. Raises ``RegistryRejectedError`` where the registry does not take it.
        """
        path = f"/v2/{repository}/manifests/{quote(reference, safe=':')}"
        headers = {"Content-Type": media_type}

        def put() -> str:
            with self._ask(
                "PUT", path, _scope(repository), headers=headers, body=content
            ) as response:
                self._require(response, 201)
                return response.headers.get("OCI-Subject", "")

        return until_written(put, pause=self.pause)

    def add_referrers(
        self, repository: str, subject: str, entries: Sequence[referrers.Entry]
    ) -> bool:
        """Have a subject's list, by the referrers tag schema, hold these; return if it was written.

        What is in it stays. It is read again after it was written, for another client may write at
        the same time and the protocol has no lock; once more where that took ours away. Raises
        ``referrers.NoListError`` where the tag holds something else, ``RegistryError``.
        """
        for written in range(_LIST_ATTEMPTS):
            listed = self.referrers_list(repository, subject)
            fresh = referrers.missing(listed, entries)
            if not fresh:
                return written > 0
            try:
                self._put_list(repository, subject, referrers.extended(listed, fresh))
            except RegistryRejectedError as error:
                # distribution takes no index of which a manifest was deleted meanwhile.
                gone = self._gone(repository, referrers.digests_of(listed or {"manifests": []}))
                if error.status != 400 or not gone:
                    raise
                self._put_list(repository, subject, referrers.extended(listed, fresh, gone))
        raise RegistryUnavailableError("others write the list of referrers at the same time")

    def _put_list(self, repository: str, subject: str, content: bytes) -> None:
        self.put_manifest(repository, referrers.tag_of(subject), referrers.INDEX_TYPE, content)

    def _gone(self, repository: str, digests: Sequence[str]) -> set[str]:
        types = frozenset(referrers.ACCEPTED)
        return {name for name in digests if not self.has_manifest(repository, name, types=types)}

    def put_blob(
        self,
        repository: str,
        digest: str,
        size: int,
        source: Source,
        *,
        location: str = "",
        piece: int = 0,
    ) -> None:
        """Store a blob.

        ``location`` is where ``mount`` has begun to. ``piece`` is the most that one request sends,
        in bytes; 0: everything at once.
        """
        location = location or self._start(repository)
        if piece and size > piece:
            self._send_pieces(repository, digest, size, source, location=location, piece=piece)
        else:
            self._send_whole(repository, digest, size, source, location=location)

    def mount(self, repository: str, digest: str, source: str) -> str:
        """Have a blob from another repository there, without sending it.

        Return nothing where that was done; else where to send it.
        """
        return self._start(repository, digest, source)

    # --- Uploads ----------------------------------------------------------------------------------

    def _start(self, repository: str, digest: str = "", mount_from: str = "") -> str:
        """Return where the bytes go; nothing where the blob was mounted."""
        path, scope = f"/v2/{repository}/blobs/uploads/", _scope(repository)
        if mount_from:
            path += "?" + urlencode({"mount": digest, "from": mount_from})
            scope += f" repository:{mount_from}:pull"
        with self._ask("POST", path, scope) as response:
            if response.status_code == 201:
                return ""
            self._require(response, 202)
            return self._location(response)

    def _send_whole(
        self, repository: str, digest: str, size: int, source: Source, *, location: str
    ) -> None:
        """Send it in one request, from the beginning again where that breaks off."""
        broken = 0
        while True:
            try:
                with source(0) as stream:
                    body, url = _Body(stream, size), _with_digest(location, digest)
                    with self._ask("PUT", url, _scope(repository), body=body) as response:
                        self._require(response, 201)
                        return
            except RegistryUnavailableError:
                broken += 1
                if broken >= self.attempts:
                    raise
                self.pause(PAUSE * broken)
                # It may have got everything, and only its answer was lost.
                if self.has_blob(repository, digest):
                    return
                location = self._start(repository)

    def _send_pieces(
        self,
        repository: str,
        digest: str,
        size: int,
        source: Source,
        *,
        location: str,
        piece: int,
    ) -> None:
        offset, broken = 0, 0
        while offset < size:
            try:
                end = min(offset + piece, size)
                location = self._send_piece(repository, source, offset, end, location)
                offset = end
            except (RegistryUnavailableError, RegistryRejectedError) as error:
                is_lost = isinstance(error, RegistryRejectedError) and error.status not in _ADRIFT
                broken += 1
                if is_lost or broken >= self.attempts:
                    raise
                self.pause(PAUSE * broken)
                location, offset = self._resumed(repository, location)
        with self._ask("PUT", _with_digest(location, digest), _scope(repository)) as response:
            self._require(response, 201)

    def _send_piece(
        self, repository: str, source: Source, offset: int, end: int, location: str
    ) -> str:
        headers = {"Content-Range": f"{offset}-{end - 1}"}
        with source(offset) as stream:
            body = _Body(stream, end - offset)
            with self._ask(
                "PATCH", location, _scope(repository), headers=headers, body=body
            ) as response:
                # 202 by the specification; some say that there is nothing to read.
                self._require(response, 202, 204)
                return self._location(response, location)

    def _resumed(self, repository: str, location: str) -> tuple[str, int]:
        """Ask how far an upload has come (same, "in chunks"); one that is gone begins anew.

        So does one at a registry that does not tell.

        The registry answers ``0-0`` for no byte and for one alike: nothing is lost by the former.
        """
        with self._ask("GET", location, _scope(repository)) as response:
            if response.status_code in _UNTOLD:
                return self._start(repository), 0
            self._require(response, 204)
            last = outbound.number_of(response.headers.get("Range", "0-0").rpartition("-")[2])
            return self._location(response, location), last + 1 if last else 0

    def _location(self, response: requests.Response, before: str = "") -> str:
        """Return where an upload goes on: bytes and credentials stay with the registry's host.

        ``before``: where it is, should it not say.
        """
        named = response.headers.get("Location", before)
        if not named:
            raise RegistryUnavailableError("the registry does not say where an upload goes on")
        found = urljoin(f"{self._base}/", named)
        own, other = outbound.place_of(self._base), outbound.place_of(found)
        if other.host != own.host or (own.scheme == "https" and other.scheme != "https"):
            raise RegistryUnavailableError("the registry wants uploads to go to another host")
        return found

    # --- Requests ---------------------------------------------------------------------------------

    def _looking(self, repository: str) -> str:
        return _scope(repository) if self.is_sending else f"repository:{repository}:pull"

    def _is_there(self, path: str, repository: str, headers: dict[str, str] | None = None) -> bool:

        def head() -> bool:
            with self._ask("HEAD", path, self._looking(repository), headers=headers) as response:
                if response.status_code == 404:
                    return False
                # A registry on object storage answers with where the bytes are.
                self._require(response, 200, 302, 307)
                return True

        return until_written(head, pause=self.pause)

    @contextmanager
    def _ask(
        self,
        method: str,
        where: str,
        scope: str,
        *,
        headers: dict[str, str] | None = None,
        body: "bytes | _Body | None" = None,
    ) -> Iterator[requests.Response]:
        """Send a request, again with a token where one is wanted, and after a busy answer."""
        url = where if "://" in where else f"{self._base}{where}"
        is_repeatable = not isinstance(body, _Body)
        waits = self.attempts
        has_asked = False
        while True:
            response = self._once(method, url, scope, headers or {}, body)
            if response.status_code == 401 and not has_asked:
                has_asked = True
                challenge = response.headers.get("WWW-Authenticate", "")
                outbound.release(response)
                self._authorization[scope] = self._answer(challenge, scope)
            elif response.status_code in BUSY and waits > 1:
                waits -= 1
                outbound.release(response)
                self.pause(wait_of(response))
            else:
                break
            if not is_repeatable:
                # Its bytes are read: whoever has them sends them again.
                raise RegistryUnavailableError("the registry did not take the bytes at once")
        try:
            yield response
        finally:
            outbound.release(response)

    def _once(
        self,
        method: str,
        url: str,
        scope: str,
        headers: dict[str, str],
        body: "bytes | _Body | None",
    ) -> requests.Response:
        given = dict(headers)
        if authorization := self._authorization.get(scope):
            given["Authorization"] = authorization
        if isinstance(body, _Body):
            given["Content-Type"] = "application/octet-stream"
        elif method in {"POST", "PUT"} and body is None:
            body = b""
        return outbound.send(self._session, method, url, headers=given, data=body)

    def _require(self, response: requests.Response, *statuses: int) -> None:
        status = response.status_code
        if status in statuses:
            return
        if 400 <= status < 500 and status not in {401, 408, 429}:
            raise RegistryRejectedError(status, _code_of(response))
        if status == 401:
            raise RegistryRejectedError(status, "UNAUTHORIZED")
        host = urlsplit(self._base).hostname
        raise RegistryUnavailableError(f"{host} answered {status}", status)


class _Body:
    """A part of a stream with a known length, as requests sends it."""

    def __init__(self, stream: BinaryIO, length: int) -> None:
        """``length``: bytes from where the stream is."""
        self._stream = stream
        self._left = length
        self._length = length

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises ``SourceBrokenError`` where there are too few."""
        wanted = self._left if size < 0 else min(size, self._left)
        content = self._stream.read(wanted) if wanted else b""
        if wanted and not content:
            raise SourceBrokenError
        self._left -= len(content)
        return content

    def __iter__(self) -> Iterator[bytes]:
        while content := self.read(256 * 1024):
            yield content


def _scope(repository: str) -> str:
    return f"repository:{repository}:pull,push"


def _with_digest(location: str, digest: str) -> str:
    joint = "&" if urlsplit(location).query else "?"
    return f"{location}{joint}{urlencode({'digest': digest})}"


def _code_of(response: requests.Response) -> str:
    """Return the specification's code of an error; its message may be anything."""
    try:
        content = response.raw.read(_ERROR_BYTES)
        code = str(json.loads(content)["errors"][0]["code"])
    except Exception:
        return ""
    return code if code.replace("_", "").isalnum() and len(code) <= 64 else ""
