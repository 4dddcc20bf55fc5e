"""The page of a project's members."""

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts import members
from accounts.access import can, require
from accounts.errors import Conflict, PreconditionFailed
from accounts.models import Project, ProjectMember, User
from accounts.roles import Role
from portal.templatetags.portal import role_label
from portal.web.access import actor_of, page, principal_of, visible_project
from portal.web.paging import page_of
from portal.web.project_tabs import frame

# The widest rights first.
_ORDER = (
    Role.PROJECT_ADMIN,
    Role.MAINTAINER,
    Role.DEVELOPER,
    Role.GUEST,
    Role.LIMITED_GUEST,
)


def _role_choices() -> list[tuple[int, str]]:
    return [(role.value, role_label(role.value)) for role in _ORDER]


class MemberForm(forms.Form):
    """A new member."""

    username = forms.CharField(
        label=gettext_lazy("Username"),
        max_length=255,
        widget=forms.TextInput(
            attrs={
                "class": "form-control",
                "autocomplete": "off",
                "autocapitalize": "none",
                "list": "mo-people",
            }
        ),
    )
    role = forms.TypedChoiceField(
        label=gettext_lazy("Role"),
        coerce=int,
        initial=Role.DEVELOPER.value,
        choices=_role_choices,
        widget=forms.Select(attrs={"class": "form-select"}),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest, project: str) -> HttpResponse:
    """List a project's members; add one."""
    found = visible_project(request, project)
    principal = principal_of(request)
    require(principal, "member:list", found)
    form = MemberForm(request.POST or None)
    if request.method == "POST":
        require(principal, "member:create", found)
        if form.is_valid() and _add(request, found, form):
            return redirect("projects:members", found.name)
    status = 422 if request.method == "POST" else 200
    return _listed(request, found, form, status=status)


def _add(request: HttpRequest, project: Project, form: MemberForm) -> bool:
    username = form.cleaned_data["username"].strip().lower()
    user = User.objects.filter(username=username, deleted_at=None).first()
    if user is None:
        form.add_error("username", _("There is no user of this name."))
        return False
    try:
        members.add(
            project, user=user, role=Role(form.cleaned_data["role"]), actor=actor_of(request)
        )
    except Conflict as error:
        form.add_error("username", str(error))
        return False
    return True


def _listed(
    request: HttpRequest,
    project: Project,
    form: MemberForm,
    *,
    refusal: str = "",
    status: int = 200,
) -> HttpResponse:
    principal = principal_of(request)
    rows = ProjectMember.objects.filter(project=project).select_related("user")
    may_add = bool(can(principal, "member:create", project))
    context = frame(request, project, "members") | {
        "form": form,
        "refusal": refusal,
        "page": page_of(request, rows.order_by("user__username")),
        "roles": _role_choices(),
        "may_add": may_add,
        "people": members.known_to(principal, outside=project) if may_add else (),
        "may_change": bool(can(principal, "member:update", project)),
        "may_remove": bool(can(principal, "member:delete", project)),
    }
    return render(request, "projects/members.html", context, status=status)


@require_POST
@page
def change(request: HttpRequest, project: str, member_id: int) -> HttpResponse:
    """Give a member another role, or take them out with ``remove``."""
    found = visible_project(request, project)
    is_removal = "remove" in request.POST
    action = "member:delete" if is_removal else "member:update"
    require(principal_of(request), action, found)
    member = ProjectMember.objects.filter(project=found, pk=member_id).first()
    if member is None:
        raise Http404
    try:
        if is_removal:
            members.remove(member, actor=actor_of(request))
        else:
            members.change_role(member, role=_role(request), actor=actor_of(request))
    except PreconditionFailed as error:
        return _listed(request, found, MemberForm(), refusal=str(error), status=422)
    return redirect("projects:members", found.name)


def _role(request: HttpRequest) -> Role:
    chosen = request.POST.get("role", "")
    if chosen not in {str(role.value) for role in Role}:
        raise Http404
    return Role(int(chosen))
