"""Signing in and out, language and theme."""

import time

from django.conf import settings
from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django.views.i18n import set_language

from accounts import sessions
from accounts.credentials import check_password, principal_of_user
from accounts.errors import DomainError, TooManyRequests, Unauthorized
from accounts.models import Project
from accounts.principals import ANONYMOUS, Actor
from portal.web import setup
from portal.web.access import EPOCH_KEY, SEEN_KEY, principal_of, public_page
from portal.web.commands import Tool
from portal.web.forms import SignInForm
from portal.web.shell import THEMES, external_host

BACKEND = "django.contrib.auth.backends.ModelBackend"
_A_YEAR = 365 * 24 * 60 * 60


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@public_page
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for a name and a password, and begin a session."""
    destination = _safe_next(request)
    if not principal_of(request).is_anonymous:
        return redirect(destination)
    form = SignInForm(request.POST or None)
    refusal: DomainError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            _begin_session(request, form)
        except DomainError as error:
            form.add_error(None, _refusal(error))
            refusal = error
        else:
            return redirect(_first_page(request, destination))
    context = {
        "form": form,
        "next": destination,
        "has_public_projects": Project.objects.visible_to(ANONYMOUS).exists(),
        "sends_mail": settings.MOORAGE_SENDS_MAIL,
        "login_command": Tool("docker").command("login", external_host()),
    }
    status = 422 if request.method == "POST" else 200
    response = render(request, "account/sign_in.html", context, status=status)
    if isinstance(refusal, TooManyRequests):
        response.status_code = refusal.status
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def _begin_session(request: HttpRequest, form: SignInForm) -> None:
    user = check_password(
        form.cleaned_data["username"],
        form.cleaned_data["password"],
        actor=Actor.of(ANONYMOUS, request.META),
    )
    login(request, user, backend=BACKEND)
    request.session[EPOCH_KEY] = user.auth_epoch
    request.session[SEEN_KEY] = time.time()
    request.session.save()
    sessions.start(
        user,
        session_key=request.session.session_key or "",
        actor=Actor.of(principal_of_user(user), request.META),
    )


def _first_page(request: HttpRequest, destination: str) -> str:
    """Where who just signed in goes: an administrator of an empty Moorage to the set-up."""
    is_home = destination == resolve_url(settings.LOGIN_REDIRECT_URL)
    return (
        resolve_url("setup") if is_home and setup.is_wanted(principal_of(request)) else destination
    )


def _refusal(error: DomainError) -> str:
    if isinstance(error, Unauthorized):
        return _("The username or the password is wrong.")
    return str(error)


@require_POST
@public_page
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    sessions.forget(request.session.session_key)
    logout(request)
    return redirect(settings.LOGIN_URL)


@require_POST
@public_page
def language(request: HttpRequest) -> HttpResponse:
    """Remember the language and go back to where the switch was used."""
    return set_language(request)


@require_POST
@public_page
def theme(request: HttpRequest) -> HttpResponse:
    """Remember the theme and go back to where the switch was used."""
    response = HttpResponseRedirect(_referring_page(request))
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        # Not HttpOnly: with script, the page changes it without asking the server.
        response.set_cookie(
            "theme",
            chosen,
            max_age=_A_YEAR,
            secure=settings.MOORAGE_IS_HTTPS,
            samesite="Lax",
        )
    return response


def _safe_next(request: HttpRequest) -> str:
    asked = request.POST.get("next", "") or request.GET.get("next", "")
    return asked if _is_here(request, asked) else resolve_url(settings.LOGIN_REDIRECT_URL)


def _referring_page(request: HttpRequest) -> str:
    came_from = request.headers.get("Referer", "")
    return came_from if _is_here(request, came_from) else resolve_url("home")


def _is_here(request: HttpRequest, url: str) -> bool:
    return url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
