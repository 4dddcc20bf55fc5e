"""The first run, step by step: password and language, address, first project, first push.

Each step reads from what is there whether it is done, so that it can be left and taken up again.
For administrators who are signed in: nothing here is shown to anybody else.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import first_run, projects, users
from accounts.access import require_system
from accounts.errors import BadRequest, Conflict
from accounts.models import Project, User
from accounts.principals import Principal
from portal.web import setup_checks
from portal.web.access import actor_of, is_fragment, page, principal_of
from portal.web.commands import TOOLS, first_push, tool_of
from portal.web.forms import ProjectForm
from portal.web.personal_tokens import user_of
from portal.web.security import PasswordForm, change_password
from portal.web.tag_rows import TagRow, one_per_artifact, tag_rows, with_artifacts
from registry_sync.models import Blob, RepositoryBlob, Tag
from registry_sync.tag_filters import tags_for_people

_RIGHT = "configuration:update"
_SHOWN_PROJECTS = 6
# Several tags of one push are one line.
_TAGS_OF_A_PUSH = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the list at the page's side."""

    key: str
    words: str | Promise
    is_done: bool
    is_current: bool = False

    @property
    def url(self) -> str:
        """Its address."""
        return f"{reverse('setup')}?step={self.key}"


_WORDS = {
    "account": _("Password and language"),
    "address": _("Address and storage"),
    "project": _("First project"),
    "push": _("First push"),
}


def is_wanted(principal: Principal) -> bool:
    """Whether this person is led here: an administrator of a Moorage without any image."""
    return (
        principal.is_administrator
        and not Tag.objects.filter(artifact__isnull=False).exists()
        and not first_run.is_closed()
    )


@sensitive_post_parameters("current", "password")
@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest) -> HttpResponse:
    """Show one step, the first that is not done unless another is asked for."""
    require_system(principal_of(request), _RIGHT)
    done = _done(request)
    asked = request.POST.get("step") or request.GET.get("step", "")
    first = next((key for key, is_done in done.items() if not is_done), "push")
    current = asked if asked in done else first
    steps = [Step(key, _WORDS[key], is_done, key == current) for key, is_done in done.items()]
    around: dict[str, object] = {
        "section": "home",
        "steps": steps,
        "step": current,
        "done": sum(done.values()),
        "is_closed": first_run.is_closed(),
    }
    return _STEPS[current](request, around)


@require_POST
@page
def close(request: HttpRequest) -> HttpResponse:
    """Finish the set-up, or put it off: home is home again, and links here."""
    require_system(principal_of(request), _RIGHT)
    first_run.close(actor=actor_of(request))
    return redirect("home")


def _done(request: HttpRequest) -> dict[str, bool]:
    has_images = Tag.objects.filter(artifact__isnull=False).exists()
    own = _pushable().exclude(name=users.FIRST_PROJECT)
    return {
        "account": not _has_first_password(user_of(request)),
        "address": setup_checks.is_address_right(request),
        "project": has_images or own.exists(),
        "push": has_images,
    }


def _has_first_password(user: User) -> bool:
    """Whether the password is still the one that Moorage made up and wrote to a file."""
    is_first = user.username == users.FIRST_ADMINISTRATOR and user.auth_epoch == 1
    return is_first and (settings.MOORAGE_HOME / "admin-password").exists()


def _account(request: HttpRequest, around: dict[str, object]) -> HttpResponse:
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and change_password(request, form):
        # The new password leads back here.
        messages.success(request, _("The password is changed. Sign in with the new one."))
        return redirect_to_login(reverse("setup"))
    has_first_password = _has_first_password(user_of(request))
    context = around | {"form": form, "has_first_password": has_first_password}
    status = 422 if request.method == "POST" else 200
    return render(request, "setup/index.html", context, status=status)


def _address(request: HttpRequest, around: dict[str, object]) -> HttpResponse:
    context = around | {
        "checks": [*setup_checks.address(request), *setup_checks.programs()],
        "disk": setup_checks.disk(),
    }
    return render(request, "setup/index.html", context)


def _project(request: HttpRequest, around: dict[str, object]) -> HttpResponse:
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = projects.create(
                name=form.cleaned_data["name"],
                is_public=form.cleaned_data["is_public"],
                actor=actor_of(request),
            )
        except (BadRequest, Conflict) as error:
            form.tell(error)
        else:
            return redirect(f"{reverse('setup')}?step=push&project={project.name}")
    there = _pushable().order_by("-pk")[:_SHOWN_PROJECTS]
    context = around | {"form": form, "projects": there}
    status = 422 if request.method == "POST" else 200
    return render(request, "setup/index.html", context, status=status)


def _push(request: HttpRequest, around: dict[str, object]) -> HttpResponse:
    project = _where_to_push(request)
    row = _first_pushed(request)
    if row is None and is_fragment(request, "waiting"):
        layers = _received()
        failed = first_run.last_failed_sign_in()
        if not layers["received"] and failed is None:
            return HttpResponse(status=204)
        return render(request, "setup/index.html#waiting_line", layers | {"failed": failed})
    context = around | {"project": project, "row": row}
    if row is None:
        tool = tool_of(request)
        name = principal_of(request).name
        context |= _received() | {
            "failed": first_run.last_failed_sign_in(),
            "tools": TOOLS,
            "tool": tool,
            "commands": first_push(tool, username=name, project=project.name) if project else None,
        }
    if is_fragment(request, "waiting"):
        # It is in: what it was takes the page, not only the waiting line.
        response = render(request, "setup/index.html#content", context)
        response.headers["HX-Retarget"] = "#content"
        response.headers["HX-Reswap"] = "outerHTML"
        return response
    return render(request, "setup/index.html", context)


def _pushable() -> QuerySet[Project]:
    """Return the projects into which one pushes: those that no other registry fills."""
    return Project.objects.alive().filter(is_proxy=False)


def _where_to_push(request: HttpRequest) -> Project | None:
    """Return the project that was chosen, else the newest."""
    there = _pushable()
    asked = there.filter(name=request.GET.get("project", "").replace("\0", "")).first()
    return asked or there.order_by("-pk").first()


def _first_pushed(request: HttpRequest) -> TagRow | None:
    """Return the image that was pushed last, with its tags."""
    tags = with_artifacts(tags_for_people(Tag.objects.filter(repository__project__deleted_at=None)))
    newest = tags.select_related("artifact", "repository__project").order_by("-pushed_at", "-id")
    rows = one_per_artifact(tag_rows(newest[:_TAGS_OF_A_PUSH], tool_of(request)))
    return rows[0] if rows else None


def _received() -> dict[str, object]:
    """How much of a push has arrived so far."""
    layers = RepositoryBlob.objects.filter(kind=RepositoryBlob.Kind.LAYER)
    size = Subquery(Blob.objects.filter(digest=OuterRef("digest")).values("size")[:1])
    found = layers.annotate(size=size).aggregate(n=Count("pk"), bytes=Sum("size"))
    return {"received": found["n"], "received_bytes": found["bytes"] or 0}


_STEPS: dict[str, Callable[[HttpRequest, dict[str, object]], HttpResponse]] = {
    "account": _account,
    "address": _address,
    "project": _project,
    "push": _push,
}
