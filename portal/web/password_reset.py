"""The page behind a one-time link: somebody chooses a new password without signing in."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
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
    # The address is the secret.
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
