"""A project's switches as the contract's ``metadata``: texts by name."""

from typing import Any

from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, projects
from accounts.errors import BadRequest, Conflict, NotFound
from accounts.models import Project
from accounts.principals import Actor
from portal.api import project_switches, proxy_switches
from portal.api.base import SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.project_input import MetadataInput
from portal.api.projects import find
from registry_sync.proxy_cache import projects as proxies


class MetadataOutput(serializers.Serializer[dict[str, str]]):
    """The keys, or the one that was asked for."""

    public = serializers.CharField(required=False)
    read_only = serializers.CharField(  # type: ignore[assignment]  # a member, not the attribute
        required=False
    )
    trash_days = serializers.CharField(required=False)
    reuse_sys_cve_allowlist = serializers.CharField(required=False)
    # Of proxy projects alone.
    proxy_speed_kb = serializers.CharField(required=False)
    max_upstream_conn = serializers.CharField(required=False)
    proxy_cache_filter_pattern = serializers.CharField(required=False)
    proxy_cache_filter_kind = serializers.CharField(required=False)
    proxy_cache_local_on_not_found = serializers.CharField(required=False)
    proxy_referrer_api = serializers.CharField(required=False)


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
        return Response(_shown(project))

    def post(self, request: Request, name_or_id: str) -> Response:
        """Set keys that still have their default; ``public`` is always set already."""
        project = find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "metadata:create", project)
        texts = _texts(request.data, project)
        current = _shown(project)
        for name in texts:
            if name == "public" or current[name] != _DEFAULTS[name]:
                raise Conflict(f"{name} exists; change it with PUT.", field=name)
        _change(project, texts, self.actor)
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
        return Response({name: _shown(project)[name]})

    def put(self, request: Request, name_or_id: str, name: str) -> Response:
        """Change one key."""
        project = self._project(request, name_or_id, name, "metadata:update")
        texts = _texts(request.data, project)
        if list(texts) != [name]:
            raise BadRequest(f'The body must be {{"{name}": "…"}}.', field=name)
        _change(project, texts, self.actor)
        return Response()

    def delete(self, request: Request, name_or_id: str, name: str) -> Response:
        """Set one key back to its default."""
        project = self._project(request, name_or_id, name, "metadata:delete")
        _change(project, {name: _DEFAULTS[name]}, self.actor)
        return Response()

    def _project(self, request: Request, name_or_id: str, name: str, action: str) -> Project:
        project = find(request, name_or_id, principal=self.principal)
        access.require(self.principal, action, project)
        if name not in _keys(project):
            raise NotFound("There is no such key.")
        return project


_DEFAULTS = project_switches.DEFAULTS | proxy_switches.DEFAULTS


def _keys(project: Project) -> tuple[str, ...]:
    own = project_switches.KEYS
    return (*own, *proxy_switches.KEYS) if project.is_proxy else own


def _shown(project: Project) -> dict[str, str]:
    cache = proxies.of(project)
    own = project_switches.shown(project)
    return own | (proxy_switches.shown(cache) if cache else {})


@transaction.atomic
def _change(project: Project, texts: dict[str, str], actor: Actor) -> None:
    own = {name: text for name, text in texts.items() if name in project_switches.KEYS}
    bounds = {name: text for name, text in texts.items() if name in proxy_switches.KEYS}
    if own:
        projects.update(project, changes=project_switches.changes(own), actor=actor)
    if bounds:
        proxies.update(project, changes=proxy_switches.changes(bounds), actor=actor)


def _texts(data: Any, project: Project) -> dict[str, str]:
    if not isinstance(data, dict) or not data:
        raise BadRequest("The body must be an object of texts.")
    known = _keys(project)
    for name, text in data.items():
        if name not in known:
            raise BadRequest(f"metadata knows {', '.join(known)} here, not {name[:64]!r}.")
        if not isinstance(text, str):
            raise BadRequest(f"{name} must be a text.", field=name)
    return data
