"""The pages of a project's settings: switches and limits, tolerated vulnerabilities, the name."""

import datetime

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts import cve_allowlist, projects
from accounts.access import can, can_system, require
from accounts.errors import BadRequest, Conflict
from accounts.models import CVEAllowlist, Project
from accounts.projects import Changes
from portal.web.access import actor_of, page, principal_of, visible_project
from portal.web.byte_sizes import ByteSizeField, written
from portal.web.project_tabs import frame
from registry_sync.quota import WARNING_PERCENT

_PLAIN = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
_TEXT = {"class": "form-control", **_PLAIN}
_CHECK = {"class": "form-check-input"}
_NUMBER = {"class": "form-control", "inputmode": "numeric"}
_OWN, _SYSTEM = "own", "system"


class SettingsForm(forms.Form):
    """A project's switches and limits."""

    is_public = forms.BooleanField(
        label=gettext_lazy("Public"),
        required=False,
        help_text=gettext_lazy("Anyone who reaches this registry may pull, without signing in."),
        widget=forms.CheckboxInput(attrs=_CHECK),
    )
    is_read_only = forms.BooleanField(
        label=gettext_lazy("Read-only"),
        required=False,
        help_text=gettext_lazy("Nothing can be pushed or deleted; pulling works on."),
        widget=forms.CheckboxInput(attrs=_CHECK),
    )
    trash_days = forms.IntegerField(
        label=gettext_lazy("Days in the trash"),
        min_value=0,
        max_value=projects.MAX_TRASH_DAYS,
        help_text=gettext_lazy(
            "How long what is deleted can be restored; 0 for not at all. "
            "What lies in the trash already keeps its time."
        ),
        widget=forms.NumberInput(attrs=_NUMBER),
    )
    storage_limit = ByteSizeField(
        label=gettext_lazy("Storage limit"),
        max_length=40,
        required=False,
        help_text=gettext_lazy("For example 10 GiB. Empty: no limit. What is over it stays."),
        widget=forms.TextInput(attrs=_TEXT),
    )


class AllowlistForm(forms.Form):
    """Which list of tolerated vulnerabilities holds, and the project's own one."""

    source = forms.ChoiceField(
        label=gettext_lazy("Which list holds"),
        choices=[
            (_SYSTEM, gettext_lazy("The list of the whole system")),
            (_OWN, gettext_lazy("A list of this project")),
        ],
        widget=forms.RadioSelect(attrs=_CHECK),
    )
    cve_ids = forms.CharField(
        label=gettext_lazy("Tolerated vulnerabilities"),
        required=False,
        max_length=2_000_000,
        help_text=gettext_lazy("Numbers such as CVE-2024-3094, one a line or with spaces between."),
        widget=forms.Textarea(attrs={**_TEXT, "rows": "8"}),
    )
    expires_at = forms.DateField(
        label=gettext_lazy("The list holds until"),
        required=False,
        help_text=gettext_lazy("The last day. Empty: for ever."),
        widget=forms.DateInput(attrs={"class": "form-control", "type": "date"}),
    )


class NameForm(forms.Form):
    """Another name, and how long the former one still works."""

    name = forms.CharField(
        label=gettext_lazy("New name"), max_length=255, widget=forms.TextInput(attrs=_TEXT)
    )
    alias_days = forms.IntegerField(
        label=gettext_lazy("Days that the old name still works for pulls"),
        min_value=0,
        max_value=projects.MAX_ALIAS_DAYS,
        initial=projects.ALIAS_DAYS,
        help_text=gettext_lazy("0: not at all. Until then no other project can take the old name."),
        widget=forms.NumberInput(attrs=_NUMBER),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest, project: str) -> HttpResponse:
    """Show the switches and limits; change them."""
    found = visible_project(request, project)
    principal = principal_of(request)
    require(principal, "metadata:read", found)
    may_limit = bool(can_system(principal, "quota:update"))
    form = SettingsForm(
        request.POST or None,
        initial={
            "is_public": found.is_public,
            "is_read_only": found.is_read_only,
            "trash_days": found.trash_days,
            "storage_limit": written(found.storage_limit),
        },
    )
    if not may_limit:
        del form.fields["storage_limit"]
    if request.method == "POST":
        require(principal, "project:update", found)
        if form.is_valid():
            try:
                projects.update(
                    found, changes=Changes(**form.cleaned_data), actor=actor_of(request)
                )
            except BadRequest as error:
                form.add_error(error.field if error.field in form.fields else None, str(error))
            else:
                messages.success(request, _("The settings are saved."))
                return redirect("projects:settings", found.name)
    used = found.usage.used_bytes if hasattr(found, "usage") else 0
    limit = found.storage_limit
    context = frame(request, found, "general") | {
        "form": form,
        "may_update": bool(can(principal, "project:update", found)),
        "used_bytes": used,
        "is_nearly_full": limit > 0 and used * 100 >= limit * WARNING_PERCENT,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "projects/settings.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def allowlist(request: HttpRequest, project: str) -> HttpResponse:
    """Show which vulnerabilities are tolerated; change it."""
    found = visible_project(request, project)
    principal = principal_of(request)
    require(principal, "metadata:read", found)
    own = cve_allowlist.of(found)
    form = AllowlistForm(request.POST or None, initial=_initial(found, own))
    if request.method == "POST":
        require(principal, "project:update", found)
        if form.is_valid() and _save_allowlist(request, found, own, form):
            messages.success(request, _("The settings are saved."))
            return redirect("projects:allowlist", found.name)
    context = frame(request, found, "allowlist") | {
        "form": form,
        "may_update": bool(can(principal, "project:update", found)),
        "system": cve_allowlist.of(None),
        "is_expired": own.expires_at is not None and own.expires_at <= timezone.now(),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "projects/allowlist.html", context, status=status)


def _initial(project: Project, own: CVEAllowlist) -> dict[str, object]:
    return {
        "source": _SYSTEM if project.reuses_system_allowlist else _OWN,
        "cve_ids": "\n".join(own.cve_ids),
        "expires_at": last_day_of(own),
    }


def _save_allowlist(
    request: HttpRequest, project: Project, own: CVEAllowlist, form: AllowlistForm
) -> bool:
    """Save what differs; tell whether it was accepted."""
    cve_ids = form.cleaned_data["cve_ids"].split()
    expires_at = end_of(form.cleaned_data["expires_at"])
    is_reused = form.cleaned_data["source"] == _SYSTEM
    is_same_end = expires_at == own.expires_at
    try:
        with transaction.atomic():
            changes = Changes(reuses_system_allowlist=is_reused)
            projects.update(project, changes=changes, actor=actor_of(request))
            if cve_ids != own.cve_ids or not is_same_end:
                cve_allowlist.replace(
                    project, cve_ids=cve_ids, expires_at=expires_at, actor=actor_of(request)
                )
    except BadRequest as error:
        form.add_error("cve_ids", str(error))
        return False
    return True


def last_day_of(listed: CVEAllowlist) -> datetime.date | None:
    """Return the last day on which a list holds, ``None`` for ever."""
    return timezone.localdate(listed.expires_at) if listed.expires_at else None


def end_of(day: datetime.date | None) -> datetime.datetime | None:
    """Return the last moment of a day."""
    if day is None:
        return None
    return datetime.datetime.combine(day, datetime.time.max, timezone.get_current_timezone())


@require_http_methods(["GET", "HEAD", "POST"])
@page
def rename(request: HttpRequest, project: str) -> HttpResponse:
    """Give the project another name."""
    found = visible_project(request, project)
    require(principal_of(request), "project:update", found)
    form = NameForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            renamed = projects.rename(
                found,
                name=form.cleaned_data["name"],
                alias_days=form.cleaned_data["alias_days"],
                actor=actor_of(request),
            )
        except (BadRequest, Conflict) as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            text = _("The project is called %(name)s now.") % {"name": renamed.name}
            messages.success(request, text)
            return redirect("projects:rename", renamed.name)
    context = frame(request, found, "name") | {
        "form": form,
        "aliases": found.aliases.current(timezone.now()).order_by("name"),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "projects/rename.html", context, status=status)
