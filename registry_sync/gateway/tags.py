"""``/v2/<name>/tags/list`` (OCI distribution-spec 1.1, "Listing Tags")."""

from typing import Any
from urllib.parse import urlencode

import orjson
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from registry_sync.gateway import proxy
from registry_sync.gateway.errors import ProtocolError, name_unknown, protocol_view, respond
from registry_sync.gateway.standing import Standing, require_standing
from registry_sync.models import Repository, Tag

MAX_PAGE = 1000


@protocol_view("GET", "HEAD")
def tag_list(request: HttpRequest, name: str) -> HttpResponse:
    """All tags in byte order, or a page of ``n`` after ``last`` with a Link to the next."""
    standing = require_standing(request, name, "pull")
    if standing.is_proxy:
        return _proxied(request, standing, name)
    if standing.repository_id is None:
        raise name_unknown()
    limit = page_size(request)
    tags = Tag.objects.filter(repository_id=standing.repository_id).order_by("name")
    last = text_of(request, "last")
    if last:
        tags = tags.filter(name__gt=last)
    names, headers = page(tags.values_list("name", flat=True), limit, f"/v2/{name}/tags/list")
    if not names and not Repository.objects.pushed().filter(pk=standing.repository_id).exists():
        # An upload or a refused push made the row; that is no repository yet.
        raise name_unknown()
    return respond(orjson.dumps({"name": name, "tags": names}), headers=headers)


def _proxied(request: HttpRequest, standing: Standing, name: str) -> HttpResponse:
    """The upstream's tags with those that are here; these alone where it does not answer."""
    filling, standing = proxy.placed(standing)
    here = Tag.objects.filter(repository_id=standing.repository_id or 0, artifact__isnull=False)
    own = set(here.values_list("name", flat=True))
    upstream, is_stale = proxy.tags(filling, standing, are_any_here=bool(own))
    names = sorted(own | set(upstream))
    if not names:
        raise name_unknown()
    limit, last = page_size(request), text_of(request, "last")
    after = [each for each in names if each > last]
    headers = proxy.warning(is_stale=is_stale)
    if limit is not None and 0 < limit < len(after):
        query = urlencode({"n": limit, "last": after[limit - 1]})
        headers["Link"] = f'</v2/{name}/tags/list?{query}>; rel="next"'
    shown = after if limit is None else after[:limit]
    return respond(orjson.dumps({"name": name, "tags": shown}), headers=headers)


def page(
    names: QuerySet[Any, str], limit: int | None, path: str
) -> tuple[list[str], dict[str, str]]:
    """Return the first ``limit`` names, and the Link header where there are more (RFC 5988)."""
    if limit is None:
        return list(names), {}
    found = list(names[: limit + 1])
    if not 0 < limit < len(found):
        return found[:limit], {}
    query = urlencode({"n": limit, "last": found[limit - 1]})
    return found[:limit], {"Link": f'<{path}?{query}>; rel="next"'}


def text_of(request: HttpRequest, name: str) -> str:
    """Return a query parameter without NUL, which PostgreSQL cannot compare with."""
    return (request.GET.get(name) or "").replace("\0", "")


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
