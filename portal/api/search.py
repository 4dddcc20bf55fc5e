"""One search over everything that the caller may see."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api import projects, query, repositories
from portal.api.base import Anyone
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import listed
from registry_sync import search
from registry_sync.models import Artifact, Repository, Tag
from registry_sync.statistics import NEVER_PULLED, Pulls

# Of each kind; who wants more searches for more.
LIMIT = 100


class SearchRepositoryOutput(serializers.Serializer[Repository]):
    """The contract's ``SearchRepository``."""

    project_id = serializers.IntegerField()
    project_name = serializers.CharField(source="project.name")
    project_public = serializers.BooleanField(source="project.is_public")
    repository_name = serializers.CharField(source="name")
    pull_count = serializers.SerializerMethodField()
    artifact_count = serializers.SerializerMethodField()

    def get_artifact_count(self, repository: Repository) -> int:
        """Return how many were pushed for their own sake."""
        counts: dict[int, int] = self.context["counts"]
        return counts.get(repository.pk, 0)

    def get_pull_count(self, repository: Repository) -> int:
        """Return how often something of it was pulled; scanners are not counted."""
        pulls: dict[int, Pulls] = self.context["pulls"]
        return pulls.get(repository.pk, NEVER_PULLED).count


class SearchTagOutput(serializers.Serializer[Tag]):
    """A tag whose name holds the text: ours."""

    repository_name = serializers.CharField(source="repository.name")
    tag = serializers.CharField(source="name")
    digest = serializers.CharField(source="artifact.digest")


class SearchArtifactOutput(serializers.Serializer[Artifact]):
    """An artifact whose digest begins with the text: ours."""

    repository_name = serializers.CharField(source="repository.name")
    digest = serializers.CharField()


class SearchOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``Search``, with tags and artifacts."""

    project = projects.ProjectOutput(many=True)
    repository = SearchRepositoryOutput(many=True)
    tag = SearchTagOutput(many=True)
    artifact = SearchArtifactOutput(many=True)


class Search(Endpoint):
    """``/search``."""

    permissions = {"GET": Anyone}
    operations = {"GET": Operation(gives=SearchOutput, query=("q",), name="search")}

    def get(self, request: Request) -> Response:
        """Search projects, repositories, tags and digests."""
        text = query.text(request, "q").strip()
        words = search.words_of(text)
        named = search.repositories(self.principal, words).select_related("project")
        found = list(named.order_by("path", "pk")[:LIMIT])
        figures = repositories.figures_of(found)
        projects_named = search.projects(self.principal, words).select_related("owner")
        tags = search.tags(self.principal, words)[:LIMIT] if words else []
        return Response(
            {
                "project": projects.output(projects_named[:LIMIT], self.principal),
                "repository": listed(SearchRepositoryOutput, found, figures),
                "tag": listed(SearchTagOutput, tags),
                "artifact": listed(
                    SearchArtifactOutput, search.artifacts(self.principal, text)[:LIMIT]
                ),
            }
        )
