"""Labels of the whole system (scope ``g``) and of projects (``p``)."""

from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.errors import BadRequest, NotFound
from accounts.models import Project
from accounts.principals import Principal
from portal.api import query
from portal.api.base import Anyone, SignedIn
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed
from registry_sync import labels
from registry_sync.labels import Look
from registry_sync.models import Label

_SORTS = {
    "id": "pk",
    "name": "name",
    "creation_time": "created_at",
    "update_time": "updated_at",
}


class LabelInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``Label``, as far as a caller chooses it."""

    name = serializers.CharField(max_length=128)
    description = serializers.CharField(
        max_length=1024, required=False, allow_blank=True, allow_null=True
    )
    color = serializers.CharField(max_length=7, required=False, allow_blank=True, allow_null=True)
    scope = serializers.ChoiceField(choices=["g", "p", ""], required=False, allow_null=True)
    project_id = serializers.IntegerField(required=False, allow_null=True, min_value=0)


class LabelOutput(serializers.Serializer[Label]):
    """The contract's ``Label``."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    description = serializers.CharField()
    color = serializers.CharField()
    scope = serializers.SerializerMethodField()
    project_id = serializers.SerializerMethodField()
    creation_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    update_time = serializers.DateTimeField(source="updated_at", default_timezone=UTC)

    def get_scope(self, label: Label) -> str:
        """Return ``p`` for a project's, else ``g``."""
        return "p" if label.project_id else "g"

    def get_project_id(self, label: Label) -> int:
        """Return the project's number, 0 for none."""
        return label.project_id or 0


class Labels(Endpoint):
    """``/labels``."""

    permissions = {"GET": Anyone, "POST": SignedIn}
    operations = {
        "GET": Operation(
            gives=LabelOutput,
            is_list=True,
            name="ListLabels",
            query=("name", "scope", "project_id"),
        ),
        "POST": Operation(takes=LabelInput, status=201, name="CreateLabel"),
    }
    noun = "label"

    def get(self, request: Request) -> Response:
        """List the system's labels, or with scope=p&project_id=1 a project's."""
        found = _listed(request, self.principal)
        name = query.text(request, "name")
        if name:
            found = found.filter(name__icontains=name)
        found = query.matching(found, request, {"name": "name", "description": "description"})
        found = query.ordered(found, request, _SORTS)
        page = Page.of(request)
        return Response(
            listed(LabelOutput, page.rows(found)),
            headers=page.headers(request, page.total(found)),
        )

    def post(self, request: Request) -> Response:
        """Make a label."""
        wanted = _wanted(request)
        project = None
        if wanted.get("scope") == "p":
            project = _project(wanted.get("project_id") or 0, self.principal)
            access.require(self.principal, "label:create", project)
        else:
            access.require_system(self.principal, "label:create")
        label = labels.create(project, look=_look(wanted), actor=self.actor)
        return Response(status=201, headers={"Location": f"{API_ROOT}/labels/{label.pk}"})


class OneLabel(Endpoint):
    """``/labels/{label_id}``."""

    permissions = {"GET": Anyone, "PUT": SignedIn, "DELETE": SignedIn}
    operations = {
        "GET": Operation(gives=LabelOutput, name="GetLabelByID"),
        "PUT": Operation(takes=LabelInput, name="UpdateLabel"),
        "DELETE": Operation(name="DeleteLabel"),
    }
    noun = "label"

    def get(self, request: Request, label_id: int) -> Response:
        """Show one label."""
        return Response(LabelOutput(_find(label_id, "label:read", self.principal)).data)

    def put(self, request: Request, label_id: int) -> Response:
        """Change a label's name, description and colour."""
        label = _find(label_id, "label:update", self.principal)
        labels.update(label, look=_look(_wanted(request)), actor=self.actor)
        return Response()

    def delete(self, request: Request, label_id: int) -> Response:
        """Delete a label, wherever it was put."""
        labels.remove(_find(label_id, "label:delete", self.principal), actor=self.actor)
        return Response()


def _listed(request: Request, principal: Principal) -> QuerySet[Label]:
    scope = query.text(request, "scope") or "g"
    if scope == "g":
        return Label.objects.filter(project=None)
    if scope != "p":
        raise BadRequest("scope must be g or p.", field="scope")
    project_id = query.integer(request.query_params.get("project_id"), "project_id")
    if not project_id:
        raise BadRequest("scope=p needs project_id=<number>.", field="project_id")
    project = _project(project_id, principal)
    access.require(principal, "label:list", project)
    return Label.objects.filter(project=project)


def _project(project_id: int, principal: Principal) -> Project:
    visible = Project.objects.visible_to(principal)
    project = visible.filter(pk=query.row_id(project_id)).first()
    if project is None:
        raise NotFound("project not found")
    return project


def _find(label_id: int, action: str, principal: Principal) -> Label:
    """Return the label, looked up through its project; everyone may see the system's."""
    visible = Project.objects.visible_to(principal)
    label = Label.objects.filter(pk=query.row_id(label_id)).select_related("project").first()
    if label is None or (
        label.project is not None and not visible.filter(pk=label.project.pk).exists()
    ):
        raise NotFound("label not found")
    if label.project is not None:
        access.require(principal, action, label.project)
    elif action != "label:read":
        access.require_system(principal, action)
    return label


def _wanted(request: Request) -> dict[str, Any]:
    serializer = LabelInput(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _look(wanted: dict[str, Any]) -> Look:
    return Look(
        name=wanted["name"],
        description=wanted.get("description") or "",
        color=wanted.get("color") or "",
    )
