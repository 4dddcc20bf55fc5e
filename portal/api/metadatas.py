"""A project's switches as the contract's ``metadata``: texts by name."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, projects
from accounts.errors import BadRequest, Conflict, NotFound
from accounts.models import Project
from portal.api.base import SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.project_switches import DEFAULTS, KEYS, changes, shown
from portal.api.projects import MetadataInput, find


class MetadataOutput(serializers.Serializer[dict[str, str]]):
    """The keys, or the one that was asked for."""

    public = serializers.CharField(required=False)
    read_only = serializers.CharField(  # type: ignore[assignment]  # a member, not the attribute
        required=False
    )
    trash_days = serializers.CharField(required=False)
    reuse_sys_cve_allowlist = serializers.CharField(required=False)


class Metadatas(Endpoint):
    """``/projects/{name_or_id}/metadatas/``."""

    permissions = {"GET": SignedIn, "POST": SignedIn}
    operations = {
        "GET": Operation(gives=MetadataOutput, name="listProjectMetadatas"),
        "POST": Operation(takes=MetadataInput, name="addProjectMetadatas"),
    }
    noun = "project"

    def get(self, request: Request, name_or_id: str) -> Response:
        """Show every key."""
        project = find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "metadata:read", project)
        return Response(shown(project))

    def post(self, request: Request, name_or_id: str) -> Response:
        """Set keys that still have their default; ``public`` is always set already."""
        project = find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "metadata:create", project)
        texts = _texts(request.data)
        current = shown(project)
        for name in texts:
            if name == "public" or current[name] != DEFAULTS[name]:
                raise Conflict(f"{name} exists; change it with PUT.", field=name)
        projects.update(project, changes=changes(texts), actor=self.actor)
        return Response()


class OneMetadata(Endpoint):
    """``/projects/{name_or_id}/metadatas/{name}``."""

    permissions = {"GET": SignedIn, "PUT": SignedIn, "DELETE": SignedIn}
    operations = {
        "GET": Operation(gives=MetadataOutput, name="getProjectMetadata"),
        "PUT": Operation(takes=MetadataInput, name="updateProjectMetadata"),
        "DELETE": Operation(name="deleteProjectMetadata"),
    }
    noun = "project"

    def get(self, request: Request, name_or_id: str, name: str) -> Response:
        """Show one key."""
        project = self._project(request, name_or_id, name, "metadata:read")
        return Response({name: shown(project)[name]})

    def put(self, request: Request, name_or_id: str, name: str) -> Response:
        """Change one key."""
        project = self._project(request, name_or_id, name, "metadata:update")
        texts = _texts(request.data)
        if list(texts) != [name]:
            raise BadRequest(f'The body must be {{"{name}": "…"}}.', field=name)
        projects.update(project, changes=changes(texts), actor=self.actor)
        return Response()

    def delete(self, request: Request, name_or_id: str, name: str) -> Response:
        """Set one key back to its default."""
        project = self._project(request, name_or_id, name, "metadata:delete")
        wanted = changes({name: DEFAULTS[name]})
        projects.update(project, changes=wanted, actor=self.actor)
        return Response()

    def _project(self, request: Request, name_or_id: str, name: str, action: str) -> Project:
        project = find(request, name_or_id, principal=self.principal)
        access.require(self.principal, action, project)
        if name not in KEYS:
            raise NotFound("There is no such key.")
        return project


def _texts(data: Any) -> dict[str, str]:
    if not isinstance(data, dict) or not data:
        raise BadRequest("The body must be an object of texts.")
    for name, text in data.items():
        if name not in KEYS:
            raise BadRequest(f"metadata knows {', '.join(KEYS)} here, not {name[:64]!r}.")
        if not isinstance(text, str):
            raise BadRequest(f"{name} must be a text.", field=name)
    return data
