"""Garbage collection: its schedule, its runs and their logs."""

import json
from typing import Any

from django.db.models import prefetch_related_objects
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api import executions, query
from portal.api.base import MaySystem
from portal.api.endpoint import Endpoint
from portal.api.job_schedules import JobSchedule, PlanOutput, ScheduleInput
from portal.api.openapi import Operation
from portal.api.paging import Page, listed
from registry_sync import executions as jobs
from registry_sync import garbage
from registry_sync.models import Execution

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


class CollectionSchedule(JobSchedule):
    """``/system/gc/schedule``."""

    kind = _KIND
    address = "/system/gc"
    parameters_of = staticmethod(garbage.parameters_of)
    permissions = {"GET": ReadCollections, "POST": CreateCollections, "PUT": UpdateCollections}
    operations = {
        "GET": Operation(gives=PlanOutput, name="getGCSchedule"),
        "POST": Operation(takes=ScheduleInput, status=201, name="createGCSchedule"),
        "PUT": Operation(takes=ScheduleInput, name="updateGCSchedule"),
    }


def _find(gc_id: int) -> Execution:
    return executions.find(_KIND, query.row_id(gc_id))
