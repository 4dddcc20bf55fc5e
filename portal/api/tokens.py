"""One's own personal tokens: list, make, revoke."""

from datetime import UTC
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import personal_tokens
from accounts.models import PersonalToken
from portal.api import query
from portal.api.base import InPerson, People
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed
from portal.api.users import oneself

_SORTS = {"id": "pk", "name": "name", "creation_time": "created_at"}


class TokenInput(serializers.Serializer[dict[str, Any]]):
    """A name, scopes, and the days it works: 90 where nothing is said, -1 for ever."""

    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(child=serializers.CharField(max_length=32), max_length=16)
    duration = serializers.IntegerField(
        required=False, allow_null=True, min_value=-1, max_value=personal_tokens.MAX_DAYS
    )


class TokenOutput(serializers.Serializer[PersonalToken]):
    """A token without its secret; ``hint`` is how that begins."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    hint = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    creation_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    expires_at = serializers.SerializerMethodField()
    last_used = serializers.DateTimeField(
        source="last_used_at", default_timezone=UTC, allow_null=True
    )
    last_used_address = serializers.CharField()

    def get_expires_at(self, token: PersonalToken) -> int:
        """Return seconds since 1970, -1 for never."""
        return int(token.expires_at.timestamp()) if token.expires_at else -1


class TokenCreatedOutput(TokenOutput):
    """A new token: the only answer with the secret in it."""

    secret = serializers.SerializerMethodField()

    def get_secret(self, token: PersonalToken) -> str:
        """Return the secret, this once."""
        return str(self.context["secret"])


class Tokens(Endpoint):
    """``/users/current/tokens``."""

    permissions = {"GET": People, "POST": InPerson}
    operations = {
        "GET": Operation(gives=TokenOutput, is_list=True, is_whole=True),
        "POST": Operation(takes=TokenInput, gives=TokenCreatedOutput, status=201),
    }
    noun = "token"

    def get(self, request: Request) -> Response:
        """List those that were not revoked."""
        user = oneself(self.principal)
        found = query.ordered(personal_tokens.of_user(user), request, _SORTS)
        page = Page.of(request)
        return Response(
            listed(TokenOutput, page.rows(found)),
            headers=page.headers(request, page.total(found)),
        )

    def post(self, request: Request) -> Response:
        """Make a token."""
        serializer = TokenInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        token, secret = personal_tokens.create(
            oneself(self.principal),
            name=wanted["name"],
            scopes=wanted["scopes"],
            days=_days(wanted.get("duration")),
            actor=self.actor,
        )
        return Response(
            TokenCreatedOutput(token, context={"secret": secret}).data,
            status=201,
            headers={"Location": f"{API_ROOT}/users/current/tokens/{token.pk}"},
        )


class OneToken(Endpoint):
    """``/users/current/tokens/{token_id}``."""

    permissions = {"DELETE": People}
    noun = "token"

    def delete(self, request: Request, token_id: int) -> Response:
        """Revoke a token; one may revoke itself."""
        user = oneself(self.principal)
        personal_tokens.revoke(user, query.row_id(token_id), actor=self.actor)
        return Response()


def _days(duration: int | None) -> int | None:
    if duration is None:
        return personal_tokens.DEFAULT_DAYS
    return None if duration == -1 else duration
