"""What this system is: for clients, and for those who watch the disk."""

import shutil
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import configuration
from accounts.errors import NotFound
from portal.api.base import Anyone, MaySystem
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation

# The version of the contract: clients compare it before they use what is newer.
CONTRACT_VERSION = "v2.16.0"


class ReadVolumes(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "system-volumes:read"


class GeneralInfoOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``GeneralInfo``; strangers are told less."""

    auth_mode = serializers.CharField()
    primary_auth_mode = serializers.BooleanField()
    self_registration = serializers.BooleanField()
    banner_message = serializers.CharField()
    external_url = serializers.CharField()
    registry_url = serializers.CharField()
    has_ca_root = serializers.BooleanField()
    harbor_version = serializers.CharField()
    current_time = serializers.DateTimeField(required=False)
    project_creation_restriction = serializers.CharField(required=False)
    # The contract's name; REST framework removes it from the class before it could clash.
    read_only = serializers.BooleanField(required=False)  # type: ignore[assignment]
    registry_storage_provider_name = serializers.CharField(required=False)


class StorageOutput(serializers.Serializer[dict[str, int]]):
    """The contract's ``Storage``, in bytes."""

    total = serializers.IntegerField()
    free = serializers.IntegerField()


class SystemInfoOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``SystemInfo``."""

    storage = StorageOutput(many=True)


class SystemInfo(Endpoint):
    """``/systeminfo``."""

    permissions = {"GET": Anyone}
    operations = {"GET": Operation(gives=GeneralInfoOutput, name="getSystemInfo")}

    def get(self, request: Request) -> Response:
        """Show what clients need to know."""
        now = {name: s.value for name, s in configuration.settings_now().items()}
        shown: dict[str, Any] = {
            "auth_mode": now["auth_mode"],
            "primary_auth_mode": False,
            "self_registration": now["self_registration"],
            "banner_message": now["banner_message"],
            "external_url": settings.MOORAGE_EXTERNAL_URL,
            "registry_url": urlsplit(settings.MOORAGE_EXTERNAL_URL).netloc,
            "has_ca_root": _certificate() is not None,
            "harbor_version": f"{CONTRACT_VERSION}-moorage-{settings.VERSION}",
        }
        if not self.principal.is_anonymous:
            shown |= {
                "current_time": timezone.now(),
                "project_creation_restriction": now["project_creation_restriction"],
                "read_only": now["read_only"],
                "registry_storage_provider_name": "s3"
                if settings.MOORAGE_S3_BUCKET
                else "filesystem",
            }
        return Response(GeneralInfoOutput(shown).data)


class Volumes(Endpoint):
    """``/systeminfo/volumes``."""

    permissions = {"GET": ReadVolumes}
    operations = {"GET": Operation(gives=SystemInfoOutput, name="getVolumes")}

    def get(self, request: Request) -> Response:
        """Show the size of the storage, and what of it is free."""
        if settings.MOORAGE_S3_BUCKET:
            raise NotFound("The storage is a bucket, which has no size.")
        try:
            disk = shutil.disk_usage(settings.MOORAGE_STORAGE_ROOT)
        except OSError as error:
            raise NotFound("The storage is no directory of this machine.") from error
        shown = {"storage": [{"total": disk.total, "free": disk.free}]}
        return Response(SystemInfoOutput(shown).data)


class Certificate(Endpoint):
    """``/systeminfo/getcert``."""

    permissions = {"GET": Anyone}
    operations = {"GET": Operation(media_type="application/x-x509-ca-cert", name="getCert")}

    def get(self, request: Request) -> HttpResponse:
        """Send the certificate that clients must trust, where the operator put one there."""
        content = _certificate()
        if content is None:
            raise NotFound("There is no certificate to download.")
        response = HttpResponse(content, content_type="application/x-x509-ca-cert")
        response["Content-Disposition"] = 'attachment; filename="ca.crt"'
        return response


def _certificate() -> bytes | None:
    try:
        return (settings.MOORAGE_HOME / "ca.crt").read_bytes()
    except OSError:
        return None
