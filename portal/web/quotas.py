"""The page of all projects' quotas, for administrators; auditors read it."""

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Case, F, FloatField, QuerySet, Value, When
from django.db.models.functions import Cast, Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_POST, require_safe

from accounts import configuration, projects
from accounts.access import can_system, require_system
from accounts.errors import BadRequest
from accounts.models import Project
from portal.web.access import actor_of, is_fragment, page, principal_of
from portal.web.byte_sizes import ByteSizeField, written
from portal.web.paging import page_of, query_of

_SORTS: dict[str, tuple[str | Promise, str]] = {
    "share": (pgettext_lazy("quotas", "Fullest"), "-share"),
    "used": (pgettext_lazy("quotas", "Largest"), "-used_bytes"),
    "limit": (pgettext_lazy("quotas", "Highest limit"), "-storage_limit"),
    "name": (gettext_lazy("Name"), "name"),
}
_MOST_USED = "used"


class LimitForm(forms.Form):
    """One project's limit."""

    storage_limit = ByteSizeField(max_length=40, required=False)


def _quotas() -> QuerySet[Project]:
    used = Coalesce(F("usage__used_bytes"), 0)
    rows = Project.objects.alive().annotate(used_bytes=used)
    # Of one without limit no part is used: it comes after those that have one.
    share = Cast(F("used_bytes"), FloatField()) / Cast(F("storage_limit"), FloatField())
    limited = When(storage_limit__gt=0, then=share)
    return rows.annotate(share=Case(limited, default=Value(-1.0), output_field=FloatField()))


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """What each project uses, and may use."""
    require_system(principal_of(request), "quota:list")
    return _listed(request)


@require_POST
@page
def change(request: HttpRequest, project_id: int) -> HttpResponse:
    """Set one project's limit."""
    require_system(principal_of(request), "quota:update")
    found = Project.objects.alive().filter(pk=project_id).first() if project_id < 2**63 else None
    if found is None:
        raise Http404
    form = LimitForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError(list(form.errors["storage_limit"]))
        limit = form.cleaned_data["storage_limit"]
        projects.update(
            found, changes=projects.Changes(storage_limit=limit), actor=actor_of(request)
        )
    except (BadRequest, ValidationError) as error:
        refusal = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        typed = request.POST.get("storage_limit", "")
        return _listed(request, wrong=found.pk, refusal=refusal, typed=typed)
    messages.success(request, _("The limit of %(name)s is saved.") % {"name": found.name})
    query = request.META.get("QUERY_STRING", "")
    response = redirect("administration:quotas")
    if query:
        response["Location"] += f"?{query}"
    return response


def _listed(
    request: HttpRequest, *, wrong: int = 0, refusal: str = "", typed: str = ""
) -> HttpResponse:
    """Show the list; beside the project ``wrong`` what was typed, and why it was refused."""
    sort = request.GET.get("sort", "")
    sort = sort if sort in _SORTS else _MOST_USED
    query = query_of(request)
    rows = _quotas()
    if query:
        rows = rows.filter(name__icontains=query)
    listed = page_of(request, rows.order_by(_SORTS[sort][1], "name"))
    default = configuration.default_storage_limit()
    context = {
        "section": "quotas",
        "query": query,
        "page": listed,
        "rows": [
            (project, typed if project.pk == wrong else written(project.storage_limit))
            for project in listed
        ],
        "sorts": [(key, words) for key, (words, _order) in _SORTS.items()],
        "sort": sort,
        "wrong": wrong,
        "refusal": refusal,
        "default": default,
        "may_update": bool(can_system(principal_of(request), "quota:update")),
    }
    fragment = "#rows" if is_fragment(request, "rows") else ""
    status = 422 if refusal else 200
    return render(request, f"quotas/list.html{fragment}", context, status=status)
