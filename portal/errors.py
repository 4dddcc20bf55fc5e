"""Every error as the API tells it: ``{"errors": [{"code", "message"}]}``.

The error table itself is ``accounts.errors``; here its rows, and the errors of Django and REST
framework, become responses.
"""

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core import exceptions as django_errors
from django.db import OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions as api_errors

from accounts.errors import DomainError, TooManyRequests, Unauthorized

logger = logging.getLogger(__name__)

REALM = 'Basic realm="Moorage"'
# What a caller is asked to wait when a part of the system does not answer.
RETRY_AFTER_SECONDS = 5
# PostgreSQL: lock_not_available, deadlock_detected, serialization_failure, query_canceled.
_BUSY_STATES = frozenset({"55P03", "40P01", "40001", "57014"})

_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    413: "REQUEST_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "TOOMANYREQUESTS",
}


def json_error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> JsonResponse:
    """Put one error into the contract's form."""
    body = {"errors": [{"code": code, "message": message}]}
    return JsonResponse(body, status=status, headers=headers)


def domain_error(error: DomainError, request: HttpRequest) -> JsonResponse:
    """Answer with an error of the table."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthorized):
        headers = _challenge(request)
    elif isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after)
    elif error.status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return json_error(error.status, error.code, str(error), headers)


def api_exception_handler(error: Exception, context: Mapping[str, Any]) -> JsonResponse:
    """Turn whatever a view raised into a response; REST framework calls this."""
    request: HttpRequest = context["request"]
    if isinstance(error, DomainError):
        return domain_error(error, request)
    if isinstance(error, api_errors.APIException):
        return _framework_error(error, request)
    if isinstance(error, OperationalError) and is_busy(error):
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return json_error(503, "UNAVAILABLE", "The database is busy; try again.", headers)
    return _django_error(error) or _unexpected(error, request)


def is_busy(error: OperationalError) -> bool:
    """Tell whether the database refused only because others were using it."""
    state = getattr(error.__cause__, "pgcode", None)
    return state in _BUSY_STATES or "database is locked" in str(error)


def gateway_not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer for a path that the gateway does not have."""
    return json_error(404, "NOT_FOUND", "there is nothing here")


def gateway_failure(request: HttpRequest) -> JsonResponse:
    """Answer after an unexpected error outside the protocol's own door; Django logged it."""
    return json_error(500, "UNKNOWN", "something went wrong; the log knows more")


def _challenge(request: HttpRequest) -> dict[str, str]:
    """Ask for a password, except in a page, where the browser would open its own dialogue."""
    in_a_page = settings.SESSION_COOKIE_NAME in request.COOKIES or (
        request.META.get("HTTP_SEC_FETCH_SITE") == "same-origin"
    )
    if in_a_page and "HTTP_AUTHORIZATION" not in request.META:
        return {}
    return {"WWW-Authenticate": REALM}


def _framework_error(error: api_errors.APIException, request: HttpRequest) -> JsonResponse:
    status, headers = error.status_code, {}
    if isinstance(error, (api_errors.NotAuthenticated, api_errors.AuthenticationFailed)):
        # REST framework would make it 403 where the first authentication names no scheme.
        status, headers = 401, _challenge(request)
    elif isinstance(error, api_errors.Throttled):
        wait = getattr(error, "wait", None) or RETRY_AFTER_SECONDS
        headers = {"Retry-After": str(math.ceil(wait))}
    return json_error(
        status, _CODES.get(status, "UNKNOWN"), "; ".join(_messages(error.detail)), headers
    )


def _messages(detail: object, field: str = "") -> Iterator[str]:
    """Flatten REST framework's tree of messages to ``field: message`` lines."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            path = field if name == "non_field_errors" else f"{field}.{name}".lstrip(".")
            yield from _messages(inner, path)
    elif isinstance(detail, (list, tuple)):
        for inner in detail:
            yield from _messages(inner, field)
    else:
        yield f"{field}: {detail}" if field else str(detail)


def _django_error(error: Exception) -> JsonResponse | None:
    if isinstance(error, Http404):
        return json_error(404, "NOT_FOUND", "There is nothing here.")
    if isinstance(error, django_errors.PermissionDenied):
        return json_error(403, "FORBIDDEN", "You are not allowed to do this.")
    if isinstance(error, django_errors.RequestDataTooBig):
        return json_error(413, "REQUEST_TOO_LARGE", "The request body is too large.")
    if isinstance(error, django_errors.ValidationError):
        return json_error(400, "BAD_REQUEST", "; ".join(error.messages))
    if isinstance(error, (django_errors.BadRequest, django_errors.SuspiciousOperation)):
        return json_error(400, "BAD_REQUEST", "The request cannot be understood.")
    return None


def _unexpected(error: Exception, request: HttpRequest) -> JsonResponse:
    """Tell the caller nothing but the number under which the log has the rest."""
    request_id = request.META.get("moorage.request_id", "")
    logger.error(
        "request %s: %s %r failed", request_id, request.method, request.path, exc_info=error
    )
    message = f"Something went wrong; the request's id is {request_id}."
    response = json_error(500, "UNKNOWN", message)
    # Django would log the same failure once more.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
