"""Removing many tags at once: what is chosen, what it touches, and then the run."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.access import require
from accounts.errors import BadRequest, Conflict
from portal.web.access import actor_of, page, principal_of, visible_project
from portal.web.repositories import repository_of
from portal.web.repository_tabs import frame
from portal.web.tag_lists import Filter
from registry_sync import bulk, dispatch
from registry_sync.bulk import Selection
from registry_sync.models import Repository


@require_POST
@page
def index(request: HttpRequest, project: str, path: str) -> HttpResponse:
    """Say what goes with the chosen tags; where that is confirmed, order the run."""
    found = visible_project(request, project)
    require(principal_of(request), "tag:delete", found)
    repository = repository_of(found, path)
    # The first time nothing was asked yet: an image goes with its last tag.
    with_images = "seen" not in request.POST or "with_images" in request.POST
    try:
        selection = _selection(request, repository)
        parameters = bulk.parameters_of(repository, selection, with_images=with_images)
    except BadRequest as error:
        messages.error(request, str(error))
        return redirect("repositories:detail", found.name, repository.path)
    if "confirmed" in request.POST:
        try:
            execution = dispatch.start(
                bulk.DELETION,
                actor=actor_of(request),
                policy_id=repository.pk,
                project_id=found.pk,
                parameters=parameters,
            )
        except Conflict as error:
            messages.error(request, str(error))
        else:
            return redirect("projects:run", found.name, execution.pk)
    context = frame(request, repository, "tags") | {
        "selection": selection,
        "with_images": with_images,
        "preview": bulk.preview(repository, selection, with_images=with_images),
        "days": found.trash_days,
    }
    return render(request, "repositories/remove_tags.html", context)


def _selection(request: HttpRequest, repository: Repository) -> Selection:
    """Read which tags are meant: those that are ticked, or all that the filter matches."""
    # One field for each tick; the page that asks once more sends all of them in one.
    names = [*request.POST.getlist("name"), *request.POST.get("names", "").split()]
    if "all" not in request.POST:
        if not names:
            raise BadRequest(_("Tick the tags that should go."), field="name")
        return Selection(names=tuple(names))
    wanted = Filter.of(request.POST.dict())
    if wanted.is_plain:
        return Selection(query=wanted.query or "*")
    # The run knows words alone; what else narrows the list becomes names.
    tags = wanted.tags(repository, principal_of(request)).order_by("-sort_key", "-pk")
    found = tuple(tags.values_list("name", flat=True)[: bulk.MAX_NAMES + 1])
    if not found:
        raise BadRequest(_("No tag matches"), field="q")
    return Selection(names=found)
