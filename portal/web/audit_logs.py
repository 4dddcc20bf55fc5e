"""The pages of the audit: the system's, and each project's."""

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

from accounts.access import require, require_system
from accounts.models import AuditEntry, Project
from portal.web import audit_words
from portal.web.access import is_fragment, page, principal_of, visible_project
from portal.web.project_tabs import frame

_ROWS = 50
# What would end a value in the export's query.
_plain = RegexValidator(r'^[^,{}\[\]()"~\0]*\Z', _("Leave out brackets, commas and quotes."))
_CONTROL = {"class": "form-control flex-fill", "autocomplete": "off", "spellcheck": "false"}


# Days beyond overflow when they are moved to another time zone.
_DAYS = (
    MinValueValidator(datetime.date(1970, 1, 1)),
    MaxValueValidator(datetime.date(9000, 1, 1)),
)


def _action_choices() -> list[tuple[str, object]]:
    return [("", _("Every action")), *audit_words.ACTIONS.items()]


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
    project: Project | None = None

    def rows(self) -> QuerySet[AuditEntry]:
        """Return what it selects."""
        values = self.values
        # The values are checked texts; the names on the left are no caller's.
        asked = {
            "actor_name": values.get("actor"),
            "action": values.get("action"),
            "resource__icontains": values.get("resource"),
            "outcome": values.get("outcome"),
            "project_id": self.project.pk if self.project else None,
        }
        rows = AuditEntry.objects.filter(**{name: value for name, value in asked.items() if value})
        if values.get("project"):
            named = Project.objects.filter(name=values["project"])
            rows = rows.filter(project_id__in=named.values("pk"))
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
        name = self.project.name if self.project else values.get("project")
        place = f"projects/{quote(name)}/" if name else ""
        asked = urlencode({"format": "csv", "q": ",".join(conditions)})
        return f"/api/v2.0/{place}auditlog-exts/export?{asked}"


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """What happened, the newest first; each page begins below the last entry of the one before."""
    require_system(principal_of(request), "audit-log:list")
    return _listed(request, {"section": "audit"})


@require_safe
@page
def of_project(request: HttpRequest, project: str) -> HttpResponse:
    """What happened in one project, for those who administer it."""
    found = visible_project(request, project)
    require(principal_of(request), "log:list", found)
    return _listed(request, frame(request, found, "activity"), found)


def _listed(
    request: HttpRequest, around: dict[str, object], project: Project | None = None
) -> HttpResponse:
    form = AuditFilter(request.GET)
    if project is not None:
        del form.fields["project"]
    is_valid = form.is_valid()
    wanted = Wanted(form.cleaned_data if is_valid else {}, project)
    rows = wanted.rows().order_by("-pk") if is_valid else AuditEntry.objects.none()
    before = request.GET.get("before", "")
    is_first = not (before.isascii() and before.isdigit() and len(before) <= 18)
    if not is_first:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: _ROWS + 1])
    entries = found[:_ROWS]
    context = around | {
        "form": form,
        "rows": _described(entries, project),
        "older": entries[-1].pk if len(found) > _ROWS else None,
        "is_first": is_first,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
        "export": wanted.export() if is_valid else "",
    }
    fragment = "#rows" if is_fragment(request, "rows") else ""
    return render(
        request, f"audit_logs/list.html{fragment}", context, status=200 if is_valid else 422
    )


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it is shown."""

    entry: AuditEntry
    project: Project | None
    action: str
    details: list[tuple[str, str]]


def _described(entries: list[AuditEntry], project: Project | None) -> list[Row]:
    """Put entries into words; name each one's project, except where all are of one."""
    ids = {entry.project_id for entry in entries if entry.project_id and project is None}
    projects = Project.objects.filter(pk__in=ids).in_bulk() if ids else {}
    return [
        Row(
            entry,
            projects.get(entry.project_id or 0),
            audit_words.action(entry.action),
            audit_words.details(entry.detail),
        )
        for entry in entries
    ]
