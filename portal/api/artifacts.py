"""Artifacts: list, look at, copy, delete."""

import re
from urllib.parse import quote, unquote

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.errors import BadRequest, NotFound
from accounts.models import Project
from portal.api import artifact_filters, artifact_output, projects, query, repositories
from portal.api.artifact_output import OPTIONS, ArtifactOutput, Options
from portal.api.base import Anyone, SignedIn
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page
from registry_sync import copying, trash
from registry_sync.models import Artifact, Repository, Tag
from registry_sync.tag_names import is_tag

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# ``project/repository:tag`` or ``project/repository@digest``.
_SOURCE = re.compile(r"([^/@:]+)/([^@:]+)(?:@([^@]+)|:([^@:]+))")


class ProjectArtifacts(Endpoint):
    """``/projects/{project_name_or_id}/artifacts``."""

    permissions = {"GET": Anyone}
    operations = {
        "GET": Operation(
            gives=ArtifactOutput,
            is_list=True,
            name="listArtifactsOfProject",
            query=(*OPTIONS, "latest_in_repository"),
        )
    }

    def get(self, request: Request, name_or_id: str) -> Response:
        """List the artifacts of a whole project."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "artifact:list", project)
        found = Artifact.objects.live().filter(repository__project=project)
        return _page(request, found)


class Artifacts(Endpoint):
    """``/projects/{project_name}/repositories/{repository_name}/artifacts``."""

    permissions = {"GET": Anyone, "POST": SignedIn}
    operations = {
        "GET": Operation(gives=ArtifactOutput, is_list=True, name="listArtifacts", query=OPTIONS),
        "POST": Operation(status=201, name="CopyArtifact", query=("from",)),
    }
    noun = "artifact"

    def get(self, request: Request, name_or_id: str, path: str) -> Response:
        """List what was pushed itself: neither an index's manifests nor signatures."""
        repository = repositories.find(self, request, name_or_id, path, action="artifact:list")
        live = Artifact.objects.live().filter(repository=repository)
        return _page(request, live, repository)

    def post(self, request: Request, name_or_id: str, path: str) -> Response:
        """Copy an artifact from another repository, with its platforms and its signatures.

        By a tag it gets that tag here, by a digest all the tags that it has there.
        """
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "artifact:create", project)
        source, tags = self._source(request)
        path = unquote(path)
        copied = copying.copy(source, project=project, path=path, tags=tags, actor=self.actor)
        place = f"{API_ROOT}/projects/{project.name}/repositories/{quote(quote(path, safe=''))}"
        return Response(status=201, headers={"Location": f"{place}/artifacts/{copied.digest}"})

    def _source(self, request: Request) -> tuple[Artifact, list[str]]:
        named = _SOURCE.fullmatch(query.text(request, "from"))
        if named is None:
            raise BadRequest("from must be project/repository:tag or …@digest.", field="from")
        name, path, digest, tag = named.groups()
        project = Project.objects.visible_to(self.principal).filter(name=name).first()
        if project is None:
            raise NotFound("project not found")
        access.require(self.principal, "repository:pull", project)
        repository = repositories.within(project, path)
        source = find(repository, digest or tag)
        return source, [tag] if tag else copying.tags_of(source)


class OneArtifact(Endpoint):
    """``/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}``."""

    permissions = {"GET": Anyone, "DELETE": SignedIn}
    operations = {
        "GET": Operation(gives=ArtifactOutput, name="getArtifact", query=OPTIONS),
        "DELETE": Operation(name="deleteArtifact"),
    }
    noun = "artifact"

    def get(self, request: Request, name_or_id: str, path: str, reference: str) -> Response:
        """Show the artifact of a tag or digest."""
        repository = repositories.find(self, request, name_or_id, path, action="artifact:read")
        options = Options.of(request)
        artifact = find(repository, reference, options)
        return Response(artifact_output.output([artifact], options)[0])

    def delete(self, request: Request, name_or_id: str, path: str, reference: str) -> Response:
        """Put the artifact with its tags and its accessories into the trash."""
        repository = repositories.find(self, request, name_or_id, path, action="artifact:delete")
        trash.delete_artifact(repository, find(repository, reference).digest, actor=self.actor)
        return Response()


def find(repository: Repository, reference: str, options: Options | None = None) -> Artifact:
    """Return the repository's artifact of that tag or digest. Raises ``NotFound``.

    With ``options`` everything is fetched that its output shows.
    """
    live: QuerySet[Artifact] = Artifact.objects.live().filter(repository=repository)
    live = live.select_related("repository__project", "body")
    if options is not None:
        live = artifact_output.detailed(live, options)
    artifact = None
    if _DIGEST.fullmatch(reference):
        artifact = live.filter(body_id=reference).first()
    elif is_tag(reference):
        tags = Tag.objects.filter(repository=repository, name=reference)
        artifact = live.filter(pk__in=tags.values("artifact")).first()
    if artifact is None:
        raise NotFound("artifact not found")
    return artifact


def _page(
    request: Request, live: QuerySet[Artifact], repository: Repository | None = None
) -> Response:
    options, page = Options.of(request), Page.of(request)
    found = artifact_filters.filtered(artifact_filters.top_level(live), request)
    found = artifact_filters.latest_in_repository(found, request)
    # Chosen by number first: what is shown of each is looked up for this page's alone.
    chosen = Artifact.objects.filter(pk__in=page.of_keys(found))
    rows = list(artifact_output.detailed(artifact_filters.ordered(chosen, request), options))
    if repository is None or query.conditions(request):
        total = page.total(found)
    else:
        total = artifact_filters.count_top_level([repository.pk]).get(repository.pk, 0)
    return Response(artifact_output.output(rows, options), headers=page.headers(request, total))
