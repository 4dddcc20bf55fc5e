"""The pages of robots: each project's, and those of the system for administrators."""

import datetime
from dataclasses import dataclass, replace

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import configuration, robots
from accounts.access import can, can_system, require, require_system
from accounts.errors import BadRequest, Conflict, Denied
from accounts.models import Project, Robot, RobotGrant
from accounts.principals import Principal
from accounts.robots import Permission, Terms
from portal.web import robot_rights, robot_snippets
from portal.web.access import (
    actor_of,
    is_fragment,
    note_refusal,
    page,
    principal_of,
    visible_project,
)
from portal.web.paging import page_of
from portal.web.project_tabs import frame
from portal.web.robot_forms import RobotForm

# How the domain's names for the input are called in the form.
_FIELDS = {
    "duration": "days",
    "push_tag_patterns": "patterns",
    "allowed_networks": "networks",
}
_DAY = datetime.timedelta(days=1)
_MAX_PROJECTS = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """The rights in the form, by place, and what is to be done with them."""

    blocks: list[robot_rights.Block]
    is_to_be_saved: bool
    # What was typed of projects that are to be added, where it could not be.
    names: str = ""
    refusal: str = ""

    def is_sound(self, form: RobotForm) -> bool:
        """Whether everything in the form can be read."""
        forms = [form, *(block.form for block in self.blocks)]
        # Each is asked, so that every error is shown at once.
        answers = [one.is_valid() for one in forms]
        return self.is_to_be_saved and all(answers)


@dataclass(frozen=True, slots=True)
class Home:
    """Where robots belong: a project, or the system."""

    project: Project | None

    def may(self, principal: Principal, verb: str) -> bool:
        """Whether they may do that with the robots here."""
        action = f"robot:{verb}"
        if self.project is not None:
            return bool(can(principal, action, self.project))
        return bool(can_system(principal, action))

    def require(self, principal: Principal, verb: str) -> None:
        """Raise ``NotFound`` or ``Denied`` where they may not."""
        if self.project is not None:
            require(principal, f"robot:{verb}", self.project)
        else:
            require_system(principal, f"robot:{verb}")

    def rows(self) -> QuerySet[Robot]:
        """Return the robots here, with their rights."""
        rows = Robot.objects.filter(project=self.project, deleted_at=None)
        return rows.select_related("project").prefetch_related("grants__project")

    def url(self, page_name: str, *arguments: object) -> str:
        """Return the address of one of their pages."""
        if self.project is not None:
            return reverse(f"projects:{page_name}", args=[self.project.name, *arguments])
        return reverse(f"administration:{page_name}", args=arguments)

    def links(self, robot: Robot) -> dict[str, str]:
        """Return the addresses of one robot's pages."""
        return {
            "robot": self.url("robot", robot.pk),
            "edit": self.url("edit_robot", robot.pk),
            "refresh": self.url("refresh_robot", robot.pk),
            "switch": self.url("switch_robot", robot.pk),
            "delete": self.url("delete_robot", robot.pk),
        }


def _home(request: HttpRequest, project: str | None, *verbs: str) -> Home:
    """Return where it is about, if this caller may do these things there."""
    home = Home(visible_project(request, project) if project is not None else None)
    for verb in verbs:
        home.require(principal_of(request), verb)
    return home


def _found(
    request: HttpRequest, project: str | None, robot_id: int, *verbs: str
) -> tuple[Home, Robot]:
    """Return a robot, looked up through its place, to which this caller may do these things."""
    home = _home(request, project, "list", *verbs)
    # In a project's address the number comes as text.
    robot = home.rows().filter(pk=robot_id).first() if int(robot_id) < 2**63 else None
    if robot is None:
        raise Http404
    return home, robot


def _around(request: HttpRequest, home: Home) -> dict[str, object]:
    around: dict[str, object] = {"section": "robots", "project": None, "tabs": []}
    if home.project is not None:
        around = frame(request, home.project, "robots")
    return around | {"list_url": home.url("robots")}


@require_safe
@page
def index(request: HttpRequest, project: str | None = None) -> HttpResponse:
    """List the robots."""
    home = _home(request, project, "list")
    listed = page_of(request, home.rows().order_by("name"))
    context = _around(request, home) | {
        "page": listed,
        "rows": [
            (
                robot,
                robots.login_name(robot),
                home.url("robot", robot.pk),
                *robot_rights.rights_of(robot.grants.all()),
            )
            for robot in listed
        ],
        "now": timezone.now(),
        "new_url": home.url("new_robot") if home.may(principal_of(request), "create") else "",
    }
    return render(request, "robots/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def create(request: HttpRequest, project: str | None = None) -> HttpResponse:
    """Make a robot and show its secret this once."""
    home = _home(request, project, "create")
    data = request.POST if request.method == "POST" else None
    form = RobotForm(data, initial={"days": configuration.default_robot_days()})
    choice = _choice(request, home, None)
    if choice.is_sound(form):
        try:
            robot, secret = robots.create(
                name=form.cleaned_data["name"],
                project=home.project,
                terms=_terms(form, choice),
                actor=actor_of(request),
            )
        except (BadRequest, Conflict, Denied) as error:
            _explain(request, form, choice, error)
        else:
            return _shown(request, home, robot, secret=secret, is_new=True)
    return _form(request, home, form, choice)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def edit(request: HttpRequest, robot_id: int, project: str | None = None) -> HttpResponse:
    """Change what a robot may do, where from and how long."""
    home, robot = _found(request, project, robot_id, "update")
    present = _present(robot)
    data = request.POST if request.method == "POST" else None
    initial = {
        "description": present.description,
        "patterns": " ".join(present.push_tag_patterns),
        "networks": " ".join(present.allowed_networks),
        "days": present.days,
    }
    form = RobotForm(data, initial=initial)
    # What it signs in with is what its users have written down.
    del form.fields["name"]
    choice = _choice(request, home, robot)
    if choice.is_sound(form):
        terms = replace(_terms(form, choice), is_disabled=present.is_disabled)
        try:
            robots.update(robot, terms=terms, actor=actor_of(request))
        except (BadRequest, Denied) as error:
            _explain(request, form, choice, error)
        else:
            messages.success(request, _("The robot is changed; tokens it had are void."))
            return redirect(home.url("robot", robot.pk))
    return _form(request, home, form, choice, robot)


def _form(
    request: HttpRequest,
    home: Home,
    form: RobotForm,
    choice: Choice,
    robot: Robot | None = None,
) -> HttpResponse:
    is_refused = bool(choice.refusal) or choice.is_to_be_saved
    context = _around(request, home) | {
        "form": form,
        "choice": choice,
        "robot": robot,
        "login": robots.login_name(robot) if robot else "",
        "cancel_url": home.url("robot", robot.pk) if robot else home.url("robots"),
    }
    return render(request, "robots/form.html", context, status=422 if is_refused else 200)


def _choice(request: HttpRequest, home: Home, robot: Robot | None) -> Choice:
    """Return the rights as they are, or as they were chosen.

    For a robot of the system there is a button that adds projects and saves nothing.
    """
    data = request.POST if request.method == "POST" else None
    if home.project is not None:
        blocks = robot_rights.of_project(data, home.project, robot)
        return Choice(blocks, is_to_be_saved=data is not None)
    visible = Project.objects.visible_to(principal_of(request))
    if data is None:
        grants = robot.grants.all() if robot else []
        pks = {grant.project_id for grant in grants if grant.project_id}
        present = visible.filter(pk__in=pks).order_by("name")
        return Choice(robot_rights.of_system(None, present, [], robot), is_to_be_saved=False)
    numbers = [text for text in data.getlist("projects")[:_MAX_PROJECTS] if text.isdecimal()]
    present = visible.filter(pk__in=[int(text[:18]) for text in numbers]).order_by("name")
    names = data.get("names", "").replace("\0", "").split()[:_MAX_PROJECTS]
    named = visible.filter(name__in=names)
    added = [project for project in named if project not in present]
    unknown = sorted(set(names) - {project.name for project in named})
    refusal = ""
    if unknown:
        refusal = _("There is no project %(names)s.") % {"names": ", ".join(unknown)[:200]}
    return Choice(
        robot_rights.of_system(data, present, added, robot),
        is_to_be_saved="add" not in data and not names,
        names=" ".join(unknown),
        refusal=refusal,
    )


def _terms(form: RobotForm, choice: Choice) -> Terms:
    chosen = form.cleaned_data
    permissions = [one for block in choice.blocks for one in block.permissions()]
    return Terms(
        description=chosen["description"],
        days=chosen["days"],
        permissions=tuple(permissions),
        allowed_networks=tuple(chosen["networks"]),
        push_tag_patterns=tuple(chosen["patterns"]),
    )


def _explain(
    request: HttpRequest, form: RobotForm, choice: Choice, error: BadRequest | Conflict | Denied
) -> None:
    """Put a refusal beside what it is about."""
    if isinstance(error, Denied):
        note_refusal(request, error)
        rule = _("Nobody gives a robot more than they may do themselves.")
        form.add_error(None, f"{error} {rule}")
    elif error.field == "permissions" and len(choice.blocks) == 1:
        choice.blocks[0].form.add_error("rights", str(error))
    else:
        field = _FIELDS.get(error.field, error.field)
        form.add_error(field if field in form.fields else None, str(error))


@require_safe
@page
def detail(request: HttpRequest, robot_id: int, project: str | None = None) -> HttpResponse:
    """What a robot may do, how to use it, whether it was used."""
    home, robot = _found(request, project, robot_id)
    if is_fragment(request, "first-use") and robot.last_used_at is None:
        # Nothing changes on the page while the robot has not come.
        return HttpResponse(status=204)
    return _shown(request, home, robot)


def _shown(
    request: HttpRequest, home: Home, robot: Robot, *, secret: str = "", is_new: bool = False
) -> HttpResponse:
    principal = principal_of(request)
    given = robot_rights.given_to(robot)
    login = robots.login_name(robot)
    place = robot_snippets.place_of(request.GET.get("for", ""))
    may_push = any(grant.action == "repository:push" for grant in robot.grants.all())
    context = _around(request, home) | {
        "robot": robot,
        "login": login,
        "given": given,
        "links": home.links(robot),
        "now": timezone.now(),
        "secret": secret,
        "is_new": is_new,
        "places": robot_snippets.PLACES,
        "place": place,
        "snippet": place.write(robot_snippets.Access(login, _project_of(home, given), may_push)),
        "may_change": home.may(principal, "update"),
        "may_delete": home.may(principal, "delete"),
    }
    for part in ("first-use", "use"):
        if is_fragment(request, part):
            name = part.replace("-", "_")
            return render(request, f"robots/detail.html#{name}", context | {"was_waiting": True})
    return render(request, "robots/detail.html", context)


def _project_of(home: Home, given: list[robot_rights.Given]) -> str:
    """Return a project for the examples: one in which the robot has rights."""
    projects = [home.project, *(place.project for place in given)]
    return next((project.name for project in projects if project is not None), "library")


@require_POST
@page
def refresh(request: HttpRequest, robot_id: int, project: str | None = None) -> HttpResponse:
    """Give a robot a new secret and show it this once."""
    home, robot = _found(request, project, robot_id, "update")
    _robot, secret = robots.refresh_secret(robot, actor=actor_of(request))
    robot.refresh_from_db()
    return _shown(request, home, robot, secret=secret)


@require_POST
@page
def switch(request: HttpRequest, robot_id: int, project: str | None = None) -> HttpResponse:
    """Disable a robot, or enable it again; everything else about it stays."""
    home, robot = _found(request, project, robot_id, "update")
    terms = replace(_present(robot), is_disabled=request.POST.get("enabled") == "false")
    robots.update(robot, terms=terms, actor=actor_of(request))
    return redirect(home.url("robot", robot.pk))


def _present(robot: Robot) -> Terms:
    """Return a robot's terms as they are."""
    days = None
    if robot.expires_at is not None:
        days = round((robot.expires_at - robot.created_at) / _DAY)
    return Terms(
        description=robot.description,
        days=days,
        permissions=tuple(
            Permission(grant.action, grant.project, grant.scope == RobotGrant.Scope.SYSTEM)
            for grant in robot.grants.all()
        ),
        allowed_networks=tuple(robot.allowed_networks),
        push_tag_patterns=tuple(robot.push_tag_patterns),
        is_disabled=robot.is_disabled,
    )


@require_POST
@page
def delete(request: HttpRequest, robot_id: int, project: str | None = None) -> HttpResponse:
    """Delete a robot."""
    home, robot = _found(request, project, robot_id, "delete")
    robots.remove(robot, actor=actor_of(request))
    text = _("The robot %(name)s is deleted.") % {"name": robots.login_name(robot)}
    messages.success(request, text)
    return redirect(home.url("robots"))
