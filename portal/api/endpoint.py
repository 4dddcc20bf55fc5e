"""What every endpoint shares: permissions per method, strict JSON, plain English."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn

from django.core.exceptions import RequestDataTooBig
from django.http.response import HttpResponseBase
from django.utils import translation
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import audit
from accounts.errors import Denied, Unauthorized
from accounts.principals import Actor, Principal
from portal.api.base import BrowserAuthentication, Deny, HeaderAuthentication, principal_of
from portal.api.openapi import EndpointSchema, Operation

API_ROOT = "/api/v2.0"
MAXIMUM_BODY = 1024 * 1024
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}


class StrictJSONParser(JSONParser):
    """JSON of a bounded size and depth."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Refuse what is too large before it is read, and what is too deep before it is used."""
        # REST framework reads the stream itself, past Django's own limit.
        length = int(parser_context["request"].META["CONTENT_LENGTH"]) if parser_context else 0
        if length > MAXIMUM_BODY:
            raise RequestDataTooBig
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise exceptions.ParseError("The JSON is nested too deeply.") from error


class OnlyJSON(DefaultContentNegotiation):
    """The API answers in JSON whatever ``Accept`` and ``?format=`` say."""

    def select_renderer(
        self,
        request: Request,
        renderers: Any,
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Take the only renderer."""
        return renderers[0], renderers[0].media_type


class Endpoint(APIView):
    """One path; ``permissions`` names for each of its methods who may use it at all.

    What a caller may do to *this* project is asked by the method itself, from
    ``accounts.access``. Messages are plain English whatever language the browser prefers.
    """

    authentication_classes: Sequence[type[BaseAuthentication]] = (
        HeaderAuthentication,
        BrowserAuthentication,
    )
    parser_classes = (StrictJSONParser,)
    content_negotiation_class = OnlyJSON
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    permissions: ClassVar[Mapping[str, type[BasePermission]]] = {}
    # What each method takes and gives, for the API's description.
    operations: ClassVar[Mapping[str, Operation]] = {}
    schema = EndpointSchema()
    # What it is about, for the audit: ``robot``.
    noun: ClassVar[str] = ""

    @property
    def principal(self) -> Principal:
        """Who is calling."""
        return principal_of(self.request)

    @property
    def actor(self) -> Actor:
        """Who is calling, from where, for the audit."""
        return Actor.of(self.principal, self.request.META)

    def get_permissions(self) -> list[BasePermission]:
        """Look the method up; HEAD is GET's unless it has a row of its own; the rest is denied."""
        method = self.request.method or ""
        if method == "HEAD" and "HEAD" not in self.permissions:
            method = "GET"
        return [self.permissions.get(method, Deny)()]

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Answer 405 before asking who is calling: that a method is missing is no secret."""
        method = (request.method or "").lower()
        if method not in self.http_method_names or not hasattr(self, method):
            raise exceptions.MethodNotAllowed(request.method or "")
        super().initial(request, *args, **kwargs)

    def check_permissions(self, request: Request) -> None:
        """Hold a personal token to its scopes before anything else is asked."""
        scope = "api:read" if request.method in SAFE_METHODS else "api:write"
        if not principal_of(request).may_use(scope):
            raise Denied(f"The personal token lacks the scope {scope}.")
        super().check_permissions(request)

    def permission_denied(
        self, request: Request, message: str | None = None, code: str | None = None
    ) -> NoReturn:
        """Ask a stranger to sign in, and tell the others that they may not."""
        if principal_of(request).is_anonymous:
            raise Unauthorized("Sign in first.")
        raise Denied(message or "You are not allowed to do this.")

    def handle_exception(self, exc: Exception) -> Response:
        """Write down who was refused a change, in the one place that every refusal passes."""
        is_change = self.request.method not in SAFE_METHODS
        if isinstance(exc, Denied) and is_change and not self.principal.is_anonymous:
            verb = _VERBS.get(self.request.method or "", "update")
            action = f"{verb}_{self.noun or 'api'}"
            audit.record_refusal(self.actor, action, self.request.path, reason=str(exc))
        return super().handle_exception(exc)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer in English."""
        with translation.override("en"):
            return super().dispatch(request, *args, **kwargs)
