"""Talks to the registry behind the gateway (OCI distribution-spec 1.1)."""

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast
from urllib.parse import urlencode, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.client.half_written import until_written
from registry_sync.client.wire import CONNECT_SECONDS, READ_SECONDS, Answer, Wire

_POOL_SIZE = 16
_PART_BYTES = 64 * 1024

# (repository, actions) pairs → a bearer token that gives them.
TokenSource = Callable[[Sequence[tuple[str, tuple[str, ...]]]], str]


@dataclass(frozen=True, slots=True)
class StartedUpload:
    """The registry's answer to an upload POST; mounted when the blob was there already."""

    is_mounted: bool
    location: str
    upload_id: str


class RegistryClient:
    """One registry at one address; safe to share between threads."""

    def __init__(self, base_url: str, token_source: TokenSource) -> None:
        """``base_url`` without a trailing slash."""
        self._base_url = base_url
        self._token_source = token_source
        self._wire = Wire(base_url)
        self._local = threading.local()

    def head_blob(self, repository: str, digest: str) -> int | None:
        """Return the size in bytes of a blob linked in the repository, or None."""

        def head() -> int | None:
            response = self._ask("HEAD", f"{repository}/blobs/{digest}", [(repository, ("pull",))])
            if response.status_code == 404:
                return None
            self._expect(response, 200)
            return int(response.headers["Content-Length"])

        return until_written(head)

    def get_blob(self, repository: str, digest: str, *, limit: int) -> bytes | None:
        """Return a blob's bytes, or None where it is absent or larger than ``limit`` bytes."""
        path = f"{repository}/blobs/{digest}"
        with self._send("GET", path, [(repository, ("pull",))], stream=True) as response:
            if response.status_code == 404:
                return None
            self._expect(response, 200)
            content = bytearray()
            try:
                for part in response.iter_content(_PART_BYTES):
                    content += part
                    if len(content) > limit:
                        return None
            except requests.RequestException as error:
                raise RegistryUnavailableError("the registry broke off") from error
        return bytes(content)

    @contextmanager
    def open_blob(self, repository: str, digest: str) -> Iterator[BinaryIO | None]:
        """Give a blob's bytes to be read as far as wanted, or None where it is absent."""
        path = f"{repository}/blobs/{digest}"
        with self._send("GET", path, [(repository, ("pull",))], stream=True) as response:
            if response.status_code == 404:
                yield None
                return
            self._expect(response, 200)
            yield cast(BinaryIO, _Body(response))

    def start_upload(self, repository: str, *, mount: str = "", source: str = "") -> StartedUpload:
        """Open an upload, or mount ``mount`` from the repository ``source``."""
        access: list[tuple[str, tuple[str, ...]]] = [(repository, ("pull", "push"))]
        query = ""
        if mount and source:
            access.append((source, ("pull",)))
            query = "?" + urlencode({"mount": mount, "from": source})
        response = self._send("POST", f"{repository}/blobs/uploads/{query}", access, data=b"")
        self._expect(response, 201, 202)
        return StartedUpload(
            is_mounted=response.status_code == 201,
            location=response.headers.get("Location", ""),
            upload_id=response.headers.get("Docker-Upload-UUID", ""),
        )

    def upload_blob(
        self, repository: str, digest: str, parts: Iterable[bytes], *, size: int
    ) -> None:
        """Store ``size`` bytes as a blob of the repository; the registry checks the digest.

        Raises ``RegistryRejectedError`` where the bytes are others.
        """
        location = urlsplit(self.start_upload(repository).location)
        query = f"{location.query}&" if location.query else ""
        response = self._send(
            "PUT",
            f"{location.path.removeprefix('/v2/')}?{query}{urlencode({'digest': digest})}",
            [(repository, ("pull", "push"))],
            data=_Parts(parts, size, digest),
            headers={"Content-Type": "application/octet-stream"},
        )
        self._expect(response, 201)

    def upload_offset(self, repository: str, upload: str) -> int | None:
        """Return how many bytes an open upload holds, or None where there is no such upload.

        ``upload`` is the session's id with its query (``<uuid>?_state=…``). The registry answers
        ``Range: 0-0`` for no byte and for one alike.
        """
        path = f"{repository}/blobs/uploads/{upload}"
        response = self._send("GET", path, [(repository, ("pull", "push"))])
        if response.status_code == 404:
            return None
        self._expect(response, 204)
        last = int(response.headers.get("Range", "0-0").rpartition("-")[2])
        return last + 1 if last else 0

    def put_manifest(self, repository: str, digest: str, media_type: str, content: bytes) -> None:
        """Store a manifest under its digest.

        Raises ``RegistryRejectedError`` when the registry misses a blob or refuses the manifest.
        """

        def put() -> None:
            response = self._ask(
                "PUT",
                f"{repository}/manifests/{digest}",
                [(repository, ("pull", "push"))],
                body=content,
                headers={"Content-Type": media_type},
            )
            self._expect(response, 201)

        until_written(put)

    def close(self) -> None:
        """Close this thread's connections."""
        self._wire.close()
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is not None:
            session.close()

    def _ask(
        self,
        method: str,
        path: str,
        access: Sequence[tuple[str, tuple[str, ...]]],
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        given = {"Authorization": f"Bearer {self._token_source(access)}", **(headers or {})}
        return self._wire.ask(method, f"/v2/{path}", given, body)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            # No proxies, no .netrc: this client only ever speaks to the configured registry.
            session.trust_env = False
            adapter = HTTPAdapter(pool_connections=1, pool_maxsize=_POOL_SIZE, max_retries=0)
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            self._local.session = session
        return session

    def _send(
        self,
        method: str,
        path: str,
        access: Sequence[tuple[str, tuple[str, ...]]],
        **options: Any,
    ) -> requests.Response:
        headers = {
            "Authorization": f"Bearer {self._token_source(access)}",
            **options.pop("headers", {}),
        }
        try:
            return self._session().request(
                method,
                f"{self._base_url}/v2/{path}",
                headers=headers,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                **options,
            )
        except requests.RequestException as error:
            raise RegistryUnavailableError("the registry does not answer") from error

    @staticmethod
    def _expect(response: requests.Response | Answer, *statuses: int) -> None:
        if response.status_code in statuses:
            return
        code, digests = _errors(response)
        if 400 <= response.status_code < 500 and response.status_code not in {401, 408, 429}:
            raise RegistryRejectedError(response.status_code, code, digests)
        # 401 would mean that our own token is refused: trouble of ours, never the client's.
        status = response.status_code
        raise RegistryUnavailableError(f"the registry answered {status}", status)


class _Parts:
    """Bytes in parts as a body of known length: an upload without one would be chunked.

    No more than that length is ever sent: what follows would be read as the next request.
    """

    def __init__(self, parts: Iterable[bytes], size: int, digest: str) -> None:
        """``size``: how many bytes the parts come to, as was said by whom they are from."""
        self._parts = iter(parts)
        self._size = self._left = size
        self._digest = digest

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """Return the next part, whatever its size; empty at the end.

        Raises ``RegistryRejectedError`` where there are more bytes, ``RegistryUnavailableError``
        where there are fewer.
        """
        part = next(self._parts, b"")
        self._left -= len(part)
        if self._left < 0:
            raise RegistryRejectedError(400, "SIZE_INVALID", (self._digest,))
        if not part and self._left:
            raise RegistryUnavailableError("what is uploaded broke off")
        return part


class _Body(io.RawIOBase):
    """A response's body as a file that is read once, from its beginning."""

    def __init__(self, response: requests.Response) -> None:
        """``response`` is closed by who opened it."""
        self._response = response

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises ``RegistryUnavailableError`` where they break off."""
        try:
            content: bytes = self._response.raw.read(None if size < 0 else size)
        except HTTPError as error:
            raise RegistryUnavailableError("the registry broke off") from error
        return content


def _errors(response: requests.Response | Answer) -> tuple[str, tuple[str, ...]]:
    """Return the first error's code and each one's digest; their messages may hold paths."""
    try:
        errors = response.json()["errors"]
        named = [_digest(error.get("detail")) for error in errors]
        return str(errors[0]["code"]), tuple(digest for digest in named if digest)
    except (ValueError, LookupError, TypeError, AttributeError):
        return "", ()


def _digest(detail: Any) -> str:
    if isinstance(detail, dict):
        detail = detail.get("digest")
    return detail if isinstance(detail, str) and detail.startswith("sha256:") else ""
