"""Who is calling, and the permissions an endpoint may name; the default is nobody.

REST framework's settings import this module, so it must not import REST framework's views.
"""

from typing import TYPE_CHECKING

from django.contrib.auth import SESSION_KEY
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts import credentials
from accounts.errors import Unauthorized
from accounts.models import User
from accounts.principals import ANONYMOUS, Actor, Principal

if TYPE_CHECKING:
    from rest_framework.views import APIView


def principal_of(request: Request) -> Principal:
    """Return who is calling."""
    return request.auth if isinstance(request.auth, Principal) else ANONYMOUS


class HeaderAuthentication(BaseAuthentication):
    """A user's name and password in the Authorization header."""

    def authenticate(self, request: Request) -> tuple[None, Principal] | None:
        """Return the principal as ``request.auth``; there is no user object to carry about."""
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return None
        return None, credentials.authenticate(header, actor=Actor.of(ANONYMOUS, request.META))


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
    """Whoever proved who they are."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Refuse strangers."""
        return not principal_of(request).is_anonymous


class Administrators(SignedIn):
    """Administrators of the whole system."""

    message = "Only an administrator may do this."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Refuse everybody else."""
        return super().has_permission(request, view) and principal_of(request).is_administrator
