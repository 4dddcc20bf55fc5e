"""The page of the audit, for administrators and auditors."""

import datetime
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_safe

from accounts.access import require_system
from accounts.models import AuditEntry, Project
from portal.web.access import is_fragment, page, principal_of

_ROWS = 50
_ACTIONS = (
    "confirm_password",
    "create_artifact",
    "create_label",
    "create_member",
    "create_password_reset",
    "create_project",
    "create_robot",
    "create_token",
    "create_user",
    "delete_artifact",
    "delete_label",
    "delete_member",
    "delete_project",
    "delete_repository",
    "delete_robot",
    "delete_session",
    "delete_tag",
    "delete_token",
    "delete_user",
    "login_user",
    "pause_queue",
    "purge_audit_log",
    "refresh_robot_secret",
    "rename_project",
    "resume_queue",
    "start_job",
    "stop_job",
    "update_configuration",
    "update_cve_allowlist",
    "update_label",
    "update_member",
    "update_project",
    "update_repository",
    "update_robot",
    "update_user",
    "use_password_reset",
)
# What would end a value in the export's query.
_plain = RegexValidator(r'^[^,{}\[\]()"~\0]*\Z', _("Leave out brackets, commas and quotes."))
_CONTROL = {"class": "form-control flex-fill", "autocomplete": "off", "spellcheck": "false"}


# Days beyond overflow when they are moved to another time zone.
_DAYS = (
    MinValueValidator(datetime.date(1970, 1, 1)),
    MaxValueValidator(datetime.date(9000, 1, 1)),
)


def _action_choices() -> list[tuple[str, object]]:
    return [("", _("Every action")), *((name, name) for name in _ACTIONS)]


def _text(label: Any) -> forms.CharField:
    attrs = {**_CONTROL, "placeholder": label, "aria-label": label, "size": "10"}
    return forms.CharField(
        label=label,
        max_length=255,
        required=False,
        validators=[_plain],
        widget=forms.TextInput(attrs=attrs),
    )


def _date(label: Any) -> forms.DateField:
    attrs = {"class": "form-control", "type": "date"}
    widget = forms.DateInput(format="%Y-%m-%d", attrs=attrs)
    return forms.DateField(
        label=label, required=False, input_formats=["%Y-%m-%d"], validators=_DAYS, widget=widget
    )


class AuditFilter(forms.Form):
    """What to look for; whatever is left empty does not matter."""

    actor = _text(_("Who"))
    action = forms.ChoiceField(
        label=_("Action"),
        required=False,
        choices=_action_choices,
        widget=forms.Select(attrs={"class": "form-select", "aria-label": _("Action")}),
    )
    project = _text(_("Project"))
    resource = _text(_("Resource"))
    outcome = forms.ChoiceField(
        label=_("Outcome"),
        required=False,
        choices=[("", _("Every outcome")), *AuditEntry.Outcome.choices],
        widget=forms.Select(attrs={"class": "form-select", "aria-label": _("Outcome")}),
    )
    since = _date(pgettext_lazy("day", "From"))
    until = _date(pgettext_lazy("day", "To"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter, understood."""

    values: dict[str, Any]

    def rows(self) -> QuerySet[AuditEntry]:
        """Return what it selects."""
        rows = AuditEntry.objects.all()
        values = self.values
        if values.get("actor"):
            rows = rows.filter(actor_name=values["actor"])
        if values.get("action"):
            rows = rows.filter(action=values["action"])
        if values.get("project"):
            named = Project.objects.filter(name=values["project"])
            rows = rows.filter(project_id__in=named.values("pk"))
        if values.get("resource"):
            rows = rows.filter(resource__icontains=values["resource"])
        if values.get("outcome"):
            rows = rows.filter(outcome=values["outcome"])
        first, last = self.moments()
        if first:
            rows = rows.filter(at__gte=first)
        if last:
            rows = rows.filter(at__lte=last)
        return rows

    def moments(self) -> tuple[datetime.datetime | None, datetime.datetime | None]:
        """Return when the first day begins and the last one ends."""
        since, until = self.values.get("since"), self.values.get("until")
        zone = timezone.get_current_timezone()
        start, end = datetime.time.min, datetime.time.max
        return (
            datetime.datetime.combine(since, start, zone) if since else None,
            datetime.datetime.combine(until, end, zone) if until else None,
        )

    def export(self) -> str:
        """Return where the API gives the same entries as CSV."""
        values = self.values
        conditions = []
        if values.get("actor"):
            conditions.append(f"username={values['actor']}")
        if values.get("action"):
            operation, _underscore, kind = values["action"].partition("_")
            conditions += [f"operation={operation}", f"resource_type={kind}"]
        if values.get("resource"):
            conditions.append(f"resource=~{values['resource']}")
        if values.get("outcome"):
            is_success = values["outcome"] == AuditEntry.Outcome.SUCCESS
            conditions.append(f"operation_result={'true' if is_success else 'false'}")
        first, last = (moment.isoformat() if moment else "" for moment in self.moments())
        if first or last:
            conditions.append(f"op_time=[{first}~{last}]")
        place = f"projects/{quote(values['project'])}/" if values.get("project") else ""
        asked = urlencode({"format": "csv", "q": ",".join(conditions)})
        return f"/api/v2.0/{place}auditlog-exts/export?{asked}"


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """What happened, the newest first; each page begins below the last entry of the one before."""
    require_system(principal_of(request), "audit-log:list")
    form = AuditFilter(request.GET)
    is_valid = form.is_valid()
    wanted = Wanted(form.cleaned_data if is_valid else {})
    rows = wanted.rows().order_by("-pk") if is_valid else AuditEntry.objects.none()
    before = request.GET.get("before", "")
    is_first = not (before.isascii() and before.isdigit() and len(before) <= 18)
    if not is_first:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: _ROWS + 1])
    entries = found[:_ROWS]
    ids = {entry.project_id for entry in entries if entry.project_id}
    projects = Project.objects.filter(pk__in=ids).in_bulk() if ids else {}
    context = {
        "section": "audit",
        "form": form,
        "rows": [(entry, projects.get(entry.project_id or 0)) for entry in entries],
        "older": entries[-1].pk if len(found) > _ROWS else None,
        "is_first": is_first,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
        "export": wanted.export() if is_valid else "",
    }
    fragment = "#rows" if is_fragment(request, "rows") else ""
    return render(
        request, f"audit_logs/list.html{fragment}", context, status=200 if is_valid else 422
    )
