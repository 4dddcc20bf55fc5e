"""What is shown when something went wrong: a page, or JSON below the paths of programs.

The pages repeat nothing of what was asked for, so that one for a thing that is hidden and one
for a thing that is not there are the same bytes.
"""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import add_never_cache_headers

from portal.errors import json_error
from portal.web.shell import surroundings, theme_of

_PROGRAMS = ("/api/", "/v2/", "/service/")
_CODES = {
    HTTPStatus.BAD_REQUEST: ("BAD_REQUEST", "The request cannot be understood."),
    HTTPStatus.FORBIDDEN: ("FORBIDDEN", "You are not allowed to do this."),
    HTTPStatus.NOT_FOUND: ("NOT_FOUND", "There is nothing here."),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("UNKNOWN", "Something went wrong."),
}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return _answer(request, HTTPStatus.BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    return _answer(request, HTTPStatus.FORBIDDEN)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return _answer(request, HTTPStatus.NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """500; the database may be what failed, so nothing is read from it."""
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403, when a form comes from elsewhere or its page is too old."""
    return _answer(request, HTTPStatus.FORBIDDEN, template="errors/csrf.html")


def _answer(request: HttpRequest, status: HTTPStatus, *, template: str = "") -> HttpResponse:
    if request.path_info.startswith(_PROGRAMS):
        return json_error(status, *_CODES[status])
    context = {**surroundings(), "theme": theme_of(request)}
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        context["request_id"] = request.META.get("moorage.request_id", "")
    content = render_to_string(template or f"errors/{status.value}.html", context)
    response = HttpResponse(content, status=status)
    add_never_cache_headers(response)
    return response
