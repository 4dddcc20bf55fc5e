"""``/service/token``: the docker token service (distribution, "Token Authentication")."""

import datetime
from typing import Any

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts import access, credentials, docker_tokens, scopes
from accounts.errors import (
    BadRequest,
    DomainError,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from accounts.principals import ANONYMOUS, Actor, Principal


@csrf_exempt  # No cookie is read here: the credentials stand in the request itself.
@require_http_methods(["GET", "POST"])
def token(request: HttpRequest) -> HttpResponse:
    """Answer with a token for what was asked for and is permitted, which may be nothing."""
    try:
        parameters = request.GET if request.method == "GET" else request.POST
        service = parameters.get("service", settings.MOORAGE_TOKEN_SERVICE)
        if service != settings.MOORAGE_TOKEN_SERVICE:
            raise BadRequest("unknown service")
        principal = _principal(request)
        grants = access.granted(principal, scopes.parse(parameters.getlist("scope")))
    except DomainError as error:
        return _error(error)
    except OperationalError:
        # The database is locked, restarting or gone. All of it passes.
        return _error(Unavailable("try again in a moment"))
    is_write = any("push" in grant.actions or "delete" in grant.actions for grant in grants)
    lifetime = (
        settings.MOORAGE_PUSH_TOKEN_SECONDS if is_write else settings.MOORAGE_PULL_TOKEN_SECONDS
    )
    issued = docker_tokens.issue(principal, grants, lifetime=lifetime)
    now = datetime.datetime.now(datetime.UTC)
    body = {
        "token": issued,
        "access_token": issued,
        "expires_in": lifetime,
        "issued_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return JsonResponse(body, headers={"Cache-Control": "no-store"})


def _principal(request: HttpRequest) -> Principal:
    """Who asks: by Basic on GET, by ``grant_type=password`` on POST (containerd), or nobody."""
    actor = Actor.of(ANONYMOUS, request.META)
    if request.method == "POST":
        if request.POST.get("grant_type") != "password":
            raise BadRequest("grant_type must be password")
        user = credentials.check_password(
            request.POST.get("username", ""), request.POST.get("password", ""), actor=actor
        )
        return credentials.principal_of_user(user)
    header = request.META.get("HTTP_AUTHORIZATION", "")
    return credentials.authenticate(header, actor=actor) if header else ANONYMOUS


def _error(error: DomainError) -> HttpResponse:
    message = str(error)
    body: dict[str, Any] = {"errors": [{"code": error.code, "message": message, "detail": None}]}
    # docker prints this member.
    body["details"] = message
    response = JsonResponse(body, status=error.status, headers={"Cache-Control": "no-store"})
    if isinstance(error, Unauthorized):
        response["WWW-Authenticate"] = 'Basic realm="Moorage"'
    if isinstance(error, Unavailable):
        response["Retry-After"] = "2"
    if isinstance(error, TooManyRequests):
        response["Retry-After"] = str(error.retry_after)
    return response
