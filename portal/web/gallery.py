"""The building blocks of the pages, each in every state, for who builds or reviews pages."""

import datetime
from dataclasses import dataclass
from types import SimpleNamespace

from django import forms
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from portal.web.access import page, principal_of
from portal.web.gallery_examples import DIGEST, STATES, examples
from portal.web.robot_rights import Block, RightsForm
from registry_sync.models import Execution, Label, State

_TEXT = forms.TextInput(attrs={"class": "form-control"})
_CHECK = forms.CheckboxInput(attrs={"class": "form-check-input"})


class Example(forms.Form):
    """One field of each kind."""

    text = forms.CharField(label=_("Name"), help_text=_("For example ci."), widget=_TEXT)
    wrong = forms.CharField(label=_("Name"), max_length=3, widget=_TEXT)
    switch = forms.BooleanField(label=_("Public"), required=False, widget=_CHECK)
    disabled = forms.CharField(label=_("Name"), disabled=True, widget=_TEXT, required=False)
    choice = forms.ChoiceField(
        label=_("Role"),
        choices=[("a", _("Developer")), ("b", _("Guest"))],
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )


@dataclass(frozen=True, slots=True)
class Badge:
    """A badge's tone and word."""

    tone: str
    word: str


def _jobs() -> list[tuple[Execution, int]]:
    """A run in each state, with how much of a hundred it has done."""
    done = {State.QUEUED: 0, State.RUNNING: 40, State.STOPPING: 60, State.STOPPED: 60}
    return [(Execution(state=state), done.get(state, 100)) for state in State]


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """Show them all."""
    if not principal_of(request).is_administrator:
        raise PermissionDenied
    asked = request.GET.get("state", "")
    state = asked if asked in STATES else STATES[0]
    form = Example({"text": "ci", "wrong": "too long", "choice": "a"})
    form.add_error(None, gettext("The form cannot be stored as it is."))
    now = timezone.now()
    context = {
        **examples(state),
        "section": "settings",
        "states": STATES,
        "state": state,
        "block": Block(RightsForm(prefix="rights")),
        "form": form,
        "badges": ["", "ok", "warn", "danger", "info", "accent"],
        "notes": ["ok", "warn", "danger", "info"],
        "digest": DIGEST,
        "labels": [
            Label(name="tested", color="#1D5100"),
            Label(name="stale", color="#FFDC0B"),
            Label(name="plain", color=""),
        ],
        "jobs": _jobs(),
        "times": [now, now - datetime.timedelta(hours=3), now - datetime.timedelta(days=90)],
        "quotas": [(20, 100), (88, 100), (100, 100)],
        "public": SimpleNamespace(is_public=True),
        "private": SimpleNamespace(is_public=False),
        "chips": ["amd64", "arm64", "arm/v7", "s390x", "ppc64le"],
        "page": Paginator(range(120), 25).get_page(2),
    }
    return render(request, "gallery/index.html", context)
