"""Reads somebody else's registry (OCI distribution-spec 1.1, "Pulling" and "Content Discovery")."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

import requests

from registry_sync.client import outbound, referrers
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError

_PAGE = 1000
_MAX_PAGE_BYTES = 16 * 1024 * 1024
# No registry has more; one that goes on and on means harm.
_MAX_PAGES = 10_000
_MAX_ENTRIES = 5_000_000
# Nobody takes so many for one image: who is told of them refuses.
_MAX_REFERRERS = 10_000
_MAX_TOKEN_BYTES = 1024 * 1024
BUSY = frozenset({429, 503})
# Without a number the registry does not say how long; more than the longest is another attempt's.
PAUSE = 2.0
_LONGEST_PAUSE = 60.0
# Whoever got so much of a blob got on.
_WORTH_BYTES = 1024 * 1024
_PART_BYTES = 256 * 1024
# How a registry answers that has no referrers API.
_NO_REFERRERS = frozenset({400, 404, 405})
_LINK = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class _NoListThereError(Exception):
    """The registry has no such list."""


class SourceRegistry:
    """A registry at one address, as far as it is read; for one thread."""

    # How it waits: a job looks up meanwhile, whether it is to stop.
    pause: Callable[[float], None] = staticmethod(time.sleep)
    # How often a busy registry is asked, and a blob that breaks off: 1 for who cannot wait.
    attempts = 4

    def __init__(
        self,
        url: str,
        *,
        username: str = "",
        password: str = "",
        session: requests.Session | None = None,
        is_realm: Callable[[str], bool] = lambda _host: False,
    ) -> None:
        """``url`` without ``/v2``. Raises ``ValueError`` where it is none.

        ``session`` says where it may lead; without one the operator of this machine named it.
        ``is_realm`` tells of a host whether it makes this registry's tokens, besides its own.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise ValueError("a registry's address looks like https://registry.example.com:5000")
        self._base = url.rstrip("/")
        self._credentials = (username, password) if username else None
        self._session = session or outbound.session(outbound.OPERATOR)
        self._beyond: requests.Session | None = None
        self._is_realm = is_realm
        # By scope: a token, or nothing where the registry takes credentials as they are.
        self._authorization: dict[str, str] = {}

    def watch(self, see: Callable[..., None]) -> None:
        """Have every answer of the registry's own address shown to ``see``, and to no other."""
        self._session.hooks["response"] = [see]

    def repositories(self) -> Iterator[str]:
        """Yield every repository's name."""
        scope = "registry:catalog:*"
        yield from self._names(f"/v2/_catalog?n={_PAGE}", "repositories", scope)

    def tags(self, repository: str) -> list[str]:
        """Return a repository's tags."""
        path = f"/v2/{repository}/tags/list?n={_PAGE}"
        return list(self._names(path, "tags", f"repository:{repository}:pull"))

    def manifest(
        self, repository: str, reference: str, *, types: frozenset[str], limit: int
    ) -> tuple[str, bytes] | None:
        """Return a manifest's media type and bytes, or None where it is absent or too large."""
        path = f"/v2/{repository}/manifests/{quote(reference, safe=':')}"
        accept = {"Accept": ", ".join(sorted(types))}
        with self._get(path, f"repository:{repository}:pull", headers=accept) as response:
            if response.status_code == 404:
                return None
            self._expect(response)
            content = _read(response, limit)
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        return None if content is None else (media_type, content)

    def referrers(self, repository: str, digest: str) -> list[str]:
        """Return the digests of what is about a manifest, by the API or else by the tag schema.

        A tag that holds no such list says nothing.
        """
        path = f"/v2/{repository}/referrers/{digest}"
        scope = f"repository:{repository}:pull"
        try:
            found = list(islice(self._listed(path, scope, _digests, _NO_REFERRERS), _MAX_REFERRERS))
        except _NoListThereError:
            found = self._referrers_by_tag(repository, digest)
        return [entry for entry in dict.fromkeys(found) if _DIGEST.fullmatch(entry)]

    def _referrers_by_tag(self, repository: str, digest: str) -> list[str]:
        try:
            listed = self.referrers_list(repository, digest)
        except referrers.NoListError:
            return []
        return referrers.digests_of(listed)[:_MAX_REFERRERS] if listed else []

    def has_referrers_api(self, repository: str, digest: str) -> bool:
        """Return whether the registry itself tells what is about a manifest."""
        path = f"/v2/{repository}/referrers/{digest}"
        with self._get(path, f"repository:{repository}:pull") as response:
            if response.status_code in _NO_REFERRERS:
                return False
            self._expect(response)
            return True

    def referrers_list(self, repository: str, digest: str) -> dict[str, Any] | None:
        """Return the image index that the tag schema keeps about a manifest, or None without one.

        Raises ``referrers.NoListError`` where the tag holds something else.
        """
        path = f"/v2/{repository}/manifests/{referrers.tag_of(digest)}"
        accept = {"Accept": ", ".join(referrers.ACCEPTED)}
        with self._get(path, f"repository:{repository}:pull", headers=accept) as response:
            if response.status_code == 404:
                return None
            self._expect(response)
            content = _read(response, referrers.MAX_BYTES)
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if content is None:
            raise referrers.NoListError
        return referrers.read(media_type, content)

    def blob_size(self, repository: str, digest: str) -> int | None:
        """Return a blob's bytes, or None where it is absent."""
        path = f"/v2/{repository}/blobs/{digest}"
        with self._get(path, f"repository:{repository}:pull", method="HEAD") as response:
            if response.status_code == 404:
                return None
            self._expect(response)
            length = outbound.number_of(response.headers.get("Content-Length", ""))
            if length is None:
                raise RegistryUnavailableError("the registry does not say how long a blob is")
            return length

    @contextmanager
    def open_blob(self, repository: str, digest: str) -> Iterator[Iterator[bytes] | None]:
        """Give a blob's bytes in parts, or None where it is absent; goes on where it breaks off."""
        path = f"/v2/{repository}/blobs/{digest}"
        scope = f"repository:{repository}:pull"
        with self._get(path, scope) as response:
            if response.status_code == 404:
                yield None
                return
            self._expect(response)
            yield self._whole(response, path, scope)

    def _whole(self, response: requests.Response, path: str, scope: str) -> Iterator[bytes]:
        came, worth, broken = 0, _WORTH_BYTES, 0
        with ExitStack() as stack:
            while True:
                try:
                    if broken:
                        response = stack.enter_context(self._rest(path, scope, came))
                    for part in _parts(response):
                        came += len(part)
                        yield part
                    return
                except RegistryUnavailableError:
                    if came >= worth:
                        worth, broken = came + _WORTH_BYTES, 0
                    broken += 1
                    if not came or broken >= self.attempts:
                        raise
                    self.pause(PAUSE * broken)

    @contextmanager
    def _rest(self, path: str, scope: str, offset: int) -> Iterator[requests.Response]:
        """Ask for what follows the first ``offset`` bytes."""
        with self._get(path, scope, headers={"Range": f"bytes={offset}-"}) as response:
            begins = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
            if response.status_code != 206 or not begins:
                raise RegistryUnavailableError("the registry broke off")
            yield response

    def _names(self, path: str, key: str, scope: str) -> Iterator[str]:
        """Yield the texts under ``key`` of a list's pages; none where there is no such list."""
        with suppress(_NoListThereError):
            yield from self._listed(path, scope, partial(_texts, key=key))

    def _listed(
        self,
        path: str,
        scope: str,
        read: Callable[[bytes | None], list[str]],
        absent: frozenset[int] = frozenset({404}),
    ) -> Iterator[str]:
        """Yield a list, page by page; a page that names itself again ends it.

        Raises ``_NoListThereError`` where the answer is one of ``absent``.
        """
        next_url: str | None = path
        seen: set[str] = set()
        count = 0
        while next_url and next_url not in seen:
            seen.add(next_url)
            if len(seen) > _MAX_PAGES or count > _MAX_ENTRIES:
                raise RegistryUnavailableError("the registry's list has no end")
            with self._get(next_url, scope) as response:
                if response.status_code in absent:
                    raise _NoListThereError
                self._expect(response)
                content = _read(response, _MAX_PAGE_BYTES)
                link = _LINK.search(response.headers.get("Link", ""))
            texts = read(content)
            count += len(texts)
            yield from texts
            next_url = self._own(urljoin(f"{self._base}{next_url}", link[1])) if link else None

    def _own(self, url: str) -> str:
        """Return the path of an address of this registry: credentials go nowhere else."""
        if not url.startswith(f"{self._base}/"):
            raise RegistryUnavailableError("the registry's list goes on at another address")
        return url.removeprefix(self._base)

    @contextmanager
    def _get(
        self, path: str, scope: str, *, method: str = "GET", headers: dict[str, str] | None = None
    ) -> Iterator[requests.Response]:
        response = self._send(method, path, scope, headers or {})
        waits, has_asked = self.attempts - 1, False
        while True:
            if response.status_code == 401 and not has_asked:
                has_asked = True
                challenge = response.headers.get("WWW-Authenticate", "")
                outbound.release(response)
                self._authorization[scope] = self._answer(challenge, scope)
            elif response.status_code in BUSY and waits:
                waits -= 1
                outbound.release(response)
                self.pause(wait_of(response))
            else:
                break
            response = self._send(method, path, scope, headers or {})
        if response.is_redirect and method in {"GET", "HEAD"}:
            # A registry on object storage sends the bytes from there; no credentials go along.
            location = urljoin(f"{self._base}{path}", response.headers["Location"])
            outbound.release(response)
            kept = {name: value for name, value in (headers or {}).items() if name == "Range"}
            response = outbound.send(self._session_for(location), method, location, headers=kept)
        try:
            yield response
        finally:
            outbound.release(response)

    def _session_for(self, url: str) -> requests.Session:
        """Return what may ask an address that the registry named."""
        own = outbound.place_of(self._base).host
        if outbound.place_of(url).host == own:
            return self._session
        if self._beyond is None:
            self._beyond = outbound.beyond(self._session, own)
        return self._beyond

    def _send(
        self, method: str, path: str, scope: str, headers: dict[str, str]
    ) -> requests.Response:
        if authorization := self._authorization.get(scope):
            headers = {**headers, "Authorization": authorization}
        return outbound.send(self._session, method, f"{self._base}{path}", headers=headers)

    def _answer(self, challenge: str, scope: str) -> str:
        """Return what proves that we may. Raises ``RegistryUnavailableError``."""
        kind = challenge.partition(" ")[0].lower()
        if kind == "basic" and self._credentials:
            name, password = self._credentials
            prepared = requests.Request("GET", self._base, auth=(name, password)).prepare()
            return str(prepared.headers["Authorization"])
        if kind == "bearer":
            return f"Bearer {self._token(dict(_CHALLENGE.findall(challenge)), scope)}"
        raise RegistryRejectedError(401, "the registry wants a name and password")

    def _token(self, asked: dict[str, str], scope: str) -> str:
        realm = asked.get("realm", "")
        own, other = outbound.place_of(self._base), outbound.place_of(realm)
        # A realm elsewhere is where a registry that was taken over would have a password sent.
        is_known = other.host == own.host or self._is_realm(other.host)
        is_laid_open = own.scheme == "https" and other.scheme != "https"
        if self._credentials and (not is_known or is_laid_open):
            raise RegistryUnavailableError("the registry's tokens are made at another host")
        scopes = [("scope", part) for part in scope.split()]
        query = urlencode([("service", asked.get("service", "")), *scopes])
        joint = "&" if urlsplit(realm).query else "?"
        url = f"{realm}{joint}{query}"
        answer = outbound.send(self._session_for(realm), "GET", url, auth=self._credentials)
        with answer:
            self._expect(answer)
            content = _read(answer, _MAX_TOKEN_BYTES)
            try:
                document = json.loads(content or b"")
                return str(document.get("token") or document["access_token"])
            except (ValueError, KeyError, AttributeError, RecursionError) as error:
                raise RegistryUnavailableError("the registry's token cannot be read") from error

    @staticmethod
    def _expect(response: requests.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        if status in {401, 403}:
            raise RegistryRejectedError(status, "the registry does not let us in")
        raise RegistryUnavailableError(f"the registry answered {status}")


def wait_of(response: requests.Response) -> float:
    """Return the seconds until a busy registry may be asked again; a date counts as no number."""
    seconds = outbound.number_of(response.headers.get("Retry-After", ""))
    return min(PAUSE if seconds is None else float(seconds), _LONGEST_PAUSE)


def _read(response: requests.Response, limit: int) -> bytes | None:
    content = bytearray()
    for part in _parts(response):
        content += part
        if len(content) > limit:
            return None
    return bytes(content)


def _parts(response: requests.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_content(_PART_BYTES)
    except requests.RequestException as error:
        raise RegistryUnavailableError("the registry broke off") from error


def _digests(content: bytes | None) -> list[str]:
    """Read the digests of an index's entries."""
    try:
        document: Any = json.loads(content or b"")
        return [str(entry["digest"]) for entry in document["manifests"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RegistryUnavailableError("the registry's list cannot be read") from error


def _texts(content: bytes | None, key: str) -> list[str]:
    try:
        document: Any = json.loads(content or b"")
        return [text for text in document[key] or [] if isinstance(text, str)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RegistryUnavailableError("the registry's list cannot be read") from error
