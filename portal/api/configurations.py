"""The system's settings."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts import configuration
from accounts.errors import BadRequest
from portal.api.base import Administrators
from portal.api.endpoint import Endpoint


class Configurations(Endpoint):
    """``/configurations``."""

    permissions = {"GET": Administrators, "PUT": Administrators}
    noun = "configuration"

    def get(self, request: Request) -> Response:
        """Show every setting, and whether it can be changed here."""
        return Response(
            {
                name: {"value": setting.value, "editable": setting.is_editable}
                for name, setting in configuration.settings_now().items()
            }
        )

    def put(self, request: Request) -> Response:
        """Change what is named; null is nothing, as generated clients mean it."""
        if not isinstance(request.data, dict):
            raise BadRequest("An object of settings is needed.")
        wanted: dict[str, Any] = {
            name: value for name, value in request.data.items() if value is not None
        }
        configuration.update(wanted, actor=self.actor)
        return Response()
