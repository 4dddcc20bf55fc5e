"""Artifacts and their tags: list and look at."""

import re
from datetime import UTC
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import BadRequest, NotFound
from portal.api import query, repositories
from portal.api.base import Anyone
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page
from registry_sync.models import Artifact, ArtifactReference, Repository, Tag

_SORTS = {"push_time": "pushed_at", "size": "size", "id": "pk"}
_TAG_SORTS = {"name": "name", "push_time": "pushed_at", "id": "pk"}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TYPES = {Artifact.Kind.IMAGE: "IMAGE", Artifact.Kind.INDEX: "IMAGE"}
# The contract has a time where there is none; this one is Go's for never.
_NEVER = "0001-01-01T00:00:00.000Z"


class TagOutput(serializers.Serializer[Tag]):
    """The contract's ``Tag``."""

    id = serializers.IntegerField(source="pk")
    repository_id = serializers.IntegerField()
    artifact_id = serializers.IntegerField()
    name = serializers.CharField()
    push_time = serializers.DateTimeField(source="pushed_at", default_timezone=UTC)
    pull_time = serializers.SerializerMethodField()
    immutable = serializers.SerializerMethodField()

    def get_pull_time(self, tag: Tag) -> str:
        """Return what the contract asks for; pulls are not counted yet."""
        return _NEVER

    def get_immutable(self, tag: Tag) -> bool:
        """Return what the contract asks for; no tag is immutable yet."""
        return False


class ArtifactOutput(serializers.Serializer[Artifact]):
    """The contract's ``Artifact``."""

    id = serializers.IntegerField(source="pk")
    type = serializers.SerializerMethodField()
    media_type = serializers.SerializerMethodField()
    manifest_media_type = serializers.CharField(source="media_type")
    artifact_type = serializers.CharField()
    project_id = serializers.IntegerField(source="repository.project_id")
    repository_id = serializers.IntegerField()
    repository_name = serializers.CharField(source="repository.name")
    digest = serializers.CharField()
    size = serializers.IntegerField()
    push_time = serializers.DateTimeField(source="pushed_at", default_timezone=UTC)
    pull_time = serializers.SerializerMethodField()
    extra_attrs = serializers.SerializerMethodField()
    annotations = serializers.DictField()
    references = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField()

    def get_type(self, artifact: Artifact) -> str:
        """Return Harbor's word for the kind."""
        return _TYPES.get(Artifact.Kind(artifact.kind), "UNKNOWN")

    def get_media_type(self, artifact: Artifact) -> str:
        """Return the configuration's media type; of an index its own."""
        return artifact.artifact_type or artifact.media_type

    def get_pull_time(self, artifact: Artifact) -> str:
        """Return what the contract asks for; pulls are not counted yet."""
        return _NEVER

    def get_extra_attrs(self, artifact: Artifact) -> dict[str, Any]:
        """Return what the configuration says of the image."""
        attributes = {
            "architecture": artifact.architecture,
            "os": artifact.os,
            "variant": artifact.variant,
            "author": artifact.author,
            "created": artifact.built_at.isoformat() if artifact.built_at else "",
        }
        found: dict[str, Any] = {name: value for name, value in attributes.items() if value}
        config = artifact.config.get("config")
        return found | ({"config": config} if config else {})

    def get_references(self, artifact: Artifact) -> list[dict[str, Any]]:
        """Return an index's manifests."""
        return [_reference(entry) for entry in artifact.references.all()]

    def get_tags(self, artifact: Artifact) -> list[dict[str, Any]]:
        """Return the tags that point to it."""
        if not self.context.get("with_tag", True):
            return []
        return [dict(TagOutput(tag).data) for tag in artifact.tags.all()]


class Artifacts(Endpoint):
    """``/projects/{project_name}/repositories/{repository_name}/artifacts``."""

    permissions = {"GET": Anyone}
    operations = {
        "GET": Operation(
            gives=ArtifactOutput, is_list=True, name="listArtifacts", query=("with_tag",)
        )
    }

    def get(self, request: Request, name_or_id: str, path: str) -> Response:
        """List what was pushed itself: neither an index's manifests nor signatures."""
        repository = repositories.find(self, request, name_or_id, path, action="artifact:list")
        found = _filtered(_top_level(repository), request)
        page = Page.of(request)
        with_tag = query.boolean(request.query_params.get("with_tag"), "with_tag")
        context = {"with_tag": with_tag is not False}
        rows = page.rows(_detailed(query.ordered(found, request, _SORTS)))
        return Response(
            [ArtifactOutput(artifact, context=context).data for artifact in rows],
            headers=page.headers(request, found.count()),
        )


class OneArtifact(Endpoint):
    """``/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}``."""

    permissions = {"GET": Anyone}
    operations = {"GET": Operation(gives=ArtifactOutput, name="getArtifact")}
    noun = "artifact"

    def get(self, request: Request, name_or_id: str, path: str, reference: str) -> Response:
        """Show the artifact of a tag or digest."""
        repository = repositories.find(self, request, name_or_id, path, action="artifact:read")
        return Response(ArtifactOutput(find(repository, reference)).data)


class ArtifactTags(Endpoint):
    """``…/artifacts/{reference}/tags``."""

    permissions = {"GET": Anyone}
    operations = {"GET": Operation(gives=TagOutput, is_list=True, name="listTags")}
    noun = "tag"

    def get(self, request: Request, name_or_id: str, path: str, reference: str) -> Response:
        """List the tags that point to the artifact."""
        repository = repositories.find(self, request, name_or_id, path, action="tag:list")
        found = Tag.objects.filter(artifact=find(repository, reference))
        found = query.matching(found, request, {"name": "name"})
        found = query.ordered(found, request, _TAG_SORTS)
        page = Page.of(request)
        return Response(
            [TagOutput(tag).data for tag in page.rows(found)],
            headers=page.headers(request, found.count()),
        )


def find(repository: Repository, reference: str) -> Artifact:
    """Return the repository's artifact of that tag or digest. Raises ``NotFound``."""
    live = _detailed(Artifact.objects.live().filter(repository=repository))
    artifact = None
    if _DIGEST.fullmatch(reference):
        artifact = live.filter(body_id=reference).first()
    elif "\0" not in reference and ":" not in reference:
        tags = Tag.objects.filter(repository=repository, name=reference)
        artifact = live.filter(pk__in=tags.values("artifact")).first()
    if artifact is None:
        raise NotFound("artifact not found")
    return artifact


def _top_level(repository: Repository) -> QuerySet[Artifact]:
    """Leave out what is there for another's sake, unless somebody gave it a tag."""
    parents = ArtifactReference.objects.filter(child=OuterRef("pk"), parent__trash_entry=None)
    tags = Tag.objects.filter(artifact=OuterRef("pk"))
    own = Q(subject_digest="") & ~Exists(parents)
    return Artifact.objects.live().filter(own | Exists(tags), repository=repository)


def _filtered(found: QuerySet[Artifact], request: Request) -> QuerySet[Artifact]:
    found = query.matching(
        found, request, {"digest": "body__digest", "media_type": "media_type"}, others=("tags",)
    )
    for name, value in query.conditions(request):
        if name == "tags":
            found = _tagged(found, value)
    return found


def _tagged(found: QuerySet[Artifact], value: str) -> QuerySet[Artifact]:
    """Read ``tags=*`` (any), ``tags=nil`` (none), ``tags=name`` and ``tags=~part``."""
    tags = Tag.objects.filter(artifact=OuterRef("pk"))
    if value == "nil":
        return found.filter(~Exists(tags))
    if value[:1] in {"{", "(", "["}:
        raise BadRequest("q reads tags=name, tags=~part, tags=* and tags=nil.", field="q")
    if value.startswith("~"):
        tags = tags.filter(name__icontains=value[1:])
    elif value != "*":
        tags = tags.filter(name=value)
    return found.filter(Exists(tags))


def _detailed(found: QuerySet[Artifact]) -> QuerySet[Artifact]:
    """Fetch with it what the output shows."""
    references = ArtifactReference.objects.select_related("child").defer("child__config")
    return found.select_related("repository__project").prefetch_related(
        "tags", Prefetch("references", references)
    )


def _reference(entry: ArtifactReference) -> dict[str, Any]:
    platform = {"architecture": entry.architecture, "os": entry.os, "variant": entry.variant}
    return {
        "parent_id": entry.parent_id,
        "child_id": entry.child_id,
        "child_digest": entry.child.digest,
        "platform": platform,
        "annotations": entry.annotations,
        "urls": [],
    }
