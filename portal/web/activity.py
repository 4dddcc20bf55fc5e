"""What happened lately, in sentences: in everything a caller may see, and in one project."""

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts import activity
from accounts.access import can, can_system, require
from accounts.models import AuditEntry, Project
from accounts.principals import Principal
from portal.web.access import is_fragment, page, principal_of, public_page, visible_project
from portal.web.activity_items import by_day
from portal.web.activity_words import KINDS, SETTINGS, SETTINGS_WORDS
from portal.web.project_tabs import frame

_ENTRIES = 60
# So far back they are looked for first, along the primary key: whoever may see many projects finds
# a page there, and a database asked for those of many projects at once may sort millions.
_NEAR = 5_000
_CONTROL = {
    "class": "form-control flex-fill",
    "size": "10",
    "autocomplete": "off",
    "spellcheck": "false",
}


class ActivityFilter(forms.Form):
    """What to look for; whatever is left empty does not matter."""

    kind = forms.ChoiceField(
        label=_("What"),
        required=False,
        choices=[
            ("", _("Everything")),
            *((name, words) for name, (words, _actions) in KINDS.items()),
            (SETTINGS, SETTINGS_WORDS),
        ],
        widget=forms.Select(attrs={"class": "form-select", "aria-label": _("What")}),
    )
    who = forms.CharField(
        label=_("Who"),
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={**_CONTROL, "placeholder": _("Who"), "aria-label": _("Who")}),
    )
    project = forms.CharField(
        label=_("Project"),
        required=False,
        max_length=255,
        widget=forms.TextInput(
            attrs={**_CONTROL, "placeholder": _("Project"), "aria-label": _("Project")}
        ),
    )


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """What happened in all projects that the caller may see."""
    return _listed(request, {"section": "activity"}, None)


@require_safe
@public_page
def of_project(request: HttpRequest, project: str) -> HttpResponse:
    """What happened in one project."""
    found = visible_project(request, project)
    require(principal_of(request), "repository:list", found)
    may_audit = can(principal_of(request), "log:list", found)
    return _listed(request, frame(request, found, "activity") | {"may_audit": may_audit}, found)


def _listed(
    request: HttpRequest, around: dict[str, object], project: Project | None
) -> HttpResponse:
    principal = principal_of(request)
    form = ActivityFilter(request.GET)
    if project is not None:
        del form.fields["project"]
    is_valid = form.is_valid()
    rows = activity.entries(principal, project)
    rows = _narrowed(rows, form.cleaned_data, principal) if is_valid else rows.none()
    before = request.GET.get("before", "")
    is_first = not (before.isascii() and before.isdigit() and len(before) <= 18)
    found = _newest(rows, None if is_first else int(before))
    entries = found[:_ENTRIES]
    context = around | {
        "form": form,
        "days": by_day(entries, principal),
        "older": entries[-1].pk if len(found) > _ENTRIES else None,
        "is_first": is_first,
        "is_filtered": any(request.GET.get(name) for name in form.fields),
        "may_audit": around.get("may_audit", can_system(principal, "audit-log:list")),
    }
    fragment = "#rows" if is_fragment(request, "rows") else ""
    status = 200 if is_valid else 422
    return render(request, f"activity/list.html{fragment}", context, status=status)


def _narrowed(
    rows: QuerySet[AuditEntry], asked: dict[str, str], principal: Principal
) -> QuerySet[AuditEntry]:
    kind = asked["kind"]
    if kind == SETTINGS:
        others = {action for _words, actions in KINDS.values() for action in actions}
        rows = rows.exclude(action__in=sorted(others | activity.OF_CONTENT))
    elif kind:
        rows = rows.filter(action__in=KINDS[kind][1])
    if asked["who"]:
        rows = rows.filter(actor_name=asked["who"])
    if asked.get("project"):
        named = Project.objects.visible_to(principal).filter(name=asked["project"])
        rows = rows.filter(project_id__in=named.values("pk"))
    return rows


def _newest(rows: QuerySet[AuditEntry], before: int | None) -> list[AuditEntry]:
    """Return a page's entries and one more, the newest first."""
    rows = rows.order_by("-pk")
    if before is None:
        last = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first()
        before = (last or 0) + 1
    rows = rows.filter(pk__lt=before)
    near = list(rows.filter(pk__gte=before - _NEAR)[: _ENTRIES + 1])
    return near if len(near) > _ENTRIES or before <= _NEAR else list(rows[: _ENTRIES + 1])
