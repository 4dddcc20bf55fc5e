"""The pages of the whole system's settings, for administrators."""

import datetime

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts import configuration, cve_allowlist
from accounts.access import require_system
from accounts.errors import BadRequest
from accounts.models import CVEAllowlist
from portal.web.access import actor_of, page, principal_of
from portal.web.byte_sizes import ByteSizeField, written
from portal.web.project_settings import AllowlistForm, end_of, last_day_of

_TEXT = {"class": "form-control", "autocomplete": "off"}
_CHECK = {"class": "form-check-input"}


class SystemForm(forms.Form):
    """The settings that can be changed while Moorage runs; the names are those of the API."""

    banner_message = forms.CharField(
        label=gettext_lazy("Message to everybody"),
        max_length=4096,
        required=False,
        help_text=gettext_lazy("Shown above every page, also to who has not signed in."),
        widget=forms.Textarea(attrs={**_TEXT, "rows": "2"}),
    )
    read_only = forms.BooleanField(
        label=gettext_lazy("Read-only"),
        required=False,
        help_text=gettext_lazy(
            "Nothing can be pushed or deleted in any project; pulling works on."
        ),
        widget=forms.CheckboxInput(attrs=_CHECK),
    )
    self_registration = forms.BooleanField(
        label=gettext_lazy("Anyone may make an account"),
        required=False,
        help_text=gettext_lazy("Strangers who reach this registry become users by themselves."),
        widget=forms.CheckboxInput(attrs=_CHECK),
    )
    project_creation_restriction = forms.ChoiceField(
        label=gettext_lazy("Who may make projects"),
        choices=[
            (configuration.EVERYONE, gettext_lazy("Everybody who is signed in")),
            (configuration.ADMINISTRATORS, gettext_lazy("Administrators only")),
        ],
        widget=forms.RadioSelect(attrs=_CHECK),
    )
    quota_per_project_enable = forms.BooleanField(
        label=gettext_lazy("Storage limits hold"),
        required=False,
        help_text=gettext_lazy("Off: what projects use is counted, and nothing is refused."),
        widget=forms.CheckboxInput(attrs=_CHECK),
    )
    storage_per_project = ByteSizeField(
        label=gettext_lazy("Storage limit of a new project"),
        max_length=40,
        required=False,
        help_text=gettext_lazy("For example 10 GiB. Empty: no limit."),
        widget=forms.TextInput(attrs=_TEXT),
    )
    robot_token_duration = forms.IntegerField(
        label=gettext_lazy("Days that a new robot lives"),
        min_value=1,
        max_value=36500,
        required=False,
        help_text=gettext_lazy("Unless its maker says otherwise. Empty: for ever."),
        widget=forms.NumberInput(attrs={"class": "form-control", "inputmode": "numeric"}),
    )

    def values(self) -> dict[str, object]:
        """Return what was chosen as the configuration has it."""
        chosen = {name: value for name, value in self.cleaned_data.items() if name in self.fields}
        if "robot_token_duration" in chosen:
            chosen["robot_token_duration"] = chosen["robot_token_duration"] or -1
        return chosen


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest) -> HttpResponse:
    """Show the settings; change them."""
    principal = principal_of(request)
    require_system(principal, "configuration:read")
    now = configuration.settings_now()
    form = SystemForm(request.POST or None, initial=_initial(now))
    for name, field in form.fields.items():
        # What the environment gives cannot be changed here; the form then takes no other value.
        field.disabled = not now[name].is_editable
    if request.method == "POST":
        require_system(principal, "configuration:update")
        if form.is_valid():
            editable = {k: v for k, v in form.values().items() if now[k].is_editable}
            try:
                configuration.update(editable, actor=actor_of(request))
            except BadRequest as error:
                form.add_error(error.field if error.field in form.fields else None, str(error))
            else:
                messages.success(request, _("The settings are saved."))
                return redirect("administration:settings")
    context = {
        "section": "settings",
        "form": form,
        "has_locked": any(field.disabled for field in form.fields.values()),
        "fixed": [(name, now[name].value) for name in now if name not in form.fields],
        "may_update": principal.is_administrator,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "system_settings/index.html", context, status=status)


def _initial(now: dict[str, configuration.Setting]) -> dict[str, object]:
    values: dict[str, object] = {name: setting.value for name, setting in now.items()}
    days = int(now["robot_token_duration"].value)
    return values | {
        "storage_per_project": written(int(now["storage_per_project"].value)),
        "robot_token_duration": days if days > 0 else None,
    }


@require_http_methods(["GET", "HEAD", "POST"])
@page
def allowlist(request: HttpRequest) -> HttpResponse:
    """Show which vulnerabilities are tolerated in the whole system; change it."""
    principal = principal_of(request)
    require_system(principal, "configuration:read")
    own = cve_allowlist.of(None)
    form = AllowlistForm(request.POST or None, initial=_initial_list(own))
    del form.fields["source"]
    if request.method == "POST":
        require_system(principal, "configuration:update")
        if form.is_valid() and _is_saved(request, form):
            messages.success(request, _("The settings are saved."))
            return redirect("administration:allowlist")
    context = {"section": "settings", "form": form, "may_update": principal.is_administrator}
    status = 422 if request.method == "POST" else 200
    return render(request, "system_settings/allowlist.html", context, status=status)


def _initial_list(own: CVEAllowlist) -> dict[str, str | datetime.date | None]:
    return {"cve_ids": "\n".join(own.cve_ids), "expires_at": last_day_of(own)}


def _is_saved(request: HttpRequest, form: AllowlistForm) -> bool:
    try:
        cve_allowlist.replace(
            None,
            cve_ids=form.cleaned_data["cve_ids"].split(),
            expires_at=end_of(form.cleaned_data["expires_at"]),
            actor=actor_of(request),
        )
    except BadRequest as error:
        form.add_error("cve_ids", str(error))
        return False
    return True
