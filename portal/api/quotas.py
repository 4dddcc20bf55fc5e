"""Quotas: what each project may use and uses. A quota's number is its project's."""

from collections.abc import Iterable
from datetime import UTC
from typing import Any

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import projects
from accounts.errors import BadRequest, NotFound
from accounts.models import Project
from portal.api import query
from portal.api.base import MaySystem
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed

_MAX_BYTES = 2**63 - 1
_SORTS = {
    "hard.storage": "storage_limit",
    "used.storage": "used_bytes",
    "creation_time": "created_at",
    "update_time": "updated_at",
}


class ListQuotas(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "quota:list"


class ReadQuotas(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "quota:read"


class UpdateQuotas(MaySystem):
    """Administrators, and robots that were given it."""

    action = "quota:update"


class ResourcesInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ResourceList``; storage is the one resource that is limited."""

    storage = serializers.IntegerField(min_value=-1, max_value=_MAX_BYTES)


class QuotaInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``QuotaUpdateReq``."""

    hard = ResourcesInput()


class ReferenceOutput(serializers.Serializer[Project]):
    """The project that a quota is of."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    owner_name = serializers.CharField(source="owner.username")


class QuotaOutput(serializers.Serializer[Project]):
    """The contract's ``Quota``."""

    id = serializers.IntegerField(source="pk")
    ref = ReferenceOutput(source="*")
    hard = serializers.SerializerMethodField()
    used = serializers.SerializerMethodField()
    creation_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    update_time = serializers.DateTimeField(source="updated_at", default_timezone=UTC)

    def get_hard(self, project: Project) -> dict[str, int]:
        """Return the limit, -1 for none."""
        return {"storage": project.storage_limit}

    def get_used(self, project: Project) -> dict[str, int]:
        """Return the bytes in use."""
        return {"storage": getattr(project, "used_bytes", 0)}


class Quotas(Endpoint):
    """``/quotas``."""

    permissions = {"GET": ListQuotas}
    operations = {
        "GET": Operation(
            gives=QuotaOutput, is_list=True, name="listQuotas", query=("reference", "reference_id")
        )
    }
    noun = "quota"

    def get(self, request: Request) -> Response:
        """List the quotas of all projects."""
        found = _quotas()
        if query.text(request, "reference") not in {"", "project"}:
            raise BadRequest("Only projects have quotas.", field="reference")
        project_id = query.integer(request.query_params.get("reference_id"), "reference_id")
        if project_id is not None:
            found = found.filter(pk=project_id)
        found = query.ordered(found, request, _SORTS)
        page = Page.of(request)
        return Response(_output(page.rows(found)), headers=page.headers(request, page.total(found)))


class OneQuota(Endpoint):
    """``/quotas/{id}``."""

    permissions = {"GET": ReadQuotas, "PUT": UpdateQuotas}
    operations = {
        "GET": Operation(gives=QuotaOutput, name="getQuota"),
        "PUT": Operation(takes=QuotaInput, name="updateQuota"),
    }
    noun = "quota"

    def get(self, request: Request, quota_id: int) -> Response:
        """Show one project's quota."""
        return Response(_output([_find(quota_id)])[0])

    def put(self, request: Request, quota_id: int) -> Response:
        """Set one project's limit; what is over it already stays."""
        serializer = QuotaInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        limit = serializer.validated_data["hard"]["storage"]
        changes = projects.Changes(storage_limit=limit)
        projects.update(_find(quota_id), changes=changes, actor=self.actor)
        return Response()


def _quotas() -> QuerySet[Project]:
    used = Coalesce(F("usage__used_bytes"), 0)
    return Project.objects.alive().select_related("owner").annotate(used_bytes=used).order_by("pk")


def _find(quota_id: int) -> Project:
    project = _quotas().filter(pk=query.row_id(quota_id)).first()
    if project is None:
        raise NotFound("quota not found")
    return project


def _output(rows: Iterable[Project]) -> list[dict[str, Any]]:
    return listed(QuotaOutput, rows)
