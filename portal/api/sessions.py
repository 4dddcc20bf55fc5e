"""One's own browser sessions: list them, end one."""

from datetime import UTC

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import sessions
from accounts.models import UserSession
from portal.api import query
from portal.api.base import People
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed
from portal.api.users import oneself


class SessionOutput(serializers.Serializer[UserSession]):
    """Where somebody is signed in; never the key that a browser shows."""

    id = serializers.IntegerField(source="pk")
    address = serializers.CharField()
    client = serializers.CharField()
    creation_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    last_seen_time = serializers.DateTimeField(source="last_seen_at", default_timezone=UTC)
    is_current = serializers.SerializerMethodField()

    def get_is_current(self, session: UserSession) -> bool:
        """Tell whether this very request came by it."""
        return bool(session.session_key == self.context["session_key"])


class Sessions(Endpoint):
    """``/users/current/sessions``."""

    permissions = {"GET": People}
    operations = {"GET": Operation(gives=SessionOutput, is_list=True, is_whole=True)}

    def get(self, request: Request) -> Response:
        """List those that live, the last seen first."""
        found = sessions.of_user(oneself(self.principal))
        page = Page.of(request)
        context = {"session_key": request._request.session.session_key}
        return Response(
            listed(SessionOutput, page.rows(found), context),
            headers=page.headers(request, page.total(found)),
        )


class OneSession(Endpoint):
    """``/users/current/sessions/{session_id}``."""

    permissions = {"DELETE": People}
    noun = "session"

    def delete(self, request: Request, session_id: int) -> Response:
        """End one at once."""
        user = oneself(self.principal)
        sessions.end(user, query.row_id(session_id), actor=self.actor)
        return Response()
