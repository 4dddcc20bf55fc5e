"""Garbage collection: its schedule, its runs and their logs."""

import json
from typing import Any

from django.db.models import prefetch_related_objects
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Conflict
from portal.api import executions, job_schedules, query
from portal.api.base import MaySystem
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.job_schedules import PlanOutput, ScheduleInput
from portal.api.openapi import Operation
from portal.api.paging import Page, listed
from registry_sync import dispatch, garbage
from registry_sync import executions as jobs
from registry_sync.models import Execution, Schedule

_KIND = garbage.KIND
_SORTS = {"id": "pk", "creation_time": "created_at", "update_time": "finished_at"}


class CollectionOutput(executions.HistoryOutput):
    """The contract's ``GCHistory``; what came of a run stands with its parameters."""

    def get_job_parameters(self, execution: Execution) -> str:
        """Return the parameters, and in the contract's words what was removed."""
        shown = dict(execution.parameters)
        for task in execution.tasks.all():
            shown |= {
                "freed_space": task.result.get("freed_bytes", 0),
                "purged_blobs": task.result.get("digests", 0),
                "reclaimable_space": task.result.get("found_bytes", 0),
            }
        return json.dumps(shown)


def _history(runs: list[Execution]) -> list[dict[str, Any]]:
    prefetch_related_objects(runs, "tasks")
    return listed(CollectionOutput, runs)


class ListCollections(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "garbage-collection:list"


class ReadCollections(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "garbage-collection:read"


class CreateCollections(MaySystem):
    """Administrators, and robots that were given it."""

    action = "garbage-collection:create"


class UpdateCollections(MaySystem):
    """Administrators, and robots that were given it."""

    action = "garbage-collection:update"


class StopCollections(MaySystem):
    """Administrators, and robots that were given it."""

    action = "garbage-collection:stop"


class Collections(Endpoint):
    """``/system/gc``."""

    permissions = {"GET": ListCollections}
    operations = {
        "GET": Operation(gives=CollectionOutput, is_list=True, name="getGCHistory"),
    }

    def get(self, request: Request) -> Response:
        """List the runs, the last one first."""
        runs = Execution.objects.select_related("schedule").filter(kind=_KIND)
        found = query.ordered(query.matching(runs, request, {}), request, _SORTS)
        page = Page.of(request)
        return Response(
            _history(list(page.rows(found))), headers=page.headers(request, page.total(found))
        )


class OneCollection(Endpoint):
    """``/system/gc/{gc_id}``."""

    permissions = {"GET": ReadCollections, "PUT": StopCollections}
    operations = {
        "GET": Operation(gives=CollectionOutput, name="getGC"),
        "PUT": Operation(name="stopGC"),
    }

    def get(self, request: Request, gc_id: int) -> Response:
        """Show one run."""
        return Response(_history([_find(gc_id)])[0])

    def put(self, request: Request, gc_id: int) -> Response:
        """Stop it; one that has ended stays as it is."""
        jobs.stop(_find(gc_id).pk, actor=self.actor)
        return Response()


class CollectionLog(Endpoint):
    """``/system/gc/{gc_id}/log``."""

    permissions = {"GET": ReadCollections}
    operations = {"GET": Operation(media_type="text/plain", name="getGCLog")}

    def get(self, request: Request, gc_id: int) -> HttpResponse:
        """Show what it wrote."""
        return executions.log_of(list(_find(gc_id).tasks.all()))


class CollectionSchedule(Endpoint):
    """``/system/gc/schedule``."""

    permissions = {"GET": ReadCollections, "POST": CreateCollections, "PUT": UpdateCollections}
    operations = {
        "GET": Operation(gives=PlanOutput, name="getGCSchedule"),
        "POST": Operation(takes=ScheduleInput, status=201, name="createGCSchedule"),
        "PUT": Operation(takes=ScheduleInput, name="updateGCSchedule"),
    }

    def get(self, request: Request) -> Response:
        """Show when it runs."""
        return Response(job_schedules.shown(_KIND))

    def post(self, request: Request) -> Response:
        """Run it now (``Manual``), or set when it runs where that is not set."""
        times, parameters = _read(request)
        if times["type"] == "Manual":
            started = dispatch.start(_KIND, actor=self.actor, parameters=parameters)
            location = f"{API_ROOT}/system/gc/{started.pk}"
        else:
            if times["type"] != "None" and Schedule.objects.filter(kind=_KIND).exists():
                raise Conflict("There is a schedule already; change it with PUT.")
            job_schedules.save(_KIND, times, parameters, self.actor)
            location = f"{API_ROOT}/system/gc/schedule"
        return Response(status=201, headers={"Location": location})

    def put(self, request: Request) -> Response:
        """Change when it runs; ``None`` lets it run by hand only."""
        times, parameters = _read(request)
        if times["type"] == "Manual":
            dispatch.start(_KIND, actor=self.actor, parameters=parameters)
        else:
            job_schedules.save(_KIND, times, parameters, self.actor)
        return Response()


def _find(gc_id: int) -> Execution:
    return executions.find(_KIND, query.row_id(gc_id))


def _read(request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    times, parameters = job_schedules.read(request)
    return times, {} if times["type"] == "None" else garbage.parameters_of(parameters)
