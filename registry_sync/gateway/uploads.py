"""``/v2/<name>/blobs/uploads/``: opening an upload, or mounting a blob from another repository.

The bodies (PATCH, PUT) stream from nginx to the registry; the upload is opened here so that what
it announces stands in the catalogue first.
"""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

from accounts.scopes import is_repository_name
from registry_sync import admission, blobs, unreferenced, usage
from registry_sync.blobs import BlobMissingError
from registry_sync.client.registry import StartedUpload
from registry_sync.gateway.blobs import known_size
from registry_sync.gateway.errors import ProtocolError, protocol_view, respond, unavailable
from registry_sync.gateway.standing import (
    Standing,
    require_standing,
    scope_of,
    standing_of,
)
from registry_sync.manifests import is_digest
from registry_sync.models import Repository
from registry_sync.upstream import registry


@protocol_view("POST")
def start(request: HttpRequest, name: str) -> HttpResponse:
    """202 with where to send the bytes, or 201 for a blob that was mounted."""
    mount, source = _one(request, "mount"), _one(request, "from")
    scope = scope_of(name, "push")
    # Only a name may stand in the header of the challenge.
    if mount and source != name and is_repository_name(source):
        scope += f" {scope_of(source, 'pull')}"
    standing = require_standing(request, name, "push", scope=scope)
    admission.require_writable(is_read_only=standing.is_read_only)
    repository = standing.open_repository()
    mountable = _mountable(standing, mount, source) if mount and source else None
    if standing.storage_limit >= 0:
        coming = {mountable.digest: mountable.size} if mountable else {}
        usage.require_upload(standing.project_id, coming)
        if not coming:
            unreferenced.require_allowance(standing.project_id, standing.storage_limit)
    if mountable is None:
        return _started(registry.start_upload(standing.registry_name))
    upload = _mount(standing, repository, mountable)
    return _mounted(name, mount) if upload.is_mounted else _started(upload)


def _one(request: HttpRequest, name: str) -> str:
    """Return a query parameter that may stand once; the body is never read for it."""
    values = request.GET.getlist(name)
    if len(values) > 1:
        raise ProtocolError(400, "UNSUPPORTED", f"{name} is given more than once")
    return values[0] if values else ""


@dataclass(frozen=True, slots=True)
class _Mount:
    """A blob that may be mounted: from where in the registry, and its bytes."""

    digest: str
    source: str
    size: int


def _mountable(standing: Standing, digest: str, source: str) -> _Mount | None:
    """Return the mount when the caller may pull from the source and the blob is there.

    Everything else is a plain upload and never an error: a client must not learn from a mount
    what it may not know.
    """
    if not is_digest(digest):
        return None
    found = standing_of(standing.claims, source, "pull")
    if found is None or found.repository_id is None:
        return None
    size = known_size(found.repository_id, digest)
    return None if size is None else _Mount(digest, found.registry_name, size)


def _mount(standing: Standing, repository: Repository, mount: _Mount) -> StartedUpload:
    try:
        announced = blobs.expect(repository, mount.digest)
        upload = registry.start_upload(
            standing.registry_name, mount=mount.digest, source=mount.source
        )
        if upload.is_mounted:
            blobs.confirm(repository, mount.digest, mount.size, since=announced)
    except BlobMissingError:
        # It is being collected just now: the client sends it anew.
        return registry.start_upload(standing.registry_name)
    return upload


def _mounted(name: str, digest: str) -> HttpResponse:
    headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
    return respond(status=201, headers=headers)


def _started(upload: StartedUpload) -> HttpResponse:
    if not upload.location.startswith("/v2/"):
        raise unavailable()
    headers = {
        "Location": upload.location,
        "Docker-Upload-UUID": upload.upload_id,
        "Range": "0-0",
    }
    return respond(status=202, headers=headers)
