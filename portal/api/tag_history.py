"""The states of a repository's tags, and going back to one."""

from datetime import UTC
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.errors import NotFound
from portal.api import query, repositories
from portal.api.base import Anyone, SignedIn
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page
from registry_sync import tag_history
from registry_sync.models import Repository, TagEvent
from registry_sync.tag_history import Whereabouts

_FIELDS = {
    "tag": "tag",
    "action": "action",
    "actor": "actor_name",
    "digest": "to_digest",
    "from_digest": "from_digest",
}
_TIMES = {"from": "at", "until": "until"}
_SORTS = {"id": "pk"}


class StateOutput(serializers.Serializer[TagEvent]):
    """Where a tag pointed, from when until when; an empty digest is its absence."""

    id = serializers.IntegerField(source="pk")
    tag = serializers.CharField()
    action = serializers.CharField()
    from_digest = serializers.CharField()
    digest = serializers.CharField(source="to_digest")
    artifact = serializers.SerializerMethodField()
    until = serializers.DateTimeField(default_timezone=UTC, allow_null=True)
    is_current = serializers.SerializerMethodField()
    actor = serializers.CharField(source="actor_name")
    actor_kind = serializers.CharField()
    address = serializers.SerializerMethodField()
    client = serializers.SerializerMethodField()
    execution_id = serializers.IntegerField(allow_null=True)

    def get_artifact(self, state: TagEvent) -> str:
        """Return where the image is: ``live``, ``trashed``, ``gone``; empty where there is none."""
        found: dict[str, Whereabouts] = self.context["whereabouts"]
        return str(found.get(state.to_digest, ""))

    def get_is_current(self, state: TagEvent) -> bool:
        """Return whether it holds now."""
        return tag_history.end_of(state) is None

    def get_address(self, state: TagEvent) -> str:
        """Return from where it was done, for those who may read the project's log."""
        return state.address if self.context["may_read_log"] else ""

    def get_client(self, state: TagEvent) -> str:
        """Return by which program it was done, for those who may read the project's log."""
        return state.client if self.context["may_read_log"] else ""

    def get_fields(self) -> dict[str, Any]:
        """Add ``from``, which Python keeps to itself."""
        fields = super().get_fields()
        fields["from"] = serializers.DateTimeField(source="at", default_timezone=UTC)
        return fields


class TagHistory(Endpoint):
    """``/projects/{project_name}/repositories/{repository_name}/tag-history``."""

    permissions = {"GET": Anyone}
    operations = {"GET": Operation(gives=StateOutput, is_list=True)}

    def get(self, request: Request, name_or_id: str, path: str) -> Response:
        """List the states of a repository's tags, the newest first; q=tag=latest for one."""
        repository = repositories.find(self, request, name_or_id, path, action="tag:list")
        found = tag_history.states(repository)
        found = query.matching(found, request, _FIELDS, times=_TIMES)
        found = query.ordered(found, request, _SORTS)
        page = Page.of(request)
        rows = page.rows(found)
        context = {
            "whereabouts": _whereabouts(repository, rows),
            "may_read_log": bool(access.can(self.principal, "log:list", repository.project)),
        }
        return Response(
            [StateOutput(row, context=context).data for row in rows],
            headers=page.headers(request, found.count()),
        )


class TagHistoryRestore(Endpoint):
    """``…/repositories/{repository_name}/tag-history/{state_id}/restore``."""

    permissions = {"POST": SignedIn}
    operations = {"POST": Operation()}
    noun = "tag"

    def post(self, request: Request, name_or_id: str, path: str, state_id: int) -> Response:
        """Let the tag point again to where it pointed then; 409 says why it cannot.

        Out of the trash an image comes back with the tags that nothing else has taken: that needs
        the right to delete images.
        """
        repository = repositories.find(self, request, name_or_id, path, action="tag:create")
        found = TagEvent.objects.filter(repository=repository, pk=query.row_id(state_id))
        state = found.first()
        if state is None:
            raise NotFound("there is no such state")
        if _whereabouts(repository, [state]).get(state.to_digest) == Whereabouts.TRASHED:
            access.require(self.principal, "artifact:delete", repository.project)
        tag = tag_history.go_back(repository, state.pk, actor=self.actor)
        place = f"{API_ROOT}/projects/{repository.project.name}/repositories/"
        encoded = repository.path.replace("/", "%252F")
        return Response(headers={"Location": f"{place}{encoded}/artifacts/{tag.name}"})


def _whereabouts(repository: Repository, states: list[TagEvent]) -> dict[str, Whereabouts]:
    digests = {state.to_digest for state in states if state.to_digest}
    return tag_history.whereabouts(repository, digests)
