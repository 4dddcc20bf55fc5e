"""What is pinned to the home page: its rows there, and the button that pins."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.errors import Conflict
from accounts.models import Project
from accounts.principals import Principal
from portal.web.access import page, principal_of, visible_project
from portal.web.charts import Spark, spark
from portal.web.projects import latest_tags
from portal.web.repositories import repository_of
from registry_sync import home_pins, statistics
from registry_sync.models import HomePin, Repository, Tag


@dataclass(frozen=True, slots=True)
class Pinned:
    """A pin as the home page shows it."""

    name: str
    url: str
    # Where the form that takes it off is sent.
    pin_url: str
    pushed_at: object
    tag: Tag | None = None
    pulls: Spark | None = None


def pinned_of(principal: Principal) -> list[Pinned]:
    """Return what this person pinned and can still see, by name."""
    pins = list(home_pins.of(principal))
    if not pins:
        return []
    repositories = _repositories(pins)
    tags = latest_tags(repositories.values())
    days = statistics.days_of_repositories([row.pk for row in repositories.values()])
    whole = [pin.project_id for pin in pins if not pin.path]
    pushes = dict(
        Repository.objects.pushed()
        .filter(project_id__in=whole)
        .order_by()
        .values_list("project_id")
        .annotate(last=Max("pushed_at"))
    )
    found = []
    for pin in pins:
        place = [pin.project.name, pin.path]
        if not pin.path:
            name, url = pin.project.name, reverse("projects:detail", args=place[:1])
            remove = reverse("projects:pin_home", args=place[:1])
            found.append(Pinned(name, url, remove, pushes.get(pin.project_id)))
            continue
        repository = repositories.get((pin.project_id, pin.path))
        if repository is None:
            continue
        url = reverse("repositories:detail", args=place)
        remove = reverse("repositories:pin_home", args=place)
        pulls = spark([day.count for day in days[repository.pk]])
        name, tag = "/".join(place), tags.get(repository.pk)
        found.append(Pinned(name, url, remove, repository.pushed_at, tag, pulls))
    return found


def _repositories(pins: Sequence[HomePin]) -> dict[tuple[int, str], Repository]:
    paths = {pin.path for pin in pins if pin.path}
    rows = Repository.objects.pushed().filter(
        project_id__in={pin.project_id for pin in pins}, path__in=paths
    )
    wanted = {(pin.project_id, pin.path) for pin in pins}
    return {(row.project_id, row.path): row for row in rows if (row.project_id, row.path) in wanted}


@require_POST
@page
def project(request: HttpRequest, project: str) -> HttpResponse:
    """Pin a project, or take it off."""
    found = visible_project(request, project)
    return _answer(request, found, "", reverse("projects:detail", args=[found.name]))


@require_POST
@page
def repository(request: HttpRequest, project: str, path: str) -> HttpResponse:
    """Pin a repository, or take it off."""
    found = repository_of(visible_project(request, project), path)
    place = [found.project.name, found.path]
    url = reverse("repositories:detail", args=place)
    return _answer(request, found.project, found.path, url)


def _answer(request: HttpRequest, project: Project, path: str, here: str) -> HttpResponse:
    principal = principal_of(request)
    if request.POST.get("pinned") == "no":
        home_pins.unpin(project, path, principal=principal)
    else:
        try:
            home_pins.pin(project, path, principal=principal)
        except Conflict as error:
            messages.error(request, str(error))
        else:
            messages.success(request, _("It is on your home page now."))
    return redirect("home" if request.POST.get("from") == "home" else here)
