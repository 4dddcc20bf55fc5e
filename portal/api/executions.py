"""What the endpoints about jobs share: Harbor's names for kinds and states, history and logs."""

import json
from datetime import UTC
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers

from accounts.errors import NotFound
from portal.api.paging import listed
from registry_sync.models import Execution, State, Task, TaskLog

# Our kinds, as the contract calls them; the others are written in capitals.
_JOB_TYPES = {"audit-purge": "PURGE_AUDIT_LOG"}
_KINDS = {name: kind for kind, name in _JOB_TYPES.items()}
_STATUSES = {
    State.QUEUED: "Pending",
    State.RUNNING: "Running",
    State.STOPPING: "Running",
    State.SUCCEEDED: "Success",
    State.FAILED: "Error",
    State.STOPPED: "Stopped",
}
CRONS = {"Hourly": "0 0 * * * *", "Daily": "0 0 0 * * *", "Weekly": "0 0 0 * * 0"}
_TYPES = {cron: name for name, cron in CRONS.items()}


def job_type_of(kind: str) -> str:
    """Return the contract's name of a kind."""
    return _JOB_TYPES.get(kind, kind.upper().replace("-", "_"))


def kind_of(job_type: str) -> str:
    """Return the kind that the contract calls so."""
    return _KINDS.get(job_type, job_type.lower().replace("_", "-"))


def status_of(state: str) -> str:
    """Return the contract's name of a state."""
    return _STATUSES[State(state)]


def schedule_type_of(cron: str) -> str:
    """Return ``Hourly`` and so on, ``Custom`` for all other times."""
    return _TYPES.get(cron, "Custom")


class HistoryOutput(serializers.Serializer[Execution]):
    """The contract's ``ExecHistory``."""

    id = serializers.IntegerField(source="pk")
    job_name = serializers.SerializerMethodField()
    job_kind = serializers.SerializerMethodField()
    job_parameters = serializers.SerializerMethodField()
    job_status = serializers.SerializerMethodField()
    schedule = serializers.SerializerMethodField()
    deleted = serializers.SerializerMethodField()
    creation_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    update_time = serializers.SerializerMethodField()

    def get_job_name(self, execution: Execution) -> str:
        """Return the kind."""
        return job_type_of(execution.kind)

    def get_job_kind(self, execution: Execution) -> str:
        """Tell whether a schedule started it."""
        return execution.trigger.upper()

    def get_job_parameters(self, execution: Execution) -> str:
        """Return the parameters as JSON in a text, as the contract has it."""
        return json.dumps(execution.parameters)

    def get_job_status(self, execution: Execution) -> str:
        """Return the state."""
        return status_of(execution.state)

    def get_schedule(self, execution: Execution) -> dict[str, str]:
        """Return what started it."""
        if execution.trigger != Execution.Trigger.SCHEDULE:
            return {"type": "Manual", "cron": ""}
        cron = execution.schedule.cron if execution.schedule else ""
        return {"type": schedule_type_of(cron), "cron": cron}

    def get_deleted(self, execution: Execution) -> bool:
        """Return what the contract asks for: what is deleted is not shown."""
        return False

    def get_update_time(self, execution: Execution) -> str:
        """Return when its state changed last."""
        moment = execution.finished_at or execution.started_at or execution.created_at
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def history(executions: list[Execution]) -> list[dict[str, Any]]:
    """Write executions as the contract has them."""
    return listed(HistoryOutput, executions)


def find(kind: str, execution_id: int) -> Execution:
    """Return an execution of that kind. Raises ``NotFound``."""
    found = Execution.objects.select_related("schedule").filter(kind=kind, pk=execution_id).first()
    if found is None:
        raise NotFound("there is no such run")
    return found


def log_of(tasks: "list[Task]") -> HttpResponse:
    """Answer with the logs of tasks, one after the other."""
    texts = TaskLog.objects.filter(task__in=tasks).order_by("task_id", "pk")
    return HttpResponse("".join(texts.values_list("text", flat=True)), "text/plain; charset=utf-8")
