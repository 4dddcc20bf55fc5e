"""The system's settings."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import configuration
from accounts.errors import BadRequest
from portal.api.base import Administrators
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation


class SettingOutput(serializers.Serializer[dict[str, Any]]):
    """One of the contract's ``…ConfigItem``."""

    value = serializers.JSONField()
    editable = serializers.BooleanField()


class ConfigurationsInput(serializers.Serializer[dict[str, Any]]):
    """The part of the contract's ``Configurations`` that does something here."""

    self_registration = serializers.BooleanField(required=False)
    project_creation_restriction = serializers.CharField(required=False)
    quota_per_project_enable = serializers.BooleanField(required=False)
    storage_per_project = serializers.IntegerField(required=False)
    robot_token_duration = serializers.IntegerField(required=False)
    banner_message = serializers.CharField(required=False)
    # The contract's name; REST framework removes it from the class before it could clash.
    read_only = serializers.BooleanField(required=False)  # type: ignore[assignment]


class ConfigurationsOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ConfigurationsResponse``: each setting with whether it can be changed."""

    self_registration = SettingOutput()
    project_creation_restriction = SettingOutput()
    quota_per_project_enable = SettingOutput()
    storage_per_project = SettingOutput()
    robot_token_duration = SettingOutput()
    banner_message = SettingOutput()
    read_only = SettingOutput()  # type: ignore[assignment]
    auth_mode = SettingOutput()
    robot_name_prefix = SettingOutput()
    token_expiration = SettingOutput()
    session_timeout = SettingOutput()


class Configurations(Endpoint):
    """``/configurations``."""

    permissions = {"GET": Administrators, "PUT": Administrators}
    operations = {
        "GET": Operation(gives=ConfigurationsOutput, name="getConfigurations"),
        "PUT": Operation(takes=ConfigurationsInput, name="updateConfigurations"),
    }
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
