"""Asked by nginx before a PUT that finishes an upload: the digest is announced, then let through.

Also before a chunk that says where it begins (Content-Range), to refuse one out of order.

nginx passes only 401 and 403 of such a sub-request on, so every other refusal is a 403 whose
``X-Moorage-Status`` and ``X-Moorage-Code`` say what the client is to be told.
"""

import re
from urllib.parse import parse_qs, unquote, urlsplit

from django.http import HttpRequest, HttpResponse

from accounts.models import Project
from accounts.scopes import is_repository_name
from registry_sync import admission, blobs
from registry_sync.gateway.errors import (
    ProtocolError,
    digest_invalid,
    name_unknown,
    protocol_error,
    protocol_view,
)
from registry_sync.gateway.standing import (
    Standing,
    bearer_claims,
    challenge,
    scope_of,
    standing_of,
)
from registry_sync.gateway.waiting import patiently
from registry_sync.manifests import is_digest
from registry_sync.upstream import registry

_UPLOAD = re.compile(r"/v2/(.+)/blobs/uploads/([A-Za-z0-9_.=-]+)")
# OCI distribution-spec 1.1, "Pushing a blob in chunks".
_CONTENT_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


@protocol_view("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE")
def upload_precheck(request: HttpRequest) -> HttpResponse:
    """204 lets the PUT through to the registry."""
    try:
        _check(request)
    except Exception as problem:
        error = protocol_error(problem, request)
        if error.status == 401:
            raise error from problem
        return HttpResponse(
            status=403,
            headers={"X-Moorage-Status": str(error.status), "X-Moorage-Code": error.code},
        )
    return HttpResponse(status=204)


def _check(request: HttpRequest) -> None:
    target = urlsplit(request.META.get("HTTP_X_ORIGINAL_URI", ""))
    match = _UPLOAD.fullmatch(unquote(target.path))
    # Only a name may stand in the header of the challenge.
    if match is None or not is_repository_name(match[1]):
        raise name_unknown()
    standing = _standing(request, match[1])
    admission.require_writable(is_read_only=standing.is_read_only)
    content_range = request.META.get("HTTP_CONTENT_RANGE", "")
    if content_range:
        _check_range(standing, f"{match[2]}?{target.query}", content_range)
    if request.META.get("HTTP_X_ORIGINAL_METHOD") == "PATCH":
        return
    digest = _digest(target.query)
    repository = standing.open_repository()
    patiently(digest, lambda: blobs.expect(repository, digest))


def _digest(query: str) -> str:
    """Return the one digest of the query: the registry must find no other in it."""
    try:
        fields = parse_qs(query, keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise digest_invalid() from error
    digests = fields.get("digest", [])
    if len(digests) != 1 or not is_digest(digests[0]):
        raise digest_invalid()
    return digests[0]


def _standing(request: HttpRequest, registry_name: str) -> Standing:
    """The upload's path names the repository as the registry does; the token as the client does.

    A refusal names the path alone and is the same whether or not there is such a project: neither
    its existence nor a name that it was given later gets out.
    """
    scope = scope_of(registry_name, "push")
    claims = bearer_claims(request, scope)
    key, _, path = registry_name.partition("/")
    project = Project.objects.alive().filter(registry_key=key).only("name").first()
    standing = standing_of(claims, f"{project.name}/{path}", "push") if project else None
    if standing is None:
        raise challenge(scope, "insufficient_scope")
    return standing


def _check_range(standing: Standing, upload: str, content_range: str) -> None:
    """416 for a chunk that does not begin where the last one ended (2.8 takes it anywhere)."""
    chunk = _CONTENT_RANGE.fullmatch(content_range)
    offset = registry.upload_offset(standing.registry_name, upload)
    if offset is None:
        raise ProtocolError(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    # One byte is reported as none.
    if chunk is None or int(chunk[1]) not in ({0, 1} if offset == 0 else {offset}):
        raise ProtocolError(416, "BLOB_UPLOAD_INVALID", "the chunk is out of order")
