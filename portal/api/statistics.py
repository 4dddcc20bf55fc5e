"""How many projects and repositories there are, and what they take."""

from typing import Any

from django.db.models import Count, QuerySet, Sum
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Project
from portal.api.base import SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from registry_sync.models import Blob, Repository


class StatisticOutput(serializers.Serializer[dict[str, int]]):
    """The contract's ``Statistic``; the totals are 0 for those whom they are not for."""

    private_project_count = serializers.IntegerField()
    private_repo_count = serializers.IntegerField()
    public_project_count = serializers.IntegerField()
    public_repo_count = serializers.IntegerField()
    total_project_count = serializers.IntegerField()
    total_repo_count = serializers.IntegerField()
    total_storage_consumption = serializers.IntegerField()


class Statistics(Endpoint):
    """``/statistics``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=StatisticOutput, name="getStatistic")}

    def get(self, request: Request) -> Response:
        """Count what the caller may see; the whole for administrators and auditors."""
        visible = Project.objects.visible_to(self.principal)
        projects = _by_publicity(visible, "is_public")
        pushed = _by_publicity(
            Repository.objects.pushed().filter(project__in=visible), "project__is_public"
        )
        counts = {
            "private_project_count": projects.get(False, 0),
            "private_repo_count": pushed.get(False, 0),
            "public_project_count": projects.get(True, 0),
            "public_repo_count": pushed.get(True, 0),
            "total_project_count": 0,
            "total_repo_count": 0,
            "total_storage_consumption": 0,
        }
        if self.principal.is_administrator or self.principal.is_auditor:
            stored = Blob.objects.filter(state=Blob.State.LIVE).aggregate(total=Sum("size"))
            counts["total_project_count"] = sum(projects.values())
            counts["total_repo_count"] = sum(pushed.values())
            counts["total_storage_consumption"] = stored["total"] or 0
        return Response(StatisticOutput(counts).data)


def _by_publicity(found: QuerySet[Any], field: str) -> dict[bool, int]:
    counted = found.order_by().values(field).annotate(n=Count("*"))
    return dict(counted.values_list(field, "n"))
