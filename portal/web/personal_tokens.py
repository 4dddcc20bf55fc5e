"""The page of one's own personal tokens."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts import personal_tokens
from accounts.errors import BadRequest
from accounts.models import User
from portal.web.access import SignInNeeded, actor_of, page

_SCOPE_WORDS = {
    "registry:pull": gettext_lazy("Pull images"),
    "registry:push": gettext_lazy("Push images"),
    "registry:delete": gettext_lazy("Delete images"),
    "api:read": gettext_lazy("Read by the API"),
    "api:write": gettext_lazy("Change by the API"),
}


class TokenForm(forms.Form):
    """A new token."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("What it is for, for example the machine that uses it."),
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    days = forms.TypedChoiceField(
        label=gettext_lazy("Expires"),
        coerce=int,
        initial=personal_tokens.DEFAULT_DAYS,
        choices=[
            (30, gettext_lazy("after 30 days")),
            (90, gettext_lazy("after 90 days")),
            (365, gettext_lazy("after a year")),
            (0, gettext_lazy("never")),
        ],
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("It may"),
        initial=["registry:pull"],
        choices=[(scope, _SCOPE_WORDS[scope]) for scope in personal_tokens.SCOPES],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
    )


def user_of(request: HttpRequest) -> User:
    """Return who is signed in."""
    if not isinstance(request.user, User):
        raise SignInNeeded
    return request.user


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest) -> HttpResponse:
    """List the tokens; make one and show its secret this once."""
    user = user_of(request)
    form = TokenForm(request.POST or None)
    context: dict[str, object] = {"section": "account", "form": form}
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                token, secret = personal_tokens.create(
                    user,
                    name=form.cleaned_data["name"],
                    scopes=form.cleaned_data["scopes"],
                    days=form.cleaned_data["days"] or None,
                    actor=actor_of(request),
                )
            except BadRequest as error:
                form.add_error(error.field if error.field in form.fields else None, str(error))
            else:
                context |= {"made": token, "secret": secret, "form": TokenForm()}
                status = 200
    context["tokens"] = [
        (token, [_SCOPE_WORDS.get(scope, scope) for scope in token.scopes])
        for token in personal_tokens.of_user(user)
    ]
    return render(request, "account/tokens.html", context, status=status)


@require_POST
@page
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    """End a token of one's own."""
    personal_tokens.revoke(user_of(request), token_id, actor=actor_of(request))
    return redirect("account:tokens")
