"""The page of schedules: when each kind of job runs by itself."""

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.errors import BadRequest
from portal.web.access import actor_of, page, principal_of
from portal.web.jobs import label_of, may, require
from registry_sync import queues, schedules
from registry_sync.models import Schedule

_PREVIEW = 3


class ScheduleForm(forms.Form):
    """When a job runs."""

    cron = forms.CharField(
        label=_("Times"),
        help_text=_(
            "Six fields: second, minute, hour, day, month, weekday. "
            "0 30 3 * * 0 is half past three on Sundays."
        ),
        max_length=128,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    zone = forms.CharField(
        label=_("Time zone"),
        max_length=64,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """Every schedule with its next and last time."""
    require(request, "list")
    rows = Schedule.objects.order_by("kind", "policy_id")
    context = {
        "section": "jobs",
        "rows": [(row, label_of(row.kind)) for row in rows],
        "is_paused": queues.is_paused(queues.SCHEDULER),
        "may_act": may(principal_of(request), "stop"),
    }
    return render(request, "jobs/schedules.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def edit(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Change when a job runs; show the next times before that."""
    require(request, "stop")
    schedule = Schedule.objects.filter(pk=schedule_id).first()
    if schedule is None:
        raise Http404
    initial = {"cron": schedule.cron, "zone": schedule.time_zone or settings.TIME_ZONE}
    form = ScheduleForm(request.POST or None, initial=initial)
    preview = []
    if request.method == "POST" and form.is_valid():
        cron, zone = form.cleaned_data["cron"], form.cleaned_data["zone"]
        try:
            times = schedules.upcoming(cron, zone, timezone.now())
            preview = [time for time, _number in zip(times, range(_PREVIEW), strict=False)]
            if "preview" not in request.POST:
                schedules.put(
                    schedule.kind,
                    policy_id=schedule.policy_id,
                    cron=cron,
                    time_zone=zone,
                    actor=actor_of(request),
                )
                return redirect("jobs:schedules")
        except BadRequest as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
    context = {
        "section": "jobs",
        "schedule": schedule,
        "label": label_of(schedule.kind),
        "form": form,
        "preview": preview,
    }
    status = 422 if form.errors else 200
    return render(request, "jobs/schedule.html", context, status=status)


@require_POST
@page
def switch(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Suspend a schedule, or take it up again."""
    require(request, "stop")
    is_enabled = request.POST.get("enabled") == "true"
    schedules.set_enabled(schedule_id, is_enabled=is_enabled, actor=actor_of(request))
    return redirect("jobs:schedules")
