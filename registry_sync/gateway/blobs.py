"""``/v2/<name>/blobs/<digest>``: the decision is made here, nginx sends the bytes."""

import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts import statements
from accounts.statements import Statement
from registry_sync import blobs
from registry_sync.blobs import BlobMissingError
from registry_sync.configured_storage import bucket
from registry_sync.gateway import proxy
from registry_sync.gateway.errors import blob_unknown, digest_invalid, protocol_view, respond
from registry_sync.gateway.standing import Standing, require_standing
from registry_sync.manifests import is_digest
from registry_sync.models import Blob, RepositoryBlob
from registry_sync.upstream import registry, registry_token


@protocol_view("GET", "HEAD")
def blob(request: HttpRequest, name: str, digest: str) -> HttpResponse:
    """Send a blob of this repository, or say that it is here."""
    standing = require_standing(request, name, "pull")
    if not is_digest(digest):
        raise digest_invalid()
    if standing.is_proxy:
        return _proxied(request, standing, digest)
    repository_id = standing.repository_id
    if repository_id is None:
        raise blob_unknown(digest)
    if request.method == "HEAD":
        return _describe(standing, repository_id, digest)
    if not (_is_readable(repository_id, digest) or _has_come(standing, repository_id, digest)):
        raise blob_unknown(digest)
    return _answer(request, standing, digest)


def _proxied(request: HttpRequest, standing: Standing, digest: str) -> HttpResponse:
    """From here where it is here, else from the upstream, which is asked once for all."""
    filling, standing = proxy.placed(standing)
    known = standing.repository_id
    size = None if known is None else known_size(known, digest)
    if size is None:
        headers = _headers(standing, digest)
        size, response = proxy.blob(filling, standing, request, digest, headers)
        if response is not None:
            return response
        standing = proxy.placed(standing)[1]
    else:
        proxy.note_hit(filling, size if request.method == "GET" else 0)
    if request.method == "HEAD" and standing.repository_id is not None:
        return _describe(standing, standing.repository_id, digest)
    return _answer(request, standing, digest)


def _answer(request: HttpRequest, standing: Standing, digest: str) -> HttpResponse:
    """Let nginx send a blob that is here, unless the client has it."""
    headers = _headers(standing, digest)
    if headers["ETag"] in request.META.get("HTTP_IF_NONE_MATCH", ""):
        return respond(status=304, content_type="application/octet-stream", headers=headers)
    return _send(standing, digest, headers)


def _describe(standing: Standing, repository_id: int, digest: str) -> HttpResponse:
    """Answer from the catalogue; ask the registry for a blob it was not yet seen to hold."""
    size = known_size(repository_id, digest)
    try:
        if size is not None:
            blobs.touch(standing.repository(), digest)
        else:
            size = find_upstream(standing, digest)
    except BlobMissingError as error:
        raise blob_unknown(digest) from error
    if size is None:
        raise blob_unknown(digest)
    headers = {
        **_headers(standing, digest),
        # Of a GET nginx says so itself.
        "Accept-Ranges": "bytes",
        "Content-Length": str(size),
    }
    return respond(content_type="application/octet-stream", headers=headers)


def known_size(repository_id: int, digest: str) -> int | None:
    """Return the bytes of a blob seen present in the repository and not being collected."""
    return blobs.present_sizes(repository_id, [digest]).get(digest)


def find_upstream(standing: Standing, digest: str) -> int | None:
    """Ask the registry for a blob of this repository and record what it says.

    Raises ``BlobMissingError`` where it is being collected, or was.
    """
    repository = standing.repository()
    rows = blobs.asked(repository.pk, digest)
    if rows is not None and rows.state != Blob.State.LIVE:
        raise BlobMissingError(digest)
    size = registry.head_blob(standing.registry_name, digest)
    if size is not None:
        blobs.confirm(repository, digest, size, since=rows)
    return size


def _send(standing: Standing, digest: str, headers: dict[str, str]) -> HttpResponse:
    """Let nginx send the bytes, from the storage or through the registry, or the bucket itself."""
    stored = bucket() if settings.MOORAGE_BLOB_DELIVERY == "redirect" else None
    if stored is not None:
        headers["Location"] = stored.url(digest, seconds=settings.MOORAGE_PULL_TOKEN_SECONDS)
        # Addresses are made anew for each request: they are good for a while only.
        headers["Cache-Control"] = "no-store"
        return respond(status=307, content_type="application/octet-stream", headers=headers)
    if settings.MOORAGE_BLOB_DELIVERY == "file":
        hexadecimal = digest.removeprefix("sha256:")
        headers["X-Accel-Redirect"] = f"/_storage/{hexadecimal[:2]}/{hexadecimal}"
    else:
        access = [(standing.registry_name, ("pull",))]
        headers["X-Accel-Redirect"] = f"/_registry/v2/{standing.registry_name}/blobs/{digest}"
        headers["X-Registry-Auth"] = f"Bearer {registry_token(access)}"
    return respond(content_type="application/octet-stream", headers=headers)


# By hand: every layer of every pull asks this, and building the SQL would be most of its cost.
_READABLE = """
SELECT 1 FROM registry_sync_repositoryblob l
JOIN registry_sync_blob b ON b.digest = l.digest AND b.state = 'live'
WHERE l.repository_id = %s AND l.digest = %s AND l.kind = 'layer' AND l.state = 'present'
AND (l.touched_at >= %s OR EXISTS (
  SELECT 1 FROM registry_sync_artifactblob u
  JOIN registry_sync_artifact a ON a.id = u.artifact_id
  WHERE u.digest = l.digest AND a.repository_id = l.repository_id AND a.trash_entry_id IS NULL))
"""


def _is_readable(repository_id: int, digest: str) -> bool:
    """True for a blob that a live artifact here uses, and for a fresh upload."""
    fresh = timezone.now() - datetime.timedelta(seconds=settings.MOORAGE_GC_GRACE)
    asked = [repository_id, digest, statements.moment(fresh)]
    return bool(statements.run(Statement(_READABLE, asked)))


def _has_come(standing: Standing, repository_id: int, digest: str) -> bool:
    """Ask the registry for a blob that was announced here: an announcement proves nothing."""
    announced = RepositoryBlob.objects.filter(
        repository_id=repository_id,
        digest=digest,
        kind=RepositoryBlob.Kind.LAYER,
        state=RepositoryBlob.State.EXPECTED,
    )
    try:
        return announced.exists() and find_upstream(standing, digest) is not None
    except BlobMissingError:
        return False


def _headers(standing: Standing, digest: str) -> dict[str, str]:
    """What a blob's answers carry; its bytes are an attacker's to choose, so no browser runs it."""
    reach = "public" if standing.is_public else "private"
    return {
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Cache-Control": f"{reach}, max-age=31536000, immutable",
        "Content-Disposition": "attachment",
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
    }
