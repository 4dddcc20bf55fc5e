"""``/v2/<name>/tags/list`` (OCI distribution-spec 1.1, "Listing Tags")."""

from urllib.parse import urlencode

import orjson
from django.http import HttpRequest, HttpResponse

from registry_sync.gateway.errors import ProtocolError, name_unknown, protocol_view, respond
from registry_sync.gateway.standing import require_standing
from registry_sync.models import Tag

MAX_PAGE = 1000


@protocol_view("GET", "HEAD")
def tag_list(request: HttpRequest, name: str) -> HttpResponse:
    """All tags in byte order, or a page of ``n`` after ``last`` with a Link to the next."""
    standing = require_standing(request, name, "pull")
    if standing.repository_id is None:
        raise name_unknown()
    limit = page_size(request)
    tags = Tag.objects.filter(repository_id=standing.repository_id).order_by("name")
    last = request.GET.get("last", "")
    if last:
        tags = tags.filter(name__gt=last)
    names = list(tags.values_list("name", flat=True)[: limit + 1 if limit is not None else None])
    headers = {}
    if limit is not None and len(names) > limit:
        names = names[:limit]
        if names:
            query = urlencode({"n": limit, "last": names[-1]})
            headers["Link"] = f'</v2/{name}/tags/list?{query}>; rel="next"'
    return respond(orjson.dumps({"name": name, "tags": names}), headers=headers)


def page_size(request: HttpRequest) -> int | None:
    """Return ``n``, at most 1 000; None where it is not given.

    Raises 400 ``PAGINATION_NUMBER_INVALID`` for anything but a number from 0 up.
    """
    text = request.GET.get("n")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ProtocolError(400, "PAGINATION_NUMBER_INVALID", "n must be a number from 0 up")
    return min(int(text), MAX_PAGE)
