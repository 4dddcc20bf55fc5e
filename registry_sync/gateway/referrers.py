"""``/v2/<name>/referrers/<digest>`` (OCI distribution-spec 1.1, "Listing Referrers")."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from django.db.models.functions import Length
from django.http import HttpRequest, HttpResponse

from registry_sync.gateway import proxy
from registry_sync.gateway.errors import digest_invalid, protocol_view, respond
from registry_sync.gateway.standing import require_standing
from registry_sync.gateway.tags import MAX_PAGE, page_size, text_of
from registry_sync.manifests import OCI_INDEX, is_digest
from registry_sync.models import Artifact


@protocol_view("GET", "HEAD")
def referrers(request: HttpRequest, name: str, digest: str) -> HttpResponse:
    """An index of the artifacts whose ``subject`` this is; empty where there are none.

    The subject need not exist: the specification wants an empty index, not 404.
    """
    standing = require_standing(request, name, "pull")
    if not is_digest(digest):
        raise digest_invalid()
    headers = {}
    if standing.is_proxy:
        filling, standing = proxy.placed(standing)
        headers = proxy.warning(is_stale=not proxy.bring_referrers(filling, standing, digest))
        standing = proxy.placed(standing)[1]
    found = (
        Artifact.objects.live()
        .filter(repository_id=standing.repository_id or 0, subject_digest=digest)
        .order_by("body_id")
    )
    artifact_type = text_of(request, "artifactType")
    if artifact_type:
        found = found.filter(artifact_type=artifact_type)
        headers["OCI-Filters-Applied"] = "artifactType"
    last = text_of(request, "last")
    if last:
        found = found.filter(body_id__gt=last)
    limit = page_size(request) or MAX_PAGE
    rows = list(
        found.annotate(length=Length("body__content")).values(
            "body_id", "media_type", "artifact_type", "annotations", "length"
        )[: limit + 1]
    )
    if len(rows) > limit:
        rows = rows[:limit]
        query = {"n": limit, "last": rows[-1]["body_id"]}
        if artifact_type:
            query["artifactType"] = artifact_type
        headers["Link"] = f'</v2/{name}/referrers/{digest}?{urlencode(query)}>; rel="next"'
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [_descriptor(row) for row in rows],
    }
    return respond(orjson.dumps(index), content_type=OCI_INDEX, headers=headers)


def _descriptor(row: Mapping[str, Any]) -> dict[str, Any]:
    descriptor = {
        "mediaType": row["media_type"],
        "digest": row["body_id"],
        "size": row["length"],
        "artifactType": row["artifact_type"],
    }
    if row["annotations"]:
        descriptor["annotations"] = row["annotations"]
    return descriptor
