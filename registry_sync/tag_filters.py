"""Which tags a person means: part of a name, a pattern with stars, or a digest's beginning."""

import re

from django.db.models import Q, QuerySet

from registry_sync.accessories import TOOL_TAG
from registry_sync.models import Tag

_DIGEST_QUERY = re.compile(r"(?:sha256:)?([0-9a-f]{6,64})")
MAX_QUERY = 256


def tags_for_people(tags: QuerySet[Tag]) -> QuerySet[Tag]:
    """Leave out the tags that tools use among themselves, and those not made yet."""
    return tags.filter(artifact__isnull=False).exclude(TOOL_TAG)


def matching(tags: QuerySet[Tag], query: str) -> QuerySet[Tag]:
    """Keep the tags that match; an empty query keeps them all."""
    query = query.strip()[:MAX_QUERY]
    if not query:
        return tags
    if "*" in query:
        first, *middle, last = query.split("*")
        tags = tags.filter(name__startswith=first, name__endswith=last)
        for part in filter(None, middle[:5]):
            tags = tags.filter(name__contains=part)
        return tags
    matches = Q(name__icontains=query)
    digest = _DIGEST_QUERY.fullmatch(query)
    if digest:
        matches |= Q(artifact__body__digest__startswith=f"sha256:{digest[1]}")
    return tags.filter(matches)
