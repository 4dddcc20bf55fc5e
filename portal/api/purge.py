"""The purge of audit rows: its schedule, its runs and their logs."""

import json
from datetime import UTC
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import BadRequest, Conflict
from accounts.principals import Actor
from portal.api import executions, query
from portal.api.base import MaySystem
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.paging import Page
from registry_sync import audit_purge, dispatch, schedules
from registry_sync import executions as jobs
from registry_sync.models import Execution, Schedule

_KIND = audit_purge.KIND
_SORTS = {"id": "pk", "creation_time": "created_at", "update_time": "finished_at"}


class ListPurges(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "purge-audit:list"


class ReadPurges(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "purge-audit:read"


class CreatePurges(MaySystem):
    """Administrators, and robots that were given it."""

    action = "purge-audit:create"


class UpdatePurges(MaySystem):
    """Administrators, and robots that were given it."""

    action = "purge-audit:update"


class StopPurges(MaySystem):
    """Administrators, and robots that were given it."""

    action = "purge-audit:stop"


class TimesInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ScheduleObj``."""

    type = serializers.ChoiceField(
        choices=["Hourly", "Daily", "Weekly", "Custom", "Manual", "None", "Schedule"]
    )
    cron = serializers.CharField(max_length=128, required=False, allow_blank=True, allow_null=True)


class ScheduleInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``Schedule``."""

    schedule = TimesInput()
    parameters = serializers.DictField(required=False, allow_null=True)


class Purges(Endpoint):
    """``/system/purgeaudit``."""

    permissions = {"GET": ListPurges}

    def get(self, request: Request) -> Response:
        """List the runs, the last one first."""
        runs = Execution.objects.select_related("schedule").filter(kind=_KIND)
        found = query.ordered(query.matching(runs, request, {}), request, _SORTS)
        page = Page.of(request)
        return Response(
            executions.history(page.rows(found)), headers=page.headers(request, found.count())
        )


class OnePurge(Endpoint):
    """``/system/purgeaudit/{purge_id}``."""

    permissions = {"GET": ReadPurges, "PUT": StopPurges}

    def get(self, request: Request, purge_id: int) -> Response:
        """Show one run."""
        return Response(executions.history([_find(purge_id)])[0])

    def put(self, request: Request, purge_id: int) -> Response:
        """Stop it; one that has ended stays as it is."""
        jobs.stop(_find(purge_id).pk, actor=self.actor)
        return Response()


class PurgeLog(Endpoint):
    """``/system/purgeaudit/{purge_id}/log``."""

    permissions = {"GET": ReadPurges}

    def get(self, request: Request, purge_id: int) -> HttpResponse:
        """Show what it wrote."""
        return executions.log_of(list(_find(purge_id).tasks.all()))


class PurgeSchedule(Endpoint):
    """``/system/purgeaudit/schedule``."""

    permissions = {"GET": ReadPurges, "POST": CreatePurges, "PUT": UpdatePurges}

    def get(self, request: Request) -> Response:
        """Show when it runs."""
        schedule = Schedule.objects.filter(kind=_KIND).first()
        return Response(_shown(schedule) if schedule else {"schedule": {"type": "None"}})

    def post(self, request: Request) -> Response:
        """Run it now (``Manual``), or set when it runs where that is not set."""
        times, parameters = _read(request)
        if times["type"] == "Manual":
            started = dispatch.start(_KIND, actor=self.actor, parameters=parameters)
            location = f"{API_ROOT}/system/purgeaudit/{started.pk}"
        else:
            if times["type"] != "None" and Schedule.objects.filter(kind=_KIND).exists():
                raise Conflict("There is a schedule already; change it with PUT.")
            _set(times, parameters, self.actor)
            location = f"{API_ROOT}/system/purgeaudit/schedule"
        return Response(status=201, headers={"Location": location})

    def put(self, request: Request) -> Response:
        """Change when it runs; ``None`` lets it run by hand only."""
        times, parameters = _read(request)
        if times["type"] == "Manual":
            dispatch.start(_KIND, actor=self.actor, parameters=parameters)
        else:
            _set(times, parameters, self.actor)
        return Response()


def _find(purge_id: int) -> Execution:
    return executions.find(_KIND, query.row_id(purge_id))


def _read(request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    serializer = ScheduleInput(data=request.data)
    serializer.is_valid(raise_exception=True)
    wanted = serializer.validated_data
    if wanted["schedule"]["type"] == "None":
        return wanted["schedule"], {}
    return wanted["schedule"], audit_purge.parameters_of(wanted.get("parameters") or {})


def _set(times: dict[str, Any], parameters: dict[str, Any], actor: Actor) -> None:
    if times["type"] == "None":
        schedules.remove(_KIND, actor=actor)
        return
    cron = times.get("cron") or executions.CRONS.get(times["type"], "")
    if not cron:
        raise BadRequest("cron is required for this type of schedule.", field="cron")
    schedules.put(_KIND, cron=cron, actor=actor, parameters=parameters)


def _shown(schedule: Schedule) -> dict[str, Any]:
    moments = {
        "creation_time": schedule.created_at,
        "update_time": schedule.updated_at,
        "next_scheduled_time": schedule.next_at,
    }
    texts = {
        name: moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        for name, moment in moments.items()
        if moment is not None
    }
    times = {"type": executions.schedule_type_of(schedule.cron), "cron": schedule.cron}
    if "next_scheduled_time" in texts:
        times["next_scheduled_time"] = texts.pop("next_scheduled_time")
    return {
        "id": schedule.pk,
        "job_name": executions.job_type_of(_KIND),
        "job_kind": "SCHEDULE",
        "job_parameters": json.dumps(schedule.parameters),
        "schedule": times,
        "deleted": False,
        **texts,
    }
