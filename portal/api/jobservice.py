"""The job service: workers, what they do, and queues that can be paused."""

from datetime import UTC
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import BadRequest, NotFound
from portal.api import executions
from portal.api.base import MaySystem
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import listed
from registry_sync import dispatch, queues
from registry_sync import executions as jobs
from registry_sync.models import Task, Worker
from registry_sync.models.executions import HELD
from registry_sync.queues import Queue

ALL = "all"


class ListJobs(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "jobservice-monitor:list"


class StopJobs(MaySystem):
    """Administrators, and robots that were given it."""

    action = "jobservice-monitor:stop"


class Unprocessable(BadRequest):
    """Understood, and of no meaning here."""

    status = 422


class PoolOutput(serializers.Serializer[Worker]):
    """The contract's ``WorkerPool``: one process of ours."""

    pid = serializers.IntegerField()
    worker_pool_id = serializers.CharField(source="name")
    start_at = serializers.DateTimeField(source="started_at", default_timezone=UTC)
    heartbeat_at = serializers.DateTimeField(source="beat_at", default_timezone=UTC)
    concurrency = serializers.IntegerField()
    host = serializers.CharField()


class WorkerOutput(serializers.Serializer[Task]):
    """The contract's ``Worker``, at work on a task."""

    id = serializers.CharField(source="pk")
    pool_id = serializers.CharField(source="worker")
    job_name = serializers.SerializerMethodField()
    job_id = serializers.CharField(source="pk")
    start_at = serializers.DateTimeField(source="started_at", default_timezone=UTC)
    check_in = serializers.CharField(source="message")
    checkin_at = serializers.DateTimeField(source="heartbeat_at", default_timezone=UTC)

    def get_job_name(self, task: Task) -> str:
        """Return the kind."""
        return executions.job_type_of(task.kind)


class QueueOutput(serializers.Serializer[Queue]):
    """The contract's ``JobQueue``; ``latency`` in seconds."""

    job_type = serializers.SerializerMethodField()
    count = serializers.IntegerField(source="queued")
    latency = serializers.IntegerField(source="age")
    paused = serializers.BooleanField(source="is_paused")

    def get_job_type(self, queue: Queue) -> str:
        """Return the kind."""
        return executions.job_type_of(queue.kind)


class ActionInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ActionRequest``."""

    action = serializers.CharField(max_length=16)


class Pools(Endpoint):
    """``/jobservice/pools``."""

    permissions = {"GET": ListJobs}
    operations = {
        "GET": Operation(gives=PoolOutput, is_list=True, is_whole=True, name="getWorkerPools")
    }

    def get(self, request: Request) -> Response:
        """List the worker processes that live."""
        return Response(listed(PoolOutput, queues.workers()))


class PoolWorkers(Endpoint):
    """``/jobservice/pools/{pool_id}/workers``."""

    permissions = {"GET": ListJobs}
    operations = {
        "GET": Operation(gives=WorkerOutput, is_list=True, is_whole=True, name="getWorkers")
    }

    def get(self, request: Request, pool_id: str) -> Response:
        """List what a process, or ``all``, is at work on."""
        held = Task.objects.filter(state__in=HELD).order_by("pk")
        if pool_id != ALL:
            if pool_id not in {worker.name for worker in queues.workers()}:
                raise NotFound("there is no such pool")
            held = held.filter(worker=pool_id)
        return Response(listed(WorkerOutput, held))


class OneJob(Endpoint):
    """``/jobservice/jobs/{job_id}``."""

    permissions = {"PUT": StopJobs}
    operations = {"PUT": Operation(name="stopRunningJob")}

    def put(self, request: Request, job_id: str) -> Response:
        """Stop a job, or ``all`` that run; one that has ended stays as it is."""
        if job_id == ALL:
            dispatch.stop_running(actor=self.actor)
        else:
            jobs.stop_task(_find(job_id).pk, actor=self.actor)
        return Response()


class JobLog(Endpoint):
    """``/jobservice/jobs/{job_id}/log``."""

    permissions = {"GET": ListJobs}
    operations = {"GET": Operation(media_type="text/plain", name="actionGetJobLog")}

    def get(self, request: Request, job_id: str) -> HttpResponse:
        """Show what a job wrote."""
        return executions.log_of([_find(job_id)])


class Queues(Endpoint):
    """``/jobservice/queues``."""

    permissions = {"GET": ListJobs}
    operations = {
        "GET": Operation(gives=QueueOutput, is_list=True, is_whole=True, name="listJobQueues")
    }

    def get(self, request: Request) -> Response:
        """List what waits of each kind, and for how long."""
        found = queues.figures([*dispatch.KINDS, queues.SCHEDULER])
        return Response(listed(QueueOutput, found))


class OneQueue(Endpoint):
    """``/jobservice/queues/{job_type}``."""

    permissions = {"PUT": StopJobs}
    operations = {"PUT": Operation(takes=ActionInput, name="actionPendingJobs")}

    def put(self, request: Request, job_type: str) -> Response:
        """Stop what waits, pause or resume; ``all`` stands for every kind."""
        serializer = ActionInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        act = {
            "stop": dispatch.clear,
            "pause": queues.pause,
            "resume": queues.resume,
        }.get(serializer.validated_data["action"])
        if act is None:
            raise Unprocessable("action must be stop, pause or resume.", field="action")
        known = [*dispatch.KINDS, queues.SCHEDULER]
        kind = executions.kind_of(job_type)
        if job_type.lower() != ALL and kind not in known:
            raise NotFound("there is no such queue")
        for each in dispatch.KINDS if job_type.lower() == ALL else [kind]:
            act(each, actor=self.actor)
        return Response()


def _find(job_id: str) -> Task:
    task = None
    if job_id.isascii() and job_id.isdigit() and len(job_id) <= 18:
        task = Task.objects.filter(pk=int(job_id)).first()
    if task is None:
        raise NotFound("there is no such job")
    return task
