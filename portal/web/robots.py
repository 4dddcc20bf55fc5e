"""The pages of a project's robots."""

import datetime
from dataclasses import replace

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import configuration, robots
from accounts.access import can, require
from accounts.errors import BadRequest, Conflict
from accounts.models import Project, Robot
from accounts.robots import Permission, Terms
from portal.web import robot_snippets
from portal.web.access import actor_of, is_fragment, page, principal_of, visible_project
from portal.web.paging import page_of
from portal.web.project_tabs import frame
from portal.web.robot_forms import RIGHTS, RobotForm, rights_of

# How the domain's names for the input are called in the form.
_FIELDS = {
    "duration": "days",
    "permissions": "rights",
    "push_tag_patterns": "patterns",
    "allowed_networks": "networks",
}
_DAY = datetime.timedelta(days=1)


def _robots_of(project: Project) -> QuerySet[Robot]:
    rows = Robot.objects.filter(project=project, deleted_at=None)
    return rows.prefetch_related("grants__project")


def _found(
    request: HttpRequest, project: str, robot_id: int, *actions: str
) -> tuple[Project, Robot]:
    """Return a project and a robot of it, which this caller may list and do these things to."""
    found = visible_project(request, project)
    for action in ("robot:list", *actions):
        require(principal_of(request), action, found)
    robot = _robots_of(found).select_related("project").filter(pk=robot_id).first()
    if robot is None:
        raise Http404
    return found, robot


@require_safe
@page
def index(request: HttpRequest, project: str) -> HttpResponse:
    """List a project's robots."""
    found = visible_project(request, project)
    principal = principal_of(request)
    require(principal, "robot:list", found)
    listed = page_of(request, _robots_of(found).order_by("name"))
    context = frame(request, found, "robots") | {
        "page": listed,
        "rows": [(robot, robots.login_name(robot), *rights_of(robot)) for robot in listed],
        "now": timezone.now(),
        "may_make": bool(can(principal, "robot:create", found)),
    }
    return render(request, "robots/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def create(request: HttpRequest, project: str) -> HttpResponse:
    """Make a robot and show its secret this once."""
    found = visible_project(request, project)
    require(principal_of(request), "robot:create", found)
    is_post = request.method == "POST"
    form = RobotForm(
        request.POST if is_post else None,
        initial={"rights": ["pull"], "days": configuration.default_robot_days()},
    )
    if is_post and form.is_valid():
        try:
            robot, secret = robots.create(
                name=form.cleaned_data["name"],
                project=found,
                terms=_terms(form, found),
                actor=actor_of(request),
            )
        except (BadRequest, Conflict) as error:
            field = _FIELDS.get(error.field, error.field)
            form.add_error(field if field in form.fields else None, str(error))
        else:
            return _shown(request, found, robot, secret=secret, is_new=True)
    context = {"section": "projects", "project": found, "form": form}
    return render(request, "robots/create.html", context, status=422 if is_post else 200)


def _terms(form: RobotForm, project: Project) -> Terms:
    chosen = form.cleaned_data
    actions = [action for right in chosen["rights"] for action in RIGHTS[right]]
    return Terms(
        description=chosen["description"],
        days=chosen["days"],
        permissions=tuple(Permission(action, project) for action in dict.fromkeys(actions)),
        allowed_networks=tuple(chosen["networks"]),
        push_tag_patterns=tuple(chosen["patterns"]),
    )


@require_safe
@page
def detail(request: HttpRequest, project: str, robot_id: int) -> HttpResponse:
    """What a robot may do, how to use it, whether it was used."""
    found, robot = _found(request, project, robot_id)
    if is_fragment(request, "first-use") and robot.last_used_at is None:
        # Nothing changes on the page while the robot has not come.
        return HttpResponse(status=204)
    return _shown(request, found, robot)


def _shown(
    request: HttpRequest, project: Project, robot: Robot, *, secret: str = "", is_new: bool = False
) -> HttpResponse:
    principal = principal_of(request)
    rights, others = rights_of(robot)
    login = robots.login_name(robot)
    place = robot_snippets.place_of(request.GET.get("for", ""))
    may_push = any(name == "push" and given for name, _label, given in rights)
    context = {
        "section": "projects",
        "project": project,
        "robot": robot,
        "login": login,
        "rights": rights,
        "others": others,
        "now": timezone.now(),
        "secret": secret,
        "is_new": is_new,
        "places": robot_snippets.PLACES,
        "place": place,
        "snippet": place.write(robot_snippets.Access(login, project.name, may_push)),
        "may_change": bool(can(principal, "robot:update", project)),
        "may_delete": bool(can(principal, "robot:delete", project)),
    }
    for part in ("first-use", "use"):
        if is_fragment(request, part):
            name = part.replace("-", "_")
            return render(request, f"robots/detail.html#{name}", context | {"was_waiting": True})
    return render(request, "robots/detail.html", context)


@require_POST
@page
def refresh(request: HttpRequest, project: str, robot_id: int) -> HttpResponse:
    """Give a robot a new secret and show it this once."""
    found, robot = _found(request, project, robot_id, "robot:update")
    _, secret = robots.refresh_secret(robot, actor=actor_of(request))
    robot.refresh_from_db()
    return _shown(request, found, robot, secret=secret)


@require_POST
@page
def switch(request: HttpRequest, project: str, robot_id: int) -> HttpResponse:
    """Disable a robot, or enable it again; everything else about it stays."""
    _, robot = _found(request, project, robot_id, "robot:update")
    terms = replace(_present(robot), is_disabled=request.POST.get("enabled") == "false")
    robots.update(robot, terms=terms, actor=actor_of(request))
    return redirect("projects:robot", project, robot.pk)


def _present(robot: Robot) -> Terms:
    """Return a robot's terms as they are."""
    days = None
    if robot.expires_at is not None:
        days = round((robot.expires_at - robot.created_at) / _DAY)
    grants = robot.grants.all()
    return Terms(
        description=robot.description,
        days=days,
        permissions=tuple(Permission(grant.action, grant.project) for grant in grants),
        allowed_networks=tuple(robot.allowed_networks),
        push_tag_patterns=tuple(robot.push_tag_patterns),
        is_disabled=robot.is_disabled,
    )


@require_POST
@page
def delete(request: HttpRequest, project: str, robot_id: int) -> HttpResponse:
    """Delete a robot."""
    _, robot = _found(request, project, robot_id, "robot:delete")
    robots.remove(robot, actor=actor_of(request))
    return redirect("projects:robots", project)
