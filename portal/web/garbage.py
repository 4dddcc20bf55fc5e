"""The page of garbage collection: what can be reclaimed, the run, its history, its schedule."""

import datetime
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import can_system, require_system
from accounts.errors import BadRequest, Conflict
from portal.web.access import actor_of, is_fragment, page, principal_of
from portal.web.jobs import took
from portal.web.paging import page_of
from registry_sync import dispatch, executions, garbage, garbage_figures, schedules
from registry_sync.garbage_candidates import Reason
from registry_sync.models import Execution, ReportLine, Schedule, Task, TaskLog

_SHOWN_RUNS = 8
_LOG_LINES = 12
_CHART_WIDTH, _CHART_HEIGHT = 320, 90
_PHASES = {
    "trash": gettext_lazy("Trash that is over"),
    "mark": pgettext_lazy("collection", "Mark"),
    "sweep": pgettext_lazy("collection", "Sweep"),
    "links": pgettext_lazy("collection", "Links"),
    "uploads": gettext_lazy("Abandoned uploads"),
    "check": pgettext_lazy("collection", "Check"),
}
_TIMES = {
    "": gettext_lazy("By hand only"),
    "0 0 3 * * *": gettext_lazy("Every day at 03:00"),
    "0 0 3 * * 0": gettext_lazy("Every Sunday at 03:00"),
    "custom": gettext_lazy("Other times"),
}


class PlanForm(forms.Form):
    """When it runs, and how."""

    times = forms.ChoiceField(
        label=pgettext_lazy("schedule", "Runs"),
        choices=list(_TIMES.items()),
        required=False,
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    cron = forms.CharField(
        label=gettext_lazy("Other times"),
        help_text=gettext_lazy(
            "Six fields: second, minute, hour, day, month, weekday. "
            "0 30 3 * * 0 is half past three on Sundays."
        ),
        max_length=128,
        required=False,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    workers = forms.IntegerField(
        label=gettext_lazy("Workers"),
        min_value=1,
        max_value=garbage.MAX_WORKERS,
        widget=forms.NumberInput(attrs={"class": "form-control"}),
    )
    rate = forms.IntegerField(
        label=gettext_lazy("Digests a second at most (0: any number)"),
        min_value=0,
        max_value=garbage.MAX_RATE,
        widget=forms.NumberInput(attrs={"class": "form-control"}),
    )
    delete_untagged = forms.BooleanField(
        label=gettext_lazy("Move untagged images into the trash"),
        help_text=gettext_lazy(
            "Those that have no tag, belong to no index and are about no other image, once they "
            "are older than the grace. They can be restored from the trash."
        ),
        required=False,
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )


@dataclass(frozen=True, slots=True)
class Phase:
    """A step of a run: done, under way, or to come."""

    label: object
    state: str
    done: int = 0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A run in the chart."""

    execution: Execution
    freed: int
    x: int
    y: int
    width: int
    height: int


def may(request: HttpRequest, verb: str) -> bool:
    """Whether the caller may list, read, create, update or stop."""
    return bool(can_system(principal_of(request), f"garbage-collection:{verb}"))


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """Everything about it on one page."""
    require_system(principal_of(request), "garbage-collection:list")
    runs = list(_runs()[:_SHOWN_RUNS])
    prefetch_related_objects(runs, "tasks")
    current = next((run for run in runs if run.is_active), runs[0] if runs else None)
    context = {
        "section": "garbage",
        "figures": garbage_figures.reclaimable(garbage.KIND),
        "grace": _grace(),
        "current": current,
        "run": _shown(current) if current else None,
        "rows": [_row(run) for run in runs],
        "bars": _bars(runs),
        "schedule": Schedule.objects.filter(kind=garbage.KIND).first(),
        "may_run": may(request, "create"),
        "may_stop": may(request, "stop"),
        "may_change": may(request, "update"),
    }
    fragment = "#content" if is_fragment(request, "content") else ""
    return render(request, f"garbage/list.html{fragment}", context)


def _grace() -> str:
    """The grace in words: ``1 day``."""
    now = timezone.now()
    seconds = settings.MOORAGE_GC_GRACE
    if seconds < 60:
        return ngettext("%(n)d second", "%(n)d seconds", seconds) % {"n": seconds}
    return timesince(now - datetime.timedelta(seconds=seconds), now)


def _runs() -> Any:
    return Execution.objects.filter(kind=garbage.KIND).order_by("-pk")


def _task(execution: Execution) -> Task | None:
    return next(iter(execution.tasks.all()), None)


def _row(execution: Execution) -> dict[str, Any]:
    """A line of the history."""
    task = _task(execution)
    result = task.result if task else {}
    is_dry = bool(execution.parameters.get("dry_run"))
    return {
        "execution": execution,
        "is_dry": is_dry,
        "digests": result.get("found" if is_dry else "digests", 0),
        "freed": result.get("found_bytes" if is_dry else "freed_bytes", 0),
        "took": took(execution),
        # While it runs the message is the phase, which stands there anyway.
        "message": task.message if task and task.message not in _PHASES else "",
    }


def _shown(execution: Execution) -> dict[str, Any]:
    """The current or last run: phases, progress, the end of its log."""
    task = _task(execution)
    row = _row(execution) | {"workers": execution.parameters.get("workers", 1), "found_bytes": 0}
    if task is None:
        return row
    log = TaskLog.objects.filter(task=task).order_by("-pk").values_list("text", flat=True)[:3]
    lines = "".join(reversed(log)).splitlines()[-_LOG_LINES:]
    return row | {
        "task": task,
        "found_bytes": task.result.get("found_bytes", 0),
        "phases": _phases(task, is_dry=row["is_dry"], is_active=execution.is_active),
        "lines": [line.partition(" ")[::2] for line in lines],
    }


def _phases(task: Task, *, is_dry: bool, is_active: bool) -> list[Phase]:
    begun = {phase["name"]: phase for phase in task.result.get("phases", [])}
    names = ["mark"] if is_dry else list(_PHASES)
    phases = []
    for name in names:
        phase = begun.get(name)
        if phase is None:
            phases.append(Phase(_PHASES[name], ""))
        elif "ended" in phase:
            phases.append(Phase(_PHASES[name], "done", phase["done"], phase["unit"]))
        else:
            state = "now" if is_active else ""
            phases.append(Phase(_PHASES[name], state, task.done, task.unit))
    return phases


def _bars(runs: list[Execution]) -> list[Bar]:
    """The chart of the bytes that runs freed, the oldest first."""
    real = [run for run in reversed(runs) if not run.parameters.get("dry_run")]
    freed = [_row(run)["freed"] for run in real]
    most = max(freed, default=0)
    step = _CHART_WIDTH // _SHOWN_RUNS
    bars = []
    for number, (run, size) in enumerate(zip(real, freed, strict=True)):
        height = round(_CHART_HEIGHT * size / most) if most else 0
        bars.append(Bar(run, size, number * step + 10, _CHART_HEIGHT - height, step - 20, height))
    return bars


@require_safe
@page
def detail(request: HttpRequest, execution_id: int) -> HttpResponse:
    """The digests of one run, each with its reason and its repository."""
    require_system(principal_of(request), "garbage-collection:read")
    execution = _runs().filter(pk=execution_id).first()
    if execution is None:
        raise Http404
    lines = ReportLine.objects.of(execution.pk).order_by("pk")
    there = set(lines.order_by().values_list("reason", flat=True).distinct())
    reason = request.GET.get("reason", "")
    if reason in Reason.values:
        lines = lines.filter(reason=reason)
    listed = page_of(request, lines)
    context = {
        "section": "garbage",
        "execution": execution,
        "row": _row(execution),
        "run": _shown(execution),
        "page": listed,
        "rows": [_line(line) for line in listed],
        "reasons": [(name, label) for name, label in Reason.choices if name in there],
        "reason": reason if reason in Reason.values else "",
    }
    fragment = "#content" if is_fragment(request, "content") else ""
    return render(request, f"garbage/detail.html{fragment}", context)


def _line(line: ReportLine) -> dict[str, Any]:
    repository, _at, digest = line.subject.rpartition("@")
    return {
        "digest": digest,
        "repository": repository,
        "size": line.size,
        "reason": Reason(line.reason).label if line.reason in Reason.values else line.reason,
    }


@require_POST
@page
def start(request: HttpRequest) -> HttpResponse:
    """Run it now, or only say what it would do."""
    require_system(principal_of(request), "garbage-collection:create")
    schedule = Schedule.objects.filter(kind=garbage.KIND).first()
    parameters = {**(schedule.parameters if schedule else {})}
    parameters["dry_run"] = "dry_run" in request.POST
    parameters.pop("accept_unexplained", None)
    try:
        dispatch.start(
            garbage.KIND, actor=actor_of(request), parameters=garbage.parameters_of(parameters)
        )
    except Conflict:
        messages.warning(request, _("It runs already."))
    return redirect("administration:garbage")


@require_POST
@page
def stop(request: HttpRequest, execution_id: int) -> HttpResponse:
    """Stop a run; what it has in hand is finished."""
    require_system(principal_of(request), "garbage-collection:stop")
    if not _runs().filter(pk=execution_id).exists():
        raise Http404
    executions.stop(execution_id, actor=actor_of(request))
    return redirect("administration:garbage")


@require_http_methods(["GET", "HEAD", "POST"])
@page
def plan(request: HttpRequest) -> HttpResponse:
    """Set when it runs, and how."""
    require_system(principal_of(request), "garbage-collection:update")
    schedule = Schedule.objects.filter(kind=garbage.KIND).first()
    form = PlanForm(request.POST or None, initial=_initial(schedule))
    if request.method == "POST" and form.is_valid():
        try:
            _save(request, form.cleaned_data)
        except BadRequest as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            messages.success(request, _("The schedule is saved."))
            return redirect("administration:garbage")
    status = 422 if form.errors else 200
    context = {"section": "garbage", "form": form, "zone": settings.TIME_ZONE}
    return render(request, "garbage/schedule.html", context, status=status)


def _initial(schedule: Schedule | None) -> dict[str, Any]:
    if schedule is None:
        return {"times": "", "workers": 1, "rate": 0}
    times = schedule.cron if schedule.cron in _TIMES else "custom"
    return {"workers": 1, "rate": 0, **schedule.parameters, "times": times, "cron": schedule.cron}


def _save(request: HttpRequest, wanted: dict[str, Any]) -> None:
    times = wanted["times"]
    if not times:
        schedules.remove(garbage.KIND, actor=actor_of(request))
        return
    parameters = {name: wanted[name] for name in ("workers", "rate", "delete_untagged")}
    schedules.put(
        garbage.KIND,
        cron=wanted["cron"] if times == "custom" else times,
        actor=actor_of(request),
        parameters=garbage.parameters_of(parameters),
    )
