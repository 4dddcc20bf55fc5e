"""The pages of the trash: what was deleted, for how long it can be restored, and how."""

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts import projects
from accounts.access import require, rights
from accounts.errors import BadRequest, Conflict, DomainError
from accounts.models import Project
from portal.web.access import actor_of, is_fragment, page, principal_of, visible_project
from portal.web.jobs import label_of, took
from portal.web.paging import page_of, query_of
from portal.web.project_tabs import frame
from registry_sync import bulk, dispatch, purging, restoring, retention
from registry_sync.models import Artifact, Execution, RetentionOutcome, TrashEntry
from registry_sync.restoring import Tags

# Rows of one entry's page; the rest is counted.
_SHOWN = 200


def _found(request: HttpRequest, name: str) -> Project:
    """Return the project, if the caller may delete there: whoever may delete may bring back."""
    project = visible_project(request, name)
    require(principal_of(request), "artifact:delete", project)
    return project


def _entry(project: Project, entry_id: int) -> TrashEntry:
    entries = TrashEntry.objects.select_related("repository__project")
    entry = entries.filter(repository__project=project, pk=entry_id).first()
    if entry is None:
        raise Http404
    return entry


def _listed(request: HttpRequest, among: QuerySet[TrashEntry]) -> dict[str, object]:
    entries = among & TrashEntry.objects.restorable(timezone.now())
    query = query_of(request)
    run = request.GET.get("run", "")
    if query:
        entries = entries.filter(
            Q(repository__path__icontains=query)
            | Q(digest__icontains=query)
            | Q(actor_name__icontains=query)
        )
    if run.isascii() and run.isdigit() and len(run) <= 18:
        entries = entries.filter(execution_id=int(run))
    else:
        run = ""
    rows = entries.select_related("repository__project").order_by("-pk")
    return {"page": page_of(request, rows), "query": query, "run": run}


@require_safe
@page
def index(request: HttpRequest, project: str) -> HttpResponse:
    """What was deleted in a project and can be restored, the last deletion first."""
    found = _found(request, project)
    entries = TrashEntry.objects.filter(repository__project=found)
    context = frame(request, found, "trash") | _listed(request, entries)
    fragment = "#rows" if is_fragment(request, "rows") else ""
    return render(request, f"trash/list.html{fragment}", context)


@require_safe
@page
def everywhere(request: HttpRequest) -> HttpResponse:
    """What was deleted in any project, for administrators."""
    principal = principal_of(request)
    if not (principal.is_administrator or principal.is_auditor):
        raise Http404
    entries = TrashEntry.objects.filter(repository__project__deleted_at=None)
    context = {"section": "trash"} | _listed(request, entries)
    fragment = "#rows" if is_fragment(request, "rows") else ""
    return render(request, f"trash/list.html{fragment}", context)


@require_safe
@page
def detail(request: HttpRequest, project: str, entry_id: int) -> HttpResponse:
    """One deletion: all that it took, and what can be done about it."""
    found = _found(request, project)
    entry = _entry(found, entry_id)
    held = Artifact.objects.filter(trash_entry=entry).defer("config", "annotations")
    context = frame(request, found, "trash") | {
        "entry": entry,
        "artifacts": list(held.order_by("pk")[:_SHOWN]),
        "held": held.count(),
        "tags": entry.tags[:_SHOWN],
        "is_restorable": entry.state == TrashEntry.State.TRASHED
        and entry.purge_at > timezone.now(),
        "choices": _CHOICES,
    }
    return render(request, "trash/detail.html", context)


_CHOICES = tuple(choice.value for choice in Tags)


@require_POST
@page
def restore(request: HttpRequest, project: str, entry_id: int) -> HttpResponse:
    """Bring a deletion back; where that cannot be whole, say why on its page."""
    found = _found(request, project)
    entry = _entry(found, entry_id)
    chosen = request.POST.get("tags", "all")
    tags = Tags(chosen if chosen in _CHOICES else "all")
    try:
        restoring.restore(entry.repository, entry.pk, tags=tags, actor=actor_of(request))
    except Conflict as error:
        text = _("It was not restored: %(reason)s.") % {"reason": error}
        messages.error(request, text)
        return redirect("projects:trash_entry", found.name, entry.pk)
    messages.success(request, _("%(name)s is restored.") % {"name": entry.repository.name})
    if entry.kind != TrashEntry.Kind.REPOSITORY and request.POST.get("stay"):
        return redirect("projects:trash", found.name)
    return redirect("repositories:detail", found.name, entry.repository.path)


@require_POST
@page
def purge(request: HttpRequest, project: str, entry_id: int) -> HttpResponse:
    """Give a deletion up for good, where that was confirmed."""
    found = _found(request, project)
    entry = _entry(found, entry_id)
    if not request.POST.get("confirmed"):
        messages.error(request, _("To delete it for good, tick the box that says so."))
        return redirect("projects:trash_entry", found.name, entry.pk)
    try:
        purging.purge(entry.repository, entry.pk, actor=actor_of(request))
    except Conflict as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("It is deleted for good."))
    return redirect("projects:trash", found.name)


# --- Runs -----------------------------------------------------------------------------------------


def _run(project: Project, execution_id: int) -> Execution:
    execution = Execution.objects.filter(project_id=project.pk, pk=execution_id).first()
    if execution is None:
        raise Http404
    return execution


@require_safe
@page
def run(request: HttpRequest, project: str, execution_id: int) -> HttpResponse:
    """One run in a project: how far it is, what it deleted, and its undo."""
    found = visible_project(request, project)
    own = rights(principal_of(request), [found])[found.pk]
    execution = Execution.objects.filter(project_id=found.pk, pk=execution_id).first()
    is_retention = execution is not None and execution.kind == retention.KIND
    require(
        principal_of(request),
        "tag-retention:read" if is_retention else "artifact:delete",
        found,
    )
    if execution is None:
        raise Http404
    tasks = list(execution.tasks.all()[:100])
    results: dict[str, object] = {}
    for task in tasks:
        results |= task.result
    context = frame(request, found, "trash") | {
        "execution": execution,
        "label": label_of(execution.kind),
        "took": took(execution),
        "done": sum(task.done for task in tasks),
        "total": sum(task.total or 0 for task in tasks),
        "messages_of_tasks": [task.message for task in tasks if task.message],
        "results": results,
        "may_undo": "artifact:delete" in own,
        "outcomes": RetentionOutcome.objects.filter(execution=execution).defer("removals")[:_SHOWN]
        if is_retention
        else [],
        "undoable": bulk.undoable(execution.pk, timezone.now()).count(),
    }
    fragment = "#content" if is_fragment(request, "content") else ""
    return render(request, f"trash/run.html{fragment}", context)


@require_POST
@page
def undo(request: HttpRequest, project: str, execution_id: int) -> HttpResponse:
    """Restore everything that a run deleted, as a run of its own."""
    found = _found(request, project)
    execution = _run(found, execution_id)
    try:
        started = dispatch.start(
            bulk.UNDO,
            actor=actor_of(request),
            policy_id=execution.pk,
            project_id=found.pk,
            parameters={"execution": execution.pk},
        )
    except Conflict as error:
        messages.error(request, str(error))
        return redirect("projects:run", found.name, execution.pk)
    return redirect("projects:run", found.name, started.pk)


# --- Projects -------------------------------------------------------------------------------------


def _trashed(request: HttpRequest, project_id: int) -> Project:
    found = projects.trashed_for(principal_of(request)).filter(pk=project_id).first()
    if found is None:
        raise Http404
    return found


@require_safe
@page
def deleted_projects(request: HttpRequest) -> HttpResponse:
    """The deleted projects that the caller administered; all of them for administrators."""
    rows = projects.trashed_for(principal_of(request)).select_related("usage", "owner")
    context = {
        "section": "projects",
        "page": page_of(request, rows.order_by("-deleted_at", "-pk")),
        "now": timezone.now(),
        "may_act": not principal_of(request).is_auditor,
    }
    return render(request, "trash/projects.html", context)


@require_POST
@page
def restore_project(request: HttpRequest, project_id: int) -> HttpResponse:
    """Bring a project back, under another name where its own is taken."""
    _no_auditors(request)
    found = _trashed(request, project_id)
    name = request.POST.get("name", "").strip()
    try:
        restored = projects.restore(found, name=name, actor=actor_of(request))
    except (BadRequest, Conflict) as error:
        return _refused(request, error)
    messages.success(request, _("The project %(name)s is restored.") % {"name": restored.name})
    return redirect("projects:detail", restored.name)


@require_POST
@page
def purge_project(request: HttpRequest, project_id: int) -> HttpResponse:
    """Give a deleted project up for good, where that was confirmed."""
    _no_auditors(request)
    found = _trashed(request, project_id)
    if not request.POST.get("confirmed"):
        messages.error(request, _("To delete it for good, tick the box that says so."))
        return redirect("projects:deleted")
    try:
        dispatch.purge_project(found, actor=actor_of(request))
    except Conflict as error:
        return _refused(request, error)
    messages.success(request, _("It is deleted for good."))
    return redirect("projects:deleted")


def _no_auditors(request: HttpRequest) -> None:
    principal = principal_of(request)
    if principal.is_auditor and not principal.is_administrator:
        raise Http404


def _refused(request: HttpRequest, error: DomainError) -> HttpResponse:
    messages.error(request, str(error))
    return redirect("projects:deleted")
