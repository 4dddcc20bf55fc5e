"""What a deletion would touch; deleting many tags as one run, and taking the run back."""

from datetime import UTC
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.errors import NotFound
from accounts.models import Project
from portal.api import artifacts, executions, projects, query, repositories
from portal.api.base import SignedIn
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from registry_sync import bulk, deletion_preview, dispatch
from registry_sync.bulk import Selection
from registry_sync.deletion_preview import Preview
from registry_sync.models import Execution, Task


class DeletionOutput(serializers.Serializer[Preview]):
    """What a deletion would touch."""

    repositories = serializers.IntegerField()
    artifacts = serializers.IntegerField()
    tag_count = serializers.IntegerField()
    tags = serializers.ListField(child=serializers.CharField())
    sibling_tags = serializers.ListField(child=serializers.CharField())
    accessories = serializers.ListField(child=serializers.CharField())
    children = serializers.ListField(child=serializers.CharField())
    parents = serializers.ListField(child=serializers.CharField())
    immutable_tags = serializers.ListField(child=serializers.CharField())
    pulled_lately = serializers.ListField(child=serializers.CharField())
    freed_bytes = serializers.IntegerField()
    days = serializers.IntegerField()


class TagDeletionInput(serializers.Serializer[dict[str, Any]]):
    """Which tags of a repository to delete: those that match ``q``, or those of ``names``."""

    repository = serializers.CharField(max_length=255)
    q = serializers.CharField(required=False, allow_blank=True, default="")
    names = serializers.ListField(
        child=serializers.CharField(max_length=128), required=False, default=list
    )
    with_images = serializers.BooleanField(default=True)
    dry_run = serializers.BooleanField(default=False)


class TagDeletionOutput(serializers.Serializer[bulk.Preview]):
    """What the run would do."""

    tags = serializers.IntegerField()
    names = serializers.ListField(child=serializers.CharField())
    images = serializers.IntegerField()
    immutable = serializers.IntegerField()
    freed_bytes = serializers.IntegerField()


class ProjectRunOutput(serializers.Serializer[Execution]):
    """A run in a project, with what came out."""

    id = serializers.IntegerField(source="pk")
    kind = serializers.CharField()
    status = serializers.SerializerMethodField()
    started_by = serializers.CharField(source="actor_name")
    done = serializers.SerializerMethodField()
    total = serializers.SerializerMethodField()
    result = serializers.SerializerMethodField()
    undoable = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(default_timezone=UTC)
    finished_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)

    def get_status(self, execution: Execution) -> str:
        """Return the contract's name of its state."""
        return executions.status_of(execution.state)

    def get_done(self, execution: Execution) -> int:
        """Return how many of its items are done."""
        return sum(task.done for task in self._tasks(execution))

    def get_total(self, execution: Execution) -> int:
        """Return how many there are."""
        return sum(task.total or 0 for task in self._tasks(execution))

    def get_result(self, execution: Execution) -> dict[str, Any]:
        """Return what came out; empty before its end."""
        merged: dict[str, Any] = {}
        for task in self._tasks(execution):
            merged |= task.result
        return merged

    def get_undoable(self, execution: Execution) -> int:
        """Return how many deletions of it can be taken back."""
        return bulk.undoable(execution.pk, timezone.now()).count()

    def _tasks(self, execution: Execution) -> list[Task]:
        return list(execution.tasks.all()[:100])


class Deletion(Endpoint):
    """``/projects/{project_name_or_id}/deletion``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=DeletionOutput, query=("repository", "reference", "tag"))}

    def get(self, request: Request, name_or_id: str) -> Response:
        """Tell what would be deleted, before it is: a project, repository, artifact or tag."""
        path, reference = query.text(request, "repository"), query.text(request, "reference")
        tag = query.text(request, "tag")
        project = projects.find(request, name_or_id, principal=self.principal)
        if not path:
            access.require(self.principal, "project:delete", project)
            return self._answer(deletion_preview.of_project(project))
        action = "tag" if tag else "artifact" if reference else "repository"
        access.require(self.principal, f"{action}:delete", project)
        repository = repositories.within(project, path)
        if tag:
            return self._answer(deletion_preview.of_tag(repository, tag))
        if not reference:
            return self._answer(deletion_preview.of_repository(repository))
        digest = artifacts.find(repository, reference).digest
        return self._answer(deletion_preview.of_artifact(repository, digest))

    def _answer(self, preview: Preview) -> Response:
        return Response(DeletionOutput(preview).data)


class TagDeletions(Endpoint):
    """``/projects/{project_name_or_id}/tag-deletions``."""

    permissions = {"POST": SignedIn}
    operations = {"POST": Operation(takes=TagDeletionInput, gives=TagDeletionOutput, status=201)}
    noun = "tag"

    def post(self, request: Request, name_or_id: str) -> Response:
        """Delete the tags of a repository that match a filter, as one run that can be undone.

        With ``dry_run`` nothing is deleted, and the answer is 200. An image whose last tag goes,
        goes with it, unless ``with_images`` is false.
        """
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "tag:delete", project)
        serializer = TagDeletionInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        repository = repositories.within(project, wanted["repository"])
        selection = Selection(wanted["q"], tuple(wanted["names"]))
        with_images = wanted["with_images"]
        parameters = bulk.parameters_of(repository, selection, with_images=with_images)
        shown = bulk.preview(repository, selection, with_images=with_images)
        if wanted["dry_run"]:
            return Response(TagDeletionOutput(shown).data)
        execution = dispatch.start(
            bulk.DELETION,
            actor=self.actor,
            policy_id=repository.pk,
            project_id=project.pk,
            parameters=parameters,
        )
        location = _place(project, execution)
        return Response(TagDeletionOutput(shown).data, status=201, headers={"Location": location})


class OneProjectExecution(Endpoint):
    """``/projects/{project_name_or_id}/executions/{execution_id}``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=ProjectRunOutput)}

    def get(self, request: Request, name_or_id: str, execution_id: int) -> Response:
        """Show how far a run in the project is, and what came out."""
        return Response(ProjectRunOutput(_run(self, request, name_or_id, execution_id)[1]).data)


class ExecutionUndo(Endpoint):
    """``/projects/{project_name_or_id}/executions/{execution_id}/undo``."""

    permissions = {"POST": SignedIn}
    operations = {"POST": Operation(status=201)}
    noun = "trash"

    def post(self, request: Request, name_or_id: str, execution_id: int) -> Response:
        """Restore everything that the run deleted and that is in the trash still."""
        project, execution = _run(self, request, name_or_id, execution_id)
        undo = start_undo(project, execution, endpoint=self)
        return Response(status=201, headers={"Location": _place(project, undo)})


def start_undo(project: Project, execution: Execution, *, endpoint: Endpoint) -> Execution:
    """Order the undoing of a run."""
    return dispatch.start(
        bulk.UNDO,
        actor=endpoint.actor,
        policy_id=execution.pk,
        project_id=project.pk,
        parameters={"execution": execution.pk},
    )


def _place(project: Project, execution: Execution) -> str:
    return f"{API_ROOT}/projects/{project.name}/executions/{execution.pk}"


def _run(
    endpoint: Endpoint, request: Request, name_or_id: str, execution_id: int
) -> tuple[Project, Execution]:
    project = projects.find(request, name_or_id, principal=endpoint.principal)
    access.require(endpoint.principal, "artifact:delete", project)
    found = Execution.objects.filter(project_id=project.pk, pk=query.row_id(execution_id)).first()
    if found is None:
        raise NotFound("there is no such run")
    return project, found
