"""``/projects/{project_name_or_id}/layer-policy``: what a project asks of its images' layers."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from portal.api import projects
from portal.api.base import SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from registry_sync import layer_policy
from registry_sync.models import LayerPolicy


class LayerPolicyForm(serializers.Serializer[Any]):
    """What images must keep to; 0 asks nothing."""

    least_efficiency = serializers.IntegerField(min_value=0, max_value=100, default=0)
    most_wasted_bytes = serializers.IntegerField(min_value=0, max_value=(1 << 60) - 1, default=0)
    forbids_secrets = serializers.BooleanField(default=False)
    is_enforced = serializers.BooleanField(default=False, help_text="Refuse the push.")


class ProjectLayerPolicy(Endpoint):
    """``/projects/{project_name_or_id}/layer-policy``."""

    permissions = {"GET": SignedIn, "PUT": SignedIn}
    operations = {
        "GET": Operation(gives=LayerPolicyForm),
        "PUT": Operation(takes=LayerPolicyForm, gives=LayerPolicyForm),
    }

    def get(self, request: Request, name_or_id: str) -> Response:
        """Show what is asked."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "metadata:read", project)
        return Response(_output(layer_policy.of(project)))

    def put(self, request: Request, name_or_id: str) -> Response:
        """Set what is asked."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "project:update", project)
        serializer = LayerPolicyForm(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        return Response(_output(layer_policy.put(project, **values, actor=self.actor)))


def _output(policy: LayerPolicy) -> dict[str, Any]:
    return {
        "least_efficiency": policy.least_efficiency,
        "most_wasted_bytes": policy.most_wasted_bytes,
        "forbids_secrets": policy.forbids_secrets,
        "is_enforced": policy.is_enforced,
    }
