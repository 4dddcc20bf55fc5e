"""Whether the system lives: for load balancers and monitoring, without credentials."""

from typing import Any

from django.http import HttpResponse, JsonResponse
from rest_framework import serializers
from rest_framework.request import Request

from portal.api.base import Anyone
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.health import health, ping
from portal.openapi import document


class ComponentOutput(serializers.Serializer[Any]):
    """The contract's ``ComponentHealthStatus``."""

    name = serializers.CharField()
    status = serializers.CharField()
    error = serializers.CharField(required=False)


class HealthOutput(serializers.Serializer[Any]):
    """The contract's ``OverallHealthStatus``."""

    status = serializers.CharField()
    components = ComponentOutput(many=True)


class DocumentOutput(serializers.Serializer[Any]):
    """An OpenAPI 3.0 document."""

    openapi = serializers.CharField()
    info = serializers.DictField()
    paths = serializers.DictField()
    components = serializers.DictField()


class Ping(Endpoint):
    """``/ping``."""

    # Credentials are not even looked at: a probe must not wait for a password check.
    authentication_classes = ()
    permissions = {"GET": Anyone}
    operations = {"GET": Operation(media_type="text/plain", name="getPing")}

    def get(self, request: Request) -> HttpResponse:
        """Answer that this process does."""
        return ping(request._request)


class Health(Endpoint):
    """``/health``."""

    authentication_classes = ()
    permissions = {"GET": Anyone}
    operations = {"GET": Operation(gives=HealthOutput, name="getHealth")}

    def get(self, request: Request) -> HttpResponse:
        """Answer for every component."""
        return health(request._request)


class OpenAPI(Endpoint):
    """``/openapi.json``: ours."""

    authentication_classes = ()
    permissions = {"GET": Anyone}
    operations = {"GET": Operation(gives=DocumentOutput)}

    def get(self, request: Request) -> HttpResponse:
        """Describe this API."""
        return JsonResponse(document())
