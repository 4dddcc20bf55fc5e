"""Writes down who was refused a change: a push over the limit, a tag that no pattern matches."""

import logging
import re

from django.db import DatabaseError
from django.http import HttpRequest

from accounts import audit
from accounts.errors import Denied
from accounts.principals import Actor, Principal

logger = logging.getLogger(__name__)
# Where the caller of a request is kept once its token has been verified.
CALLER = "moorage.caller"
_REPOSITORY = re.compile(r"/v2/(.+?)/(?:manifests|blobs)/")


def note(request: HttpRequest, problem: Exception) -> None:
    """Write the refusal down, if it is one of a change; the answer does not depend on it."""
    principal = request.META.get(CALLER)
    is_change = request.method not in {"GET", "HEAD"}
    if not (isinstance(problem, Denied) and is_change and isinstance(principal, Principal)):
        return
    action = "delete_artifact" if request.method == "DELETE" else "create_artifact"
    named = _REPOSITORY.match(request.path)
    try:
        audit.record_refusal(
            Actor.of(principal, request.META),
            action,
            # Not the tag: who tries many of them is refused once a minute all the same.
            named[1] if named else request.path,
            reason=str(problem),
        )
    except DatabaseError:
        logger.exception("could not write down a refusal: %s %s", request.method, request.path)
