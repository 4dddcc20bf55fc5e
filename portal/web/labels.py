"""The pages of labels: the whole system's for administrators, each project's in its settings."""

from django import forms
from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import can, can_system
from accounts.errors import BadRequest, Conflict, Denied
from accounts.models import Project
from accounts.principals import Principal
from portal.web.access import actor_of, page, principal_of, visible_project
from portal.web.paging import page_of
from portal.web.project_tabs import frame
from registry_sync import labels
from registry_sync.labels import Look
from registry_sync.models import Label

_TEXT = {"class": "form-control", "autocomplete": "off"}
# The colours offered; each bears one of black and white in every theme.
COLORS = (
    "#0065AB",
    "#00968B",
    "#1D5100",
    "#48960C",
    "#61717D",
    "#6C3F99",
    "#9B0D54",
    "#C92100",
    "#F57600",
    "#FFDC0B",
)


class LabelForm(forms.Form):
    """What people choose of a label."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=128, widget=forms.TextInput(attrs=_TEXT)
    )
    description = forms.CharField(
        label=gettext_lazy("Description"),
        max_length=1024,
        required=False,
        widget=forms.TextInput(attrs=_TEXT),
    )
    color = forms.CharField(
        label=gettext_lazy("Colour"),
        max_length=7,
        initial=COLORS[0],
        widget=forms.TextInput(attrs={"class": "form-control form-control-color", "type": "color"}),
    )


def _find(request: HttpRequest, project: str | None) -> Project | None:
    return visible_project(request, project) if project is not None else None


def _may(principal: Principal, verb: str, project: Project | None) -> bool:
    """Whether they may do that with the project's labels, or the system's."""
    action = f"label:{verb}"
    if project is not None:
        return bool(can(principal, action, project))
    # The list of the system's labels is part of the administration.
    return bool(can_system(principal, "label:read" if verb == "list" else action))


def _require(principal: Principal, verb: str, project: Project | None) -> None:
    if not _may(principal, verb, project):
        raise Denied(_("You may not do this with these labels."))


def _of(project: Project | None) -> QuerySet[Label]:
    return Label.objects.filter(project=project)


def _address(project: Project | None, label: Label | None = None, *, end: str = "") -> str:
    place = "administration" if project is None else "projects"
    names = [] if project is None else [project.name]
    if label is None:
        return reverse(f"{place}:labels", args=names)
    return reverse(f"{place}:{end}label", args=[*names, label.pk])


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest, project: str | None = None) -> HttpResponse:
    """List the labels; make one."""
    found = _find(request, project)
    principal = principal_of(request)
    _require(principal, "list", found)
    form = LabelForm(request.POST or None)
    if request.method == "POST":
        _require(principal, "create", found)
        if form.is_valid() and _is_saved(form, request, project=found):
            return redirect(_address(found))
    rows = _of(found).annotate(uses=Count("labelings")).order_by("name")
    listed = page_of(request, rows)
    context = _frame(request, found) | {
        "form": form,
        "page": listed,
        "rows": [(label, _address(found, label)) for label in listed],
        "here": _address(found),
        "may_create": _may(principal, "create", found),
        "may_update": _may(principal, "update", found),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "labels/list.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def edit(request: HttpRequest, label_id: int, project: str | None = None) -> HttpResponse:
    """Change a label."""
    found, label = _found(request, project, label_id, "update")
    initial = {"name": label.name, "description": label.description, "color": _full(label.color)}
    form = LabelForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid() and _is_saved(form, request, label=label):
        return redirect(_address(found))
    context = _frame(request, found) | {
        "form": form,
        # As it is stored: the form's errors leave what was typed in the fields alone.
        "label": Label.objects.annotate(uses=Count("labelings")).get(pk=label.pk),
        "here": _address(found),
        "removal": _address(found, label, end="delete_"),
        "may_delete": _may(principal_of(request), "delete", found),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "labels/edit.html", context, status=status)


@require_POST
@page
def delete(request: HttpRequest, label_id: int, project: str | None = None) -> HttpResponse:
    """Delete a label, wherever it was put."""
    found, label = _found(request, project, label_id, "delete")
    labels.remove(label, actor=actor_of(request))
    messages.success(request, _("The label %(name)s is deleted.") % {"name": label.name})
    return redirect(_address(found))


def _found(
    request: HttpRequest, project: str | None, label_id: int, verb: str
) -> tuple[Project | None, Label]:
    """Return a label, looked up through its place, with which this caller may do that."""
    found = _find(request, project)
    _require(principal_of(request), verb, found)
    # In a project's address the number comes as text.
    label = _of(found).filter(pk=label_id).first() if int(label_id) < 2**63 else None
    if label is None:
        raise Http404
    return found, label


def _is_saved(
    form: LabelForm,
    request: HttpRequest,
    *,
    project: Project | None = None,
    label: Label | None = None,
) -> bool:
    """Make or change a label; tell whether it was accepted."""
    look = Look(**form.cleaned_data)
    try:
        if label is None:
            labels.create(project, look=look, actor=actor_of(request))
        else:
            labels.update(label, look=look, actor=actor_of(request))
    except (BadRequest, Conflict) as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return False
    messages.success(request, _("The label %(name)s is saved.") % {"name": look.name.strip()})
    return True


def _frame(request: HttpRequest, project: Project | None) -> dict[str, object]:
    if project is not None:
        return frame(request, project, "labels")
    return {"section": "labels", "project": None, "tabs": []}


def _full(color: str) -> str:
    """Write a colour with six digits, as browsers' colour fields need it."""
    if len(color) == 4:
        return "#" + "".join(digit * 2 for digit in color[1:])
    return color or COLORS[0]
