"""What a robot can be given, for those who choose."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.roles import ROBOT_ACTIONS, SYSTEM_ACTIONS
from portal.api.base import SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation


class PermissionOutput(serializers.Serializer[dict[str, str]]):
    """The contract's ``Permission``."""

    resource = serializers.CharField()
    action = serializers.CharField()


class PermissionsOutput(serializers.Serializer[dict[str, list[dict[str, str]]]]):
    """The contract's ``Permissions``."""

    system = PermissionOutput(many=True)
    project = PermissionOutput(many=True)


class Permissions(Endpoint):
    """``/permissions``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=PermissionsOutput, name="getPermissions")}

    def get(self, request: Request) -> Response:
        """List the actions of the system and of a project."""
        shown = {"system": _listed(SYSTEM_ACTIONS), "project": _listed(ROBOT_ACTIONS)}
        return Response(PermissionsOutput(shown).data)


def _listed(actions: frozenset[str]) -> list[dict[str, str]]:
    pairs = [action.split(":", 1) for action in sorted(actions)]
    return [{"resource": resource, "action": verb} for resource, verb in pairs]
