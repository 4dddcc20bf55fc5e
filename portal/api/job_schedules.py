"""What the endpoints that schedule a kind of job share: the contract's ``Schedule``, both ways."""

import json
from datetime import UTC
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import BadRequest, Conflict
from accounts.principals import Actor
from portal.api import executions
from portal.api.endpoint import API_ROOT, Endpoint
from registry_sync import dispatch, schedules
from registry_sync.models import Schedule


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


class TimesOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ScheduleObj``."""

    type = serializers.CharField()
    cron = serializers.CharField(required=False)
    next_scheduled_time = serializers.DateTimeField(required=False, default_timezone=UTC)


class PlanOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ExecHistory`` of a schedule; only ``None`` as type where there is none."""

    id = serializers.IntegerField(required=False)
    job_name = serializers.CharField(required=False)
    job_kind = serializers.CharField(required=False)
    job_parameters = serializers.CharField(required=False)
    schedule = TimesOutput()
    deleted = serializers.BooleanField(required=False)
    creation_time = serializers.DateTimeField(required=False, default_timezone=UTC)
    update_time = serializers.DateTimeField(required=False, default_timezone=UTC)


def read(request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the times and the parameters that a request asks for."""
    serializer = ScheduleInput(data=request.data)
    serializer.is_valid(raise_exception=True)
    wanted = serializer.validated_data
    return wanted["schedule"], wanted.get("parameters") or {}


class JobSchedule(Endpoint):
    """When a kind of job runs, and the order to run it now; a kind adds permissions and names."""

    kind: str
    # Below ``/api/v2.0``: where its runs are.
    address: str

    @staticmethod
    def parameters_of(wanted: dict[str, Any]) -> dict[str, Any]:
        """Return the kind's parameters. Raises ``BadRequest`` for what they cannot be."""
        raise NotImplementedError

    def get(self, request: Request) -> Response:
        """Show when it runs."""
        return Response(shown(self.kind))

    def post(self, request: Request) -> Response:
        """Run it now (``Manual``), or set when it runs where that is not set."""
        times, parameters = self._read(request)
        if times["type"] == "Manual":
            started = dispatch.start(self.kind, actor=self.actor, parameters=parameters)
            location = f"{API_ROOT}{self.address}/{started.pk}"
        else:
            if times["type"] != "None" and Schedule.objects.filter(kind=self.kind).exists():
                raise Conflict("There is a schedule already; change it with PUT.")
            save(self.kind, times, parameters, self.actor)
            location = f"{API_ROOT}{self.address}/schedule"
        return Response(status=201, headers={"Location": location})

    def put(self, request: Request) -> Response:
        """Change when it runs; ``None`` lets it run by hand only."""
        times, parameters = self._read(request)
        if times["type"] == "Manual":
            dispatch.start(self.kind, actor=self.actor, parameters=parameters)
        else:
            save(self.kind, times, parameters, self.actor)
        return Response()

    def _read(self, request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
        times, parameters = read(request)
        return times, {} if times["type"] == "None" else self.parameters_of(parameters)


def save(kind: str, times: dict[str, Any], parameters: dict[str, Any], actor: Actor) -> None:
    """Set when a kind runs; with the type ``None`` it runs by hand only. Raises ``BadRequest``."""
    if times["type"] == "None":
        schedules.remove(kind, actor=actor)
        return
    cron = times.get("cron") or executions.CRONS.get(times["type"], "")
    if not cron:
        raise BadRequest("cron is required for this type of schedule.", field="cron")
    schedules.put(kind, cron=cron, actor=actor, parameters=parameters)


def shown(kind: str) -> dict[str, Any]:
    """Return when a kind runs, as the contract has it."""
    schedule = Schedule.objects.filter(kind=kind).first()
    plan = _plan(schedule) if schedule else {"schedule": {"type": "None"}}
    return dict(PlanOutput(plan).data)


def _plan(schedule: Schedule) -> dict[str, Any]:
    times: dict[str, Any] = {
        "type": executions.schedule_type_of(schedule.cron),
        "cron": schedule.cron,
    }
    if schedule.next_at is not None:
        times["next_scheduled_time"] = schedule.next_at
    return {
        "id": schedule.pk,
        "job_name": executions.job_type_of(schedule.kind),
        "job_kind": "SCHEDULE",
        "job_parameters": json.dumps(schedule.parameters),
        "schedule": times,
        "deleted": False,
        "creation_time": schedule.created_at,
        "update_time": schedule.updated_at,
    }
