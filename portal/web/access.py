"""The door of every page: who asks, what they may know of, and what they get when they may not."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from accounts import audit, sessions
from accounts.credentials import principal_of_user
from accounts.errors import Denied, NotFound
from accounts.models import Project, ProjectAlias
from accounts.principals import ANONYMOUS, Actor, Principal
from portal.web.dates import written_for

# Set at sign-in; a session whose number is not the user's any more has ended.
EPOCH_KEY = "auth_epoch"
# When the session was last noted as seen, in seconds since 1970.
SEEN_KEY = "seen_at"

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


class SignInNeeded(Exception):
    """Nobody is signed in, and what was asked for is not for everybody."""


class MovedError(Exception):
    """The page's project, which the caller may know of, has another name now."""

    def __init__(self, former: str, name: str) -> None:
        """Keep both names."""
        super().__init__(former)
        self.former = former
        self.name = name


def principal_of(request: HttpRequest) -> Principal:
    """Return who is calling; a disabled or revoked user's session ends here, at once."""
    principal = principal_of_user(request.user)
    if principal.is_anonymous:
        return ANONYMOUS
    if request.session.get(EPOCH_KEY) != principal.epoch:
        logout(request)
        return ANONYMOUS
    return principal


def actor_of(request: HttpRequest) -> Actor:
    """Return who acts, from where, within which request."""
    return Actor.of(principal_of(request), request.META)


def visible_project(request: HttpRequest, name: str) -> Project:
    """Return the project of that name, if this caller may know of it.

    Anonymous callers are asked to sign in, others get 404; either way a project that is there
    and one that is not give the same answer. Below a former name, the door leads on to the present
    one.
    """
    principal = principal_of(request)
    projects = Project.objects.visible_to(principal).select_related("usage")
    project = projects.filter(name=name).first()
    if project is not None:
        return project
    aliases = ProjectAlias.objects.current(timezone.now()).filter(name=name)
    renamed = projects.filter(pk__in=aliases.values("project_id")).first()
    if renamed is not None and request.path.startswith(_place(name)):
        raise MovedError(name, renamed.name)
    if principal.is_anonymous:
        raise SignInNeeded
    raise Http404


def _place(project: str) -> str:
    return reverse("projects:detail", args=[project])


def is_fragment(request: HttpRequest, target: str) -> bool:
    """Tell whether htmx asks for the part of the page with this id."""
    headers = request.headers
    return headers.get("HX-Request") == "true" and headers.get("HX-Target") == target


def public_page(view: View[P]) -> View[P]:
    """Make a page of a view that decides by itself what an anonymous caller may see."""

    @wraps(view)
    def door(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            if not principal_of(request).is_anonymous:
                _note_seen(request)
            with written_for(request.user):
                response = view(request, *args, **kwargs)
        except SignInNeeded:
            response = _sign_in(request)
        except MovedError as moved:
            response = _lead_on(request, moved)
        except NotFound as error:
            raise Http404 from error
        except Denied as error:
            note_refusal(request, error)
            raise PermissionDenied from error
        # What a page shows depends on who asks and ends with their session.
        add_never_cache_headers(response)
        patch_vary_headers(response, ["Cookie", "HX-Request", "HX-Target"])
        return response

    return door


def page(view: View[P]) -> View[P]:
    """Make a page of a view, for people who are signed in."""

    @wraps(view)
    def signed_in(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if principal_of(request).is_anonymous:
            raise SignInNeeded
        return view(request, *args, **kwargs)

    return public_page(signed_in)


def note_refusal(request: HttpRequest, error: Denied) -> None:
    """Write down that somebody was refused a change; to look is no change."""
    if request.method != "POST" or principal_of(request).is_anonymous:
        return
    audit.record_refusal(actor_of(request), "update_page", request.path, reason=str(error))


def _note_seen(request: HttpRequest) -> None:
    """Remember that the session is in use; the session itself knows when it last was told."""
    now = time.time()
    if now - request.session.get(SEEN_KEY, 0) >= sessions.SEEN_RESOLUTION.total_seconds():
        address = request.META.get("moorage.address", "")
        sessions.note_seen(request.session.session_key, address=address)
        request.session[SEEN_KEY] = now


def _lead_on(request: HttpRequest, moved: MovedError) -> HttpResponse:
    """Send to the same page below the present name; a form is sent there again, as it is.

    Not for ever: when the former name has expired, another project may take it.
    """
    if request.headers.get("HX-Request") != "true":
        text = _("The project %(former)s is called %(name)s now.")
        messages.info(request, text % {"former": moved.former, "name": moved.name})
    rest = request.get_full_path().removeprefix(_place(moved.former))
    response = redirect(f"{_place(moved.name)}{rest}")
    # Only this status keeps the method and the body.
    response.status_code = 302 if request.method in {"GET", "HEAD"} else 307
    return response


def _sign_in(request: HttpRequest) -> HttpResponse:
    is_read = request.method in {"GET", "HEAD"}
    here = request.get_full_path() if is_read else resolve_url(settings.LOGIN_REDIRECT_URL)
    response = redirect_to_login(here)
    if request.headers.get("HX-Request") == "true":
        # A fragment's place must not be filled with the sign-in page.
        return HttpResponseClientRedirect(resolve_url(settings.LOGIN_URL))
    return response
