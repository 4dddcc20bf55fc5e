"""The page of one's own preferences, and the list of the keyboard's shortcuts."""

from dataclasses import asdict
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.forms.utils import flatatt
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from accounts import preferences
from accounts.errors import DomainError
from accounts.models import User
from accounts.preferences import Preferences
from portal.web.access import actor_of, page
from portal.web.personal_tokens import user_of

_RADIO = forms.RadioSelect(attrs={"class": "form-check-input"})


def _zones() -> list[tuple[str, str]]:
    """Every time zone, the installation's own first."""
    own = gettext("That of Moorage: %(zone)s") % {"zone": settings.TIME_ZONE}
    return [("", own), *((name, name) for name in preferences.time_zones())]


class LongSelect(forms.Select):
    """A choice of hundreds, drawn at once: Django renders a template for each option."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        """Write the element with its options."""
        rows = ((key, " selected" if key == value else "", words) for key, words in self.choices)
        options = format_html_join("", '<option value="{}"{}>{}</option>', rows)
        given = self.build_attrs(self.attrs, {"name": name, **(attrs or {})})
        return format_html("<select{}>{}</select>", flatatt(given), options)


class PreferencesForm(forms.Form):
    """What somebody may choose for themselves."""

    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=_zones,
        required=False,
        widget=LongSelect(attrs={"class": "form-select"}),
    )
    date_format = forms.ChoiceField(
        label=_("Dates"), choices=User.DateFormat, required=False, widget=_RADIO
    )
    client = forms.ChoiceField(
        label=_("Client"),
        choices=User.Client,
        required=False,
        help_text=_("For which commands are shown unless a page is asked otherwise."),
        widget=_RADIO,
    )
    has_shortcuts = forms.BooleanField(
        label=_("Keyboard shortcuts"),
        required=False,
        help_text=_(
            "Single keys do something. Ctrl K works either way, as do the browser’s own keys."
        ),
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest) -> HttpResponse:
    """Show and change them."""
    user = user_of(request)
    form = PreferencesForm(request.POST or None, initial=asdict(Preferences.of(user)))
    if request.method == "POST" and form.is_valid():
        chosen = Preferences(**form.cleaned_data)
        try:
            preferences.replace(user, preferences=chosen, actor=actor_of(request))
        except DomainError as error:
            form.add_error(error.field or None, str(error))
        else:
            messages.success(request, gettext("Your preferences are saved."))
            return redirect("account:preferences")
    context = {"section": "account", "form": form, "now": timezone.now()}
    status = 422 if request.method == "POST" else 200
    return render(request, "account/preferences.html", context, status=status)
