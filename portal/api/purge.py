"""The purge of audit rows: its schedule, its runs and their logs."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api import executions, query
from portal.api.base import MaySystem
from portal.api.endpoint import Endpoint
from portal.api.job_schedules import JobSchedule, PlanOutput, ScheduleInput
from portal.api.openapi import Operation
from portal.api.paging import Page
from registry_sync import audit_purge
from registry_sync import executions as jobs
from registry_sync.models import Execution

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


class Purges(Endpoint):
    """``/system/purgeaudit``."""

    permissions = {"GET": ListPurges}
    operations = {
        "GET": Operation(gives=executions.HistoryOutput, is_list=True, name="getPurgeHistory"),
    }

    def get(self, request: Request) -> Response:
        """List the runs, the last one first."""
        runs = Execution.objects.select_related("schedule").filter(kind=_KIND)
        found = query.ordered(query.matching(runs, request, {}), request, _SORTS)
        page = Page.of(request)
        return Response(
            executions.history(page.rows(found)), headers=page.headers(request, page.total(found))
        )


class OnePurge(Endpoint):
    """``/system/purgeaudit/{purge_id}``."""

    permissions = {"GET": ReadPurges, "PUT": StopPurges}
    operations = {
        "GET": Operation(gives=executions.HistoryOutput, name="getPurgeJob"),
        "PUT": Operation(name="stopPurge"),
    }

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
    operations = {"GET": Operation(media_type="text/plain", name="getPurgeJobLog")}

    def get(self, request: Request, purge_id: int) -> HttpResponse:
        """Show what it wrote."""
        return executions.log_of(list(_find(purge_id).tasks.all()))


class PurgeSchedule(JobSchedule):
    """``/system/purgeaudit/schedule``."""

    kind = _KIND
    address = "/system/purgeaudit"
    parameters_of = staticmethod(audit_purge.parameters_of)
    permissions = {"GET": ReadPurges, "POST": CreatePurges, "PUT": UpdatePurges}
    operations = {
        "GET": Operation(gives=PlanOutput, name="getPurgeSchedule"),
        "POST": Operation(takes=ScheduleInput, status=201, name="createPurgeSchedule"),
        "PUT": Operation(takes=ScheduleInput, name="updatePurgeSchedule"),
    }


def _find(purge_id: int) -> Execution:
    return executions.find(_KIND, query.row_id(purge_id))
