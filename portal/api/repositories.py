"""Repositories: list, look at, describe, delete."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any
from urllib.parse import unquote

from django.db.models import Q, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.errors import NotFound
from accounts.models import Project
from portal.api import artifact_filters, projects, query
from portal.api.base import Anyone, SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed
from registry_sync import repositories, statistics, trash
from registry_sync.models import Repository
from registry_sync.search import repository_named
from registry_sync.statistics import NEVER_PULLED, Pulls

_SORTS = {"name": "path", "creation_time": "created_at", "update_time": "pushed_at"}


class RepositoryInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``Repository``, of which the description can be changed."""

    description = serializers.CharField(allow_blank=True, trim_whitespace=False)


class RepositoryOutput(serializers.Serializer[Repository]):
    """The contract's ``Repository``."""

    id = serializers.IntegerField(source="pk")
    project_id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    artifact_count = serializers.SerializerMethodField()
    pull_count = serializers.SerializerMethodField()
    creation_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    update_time = serializers.DateTimeField(source="pushed_at", default_timezone=UTC)

    def get_artifact_count(self, repository: Repository) -> int:
        """Return how many were pushed for their own sake."""
        counts: dict[int, int] = self.context["counts"]
        return counts.get(repository.pk, 0)

    def get_pull_count(self, repository: Repository) -> int:
        """Return how often something of it was pulled; scanners are not counted."""
        pulls: dict[int, Pulls] = self.context["pulls"]
        return pulls.get(repository.pk, NEVER_PULLED).count


class Repositories(Endpoint):
    """``/repositories``."""

    permissions = {"GET": Anyone}
    operations = {
        "GET": Operation(gives=RepositoryOutput, is_list=True, name="listAllRepositories")
    }

    def get(self, request: Request) -> Response:
        """List the repositories of every project in which the caller may."""
        return _page(repositories.visible_to(self.principal), request)


class ProjectRepositories(Endpoint):
    """``/projects/{project_name}/repositories``."""

    permissions = {"GET": Anyone}
    operations = {"GET": Operation(gives=RepositoryOutput, is_list=True, name="listRepositories")}

    def get(self, request: Request, name_or_id: str) -> Response:
        """List a project's repositories."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "repository:list", project)
        return _page(Repository.objects.pushed().filter(project=project), request)


class OneRepository(Endpoint):
    """``/projects/{project_name}/repositories/{repository_name}``."""

    permissions = {"GET": Anyone, "PUT": SignedIn, "DELETE": SignedIn}
    operations = {
        "GET": Operation(gives=RepositoryOutput, name="getRepository"),
        "PUT": Operation(takes=RepositoryInput, name="updateRepository"),
        "DELETE": Operation(name="deleteRepository"),
    }
    noun = "repository"

    def get(self, request: Request, name_or_id: str, path: str) -> Response:
        """Show one repository."""
        repository = find(self, request, name_or_id, path, action="repository:read")
        return Response(output([repository])[0])

    def put(self, request: Request, name_or_id: str, path: str) -> Response:
        """Change the description."""
        repository = find(self, request, name_or_id, path, action="repository:update")
        serializer = RepositoryInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        repositories.describe(repository, **serializer.validated_data, actor=self.actor)
        return Response()

    def delete(self, request: Request, name_or_id: str, path: str) -> Response:
        """Put everything that is in it into the trash."""
        repository = find(self, request, name_or_id, path, action="repository:delete")
        trash.delete_repository(repository, actor=self.actor)
        return Response()


def find(
    endpoint: Endpoint, request: Request, name_or_id: str, path: str, *, action: str
) -> Repository:
    """Return a project's repository, if the caller may do that there.

    ``path`` may still be encoded once: clients write ``a%252Fb`` for ``a/b``.
    """
    project = projects.find(request, name_or_id, principal=endpoint.principal)
    access.require(endpoint.principal, action, project)
    return within(project, path)


def within(project: Project, path: str) -> Repository:
    """Return a project's repository. Raises ``NotFound``."""
    path = unquote(path)
    repository = None
    if "\0" not in path:
        repository = present().filter(project=project, path=path).first()
    if repository is None:
        raise NotFound("repository not found")
    return repository


def present() -> QuerySet[Repository]:
    """Those into which something was pushed."""
    return Repository.objects.pushed().select_related("project")


def output(rows: Sequence[Repository]) -> list[dict[str, Any]]:
    """Show repositories as the contract has them."""
    return listed(RepositoryOutput, rows, figures_of(rows))


def figures_of(rows: Sequence[Repository]) -> dict[str, Any]:
    """Return what is counted of these repositories, which are those of one page."""
    ids = [row.pk for row in rows]
    return {
        "counts": artifact_filters.count_top_level(ids),
        "pulls": statistics.of_repositories(ids),
    }


def _page(found: QuerySet[Repository], request: Request) -> Response:
    found = query.matching(found, request, {"description": "description"}, others=("name",))
    for name, value in query.conditions(request):
        if name == "name":
            found = (
                found.filter(repository_named(value[1:]))
                if value.startswith("~")
                else _exactly(found, value)
            )
    found = query.ordered(found.order_by("project__name", "path"), request, _SORTS)
    page = Page.of(request)
    rows = page.rows(found.select_related("project"))
    return Response(output(rows), headers=page.headers(request, page.total(found)))


def _exactly(found: QuerySet[Repository], name: str) -> QuerySet[Repository]:
    """By the full name, as the contract has it, or by the name within the project."""
    project, _slash, path = name.partition("/")
    return found.filter(Q(project__name=project, path=path) | Q(path=name))
