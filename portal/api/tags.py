"""The tags of an artifact: list, add, remove."""

from typing import Any
from urllib.parse import quote

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import NotFound
from portal.api import artifacts, query, repositories
from portal.api.artifact_output import Surroundings, TagOutput, immutability_of
from portal.api.base import Anyone, SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed
from registry_sync import copying, statistics, trash
from registry_sync.models import Tag

_SORTS = {"name": "name", "push_time": "pushed_at", "id": "pk"}


class TagInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``Tag``, of which the name is chosen."""

    name = serializers.CharField(max_length=128, trim_whitespace=False)


class ArtifactTags(Endpoint):
    """``…/artifacts/{reference}/tags``."""

    permissions = {"GET": Anyone, "POST": SignedIn}
    operations = {
        "GET": Operation(
            gives=TagOutput, is_list=True, name="listTags", query=("with_immutable_status",)
        ),
        "POST": Operation(takes=TagInput, status=201, name="createTag"),
    }
    noun = "tag"

    def get(self, request: Request, name_or_id: str, path: str, reference: str) -> Response:
        """List the tags that point to the artifact."""
        repository = repositories.find(self, request, name_or_id, path, action="tag:list")
        tags = Tag.objects.annotate(pulled_at=statistics.pulled_at("name"))
        found = tags.filter(artifact=artifacts.find(repository, reference))
        found = query.matching(found, request, {"name": "name"})
        found = query.ordered(found, request, _SORTS)
        page = Page.of(request)
        parameter = "with_immutable_status"
        around = Surroundings()
        if query.boolean(request.query_params.get(parameter), parameter):
            around = Surroundings(is_immutable=immutability_of([repository]))
        context = {"around": around}
        return Response(
            listed(TagOutput, page.rows(found), context),
            headers=page.headers(request, page.total(found)),
        )

    def post(self, request: Request, name_or_id: str, path: str, reference: str) -> Response:
        """Give the artifact another tag, which must be new in the repository."""
        repository = repositories.find(self, request, name_or_id, path, action="tag:create")
        artifact = artifacts.find(repository, reference)
        serializer = TagInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        tag = copying.add_tag(artifact, serializer.validated_data["name"], actor=self.actor)
        place = f"{request.path.rstrip('/')}/{quote(tag.name)}"
        return Response(status=201, headers={"Location": quote(place, safe="/:%")})


class OneArtifactTag(Endpoint):
    """``…/artifacts/{reference}/tags/{tag_name}``."""

    permissions = {"DELETE": SignedIn}
    operations = {"DELETE": Operation(name="deleteTag")}
    noun = "tag"

    def delete(
        self, request: Request, name_or_id: str, path: str, reference: str, tag: str
    ) -> Response:
        """Put one tag of the artifact into the trash; the artifact stays."""
        repository = repositories.find(self, request, name_or_id, path, action="tag:delete")
        artifact = artifacts.find(repository, reference)
        if not Tag.objects.filter(artifact=artifact, name=tag.replace("\0", "")).exists():
            raise NotFound("tag not found")
        trash.delete_tag(repository, tag, actor=self.actor)
        return Response()
