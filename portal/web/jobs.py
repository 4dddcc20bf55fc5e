"""Pages about jobs: what ran, what runs with its progress and log, what waits, and who works."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.access import can_system
from accounts.errors import Conflict, Denied
from accounts.principals import Principal
from portal.web.access import actor_of, is_fragment, page, principal_of
from portal.web.paging import page_of
from registry_sync import dispatch, executions, queues
from registry_sync.models import Execution, ReportLine, State, Task, TaskLog
from registry_sync.models.executions import ACTIVE, HELD

KIND_LABELS = {
    "housekeeping": _("Housekeeping"),
    "audit-purge": _("Audit purge"),
    "fsck": _("Consistency check"),
    "import": _("Import of a registry"),
    "layers": _("Reading of layers"),
    "reconcile": _("Reconciliation of storage and tables"),
    "storage-figures": _("Measurement of the storage"),
    "garbage-collection": _("Garbage collection"),
    "replication": _("Replication"),
    "retention": _("Retention"),
    "retention-notice": _("Warnings before retention"),
    "trash-purge": _("Emptying the trash"),
    "tag-history": _("Pruning of tag histories"),
    "tag-deletion": _("Deletion of tags"),
    "trash-undo": _("Undo of a run"),
    queues.SCHEDULER: _("All schedules"),
}
# What runs without parameters, so that a button is enough.
STARTABLE = ("fsck", "housekeeping", "reconcile")
# The views of a list: which states each holds.
_VIEWS: dict[str, tuple[str, ...]] = {
    "all": (),
    "active": ACTIVE,
    "failed": (State.FAILED,),
}
TASK_VIEWS: dict[str, tuple[str, ...]] = {
    "all": (),
    "running": HELD,
    "failed": (State.FAILED,),
    "done": (State.SUCCEEDED,),
    "waiting": (State.QUEUED,),
}
_VIEW_LABELS = {
    "all": _("All"),
    "active": pgettext_lazy("jobs", "Active"),
    "running": _("Running"),
    "failed": _("Failed"),
    "done": _("Done"),
    "waiting": _("Waiting"),
}
# What tasks count, as their bars say it.
UNITS = {
    "bytes": pgettext_lazy("progress", "bytes"),
    "digests": pgettext_lazy("progress", "digests"),
    "entries": pgettext_lazy("progress", "entries"),
    "images": pgettext_lazy("progress", "images"),
    "links": pgettext_lazy("progress", "links"),
    "parts": pgettext_lazy("progress", "parts"),
    "projects": pgettext_lazy("progress", "projects"),
    "repositories": pgettext_lazy("progress", "repositories"),
    "rows": pgettext_lazy("progress", "rows"),
    "states": pgettext_lazy("progress", "states"),
    "tags": pgettext_lazy("progress", "tags"),
    "tombstones": pgettext_lazy("progress", "tombstones"),
    "uploads": pgettext_lazy("progress", "uploads"),
}
# The end of a log is what people look for; the whole of it is in the API.
_LOG_PIECES = 20


@dataclass(frozen=True, slots=True)
class View:
    """A part of a list, and how many are in it."""

    name: str
    label: object
    count: int | None = None


def may(principal: Principal, verb: str) -> bool:
    """Whether somebody may ``list`` jobs, or ``stop`` and start them."""
    return bool(can_system(principal, f"jobservice-monitor:{verb}"))


def require(request: HttpRequest, verb: str) -> None:
    """Raise ``Denied`` for everybody else."""
    if not may(principal_of(request), verb):
        raise Denied("jobs are for administrators")


def label_of(kind: str) -> object:
    """Return a kind's name for people."""
    return KIND_LABELS.get(kind, kind)


def took(row: Execution | Task) -> datetime.timedelta | None:
    """Return how long it has run, in whole seconds."""
    if row.started_at is None:
        return None
    seconds = ((row.finished_at or timezone.now()) - row.started_at).total_seconds()
    return datetime.timedelta(seconds=int(max(0, seconds)))


def tray(principal: Principal) -> object:
    """Return how many executions are active; the question is asked where a page shows it."""
    if not may(principal, "list"):
        return None
    return SimpleLazyObject(lambda: Execution.objects.active().count())


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """Every execution, the last one first."""
    require(request, "list")
    view = view_of(request, _VIEWS)
    every = Execution.objects.all()
    rows = every.filter(state__in=_VIEWS[view]) if _VIEWS[view] else every
    listed = page_of(request, rows.order_by("-pk"))
    context = {
        "section": "jobs",
        "page": listed,
        "rows": [(row, label_of(row.kind), took(row)) for row in listed],
        "views": [View(name, _VIEW_LABELS[name]) for name in _VIEWS],
        "view": view,
        "is_live": any(row.is_active for row in listed),
        "may_act": may(principal_of(request), "stop"),
        "startable": [(kind, label_of(kind)) for kind in STARTABLE],
    }
    fragment = "#content" if is_fragment(request, "content") else ""
    return render(request, f"jobs/list.html{fragment}", context)


@require_safe
@page
def detail(request: HttpRequest, execution_id: int) -> HttpResponse:
    """One execution: its tasks with their progress, and the log of one of them."""
    require(request, "list")
    execution = Execution.objects.filter(pk=execution_id).first()
    if execution is None:
        raise Http404
    view = view_of(request, TASK_VIEWS)
    tasks = Task.objects.filter(execution=execution)
    shown = tasks.filter(state__in=TASK_VIEWS[view]) if TASK_VIEWS[view] else tasks
    listed = page_of(request, shown.order_by("pk"))
    chosen = _task(request, execution)
    context = {
        "units": UNITS,
        "section": "jobs",
        "execution": execution,
        "label": label_of(execution.kind),
        "took": took(execution),
        "page": listed,
        "rows": [(task, took(task)) for task in listed],
        "views": _task_views(execution),
        "view": view,
        "chosen": chosen,
        "log": log_of(chosen) if chosen else "",
        "has_report": ReportLine.objects.of(execution.pk).exists(),
        "may_act": may(principal_of(request), "stop"),
    }
    fragment = "#content" if is_fragment(request, "content") else ""
    return render(request, f"jobs/detail.html{fragment}", context)


def _task_views(execution: Execution) -> list[View]:
    """Count the tasks of each view."""
    counts = Task.objects.filter(execution=execution).order_by().values_list("state")
    return task_views(dict(counts.annotate(n=Count("pk"))), execution.task_count)


def task_views(by_state: Mapping[str, int], total: int) -> list[View]:
    """Return the views of a run's tasks, with how many each has."""
    totals = {name: sum(by_state.get(s, 0) for s in TASK_VIEWS[name]) for name in TASK_VIEWS}
    totals["all"] = total
    return [View(name, _VIEW_LABELS[name], totals[name]) for name in TASK_VIEWS]


def _task(request: HttpRequest, execution: Execution) -> Task | None:
    """Return the task that was asked for; the only one where there is one."""
    found = asked_task(request, execution)
    if found is None and execution.task_count == 1:
        return Task.objects.filter(execution=execution).first()
    return found


def asked_task(request: HttpRequest, execution: Execution) -> Task | None:
    """Return the task whose log was asked for."""
    asked = request.GET.get("task", "")
    if asked.isascii() and asked.isdigit() and len(asked) <= 18:
        return Task.objects.filter(execution=execution, pk=int(asked)).first()
    return None


def log_of(task: Task) -> str:
    """Return the end of what a task wrote."""
    pieces = TaskLog.objects.filter(task=task).order_by("-pk")
    return "".join(reversed(pieces.values_list("text", flat=True)[:_LOG_PIECES]))


@require_POST
@page
def stop(request: HttpRequest, execution_id: int) -> HttpResponse:
    """Stop an execution; one that has ended stays as it is."""
    require(request, "stop")
    executions.stop(execution_id, actor=actor_of(request))
    return redirect("jobs:detail", execution_id)


@require_POST
@page
def start(request: HttpRequest, kind: str) -> HttpResponse:
    """Run a job now; where it runs already, show that one."""
    require(request, "stop")
    if kind not in STARTABLE:
        raise Http404
    try:
        execution = dispatch.start(kind, actor=actor_of(request))
    except Conflict:
        running = Execution.objects.active().filter(kind=kind).first()
        return redirect("jobs:detail", running.pk) if running else redirect("jobs:list")
    return redirect("jobs:detail", execution.pk)


@require_safe
@page
def queue_list(request: HttpRequest) -> HttpResponse:
    """What waits of each kind, and the workers with what they do."""
    require(request, "list")
    held = Task.objects.filter(state__in=HELD).order_by("pk")[:200]
    by_worker: dict[str, list[Any]] = {}
    for task in held:
        by_worker.setdefault(task.worker, []).append((task, label_of(task.kind)))
    context = {
        "section": "jobs",
        "queues": [
            (queue, label_of(queue.kind), queue.kind == queues.SCHEDULER)
            for queue in queues.figures([*dispatch.KINDS, queues.SCHEDULER])
        ],
        "workers": [(row, by_worker.get(row.name, [])) for row in queues.workers()],
        "may_act": may(principal_of(request), "stop"),
    }
    fragment = "#content" if is_fragment(request, "content") else ""
    return render(request, f"jobs/queues.html{fragment}", context)


@require_POST
@page
def act_on_queue(request: HttpRequest, kind: str, action: str) -> HttpResponse:
    """Pause a queue, resume it, or stop what waits in it."""
    require(request, "stop")
    act = {"pause": queues.pause, "resume": queues.resume, "clear": dispatch.clear}.get(action)
    if act is None or kind not in {*dispatch.KINDS, queues.SCHEDULER}:
        raise Http404
    act(kind, actor=actor_of(request))
    return redirect("jobs:queues")


@require_safe
@never_cache
def tray_link(request: HttpRequest) -> HttpResponse:
    """The mark in the page's head, which every open page asks for again and again.

    Not through the pages' door: a tab left open keeps no session alive, and nobody is led away
    from a half-filled form because their session has ended meanwhile.
    """
    if not may(principal_of(request), "list"):
        return HttpResponse(status=204)
    active = Execution.objects.active().count()
    if request.GET.get("shown") == str(active):
        return HttpResponse(status=204)
    return render(request, "jobs/tray.html", {"active_jobs": active})


def view_of(request: HttpRequest, views: dict[str, tuple[str, ...]]) -> str:
    asked = request.GET.get("view", "")
    return asked if asked in views else "all"
