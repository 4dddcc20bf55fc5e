"""Policies of replication: list, make, look at, change, delete."""

from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import BadRequest, NotFound
from portal.api import query, registries
from portal.api.base import MaySystem
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page
from portal.api.registries import RegistryOutput
from registry_sync.models import ReplicationPolicy
from registry_sync.replication import policies
from registry_sync.replication.policies import Terms

_SORTS = {
    "id": "pk",
    "name": "name",
    "creation_time": "created_at",
    "update_time": "updated_at",
}
# This registry, as the contract numbers it.
_OURS = {"id": 0, "name": "Local", "type": "harbor"}


class ListPolicies(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "replication-policy:list"


class ReadPolicies(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "replication-policy:read"


class CreatePolicies(MaySystem):
    """Administrators, and robots that were given it."""

    action = "replication-policy:create"


class UpdatePolicies(MaySystem):
    """Administrators, and robots that were given it."""

    action = "replication-policy:update"


class DeletePolicies(MaySystem):
    """Administrators, and robots that were given it."""

    action = "replication-policy:delete"


class RegistryReference(serializers.Serializer[dict[str, Any]]):
    """A registry by its number; 0 is this one."""

    id = serializers.IntegerField(required=False, allow_null=True, min_value=0)


class FilterInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ReplicationFilter``: a text, of labels a list of names."""

    type = serializers.CharField()
    value = serializers.JSONField()
    decoration = serializers.CharField(required=False, allow_blank=True, allow_null=True)


class TriggerSettingsInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ReplicationTriggerSettings``."""

    cron = serializers.CharField(required=False, allow_blank=True, allow_null=True)


class TriggerInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ReplicationTrigger``."""

    type = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    trigger_settings = TriggerSettingsInput(required=False, allow_null=True)


class PolicyInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ReplicationPolicy``."""

    name = serializers.CharField(max_length=128)
    description = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    src_registry = RegistryReference(required=False, allow_null=True)
    dest_registry = RegistryReference(required=False, allow_null=True)
    dest_namespace = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    dest_namespace_replace_count = serializers.IntegerField(
        required=False, allow_null=True, min_value=-1, max_value=127
    )
    trigger = TriggerInput(required=False, allow_null=True)
    filters = FilterInput(many=True, required=False, allow_null=True)
    deletion = serializers.BooleanField(required=False, allow_null=True)
    replicate_deletion = serializers.BooleanField(required=False, allow_null=True)
    override = serializers.BooleanField(required=False, allow_null=True)
    enabled = serializers.BooleanField(required=False, allow_null=True)
    speed = serializers.IntegerField(
        required=False, allow_null=True, min_value=-1, max_value=2**31 - 1
    )
    copy_by_chunk = serializers.BooleanField(required=False, allow_null=True)
    single_active_replication = serializers.BooleanField(required=False, allow_null=True)


class PolicyOutput(serializers.Serializer[ReplicationPolicy]):
    """The contract's ``ReplicationPolicy``."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    description = serializers.CharField()
    src_registry = serializers.SerializerMethodField()
    dest_registry = serializers.SerializerMethodField()
    dest_namespace = serializers.CharField(source="namespace")
    dest_namespace_replace_count = serializers.IntegerField(source="replaced_components")
    trigger = serializers.SerializerMethodField()
    filters = serializers.JSONField()
    deletion = serializers.BooleanField(source="is_deleting")
    replicate_deletion = serializers.BooleanField(source="is_deleting")
    override = serializers.BooleanField(source="is_overriding")
    enabled = serializers.BooleanField(source="is_enabled")
    speed = serializers.IntegerField(source="speed_limit")
    copy_by_chunk = serializers.BooleanField(source="is_chunked")
    single_active_replication = serializers.SerializerMethodField()
    creation_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    update_time = serializers.DateTimeField(source="updated_at", default_timezone=UTC)

    def get_src_registry(self, policy: ReplicationPolicy) -> dict[str, Any]:
        """Return the registry that is copied from."""
        return dict(RegistryOutput(policy.remote).data) if policy.is_pull else dict(_OURS)

    def get_dest_registry(self, policy: ReplicationPolicy) -> dict[str, Any]:
        """Return the registry that is copied to."""
        return dict(_OURS) if policy.is_pull else dict(RegistryOutput(policy.remote).data)

    def get_trigger(self, policy: ReplicationPolicy) -> dict[str, Any]:
        """Return when it runs."""
        return {"type": policy.trigger, "trigger_settings": {"cron": policy.cron}}

    def get_single_active_replication(self, policy: ReplicationPolicy) -> bool:
        """Return what holds of every policy: one run at a time."""
        return True


class Policies(Endpoint):
    """``/replication/policies``."""

    permissions = {"GET": ListPolicies, "POST": CreatePolicies}
    operations = {
        "GET": Operation(
            gives=PolicyOutput, is_list=True, name="listReplicationPolicies", query=("name",)
        ),
        "POST": Operation(takes=PolicyInput, status=201, name="createReplicationPolicy"),
    }
    noun = "replication_policy"

    def get(self, request: Request) -> Response:
        """List what is copied where."""
        found = _detailed()
        if name := query.text(request, "name"):
            found = found.filter(name__icontains=name)
        found = query.matching(found, request, {"name": "name", "trigger": "trigger"})
        found = query.ordered(found, request, _SORTS)
        page = Page.of(request)
        return Response(
            [PolicyOutput(policy).data for policy in page.rows(found)],
            headers=page.headers(request, found.count()),
        )

    def post(self, request: Request) -> Response:
        """Make a policy that copies to another registry, or from it."""
        policy = policies.create(_terms(request), actor=self.actor)
        place = f"{API_ROOT}/replication/policies/{policy.pk}"
        return Response(status=201, headers={"Location": place})


class OnePolicy(Endpoint):
    """``/replication/policies/{id}``."""

    permissions = {"GET": ReadPolicies, "PUT": UpdatePolicies, "DELETE": DeletePolicies}
    operations = {
        "GET": Operation(gives=PolicyOutput, name="getReplicationPolicy"),
        "PUT": Operation(takes=PolicyInput, name="updateReplicationPolicy"),
        "DELETE": Operation(name="deleteReplicationPolicy"),
    }
    noun = "replication_policy"

    def get(self, request: Request, policy_id: int) -> Response:
        """Show one policy."""
        return Response(PolicyOutput(find(policy_id)).data)

    def put(self, request: Request, policy_id: int) -> Response:
        """Change a policy, all of it."""
        policies.update(find(policy_id), _terms(request), actor=self.actor)
        return Response()

    def delete(self, request: Request, policy_id: int) -> Response:
        """Delete a policy that does not run; what it copied stays."""
        policies.remove(find(policy_id), actor=self.actor)
        return Response()


def find(policy_id: int) -> ReplicationPolicy:
    """Return the policy. Raises ``NotFound``."""
    policy = _detailed().filter(pk=query.row_id(policy_id)).first()
    if policy is None:
        raise NotFound("policy not found")
    return policy


def _detailed() -> QuerySet[ReplicationPolicy]:
    return ReplicationPolicy.objects.select_related("remote")


def _terms(request: Request) -> Terms:
    """Read a whole policy. Raises ``BadRequest`` for what cannot be."""
    serializer = PolicyInput(data=request.data)
    serializer.is_valid(raise_exception=True)
    given = {name: value for name, value in serializer.validated_data.items() if value is not None}
    source = (given.get("src_registry") or {}).get("id") or 0
    destination = (given.get("dest_registry") or {}).get("id") or 0
    if bool(source) == bool(destination):
        message = "One of src_registry and dest_registry names the other registry, not both."
        raise BadRequest(message, field="dest_registry")
    trigger = given.get("trigger") or {}
    kind = trigger.get("type") or ReplicationPolicy.Trigger.MANUAL
    return Terms(
        name=given["name"],
        remote=registries.find(source or destination),
        is_pull=bool(source),
        description=given.get("description", ""),
        filters=tuple(dict(entry) for entry in given.get("filters", ())),
        namespace=given.get("dest_namespace", ""),
        replaced_components=given.get("dest_namespace_replace_count", -1),
        trigger=kind,
        cron=(trigger.get("trigger_settings") or {}).get("cron") or "",
        is_enabled=given.get("enabled", True),
        is_overriding=given.get("override", True),
        # ``deletion`` is the older name.
        is_deleting=given.get("replicate_deletion", given.get("deletion", False)),
        is_chunked=given.get("copy_by_chunk", False),
        # Clients write -1 for no limit.
        speed_limit=max(0, given.get("speed", 0)),
    )
