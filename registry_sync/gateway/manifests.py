"""``/v2/<name>/manifests/<reference>``: pulled from the database, pushed in seven steps."""

from dataclasses import dataclass

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse

from accounts import statements
from accounts.errors import Conflict, NotFound
from accounts.statements import Statement
from registry_sync import manifests, statistics, trash
from registry_sync.gateway import proxy
from registry_sync.gateway.errors import (
    ProtocolError,
    digest_invalid,
    manifest_unknown,
    name_unknown,
    protocol_view,
    respond,
)
from registry_sync.gateway.push import push_manifest
from registry_sync.gateway.standing import Standing, require_standing
from registry_sync.manifests import INDEX_TYPES, MAX_MANIFEST_BYTES, ManifestError, is_digest
from registry_sync.proxy_cache.manifests import Found
from registry_sync.tag_names import is_tag


@protocol_view("GET", "HEAD", "PUT", "DELETE")
def manifest(request: HttpRequest, name: str, reference: str) -> HttpResponse:
    """Pull, push or delete one manifest by tag or digest."""
    if request.method == "PUT":
        return _push(request, name, reference)
    if request.method == "DELETE":
        return _delete(request, require_standing(request, name, "delete"), reference)
    return _pull(request, require_standing(request, name, "pull"), reference)


@dataclass(frozen=True, slots=True)
class _Stored:
    digest: str
    media_type: str
    content: bytes


_BY_TAG = """
SELECT b.digest, b.media_type, b.content
FROM registry_sync_tag t
JOIN registry_sync_artifact a ON a.id = t.artifact_id AND a.trash_entry_id IS NULL
JOIN registry_sync_manifestbody b ON b.digest = a.digest
WHERE t.repository_id = %s AND t.name = %s
"""
_BY_DIGEST = """
SELECT b.digest, b.media_type, b.content
FROM registry_sync_artifact a
JOIN registry_sync_manifestbody b ON b.digest = a.digest
WHERE a.repository_id = %s AND a.digest = %s AND a.trash_entry_id IS NULL
"""


def _find(repository_id: int, reference: str) -> _Stored | None:
    query = _BY_DIGEST if ":" in reference else _BY_TAG
    for digest, media_type, content in statements.run(Statement(query, [repository_id, reference])):
        return _Stored(digest, media_type, bytes(content))
    return None


def _check_reference(reference: str) -> None:
    """Raise for what can be no digest and no tag, before a database is asked for it."""
    if ":" in reference:
        if not is_digest(reference):
            raise digest_invalid()
    elif not is_tag(reference):
        raise manifest_unknown(reference)


def _pull(request: HttpRequest, standing: Standing, reference: str) -> HttpResponse:
    """The stored bytes and media type, whatever ``Accept`` says: the digest must hold."""
    _check_reference(reference)
    extra: dict[str, str] = {}
    if standing.is_proxy:
        standing, stored, extra = _proxied(standing, reference)
    elif standing.repository_id is None:
        raise name_unknown()
    else:
        stored = _find(standing.repository_id, reference)
    if stored is None:
        raise manifest_unknown(reference)
    etag = f'"{stored.digest}"'
    headers = {
        "Docker-Content-Digest": stored.digest,
        "ETag": etag,
        "Cache-Control": "no-cache" if standing.is_public else "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        **extra,
    }
    is_known = etag in request.META.get("HTTP_IF_NONE_MATCH", "")
    # What a full proxy project only passes on may have no repository yet.
    if request.method == "GET" and standing.repository_id is not None:
        statistics.note(
            standing.repository_id,
            digest=stored.digest,
            tag="" if ":" in reference else reference,
            actor=standing.actor(request),
            index=stored.content if stored.media_type in INDEX_TYPES else b"",
            is_sent=not is_known,
        )
    if is_known:
        return respond(status=304, content_type=stored.media_type, headers=headers)
    headers["Content-Length"] = str(len(stored.content))
    content = b"" if request.method == "HEAD" else stored.content
    return respond(content, content_type=stored.media_type, headers=headers)


def _proxied(standing: Standing, reference: str) -> tuple[Standing, _Stored | None, dict[str, str]]:
    """Ask the upstream where that is due; else what is here."""
    filling, standing = proxy.placed(standing)
    known = standing.repository_id
    here = None if known is None else _find(known, reference)
    found = proxy.manifest(
        filling, standing, reference, None if here is None else Found(*_fields(here))
    )
    if found is None:
        return standing, None, {}
    stored = _Stored(found.digest, found.media_type, found.content)
    if known is None:
        standing = proxy.placed(standing)[1]
    return standing, stored, proxy.warning(is_stale=found.is_stale)


def _fields(stored: _Stored) -> tuple[str, str, bytes]:
    return stored.digest, stored.media_type, stored.content


def _push(request: HttpRequest, name: str, reference: str) -> HttpResponse:
    standing = require_standing(request, name, "push")
    if ":" in reference:
        if not is_digest(reference):
            raise digest_invalid()
    elif not is_tag(reference):
        raise ProtocolError(400, "TAG_INVALID", "a tag has 1 to 128 letters, digits, _ . and -")
    pushed = manifests.parse(_body(request), request.META.get("CONTENT_TYPE", ""))
    if ":" in reference and reference != pushed.digest:
        raise ProtocolError(400, "DIGEST_INVALID", "the digest does not match the manifest")
    tag = "" if ":" in reference else reference
    artifact = push_manifest(standing, pushed, tag, actor=standing.actor(request))
    if tag:
        statistics.note_push(artifact.repository_id, standing.principal)
    headers = {
        "Location": f"/v2/{name}/manifests/{pushed.digest}",
        "Docker-Content-Digest": pushed.digest,
    }
    if pushed.subject_digest:
        headers["OCI-Subject"] = pushed.subject_digest
    return respond(status=201, headers=headers)


def _delete(request: HttpRequest, standing: Standing, reference: str) -> HttpResponse:
    """By tag: that tag alone. By digest: the artifact, its tags and its accessories."""
    _check_reference(reference)
    repository, actor = standing.repository(), standing.actor(request)
    try:
        if ":" in reference:
            # What a client did not name stays: it may delete an index's manifests itself.
            trash.delete_artifact(repository, reference, actor=actor, with_children=False)
        else:
            trash.delete_tag(repository, reference, actor=actor)
    except NotFound as error:
        raise manifest_unknown(reference) from error
    except Conflict as error:
        raise ProtocolError(409, "DENIED", str(error)) from error
    return respond(status=202)


def _body(request: HttpRequest) -> bytes:
    too_large = ManifestError("the manifest is larger than 4 MiB", "SIZE_INVALID")
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_MANIFEST_BYTES:
        raise too_large
    try:
        return request.body
    except RequestDataTooBig as error:
        raise too_large from error
