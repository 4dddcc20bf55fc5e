"""Schedules of every kind of job, and whether the scheduler is paused."""

from datetime import UTC

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import BadRequest
from portal.api import executions
from portal.api.base import SignedIn
from portal.api.endpoint import Endpoint
from portal.api.jobservice import ListJobs
from portal.api.openapi import Operation
from portal.api.paging import Page, listed
from registry_sync import queues
from registry_sync.models import Schedule


class ScheduleOutput(serializers.Serializer[Schedule]):
    """The contract's ``ScheduleTask``."""

    id = serializers.IntegerField(source="pk")
    vendor_type = serializers.SerializerMethodField()
    vendor_id = serializers.IntegerField(source="policy_id")
    cron = serializers.CharField()
    update_time = serializers.DateTimeField(source="updated_at", default_timezone=UTC)

    def get_vendor_type(self, schedule: Schedule) -> str:
        """Return the kind."""
        return executions.job_type_of(schedule.kind)


class PausedOutput(serializers.Serializer[dict[str, bool]]):
    """The contract's ``SchedulerStatus``."""

    paused = serializers.BooleanField()


class Schedules(Endpoint):
    """``/schedules``."""

    permissions = {"GET": ListJobs}
    operations = {
        "GET": Operation(gives=ScheduleOutput, is_list=True, name="listSchedules"),
    }

    def get(self, request: Request) -> Response:
        """List them."""
        found = Schedule.objects.order_by("pk")
        page = Page.of(request)
        shown = listed(ScheduleOutput, page.rows(found))
        return Response(shown, headers=page.headers(request, page.total(found)))


class SchedulePaused(Endpoint):
    """``/schedules/{job_type}/paused``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=PausedOutput, name="getSchedulePaused")}

    def get(self, request: Request, job_type: str) -> Response:
        """Tell whether any schedule fires; the contract knows the question for all of them only."""
        if job_type.lower() != "all":
            raise BadRequest("Ask for all: schedules are paused together.", field="job_type")
        return Response({"paused": queues.is_paused(queues.SCHEDULER)})
