"""Projects that another registry fills: what is not here is fetched while its client waits."""

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from accounts import statements
from accounts.statements import Statement
from registry_sync import catalog, statistics
from registry_sync.client.errors import RegistryError
from registry_sync.gateway import places
from registry_sync.gateway.errors import (
    ProtocolError,
    blob_unknown,
    name_unknown,
    respond,
    unavailable,
)
from registry_sync.gateway.standing import Standing
from registry_sync.models import ProxyCache, Repository
from registry_sync.proxy_cache import fetching, manifests, projects, upstreams
from registry_sync.proxy_cache.manifests import Found, UnusableError
from registry_sync.proxy_cache.upstreams import UpstreamBusyError

# RFC 9110, "Range"; of several ranges the whole is sent, as it allows.
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


_FILLING = """
SELECT c.pattern, r.kind FROM registry_sync_proxycache c
JOIN registry_sync_remoteregistry r ON r.id = c.remote_id
WHERE c.project_id = %s
"""


@dataclass(frozen=True, slots=True)
class Filling:
    """What must be known of a proxy project's upstream before it is asked, if it is."""

    project_id: int
    pattern: str
    kind: str

    def cache(self) -> ProxyCache:
        """Return all of it. Raises 404 where the project was removed meanwhile."""
        caches = ProxyCache.objects.select_related("remote", "project")
        cache = caches.filter(project_id=self.project_id).first()
        if cache is None:
            raise name_unknown()
        return cache


def placed(standing: Standing) -> tuple[Filling, Standing]:
    """Return what fills the project, and the standing in the repository that is meant.

    Raises 404 for a repository that the project does not take from its upstream.
    """
    # By hand: most of what is asked for is here, and then this would be the dearest part.
    rows = statements.run(Statement(_FILLING, [standing.project_id]))
    if not rows:
        raise name_unknown()
    filling = Filling(standing.project_id, *rows[0])
    path = upstreams.named(filling.kind, standing.path)
    if not projects.admits(filling.pattern, path):
        raise ProtocolError(
            404, "NAME_UNKNOWN", "the project does not take this repository from its upstream"
        )
    known = standing.repository_id
    if path != standing.path or known is None:
        repositories = Repository.objects.filter(project_id=standing.project_id, path=path)
        known = repositories.values_list("pk", flat=True).first()
    return filling, dataclasses.replace(standing, path=path, repository_id=known)


def warning(*, is_stale: bool) -> dict[str, str]:
    """Return the header that tells of an answer without the upstream (RFC 7234, "Warning")."""
    return {"Warning": '111 - "the upstream registry did not answer"'} if is_stale else {}


def note_hit(filling: Filling, size: int) -> None:
    """Count what was here when it was asked for."""
    statistics.note_proxy(filling.project_id, hits=1, hit_bytes=size)


def manifest(
    filling: Filling, standing: Standing, reference: str, here: Found | None
) -> Found | None:
    """Return the manifest that the reference is now; None where there is none."""
    is_settled = here is not None and (
        ":" in reference
        or manifests.is_fresh(filling.project_id, standing.path, reference, here.digest)
    )
    if here is not None and is_settled:
        note_hit(filling, len(here.content))
        return here
    with _told():
        found = manifests.find(filling.cache(), standing.path, reference, here=here)
    if found is not None and here is not None and found.digest == here.digest:
        note_hit(filling, len(found.content))
    return found


def blob(
    filling: Filling,
    standing: Standing,
    request: HttpRequest,
    digest: str,
    headers: dict[str, str],
) -> tuple[int | None, HttpResponse | None]:
    """Answer for a blob that is not here; no answer where it came meanwhile."""
    cache = filling.cache()
    with _told():
        if request.method == "HEAD" or standing.repository_id is None:
            # Whoever may pull may ask for anything: a repository is made for what there is.
            size = fetching.size_of(cache, standing.path, digest)
            if size is None:
                raise blob_unknown(digest)
        if request.method == "HEAD":
            headers |= {"Accept-Ranges": "bytes", "Content-Length": str(size)}
            return size, respond(content_type="application/octet-stream", headers=headers)
        repository = catalog.open_repository(cache.project_id, standing.path)
        repository.project = cache.project
        fetch = fetching.of(cache, repository, digest)
    if fetch is None:
        if not fetching.is_here(repository.pk, digest):
            raise blob_unknown(digest)
        return None, None
    statistics.note_proxy(cache.project_id, misses=1)
    return fetch.size, _streamed(request, fetch, headers)


def _streamed(request: HttpRequest, fetch: fetching.Fetch, headers: dict[str, str]) -> HttpResponse:
    start, end, status = 0, fetch.size, 200
    asked = _RANGE.fullmatch(request.META.get("HTTP_RANGE", ""))
    if asked and (asked[1] or asked[2]) and fetch.size:
        start, end = _bounds(asked[1], asked[2], fetch.size)
        if start >= end:
            fetch.leave()
            raise ProtocolError(
                416,
                "RANGE_INVALID",
                "the range is outside the content",
                headers={"Content-Range": f"bytes */{fetch.size}"},
            )
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{fetch.size}"
    # Its thread waits for the upstream: meanwhile others use the connection.
    connection.close()
    response = StreamingHttpResponse(
        _Body(fetch, start, end), status=status, content_type="application/octet-stream"
    )
    headers |= {
        "Accept-Ranges": "bytes",
        "Content-Length": str(end - start),
        "Docker-Distribution-Api-Version": "registry/2.0",
    }
    for name, value in headers.items():
        response.headers[name] = value
    return response  # type: ignore[return-value]


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1 if last else size, size)


class _Body:
    """A fetch's bytes for one reader, who is gone at their end or when it is closed before."""

    def __init__(self, fetch: fetching.Fetch, start: int, end: int) -> None:
        self._fetch = fetch
        self._parts = fetch.parts(start, end)
        self._is_left = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._parts)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Called by Django at the response's end, also where nothing was read."""
        if not self._is_left:
            self._is_left = True
            self._fetch.leave()


def tags(filling: Filling, standing: Standing, *, are_any_here: bool) -> tuple[list[str], bool]:
    """Return the upstream's tags, and whether it could not be asked.

    Raises for the client where it could not and there are none here either.
    """
    cache = filling.cache()
    try:
        with _told(), upstreams.asking(cache) as client:
            return client.tags(upstreams.name_of(cache, standing.path)), False
    except ProtocolError:
        if not are_any_here:
            raise
        statistics.note_proxy(cache.project_id, stale=1)
        return [], True


def bring_referrers(filling: Filling, standing: Standing, digest: str) -> bool:
    """Fetch what the upstream says is about an artifact; False where it does not say."""
    cache = filling.cache()
    try:
        with places.given_up():
            manifests.fetch_referrers(cache, standing.path, digest)
    except RegistryError:
        statistics.note_proxy(cache.project_id, stale=1)
        return False
    return True


@contextmanager
def _told() -> Iterator[None]:
    """Wait for an upstream without holding up others; tell the client how that failed."""
    try:
        with places.given_up():
            yield
    except UpstreamBusyError as error:
        raise ProtocolError(
            429, "TOOMANYREQUESTS", str(error), headers={"Retry-After": str(error.seconds)}
        ) from error
    except fetching.TooManyError as error:
        raise ProtocolError(
            429, "TOOMANYREQUESTS", str(error), headers={"Retry-After": "2"}
        ) from error
    except UnusableError as error:
        raise ProtocolError(502, "MANIFEST_INVALID", str(error)) from error
    except RegistryError as error:
        raise unavailable("the upstream registry does not answer") from error
