"""The page on which a project is deleted: it says first what goes."""

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.access import require
from accounts.errors import PreconditionFailed
from accounts.models import Project, Robot
from portal.web.access import actor_of, page, principal_of, visible_project
from portal.web.project_tabs import frame
from registry_sync import project_removal
from registry_sync.models import Repository, Tag
from registry_sync.tag_filters import tags_for_people


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes with a project."""

    repositories: int
    tags: int
    used_bytes: int
    robots: int
    members: int


def _contents(project: Project) -> Contents:
    return Contents(
        repositories=Repository.objects.pushed().filter(project=project).count(),
        tags=tags_for_people(Tag.objects.filter(repository__project=project)).count(),
        used_bytes=project.usage.used_bytes if hasattr(project, "usage") else 0,
        robots=Robot.objects.filter(project=project, deleted_at=None).count(),
        members=project.members.count(),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest, project: str) -> HttpResponse:
    """Say what goes; delete the project whose name was typed again."""
    found = visible_project(request, project)
    require(principal_of(request), "project:delete", found)
    typed = request.POST.get("confirmation", "").strip()
    refusal = ""
    if request.method == "POST":
        refusal = _refusal(request, found, typed)
        if not refusal:
            text = _("The project %(name)s is deleted.") % {"name": found.name}
            messages.success(request, text)
            return redirect("projects:list")
    context = frame(request, found, "delete") | {
        "contents": _contents(found),
        "typed": typed,
        "refusal": refusal,
    }
    return render(request, "projects/delete.html", context, status=422 if refusal else 200)


def _refusal(request: HttpRequest, project: Project, typed: str) -> str:
    """Delete the project; return why not, where it was not."""
    if typed != project.name:
        return _("To delete this project, type its name.")
    try:
        project_removal.remove(project, actor=actor_of(request))
    except PreconditionFailed as error:
        return str(error)
    return ""
