"""Other registries: list, add, ask, change, delete; and which kinds there are."""

from dataclasses import replace
from datetime import UTC
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import BadRequest, NotFound
from portal.api import query
from portal.api.base import MaySystem
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page
from registry_sync import remote_registries
from registry_sync.adapters import ADAPTERS, Adapter
from registry_sync.models import RemoteRegistry
from registry_sync.remote_registries import Address
from registry_sync.replication import filters

# What stands for a password that is not told; sent back, it changes nothing.
MASK = "*****"
_SORTS = {
    "id": "pk",
    "name": "name",
    "url": "url",
    "creation_time": "created_at",
    "update_time": "updated_at",
}
_STATUSES = {RemoteRegistry.Status.HEALTHY: "healthy", RemoteRegistry.Status.UNHEALTHY: "unhealthy"}


class ListRegistries(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "registry:list"


class ReadRegistries(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "registry:read"


class CreateRegistries(MaySystem):
    """Administrators, and robots that were given it."""

    action = "registry:create"


class UpdateRegistries(MaySystem):
    """Administrators, and robots that were given it."""

    action = "registry:update"


class DeleteRegistries(MaySystem):
    """Administrators, and robots that were given it."""

    action = "registry:delete"


class ListAdapters(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "replication-adapter:list"


class CredentialInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RegistryCredential``."""

    type = serializers.ChoiceField(
        choices=["basic", "secret", "oauth", ""], required=False, allow_null=True
    )
    access_key = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    access_secret = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, trim_whitespace=False
    )


class RegistryInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``Registry``, as far as a caller chooses it."""

    name = serializers.CharField(max_length=128)
    url = serializers.CharField(max_length=512)
    type = serializers.ChoiceField(choices=sorted(ADAPTERS), default="docker-registry")
    description = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    credential = CredentialInput(required=False, allow_null=True)
    insecure = serializers.BooleanField(required=False, default=False)
    ca_certificate = serializers.CharField(required=False, allow_blank=True, allow_null=True)


class RegistryChangeInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RegistryUpdate``: what is missing stays."""

    name = serializers.CharField(max_length=128, required=False, allow_null=True)
    url = serializers.CharField(max_length=512, required=False, allow_null=True)
    description = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    credential_type = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    access_key = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    access_secret = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, trim_whitespace=False
    )
    insecure = serializers.BooleanField(required=False, allow_null=True)
    ca_certificate = serializers.CharField(required=False, allow_blank=True, allow_null=True)


class RegistryPingInput(RegistryChangeInput):
    """The contract's ``RegistryPing``: a stored registry by its number, or all of an address."""

    id = serializers.IntegerField(required=False, allow_null=True, min_value=0)
    type = serializers.ChoiceField(choices=sorted(ADAPTERS), required=False, allow_null=True)


class RegistryOutput(serializers.Serializer[RemoteRegistry]):
    """The contract's ``Registry``; its password is told to nobody."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    description = serializers.CharField()
    type = serializers.CharField(source="kind")
    url = serializers.CharField()
    insecure = serializers.BooleanField(source="is_insecure")
    ca_certificate = serializers.CharField()
    credential = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField()
    creation_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    update_time = serializers.DateTimeField(source="updated_at", default_timezone=UTC)

    def get_credential(self, remote: RemoteRegistry) -> dict[str, str]:
        """Return the name, and a mask where there is a password."""
        secret = MASK if remote.sealed_password else ""
        return {"type": "basic", "access_key": remote.username, "access_secret": secret}

    def get_status(self, remote: RemoteRegistry) -> str:
        """Return the contract's word; nothing before it was asked."""
        return _STATUSES.get(RemoteRegistry.Status(remote.status), "")


class FilterStyleOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``FilterStyle``."""

    type = serializers.CharField()
    # A field of that name hides an attribute that serializers have for forms.
    style = serializers.CharField()  # type: ignore[assignment]
    values = serializers.ListField(child=serializers.CharField())


class RegistryInfoOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RegistryInfo``."""

    type = serializers.CharField()
    description = serializers.CharField()
    supported_resource_filters = FilterStyleOutput(many=True)
    supported_triggers = serializers.ListField(child=serializers.CharField())
    supported_copy_by_chunk = serializers.BooleanField()


class Registries(Endpoint):
    """``/registries``."""

    permissions = {"GET": ListRegistries, "POST": CreateRegistries}
    operations = {
        "GET": Operation(
            gives=RegistryOutput, is_list=True, name="listRegistries", query=("name",)
        ),
        "POST": Operation(takes=RegistryInput, status=201, name="createRegistry"),
    }
    noun = "registry"

    def get(self, request: Request) -> Response:
        """List the registries that images can be copied to."""
        found = RemoteRegistry.objects.all()
        if name := query.text(request, "name"):
            found = found.filter(name__icontains=name)
        rows = query.matching(found, request, {"name": "name", "type": "kind", "url": "url"})
        rows = query.ordered(rows, request, _SORTS)
        page = Page.of(request)
        return Response(
            [RegistryOutput(remote).data for remote in page.rows(rows)],
            headers=page.headers(request, rows.count()),
        )

    def post(self, request: Request) -> Response:
        """Add a registry; ``/registries/ping`` tells whether it answers."""
        serializer = RegistryInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        credential = wanted.get("credential") or {}
        remote = remote_registries.create(
            name=wanted["name"],
            description=wanted.get("description") or "",
            address=Address(
                url=wanted["url"],
                kind=wanted["type"],
                username=credential.get("access_key") or "",
                password=credential.get("access_secret") or "",
                is_insecure=wanted["insecure"],
                ca_certificate=wanted.get("ca_certificate") or "",
            ),
            actor=self.actor,
        )
        return Response(status=201, headers={"Location": f"{API_ROOT}/registries/{remote.pk}"})


class OneRegistry(Endpoint):
    """``/registries/{id}``."""

    permissions = {"GET": ReadRegistries, "PUT": UpdateRegistries, "DELETE": DeleteRegistries}
    operations = {
        "GET": Operation(gives=RegistryOutput, name="getRegistry"),
        "PUT": Operation(takes=RegistryChangeInput, name="updateRegistry"),
        "DELETE": Operation(name="deleteRegistry"),
    }
    noun = "registry"

    def get(self, request: Request, registry_id: int) -> Response:
        """Show one registry."""
        return Response(RegistryOutput(find(registry_id)).data)

    def put(self, request: Request, registry_id: int) -> Response:
        """Change a registry; a host that is another one needs its password anew."""
        remote = find(registry_id)
        serializer = RegistryChangeInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        given = {name: value for name, value in wanted.items() if value is not None}
        remote_registries.update(
            remote,
            name=given.get("name", remote.name),
            description=given.get("description", remote.description),
            address=_changed(remote_registries.address_of(remote), given),
            is_password_given=_has_password(given),
            actor=self.actor,
        )
        return Response()

    def delete(self, request: Request, registry_id: int) -> Response:
        """Delete a registry that no policy uses."""
        remote_registries.remove(find(registry_id), actor=self.actor)
        return Response()


class RegistryPing(Endpoint):
    """``/registries/ping``."""

    permissions = {"POST": CreateRegistries}
    operations = {"POST": Operation(takes=RegistryPingInput, name="pingRegistry")}
    noun = "registry"

    def post(self, request: Request) -> Response:
        """Ask a registry whether it answers and lets us in; a stored one by its number."""
        serializer = RegistryPingInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        given = {name: value for name, value in wanted.items() if value is not None}
        number = given.pop("id", 0)
        if not number:
            if "url" not in given:
                raise BadRequest("url or id is needed.", field="url")
            remote_registries.ping(_changed(Address(""), given))
            return Response()
        remote = find(number)
        stored = remote_registries.address_of(remote)
        address = _changed(stored, given)
        if address == stored:
            remote_registries.require_healthy(remote)
            return Response()
        if not _has_password(given):
            remote_registries.require_same_host(stored, address)
        remote_registries.ping(address)
        return Response()


class RegistryInfo(Endpoint):
    """``/registries/{id}/info``."""

    permissions = {"GET": ReadRegistries}
    operations = {"GET": Operation(gives=RegistryInfoOutput, name="getRegistryInfo")}

    def get(self, request: Request, registry_id: int) -> Response:
        """Tell what a policy for this registry can choose; 0 is this registry itself."""
        kind = "harbor" if registry_id == 0 else find(registry_id).kind
        shown = {
            "type": kind,
            "description": ADAPTERS[kind].label,
            "supported_resource_filters": [_style(name) for name in filters.TYPES],
            # Of pushes only this registry itself hears.
            "supported_triggers": [
                "manual",
                "scheduled",
                *(["event_based"] if registry_id == 0 else []),
            ],
            "supported_copy_by_chunk": ADAPTERS[kind].takes_pieces,
        }
        return Response(RegistryInfoOutput(shown).data)


class Adapters(Endpoint):
    """``/replication/adapters``."""

    permissions = {"GET": ListAdapters}
    operations = {"GET": Operation(name="listRegistryProviderTypes")}

    def get(self, request: Request) -> Response:
        """List the kinds of registries, each by its name."""
        return Response(sorted(ADAPTERS))


class AdapterInfos(Endpoint):
    """``/replication/adapterinfos``."""

    permissions = {"GET": ListAdapters}
    operations = {"GET": Operation(name="listRegistryProviderInfos")}

    def get(self, request: Request) -> Response:
        """Tell of each kind of registry where it is, where there is only one of it."""
        return Response({name: _info(adapter) for name, adapter in ADAPTERS.items()})


def find(registry_id: int) -> RemoteRegistry:
    """Return the registry. Raises ``NotFound``."""
    remote = RemoteRegistry.objects.filter(pk=query.row_id(registry_id)).first()
    if remote is None:
        raise NotFound("registry not found")
    return remote


def _changed(address: Address, given: dict[str, Any]) -> Address:
    """Return the address with what the contract's body names; a mask leaves the password."""
    names = {
        "url": "url",
        "type": "kind",
        "access_key": "username",
        "insecure": "is_insecure",
        "ca_certificate": "ca_certificate",
    }
    changes = {names[name]: value for name, value in given.items() if name in names}
    if _has_password(given):
        changes["password"] = given["access_secret"]
    return replace(address, **changes)


def _has_password(given: dict[str, Any]) -> bool:
    return bool(given.get("access_secret", MASK) != MASK)


def _style(name: str) -> dict[str, Any]:
    styles = {"name": "input", "tag": "input", "label": "input", "resource": "radio"}
    values = [word for word in filters.RESOURCES if word] if name == "resource" else []
    return {"type": name, "style": styles[name], "values": values}


def _info(adapter: Adapter) -> dict[str, Any]:
    kind = "EndpointPatternTypeFix" if adapter.url else "EndpointPatternTypeStandard"
    places = [{"key": adapter.label, "value": adapter.url}] if adapter.url else []
    return {
        "endpoint_pattern": {"endpoint_type": kind, "endpoints": places},
        "credential_pattern": {
            "access_key_type": "AccessKeyTypeStandard",
            "access_key_data": "",
            "access_secret_type": "AccessSecretTypeStandard",
            "access_secret_data": "",
        },
    }
