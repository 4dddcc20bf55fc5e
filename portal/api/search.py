"""One search over everything that the caller may see."""

import re
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.models import Project
from portal.api import projects, query, repositories
from portal.api.base import Anyone
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import listed
from registry_sync.models import Artifact, Repository, Tag
from registry_sync.statistics import NEVER_PULLED, Pulls

# Of each kind; who wants more searches for more.
LIMIT = 100
_DIGEST = re.compile(r"(?:sha256:)?[0-9a-f]{6,64}")


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
        visible = Project.objects.visible_to(self.principal)
        listable = access.projects_where(self.principal, "repository:list")
        named = repositories.present().filter(project__in=listable).order_by("path", "pk")
        found = list(repositories.named(named, text)[:LIMIT])
        figures = repositories.figures_of(found)
        return Response(
            {
                "project": projects.output(
                    visible.filter(name__icontains=text).select_related("owner")[:LIMIT],
                    self.principal,
                ),
                "repository": listed(SearchRepositoryOutput, found, figures),
                "tag": _tags(text, self),
                "artifact": _artifacts(text, self),
            }
        )


def _tags(text: str, endpoint: Endpoint) -> list[Any]:
    if not text:
        return []
    allowed = access.projects_where(endpoint.principal, "tag:list")
    found = (
        Tag.objects.filter(repository__project__in=allowed, name__icontains=text)
        .exclude(artifact=None)
        .select_related("repository__project", "artifact")
        .order_by("name", "pk")
    )
    return listed(SearchTagOutput, found[:LIMIT])


def _artifacts(text: str, endpoint: Endpoint) -> list[Any]:
    if not _DIGEST.fullmatch(text):
        return []
    digest = text if text.startswith("sha256:") else f"sha256:{text}"
    allowed = access.projects_where(endpoint.principal, "artifact:list")
    found = (
        Artifact.objects.live()
        # A range, which an index answers; no hexadecimal digit comes after g.
        .filter(repository__project__in=allowed, body_id__gte=digest, body_id__lt=f"{digest}g")
        .select_related("repository__project")
        .defer("config")
        .order_by("pk")
    )
    return listed(SearchArtifactOutput, found[:LIMIT])
