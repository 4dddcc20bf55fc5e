"""A project in figures: repositories, members by role, quota."""

from typing import Any

from django.db.models import Count
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.models import Project
from accounts.roles import Role
from portal.api.base import SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.projects import find
from registry_sync.models import ProjectUsage, Repository


class ResourcesOutput(serializers.Serializer[dict[str, int]]):
    """The contract's ``ResourceList``."""

    storage = serializers.IntegerField()


class QuotaOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ProjectSummaryQuota``."""

    hard = ResourcesOutput()
    used = ResourcesOutput()


class SummaryOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ProjectSummary``; counts of members for those who may list them."""

    repo_count = serializers.IntegerField()
    project_admin_count = serializers.IntegerField(required=False)
    maintainer_count = serializers.IntegerField(required=False)
    developer_count = serializers.IntegerField(required=False)
    guest_count = serializers.IntegerField(required=False)
    limited_guest_count = serializers.IntegerField(required=False)
    quota = QuotaOutput(required=False)


class ProjectSummary(Endpoint):
    """``/projects/{name_or_id}/summary``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=SummaryOutput, name="getProjectSummary")}

    def get(self, request: Request, name_or_id: str) -> Response:
        """Show as much of it as the caller may know."""
        project = find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "project:read", project)
        repositories = Repository.objects.pushed().filter(project=project)
        shown: dict[str, Any] = {"repo_count": repositories.count()}
        if access.can(self.principal, "member:list", project):
            shown |= _members(project)
        if access.can(self.principal, "quota:read", project):
            shown["quota"] = _quota(project)
        return Response(SummaryOutput(shown).data)


def _members(project: Project) -> dict[str, int]:
    counted = project.members.order_by().values("role").annotate(n=Count("pk"))
    counts = dict(counted.values_list("role", "n"))
    return {f"{role.name.lower()}_count": counts.get(role.value, 0) for role in Role}


def _quota(project: Project) -> dict[str, dict[str, int]]:
    usage = ProjectUsage.objects.filter(project=project).first()
    return {
        "hard": {"storage": project.storage_limit},
        "used": {"storage": usage.used_bytes if usage else 0},
    }
