"""The labels of an artifact: put one on it, take one off."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import NotFound
from accounts.models import Project
from portal.api import artifacts, query, repositories
from portal.api.base import SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from registry_sync import labels
from registry_sync.models import Label


class ArtifactLabelInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``Label``, of which the number says which."""

    id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


class ArtifactLabels(Endpoint):
    """``…/artifacts/{reference}/labels``."""

    permissions = {"POST": SignedIn}
    operations = {"POST": Operation(takes=ArtifactLabelInput, name="addLabel")}
    noun = "artifact_label"

    def post(self, request: Request, name_or_id: str, path: str, reference: str) -> Response:
        """Put a label of the system or of the project on the artifact."""
        action = "artifact-label:create"
        repository = repositories.find(self, request, name_or_id, path, action=action)
        artifact = artifacts.find(repository, reference)
        serializer = ArtifactLabelInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        label = _find(serializer.validated_data["id"], repository.project)
        labels.attach(artifact, label, actor=self.actor)
        return Response()


class OneArtifactLabel(Endpoint):
    """``…/artifacts/{reference}/labels/{label_id}``."""

    permissions = {"DELETE": SignedIn}
    operations = {"DELETE": Operation(name="removeLabel")}
    noun = "artifact_label"

    def delete(
        self, request: Request, name_or_id: str, path: str, reference: str, label_id: int
    ) -> Response:
        """Take a label off the artifact."""
        action = "artifact-label:delete"
        repository = repositories.find(self, request, name_or_id, path, action=action)
        artifact = artifacts.find(repository, reference)
        label = _find(query.row_id(label_id), repository.project)
        labels.detach(artifact, label, actor=self.actor)
        return Response()


def _find(label_id: int, project: Project) -> Label:
    label = labels.usable_in(project).select_related("project").filter(pk=label_id).first()
    if label is None:
        raise NotFound("label not found")
    return label
