"""The protocol's errors, and the one place where every failure becomes one of them.

OCI distribution-spec 1.1, "Error Codes". Nothing of the registry's own words gets out: its
details hold file paths.
"""

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Any

import orjson
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from accounts import errors as domain
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.gateway import refusals
from registry_sync.manifests import ManifestError

logger = logging.getLogger(__name__)
View = Callable[..., HttpResponse]
RETRY_SECONDS = "2"


class ProtocolError(Exception):
    """An answer with one of the specification's codes."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        detail: Any = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """``detail`` and ``headers`` go out as they are."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}


def name_unknown() -> ProtocolError:
    """404 for a repository that is not there."""
    return ProtocolError(404, "NAME_UNKNOWN", "repository name not known to registry")


def manifest_unknown(reference: str) -> ProtocolError:
    """404 for a tag or digest that is not there."""
    return ProtocolError(
        404, "MANIFEST_UNKNOWN", "manifest unknown", detail={"reference": reference[:128]}
    )


def blob_unknown(digest: str) -> ProtocolError:
    """404 for a blob that is not there."""
    return ProtocolError(
        404, "BLOB_UNKNOWN", "blob unknown to registry", detail={"digest": digest[:128]}
    )


def digest_invalid() -> ProtocolError:
    """400 for anything but ``sha256:`` and 64 hexadecimal digits."""
    return ProtocolError(
        400, "DIGEST_INVALID", "a digest is sha256: and 64 lower-case hexadecimal digits"
    )


def unavailable(message: str = "try again in a moment") -> ProtocolError:
    """503: nothing was decided, and nothing went upstream."""
    return ProtocolError(503, "UNAVAILABLE", message, headers={"Retry-After": RETRY_SECONDS})


def respond(
    content: bytes | str = b"",
    *,
    status: int = 200,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> HttpResponse:
    """An answer with the header that tells clients this is a registry of version 2."""
    response = HttpResponse(content, status=status, content_type=content_type)
    response.headers["Content-Length"] = str(len(response.content))
    response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


def error_response(error: ProtocolError) -> HttpResponse:
    """The specification's error body."""
    body = {"errors": [{"code": error.code, "message": str(error), "detail": error.detail}]}
    headers = {"Cache-Control": "no-store", **error.headers}
    return respond(orjson.dumps(body), status=error.status, headers=headers)


def protocol_view(*methods: str) -> Callable[[View], View]:
    """Let only these methods in, and turn whatever goes wrong into a protocol error."""

    def decorate(view: View) -> View:
        @csrf_exempt  # No cookie is read under /v2: a bearer token is the only credential.
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method not in methods:
                _drain(request)
                allow = {"Allow": ", ".join(methods)}
                error = ProtocolError(
                    405, "UNSUPPORTED", "the operation is unsupported", headers=allow
                )
                return error_response(error)
            try:
                return view(request, *args, **kwargs)
            except Exception as problem:
                _drain(request)
                refusals.note(request, problem)
                return error_response(protocol_error(problem, request))

        return guarded

    return decorate


def _drain(request: HttpRequest) -> None:
    """Read what is left of a refused body.

    nginx is still sending it, and takes an answer that comes before its end for a failure.
    """
    with contextlib.suppress(OSError, RawPostDataException):
        for _part in iter(lambda: request.read(65536), b""):
            pass


_DOMAIN_CODES = {
    400: "NAME_INVALID",
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "NAME_UNKNOWN",
    412: "DENIED",
}


def protocol_error(problem: Exception, request: HttpRequest) -> ProtocolError:
    """What the client is told of a failure; what it is not told goes to the log."""
    if isinstance(problem, ProtocolError):
        return problem
    if isinstance(problem, ManifestError):
        status = 413 if problem.code == "SIZE_INVALID" else 400
        return ProtocolError(status, problem.code, str(problem))
    if isinstance(problem, UnreadablePostError):
        return ProtocolError(400, "SIZE_INVALID", "the request's body broke off")
    if isinstance(problem, domain.DomainError) and problem.status in _DOMAIN_CODES:
        return ProtocolError(problem.status, _DOMAIN_CODES[problem.status], str(problem))
    if isinstance(problem, (domain.Unavailable, RegistryUnavailableError, OperationalError)):
        # OperationalError: the database is locked, restarting or gone. All of it passes.
        logger.warning(
            "unavailable: %s %s: %s", request.method, request.path, problem.__cause__ or problem
        )
        return unavailable()
    if isinstance(problem, RegistryRejectedError):
        logger.warning("the registry refused %s %s: %s", request.method, request.path, problem)
        return ProtocolError(400, problem.code or "MANIFEST_INVALID", "the registry refused this")
    logger.error("unexpected: %s %s", request.method, request.path, exc_info=problem)
    return ProtocolError(500, "UNKNOWN", "something went wrong; the log knows more")
