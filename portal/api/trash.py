"""The trash: what was deleted in a project, and in the whole system; restore it or give it up."""

from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, projects
from accounts.errors import NotFound
from accounts.models import Project
from portal.api import projects as project_endpoints
from portal.api import query
from portal.api.base import Administrators, SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed
from registry_sync import dispatch, purging, restoring
from registry_sync.models import TrashEntry
from registry_sync.restoring import Tags

_SORTS = {"id": "pk", "deleted_at": "deleted_at", "purge_at": "purge_at", "size": "freed_bytes"}
_FIELDS = {
    "repository": "repository__path",
    "kind": "kind",
    "state": "state",
    "digest": "digest",
    "actor": "actor_name",
}
_TIMES = {"deleted_at": "deleted_at", "purge_at": "purge_at"}


class TrashOutput(serializers.Serializer[TrashEntry]):
    """One deletion."""

    id = serializers.IntegerField(source="pk")
    kind = serializers.CharField()
    state = serializers.CharField()
    project_id = serializers.IntegerField(source="repository.project_id")
    repository_name = serializers.CharField(source="repository.name")
    digest = serializers.CharField()
    tags = serializers.SerializerMethodField()
    tag_count = serializers.IntegerField()
    artifact_count = serializers.IntegerField()
    size = serializers.IntegerField(source="freed_bytes")
    deleted_by = serializers.CharField(source="actor_name")
    execution_id = serializers.IntegerField(allow_null=True)
    deleted_at = serializers.DateTimeField(default_timezone=UTC)
    purge_at = serializers.DateTimeField(default_timezone=UTC)
    ended_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)

    def get_tags(self, entry: TrashEntry) -> list[str]:
        """Return the names of the first hundred."""
        return entry.tag_names[:100]


class RestoreInput(serializers.Serializer[dict[str, Any]]):
    """Which tags come back with it."""

    tags = serializers.ChoiceField(choices=[choice.value for choice in Tags], default="all")


class TrashedProjectOutput(serializers.Serializer[Project]):
    """A project in the trash."""

    project_id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    owner_name = serializers.CharField(source="owner.username")
    size = serializers.SerializerMethodField()
    deleted_at = serializers.DateTimeField(default_timezone=UTC)
    purge_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)

    def get_size(self, project: Project) -> int:
        """Return the bytes that it used."""
        return project.usage.used_bytes if hasattr(project, "usage") else 0


class ProjectRestoreInput(serializers.Serializer[dict[str, Any]]):
    """Under which name it comes back; its own where none is given."""

    name = serializers.CharField(required=False, allow_blank=True, max_length=255)


class RestoredProjectOutput(serializers.Serializer[Project]):
    """Where a restored project is now."""

    project_id = serializers.IntegerField(source="pk")
    name = serializers.CharField()


class ProjectTrash(Endpoint):
    """``/projects/{project_name_or_id}/trash``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=TrashOutput, is_list=True)}

    def get(self, request: Request, name_or_id: str) -> Response:
        """List what was deleted in a project, the last deletion first."""
        project = project_endpoints.find(request, name_or_id, principal=self.principal)
        _require(self, project)
        return _page(request, TrashEntry.objects.filter(repository__project=project))


class OneTrashEntry(Endpoint):
    """``/projects/{project_name_or_id}/trash/{entry_id}``."""

    permissions = {"GET": SignedIn, "DELETE": SignedIn}
    operations = {"GET": Operation(gives=TrashOutput), "DELETE": Operation()}
    noun = "trash"

    def get(self, request: Request, name_or_id: str, entry_id: int) -> Response:
        """Show one deletion."""
        return Response(TrashOutput(_find(self, request, name_or_id, entry_id)).data)

    def delete(self, request: Request, name_or_id: str, entry_id: int) -> Response:
        """Give up what it holds, at once: it can never be restored."""
        entry = _find(self, request, name_or_id, entry_id)
        access.require(self.principal, "artifact:delete", entry.repository.project)
        purging.purge(entry.repository, entry.pk, actor=self.actor)
        return Response()


class TrashRestore(Endpoint):
    """``/projects/{project_name_or_id}/trash/{entry_id}/restore``."""

    permissions = {"POST": SignedIn}
    operations = {"POST": Operation(takes=RestoreInput, gives=TrashOutput)}
    noun = "trash"

    def post(self, request: Request, name_or_id: str, entry_id: int) -> Response:
        """Bring back what it took: whole, or 409 with the reason.

        ``tags``: ``all`` (the default), ``free`` (those whose names nothing took), ``none``.
        """
        entry = _find(self, request, name_or_id, entry_id)
        access.require(self.principal, "artifact:delete", entry.repository.project)
        serializer = RestoreInput(data=request.data or {})
        serializer.is_valid(raise_exception=True)
        tags = Tags(serializer.validated_data["tags"])
        restored = restoring.restore(entry.repository, entry.pk, tags=tags, actor=self.actor)
        restored.repository = entry.repository
        return Response(TrashOutput(restored).data)


class SystemTrash(Endpoint):
    """``/trash``."""

    permissions = {"GET": Administrators}
    operations = {"GET": Operation(gives=TrashOutput, is_list=True)}

    def get(self, request: Request) -> Response:
        """List what was deleted in every project that is not deleted itself."""
        return _page(request, TrashEntry.objects.filter(repository__project__deleted_at=None))


class TrashedProjects(Endpoint):
    """``/trash/projects``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=TrashedProjectOutput, is_list=True)}

    def get(self, request: Request) -> Response:
        """List the deleted projects that the caller administered; all for administrators."""
        found = projects.trashed_for(self.principal).select_related("owner", "usage")
        found = query.matching(found, request, {"name": "name"}, times=_TIMES)
        sorts = {"name": "name", **{name: name for name in _TIMES}}
        found = query.ordered(found.order_by("-deleted_at", "-pk"), request, sorts)
        page = Page.of(request)
        shown = listed(TrashedProjectOutput, page.rows(found))
        return Response(shown, headers=page.headers(request, page.total(found)))


class TrashedProjectRestore(Endpoint):
    """``/trash/projects/{project_id}/restore``."""

    permissions = {"POST": SignedIn}
    operations = {"POST": Operation(takes=ProjectRestoreInput, gives=RestoredProjectOutput)}
    noun = "project"

    def post(self, request: Request, project_id: int) -> Response:
        """Bring a project back; under another ``name`` where its own was taken."""
        project = _trashed(self, project_id)
        serializer = ProjectRestoreInput(data=request.data or {})
        serializer.is_valid(raise_exception=True)
        name = serializer.validated_data.get("name", "")
        restored = projects.restore(project, name=name, actor=self.actor)
        return Response(RestoredProjectOutput(restored).data)


class OneTrashedProject(Endpoint):
    """``/trash/projects/{project_id}``."""

    permissions = {"DELETE": SignedIn}
    operations = {"DELETE": Operation(status=202)}
    noun = "project"

    def delete(self, request: Request, project_id: int) -> Response:
        """Give a deleted project up for good; a job removes what it held."""
        dispatch.purge_project(_trashed(self, project_id), actor=self.actor)
        return Response(status=202)


def _require(endpoint: Endpoint, project: Project) -> None:
    """Whoever may delete here may see what was deleted; auditors see it anyway."""
    if not endpoint.principal.is_auditor:
        access.require(endpoint.principal, "artifact:delete", project)


def _find(endpoint: Endpoint, request: Request, name_or_id: str, entry_id: int) -> TrashEntry:
    project = project_endpoints.find(request, name_or_id, principal=endpoint.principal)
    _require(endpoint, project)
    entries = TrashEntry.objects.select_related("repository__project")
    entry = entries.filter(pk=query.row_id(entry_id), repository__project=project).first()
    if entry is None:
        raise NotFound("there is no such entry in the trash")
    return entry


def _trashed(endpoint: Endpoint, project_id: int) -> Project:
    found = projects.trashed_for(endpoint.principal).filter(pk=query.row_id(project_id)).first()
    if found is None:
        raise NotFound("there is no such project in the trash")
    return found


def _page(request: Request, found: QuerySet[TrashEntry]) -> Response:
    if not any(name == "state" for name, _value in query.conditions(request)):
        found = found.filter(state=TrashEntry.State.TRASHED)
    found = query.matching(found, request, _FIELDS, times=_TIMES, others=("execution",))
    for name, value in query.conditions(request):
        if name == "execution":
            found = found.filter(execution_id=query.integer(value, "execution"))
    found = query.ordered(found.order_by("-pk"), request, _SORTS)
    page = Page.of(request)
    rows = page.rows(found.select_related("repository__project"))
    shown = listed(TrashOutput, rows)
    return Response(shown, headers=page.headers(request, page.total(found)))
