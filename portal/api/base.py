"""Who is calling, and the permissions an endpoint may name; the default is nobody.

REST framework's settings import this module, so it must not import REST framework's views.
"""

from typing import TYPE_CHECKING

from django.contrib.auth import SESSION_KEY
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts import access, credentials, sessions
from accounts.errors import Unauthorized
from accounts.models import User
from accounts.principals import ANONYMOUS, Actor, Principal

if TYPE_CHECKING:
    from rest_framework.views import APIView


def principal_of(request: Request) -> Principal:
    """Return who is calling."""
    return request.auth if isinstance(request.auth, Principal) else ANONYMOUS


class HeaderAuthentication(BaseAuthentication):
    """The Authorization header: Basic, or a personal token as Bearer."""

    def authenticate(self, request: Request) -> tuple[None, Principal] | None:
        """Return the principal as ``request.auth``; there is no user object to carry about."""
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return None
        actor = Actor.of(ANONYMOUS, request.META)
        scheme, _separator, secret = header.partition(" ")
        if scheme.lower() == "bearer":
            return None, credentials.authenticate_token(secret.strip(), actor=actor)
        return None, credentials.authenticate(header, actor=actor)


class BrowserAuthentication(SessionAuthentication):
    """The browser's session, with the CSRF token on everything that changes state."""

    def authenticate(self, request: Request) -> tuple[None, Principal] | None:
        """Refuse a session that has been revoked, instead of taking its owner for a stranger."""
        session = getattr(request._request, "session", None)
        if session is None or SESSION_KEY not in session:
            return None
        user = request._request.user
        if not isinstance(user, User) or session.get("auth_epoch") != user.auth_epoch:
            raise Unauthorized("The session has ended; sign in again.")
        principal = credentials.principal_of_user(user)
        if principal.is_anonymous:
            raise Unauthorized("The session has ended; sign in again.")
        self.enforce_csrf(request)
        sessions.note_seen(session.session_key, address=request.META.get("moorage.address", ""))
        return None, principal


class Deny(BasePermission):
    """Nobody: what a view that names no permission gets."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Refuse."""
        return False


class Anyone(BasePermission):
    """Signed in or not; the view itself starts from what the caller may see."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Allow."""
        return True


class SignedIn(BasePermission):
    """Whoever proved who they are: people and robots; auditors only where nothing changes."""

    message = "Auditors change nothing."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Refuse strangers, and auditors' changes."""
        principal = principal_of(request)
        is_safe = request.method in SAFE_METHODS
        return not principal.is_anonymous and (
            is_safe or principal.is_administrator or not principal.is_auditor
        )


class People(BasePermission):
    """Everyone with an account of their own to look after, auditors included; no robots."""

    message = "Only people may do this."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Refuse strangers and robots."""
        return principal_of(request).user_id is not None


class InPerson(People):
    """People by password or browser: what a personal token must not do for its owner.

    A stolen token could otherwise make itself a wider one, or one that lasts.
    """

    message = "A personal token cannot do this; use a password or the browser."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Refuse strangers, robots and tokens."""
        return super().has_permission(request, view) and principal_of(request).token_id is None


class Administrators(BasePermission):
    """Administrators of the whole system; where nothing changes, auditors too."""

    message = "Only an administrator may do this."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Refuse everybody else."""
        principal = principal_of(request)
        is_safe = request.method in SAFE_METHODS
        return principal.is_administrator or (is_safe and principal.is_auditor)


class MaySystem(BasePermission):
    """Whoever may do ``action`` in the whole system; ``accounts.access`` decides."""

    action = ""
    message = "This is for administrators, and for robots that were given it."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Ask."""
        return bool(access.can_system(principal_of(request), self.action))
