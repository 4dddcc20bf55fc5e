"""What the endpoints that schedule a kind of job share: the contract's ``Schedule``, both ways."""

import json
from datetime import UTC
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from accounts.errors import BadRequest
from accounts.principals import Actor
from portal.api import executions
from registry_sync import schedules
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
