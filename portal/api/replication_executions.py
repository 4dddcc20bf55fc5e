"""Runs of replication: start, look at, stop; what became of each image."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import BadRequest, NotFound, PreconditionFailed
from portal.api import executions, query, replication
from portal.api.base import MaySystem
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page
from registry_sync import dispatch
from registry_sync.executions import stop
from registry_sync.models import Execution, State, Task
from registry_sync.models.executions import ACTIVE
from registry_sync.replication.policies import KIND

_SORTS = {"id": "pk", "start_time": "started_at", "end_time": "finished_at"}
_STATUSES = {
    State.QUEUED: "InProgress",
    State.RUNNING: "InProgress",
    State.STOPPING: "InProgress",
    State.SUCCEEDED: "Succeed",
    State.FAILED: "Failed",
    State.STOPPED: "Stopped",
}
_TRIGGERS = {
    Execution.Trigger.MANUAL: "manual",
    Execution.Trigger.SCHEDULE: "scheduled",
    Execution.Trigger.EVENT: "event_based",
}


class ListRuns(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "replication:list"


class ReadRuns(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "replication:read"


class StartRuns(MaySystem):
    """Administrators, and robots that were given it."""

    action = "replication:create"


class StartInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``StartReplicationExecution``."""

    policy_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


class RunOutput(serializers.Serializer[Execution]):
    """The contract's ``ReplicationExecution``; its counts are of images.

    Besides, ``retry_of``: the run of which it tries again what failed.
    """

    id = serializers.IntegerField(source="pk")
    policy_id = serializers.IntegerField()
    status = serializers.SerializerMethodField()
    status_text = serializers.SerializerMethodField()
    trigger = serializers.SerializerMethodField()
    total = serializers.SerializerMethodField()
    succeed = serializers.SerializerMethodField()
    failed = serializers.SerializerMethodField()
    stopped = serializers.SerializerMethodField()
    in_progress = serializers.SerializerMethodField()
    start_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    end_time = serializers.DateTimeField(
        source="finished_at", default_timezone=UTC, allow_null=True
    )
    retry_of = serializers.SerializerMethodField()

    def get_retry_of(self, execution: Execution) -> int | None:
        """Return a run's number."""
        number: int | None = execution.parameters.get("retry_of")
        return number

    def get_status(self, execution: Execution) -> str:
        """Return the contract's word for the state."""
        return _STATUSES[State(execution.state)]

    def get_status_text(self, execution: Execution) -> str:
        """Return the first problem."""
        text: str = self.context["problems"].get(execution.pk, "")
        return text

    def get_trigger(self, execution: Execution) -> str:
        """Return what started it."""
        return _TRIGGERS[Execution.Trigger(execution.trigger)]

    def get_total(self, execution: Execution) -> int:
        """Return how many images it copies."""
        return sum(self._counts(execution).values())

    def get_succeed(self, execution: Execution) -> int:
        """Return how many are copied."""
        return self._counts(execution)[State.SUCCEEDED]

    def get_failed(self, execution: Execution) -> int:
        """Return how many could not be."""
        return self._counts(execution)[State.FAILED]

    def get_stopped(self, execution: Execution) -> int:
        """Return how many were stopped."""
        return self._counts(execution)[State.STOPPED]

    def get_in_progress(self, execution: Execution) -> int:
        """Return how many wait or are copied just now."""
        return sum(self._counts(execution)[state] for state in ACTIVE)

    def _counts(self, execution: Execution) -> Counter[str]:
        found: Counter[str] = self.context["counts"].get(execution.pk, Counter())
        return found


class ImageOutput(serializers.Serializer[Task]):
    """The contract's ``ReplicationTask``: one image for one place."""

    id = serializers.IntegerField(source="pk")
    execution_id = serializers.IntegerField()
    status = serializers.SerializerMethodField()
    job_id = serializers.CharField(source="pk")
    operation = serializers.SerializerMethodField()
    resource_type = serializers.SerializerMethodField()
    src_resource = serializers.CharField(source="subject")
    dst_resource = serializers.SerializerMethodField()
    start_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    end_time = serializers.DateTimeField(
        source="finished_at", default_timezone=UTC, allow_null=True
    )

    def get_status(self, task: Task) -> str:
        """Return the contract's word for the state."""
        return "Pending" if task.state == State.QUEUED else _STATUSES[State(task.state)]

    def get_operation(self, task: Task) -> str:
        """Return what it does."""
        return "deletion" if "deletion" in task.parameters else "copy"

    def get_resource_type(self, task: Task) -> str:
        """Return the contract's word for whatever a repository holds."""
        return "artifact"

    def get_dst_resource(self, task: Task) -> str:
        """Return where to, with the tags it gets."""
        tags = ",".join(task.parameters.get("tags", ()))
        return f"{task.parameters.get('destination', '')}:[{tags}]"


class Runs(Endpoint):
    """``/replication/executions``."""

    permissions = {"GET": ListRuns, "POST": StartRuns}
    operations = {
        "GET": Operation(
            gives=RunOutput,
            is_list=True,
            name="listReplicationExecutions",
            query=("policy_id", "status", "trigger"),
        ),
        "POST": Operation(takes=StartInput, status=201, name="startReplication"),
    }
    noun = "replication"

    def get(self, request: Request) -> Response:
        """List the runs, the newest first."""
        found = _filtered(Execution.objects.filter(kind=KIND), request)
        found = query.ordered(found, request, _SORTS)
        page = Page.of(request)
        return Response(_shown(page.rows(found)), headers=page.headers(request, found.count()))

    def post(self, request: Request) -> Response:
        """Run a policy now."""
        serializer = StartInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        policy = replication.find(serializer.validated_data["policy_id"])
        if not policy.is_enabled:
            raise PreconditionFailed("The policy is disabled.")
        run = dispatch.start(KIND, policy_id=policy.pk, actor=self.actor)
        place = f"{API_ROOT}/replication/executions/{run.pk}"
        return Response(status=201, headers={"Location": place})


class OneRun(Endpoint):
    """``/replication/executions/{id}``."""

    permissions = {"GET": ReadRuns, "PUT": StartRuns}
    operations = {
        "GET": Operation(gives=RunOutput, name="getReplicationExecution"),
        "PUT": Operation(name="stopReplication"),
    }
    noun = "replication"

    def get(self, request: Request, run_id: int) -> Response:
        """Show one run."""
        return Response(_shown([_find(run_id)])[0])

    def put(self, request: Request, run_id: int) -> Response:
        """Stop a run; what was copied stays."""
        stop(_find(run_id).pk, actor=self.actor)
        return Response()


class RunImages(Endpoint):
    """``/replication/executions/{id}/tasks``."""

    permissions = {"GET": ListRuns}
    operations = {
        "GET": Operation(
            gives=ImageOutput,
            is_list=True,
            name="listReplicationTasks",
            query=("status", "resource_type"),
        )
    }

    def get(self, request: Request, run_id: int) -> Response:
        """List the images of a run."""
        found = _images([_find(run_id).pk])
        if status := query.text(request, "status"):
            states = [state for state, name in _STATUSES.items() if name == status]
            states = [State.QUEUED] if status == "Pending" else states
            found = found.filter(state__in=states)
        kind = query.text(request, "resource_type")
        if kind not in {"", "artifact"}:
            found = found.none()
        found = query.ordered(found, request, _SORTS)
        page = Page.of(request)
        return Response(
            [ImageOutput(task).data for task in page.rows(found)],
            headers=page.headers(request, found.count()),
        )


class RunImageLog(Endpoint):
    """``/replication/executions/{id}/tasks/{task_id}/log``."""

    permissions = {"GET": ReadRuns}
    operations = {"GET": Operation(media_type="text/plain", name="getReplicationLog")}

    def get(self, request: Request, run_id: int, task_id: int) -> HttpResponse:
        """Return what was written about one image."""
        tasks = Task.objects.filter(execution=_find(run_id), pk=query.row_id(task_id))
        found = list(tasks)
        if not found:
            raise NotFound("there is no such task in this run")
        return executions.log_of(found)


def _find(run_id: int) -> Execution:
    return executions.find(KIND, query.row_id(run_id))


def _filtered(found: QuerySet[Execution], request: Request) -> QuerySet[Execution]:
    number = query.integer(request.query_params.get("policy_id"), "policy_id")
    if number is not None:
        found = found.filter(policy_id=number)
    if status := query.text(request, "status"):
        if status not in _STATUSES.values():
            raise BadRequest("status is InProgress, Succeed, Failed or Stopped.", field="status")
        found = found.filter(state__in=[s for s, name in _STATUSES.items() if name == status])
    if trigger := query.text(request, "trigger"):
        if trigger not in _TRIGGERS.values():
            raise BadRequest("trigger is manual, scheduled or event_based.", field="trigger")
        found = found.filter(trigger__in=[t for t, name in _TRIGGERS.items() if name == trigger])
    return found


def _images(execution_ids: Sequence[int]) -> QuerySet[Task]:
    """The tasks that copy; the one that makes the plan has no subject."""
    return Task.objects.filter(execution_id__in=execution_ids).exclude(subject="")


def _shown(runs: Sequence[Execution]) -> list[dict[str, Any]]:
    """Write runs as the contract has them; two queries for all of them."""
    ids = [run.pk for run in runs]
    counts: dict[int, Counter[str]] = {}
    rows = _images(ids).order_by().values_list("execution_id", "state")
    for execution_id, state, count in rows.annotate(n=Count("pk")):
        counts.setdefault(execution_id, Counter())[state] = count
    failed = Task.objects.filter(execution_id__in=ids, state=State.FAILED).order_by("-pk")
    problems = dict(failed.values_list("execution_id", "message"))
    context = {"counts": counts, "problems": problems}
    return [dict(RunOutput(run, context=context).data) for run in runs]
