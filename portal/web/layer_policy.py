"""The page of what a project asks of its images' layers."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.access import can, require
from portal.web.access import actor_of, page, principal_of, visible_project
from portal.web.byte_sizes import UNLIMITED, ByteSizeField, written
from portal.web.project_tabs import frame
from registry_sync import layer_policy

_TEXT = {"class": "form-control", "autocomplete": "off", "spellcheck": "false"}
_CHECK = {"class": "form-check-input"}


class LayerPolicyForm(forms.Form):
    """What images must keep to."""

    least_efficiency = forms.IntegerField(
        label=gettext_lazy("Least efficiency, in per cent"),
        min_value=0,
        max_value=100,
        help_text=gettext_lazy("Bytes that containers see, of all bytes. 0: any."),
        widget=forms.NumberInput(attrs={**_TEXT, "inputmode": "numeric"}),
    )
    most_wasted_bytes = ByteSizeField(
        label=gettext_lazy("Most wasted bytes"),
        max_length=40,
        required=False,
        help_text=gettext_lazy("For example 50 MiB. Empty: any."),
        widget=forms.TextInput(attrs=_TEXT),
    )
    forbids_secrets = forms.BooleanField(
        label=gettext_lazy("No secrets"),
        required=False,
        help_text=gettext_lazy("Private keys, registry logins and tokens, deleted ones too."),
        widget=forms.CheckboxInput(attrs=_CHECK),
    )
    is_enforced = forms.BooleanField(
        label=gettext_lazy("Refuse the push"),
        required=False,
        help_text=gettext_lazy(
            "Else only pages and the API say so. A push then waits until its new layers were read."
        ),
        widget=forms.CheckboxInput(attrs=_CHECK),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest, project: str) -> HttpResponse:
    """Show what is asked; change it."""
    found = visible_project(request, project)
    principal = principal_of(request)
    require(principal, "metadata:read", found)
    policy = layer_policy.of(found)
    form = LayerPolicyForm(
        request.POST or None,
        initial={
            "least_efficiency": policy.least_efficiency,
            "most_wasted_bytes": written(policy.most_wasted_bytes or UNLIMITED),
            "forbids_secrets": policy.forbids_secrets,
            "is_enforced": policy.is_enforced,
        },
    )
    if request.method == "POST":
        require(principal, "project:update", found)
        if form.is_valid():
            values = form.cleaned_data
            values["most_wasted_bytes"] = max(0, values["most_wasted_bytes"])
            layer_policy.put(found, **values, actor=actor_of(request))
            messages.success(request, _("The settings are saved."))
            return redirect("projects:layer_policy", found.name)
    context = frame(request, found, "layers") | {
        "form": form,
        "may_update": bool(can(principal, "project:update", found)),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "projects/layer_policy.html", context, status=status)
