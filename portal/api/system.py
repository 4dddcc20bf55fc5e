"""Whether the system lives: for load balancers and monitoring, without credentials."""

from django.http import HttpResponse
from rest_framework.request import Request

from portal.api.base import Anyone
from portal.api.endpoint import Endpoint
from portal.health import health, ping


class Ping(Endpoint):
    """``/ping``."""

    # Credentials are not even looked at: a probe must not wait for a password check.
    authentication_classes = ()
    permissions = {"GET": Anyone}

    def get(self, request: Request) -> HttpResponse:
        """Answer that this process does."""
        return ping(request._request)


class Health(Endpoint):
    """``/health``."""

    authentication_classes = ()
    permissions = {"GET": Anyone}

    def get(self, request: Request) -> HttpResponse:
        """Answer for every component."""
        return health(request._request)
