"""Every error in the contract's form."""

import json
import logging
from typing import Any

import pytest
from django.core import exceptions as django_errors
from django.db import OperationalError
from django.http import Http404
from django.test import RequestFactory
from rest_framework import exceptions as api_errors

from accounts import errors
from portal.errors import api_exception_handler


def answer(error: Exception, **meta: str) -> tuple[int, str, str, dict[str, str]]:
    """Handle an error; return status, code, message and headers."""
    request = RequestFactory().get("/api/v2.0/x", **meta)  # type: ignore[arg-type]
    request.META["moorage.request_id"] = "c0ffee"
    response = api_exception_handler(error, {"request": request})
    (told,) = json.loads(response.content)["errors"]
    return response.status_code, told["code"], told["message"], dict(response.headers)


def busy(state: str) -> OperationalError:
    """An error of PostgreSQL."""

    class DriverError(Exception):
        pgcode = state

    error = OperationalError("canceling statement")
    error.__cause__ = DriverError()
    return error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.BadRequest("m"), 400, "BAD_REQUEST"),
        (errors.Unauthorized("m"), 401, "UNAUTHORIZED"),
        (errors.Denied("m"), 403, "FORBIDDEN"),
        (errors.NotFound("m"), 404, "NOT_FOUND"),
        (errors.Conflict("m"), 409, "CONFLICT"),
        (errors.PreconditionFailed("m"), 412, "PRECONDITION"),
        (errors.Unavailable("m"), 503, "UNAVAILABLE"),
        (api_errors.ParseError(), 400, "BAD_REQUEST"),
        (api_errors.NotAuthenticated(), 401, "UNAUTHORIZED"),
        (api_errors.AuthenticationFailed(), 401, "UNAUTHORIZED"),
        (api_errors.PermissionDenied(), 403, "FORBIDDEN"),
        (api_errors.NotFound(), 404, "NOT_FOUND"),
        (api_errors.MethodNotAllowed("PUT"), 405, "METHOD_NOT_ALLOWED"),
        (api_errors.UnsupportedMediaType("x"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (api_errors.Throttled(wait=2.5), 429, "TOOMANYREQUESTS"),
        (Http404(), 404, "NOT_FOUND"),
        (django_errors.PermissionDenied(), 403, "FORBIDDEN"),
        (django_errors.BadRequest(), 400, "BAD_REQUEST"),
        (django_errors.SuspiciousOperation("/etc/passwd"), 400, "BAD_REQUEST"),
        (django_errors.RequestDataTooBig(), 413, "REQUEST_TOO_LARGE"),
        (django_errors.ValidationError(["a", "b"]), 400, "BAD_REQUEST"),
        (OperationalError("database is locked"), 503, "UNAVAILABLE"),
        (busy("55P03"), 503, "UNAVAILABLE"),
        (busy("40P01"), 503, "UNAVAILABLE"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_status_and_code(error: Exception, status: int, code: str) -> None:
    assert answer(error)[:2] == (status, code)


def test_messages_of_fields_can_be_read() -> None:
    detail: Any = {"name": ["Too long.", "Odd."], "metadata": {"public": ["No."]}}
    assert answer(api_errors.ValidationError(detail))[2] == (
        "name: Too long.; name: Odd.; metadata.public: No."
    )
    general: Any = {"non_field_errors": ["No object."]}
    assert answer(api_errors.ValidationError(general))[2] == "No object."


def test_when_to_come_back() -> None:
    assert answer(errors.TooManyRequests("m", retry_after=7))[3]["Retry-After"] == "7"
    assert answer(api_errors.Throttled(wait=2.5))[3]["Retry-After"] == "3"
    for error in (errors.Unavailable("m"), OperationalError("database is locked")):
        assert int(answer(error)[3]["Retry-After"]) > 0
    assert "Retry-After" not in answer(errors.BadRequest("m"))[3]


def test_a_password_is_asked_for_except_in_a_page(settings: Any) -> None:
    error = errors.Unauthorized("m")
    assert answer(error)[3]["WWW-Authenticate"] == 'Basic realm="Moorage"'
    assert "WWW-Authenticate" not in answer(error, HTTP_SEC_FETCH_SITE="same-origin")[3]
    cookie = f"{settings.SESSION_COOKIE_NAME}=x"
    assert "WWW-Authenticate" not in answer(error, HTTP_COOKIE=cookie)[3]
    asked = answer(error, HTTP_COOKIE=cookie, HTTP_AUTHORIZATION="Basic x")[3]
    assert "WWW-Authenticate" in asked


class TestUnexpected:
    @pytest.mark.parametrize(
        "error",
        [ValueError("secret of /var/lib"), OperationalError("no such table: x"), KeyError()],
    )
    def test_tells_the_request_id_and_nothing_else(self, error: Exception) -> None:
        status, code, message, _ = answer(error)
        assert (status, code) == (500, "UNKNOWN")
        assert message == "Something went wrong; the request's id is c0ffee."

    def test_is_logged_once_with_its_trace(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.ERROR):
            answer(ValueError("the cause"))
        (record,) = caplog.records
        assert "c0ffee" in record.getMessage()
        assert record.exc_info is not None

    def test_a_refusal_is_not_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            answer(errors.Denied("m"))
        assert not caplog.records
