"""Pages for who forgot their password: ask for a one-time link, and choose a new one behind it."""

from collections.abc import Callable
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import resets
from accounts.errors import BadRequest, NotFound, TooManyRequests
from accounts.principals import ANONYMOUS, Actor
from portal.web.access import public_page


class NewPasswordForm(forms.Form):
    """The new password."""

    password = forms.CharField(
        label=gettext_lazy("New password"),
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "form-control", "autocomplete": "new-password"}),
    )


class ForgottenForm(forms.Form):
    """Who forgot their password."""

    name = forms.CharField(
        label=gettext_lazy("Username or e-mail"),
        max_length=255,
        widget=forms.TextInput(
            attrs={
                "class": "form-control",
                "autocomplete": "username",
                "autocapitalize": "none",
                "spellcheck": "false",
            }
        ),
    )


class WorkingAfterwards(HttpResponse):
    """An answer that works on once it is sent: how long that takes tells nobody anything."""

    work: Callable[[], object] | None = None

    def close(self) -> None:
        """Called by the server when the last byte is out."""
        super().close()
        work, self.work = self.work, None
        if work is not None:
            work()


def link_of(secret: str) -> str:
    """Return the address behind which a reset's secret sets a new password."""
    base = settings.MOORAGE_EXTERNAL_URL.rstrip("/")
    return f"{base}{reverse('account:reset')}?{urlencode({'key': secret})}"


@require_http_methods(["GET", "HEAD", "POST"])
@public_page
def forgotten(request: HttpRequest) -> HttpResponse:
    """Mail a link to who asks for it; the answer does not tell whether there is such a user."""
    if not settings.MOORAGE_SENDS_MAIL:
        raise Http404
    form = ForgottenForm(request.POST or None)
    is_post = request.method == "POST"
    if not is_post or not form.is_valid():
        status = 422 if is_post else 200
        return render(request, "account/forgotten.html", {"form": form}, status=status)
    actor = Actor.of(ANONYMOUS, request.META)
    name = form.cleaned_data["name"]
    try:
        resets.note_request(name, actor=actor)
    except TooManyRequests as error:
        form.add_error(None, str(error))
        response = render(request, "account/forgotten.html", {"form": form}, status=error.status)
        response.headers["Retry-After"] = str(error.retry_after)
        return response
    page = render(request, "account/forgotten.html", {"form": form, "is_done": True})
    answer = WorkingAfterwards(page.content)
    language = translation.get_language() or settings.LANGUAGE_CODE

    def mail() -> None:
        with translation.override(language):
            resets.mail_requested(name, address_of=link_of, actor=actor)

    answer.work = mail
    return answer


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@public_page
def index(request: HttpRequest) -> HttpResponse:
    """Ask for the new password; looking at the page does not use the link up.

    The secret is ``?key=``: logs hold paths, and no queries.
    """
    secret = request.GET.get("key", "")
    actor = Actor.of(ANONYMOUS, request.META)
    form = NewPasswordForm(request.POST or None)
    context: dict[str, object] = {"form": form}
    status = 200
    try:
        context["person"] = resets.find(secret, actor=actor).user
        if request.method == "POST":
            status = 422
            if form.is_valid():
                resets.use(secret, password=form.cleaned_data["password"], actor=actor)
                return redirect("account:sign_in")
    except BadRequest as error:
        form.add_error("password", str(error))
    except (NotFound, TooManyRequests) as error:
        context["refusal"], status = str(error), error.status
    response = render(request, "account/reset.html", context, status=status)
    # The address is the secret. With "no-referrer" browsers would send the form with the origin
    # "null", which the check against forged forms refuses.
    response.headers["Referrer-Policy"] = "strict-origin"
    return response
