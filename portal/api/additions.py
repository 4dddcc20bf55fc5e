"""What more there is to read of an artifact: build history, values, readme, files."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import NotFound
from portal.api import artifacts, repositories
from portal.api.base import Anyone
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from registry_sync import additions

# What no artifact has here yet: it takes a scanner.
_OF_SCANNERS = frozenset({"vulnerabilities", "sbom"})


class Addition(Endpoint):
    """``…/artifacts/{reference}/additions/{addition}``."""

    permissions = {"GET": Anyone}
    operations = {"GET": Operation(media_type="text/plain", name="getAddition")}

    def get(
        self, request: Request, name_or_id: str, path: str, reference: str, addition: str
    ) -> HttpResponse | Response:
        """Return build_history, values.yaml, readme.md, dependencies, files or license."""
        action = "artifact-addition:read"
        repository = repositories.find(self, request, name_or_id, path, action=action)
        artifact = artifacts.find(repository, reference)
        if addition in _OF_SCANNERS:
            raise NotFound("No scanner is configured for this project.")
        found = additions.read(artifact, addition)
        return HttpResponse(found.content, content_type=found.media_type)


class Vulnerabilities(Addition):
    """``…/artifacts/{reference}/additions/vulnerabilities``."""

    operations = {"GET": Operation(name="getVulnerabilitiesAddition")}

    def get(
        self,
        request: Request,
        name_or_id: str,
        path: str,
        reference: str,
        addition: str = "vulnerabilities",
    ) -> HttpResponse | Response:
        """Say that no scanner is configured."""
        return super().get(request, name_or_id, path, reference, addition)
