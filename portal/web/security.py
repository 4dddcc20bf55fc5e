"""The page of one's own password and signed-in browsers."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import sessions, users
from accounts.errors import DomainError
from portal.web.access import actor_of, page
from portal.web.personal_tokens import user_of


class PasswordForm(forms.Form):
    """A new password for oneself."""

    current = forms.CharField(
        label=_("Current password"),
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(
            attrs={"class": "form-control", "autocomplete": "current-password"}
        ),
    )
    password = forms.CharField(
        label=_("New password"),
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "form-control", "autocomplete": "new-password"}),
    )


@sensitive_post_parameters("current", "password")
@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest) -> HttpResponse:
    """Change the password; list the sessions."""
    user = user_of(request)
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and change_password(request, form):
        return redirect("account:sign_in")
    context = {
        "section": "account",
        "form": form,
        "sessions": sessions.of_user(user),
        "session_key": request.session.session_key,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "account/security.html", context, status=status)


@require_POST
@page
def end_session(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one of one's own sessions."""
    sessions.end(user_of(request), session_id, actor=actor_of(request))
    return redirect("account:security")


def change_password(request: HttpRequest, form: PasswordForm) -> bool:
    """Change one's own password, which ends every session, this one too.

    Returns whether it is changed; what stands in the way is told by the form.
    """
    if not form.is_valid():
        return False
    try:
        users.change_own_password(
            user_of(request),
            current=form.cleaned_data["current"],
            password=form.cleaned_data["password"],
            actor=actor_of(request),
        )
    except DomainError as error:
        form.add_error("password" if error.field == "password" else "current", str(error))
        return False
    return True
