"""The system's list of tolerated vulnerabilities."""

import datetime
from datetime import UTC
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import cve_allowlist
from accounts.errors import BadRequest
from accounts.models import CVEAllowlist
from portal.api.base import Administrators, SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation


class ItemInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``CVEAllowlistItem``."""

    cve_id = serializers.CharField(max_length=128)


class CVEAllowlistInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``CVEAllowlist``; ``expires_at`` in seconds since 1970."""

    # Not many=True: that takes null for an item as well.
    items = serializers.ListField(child=ItemInput(), required=False, allow_null=True)
    expires_at = serializers.IntegerField(required=False, allow_null=True, min_value=0)


class ItemOutput(serializers.Serializer[dict[str, str]]):
    """The contract's ``CVEAllowlistItem``."""

    cve_id = serializers.CharField()


class CVEAllowlistOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``CVEAllowlist``; one that was never saved has no number and no times."""

    id = serializers.IntegerField(required=False)
    # 0 for the system's list.
    project_id = serializers.IntegerField()
    expires_at = serializers.IntegerField(required=False)
    items = ItemOutput(many=True)
    creation_time = serializers.DateTimeField(required=False, default_timezone=UTC)
    update_time = serializers.DateTimeField(required=False, default_timezone=UTC)


class SystemCVEAllowlist(Endpoint):
    """``/system/CVEAllowlist``."""

    permissions = {"GET": SignedIn, "PUT": Administrators}
    operations = {
        "GET": Operation(gives=CVEAllowlistOutput, name="getSystemCVEAllowlist"),
        "PUT": Operation(takes=CVEAllowlistInput, name="putSystemCVEAllowlist"),
    }
    noun = "cve_allowlist"

    def get(self, request: Request) -> Response:
        """Show the list."""
        return Response(shown(cve_allowlist.of(None), project_id=0))

    def put(self, request: Request) -> Response:
        """Replace the list."""
        cve_ids, expires_at = read(request.data)
        cve_allowlist.replace(None, cve_ids=cve_ids, expires_at=expires_at, actor=self.actor)
        return Response()


def shown(allowlist: CVEAllowlist, *, project_id: int) -> dict[str, Any]:
    """Write the list that holds for a project, or for the system (0), as the contract has it."""
    end = allowlist.expires_at
    facts = {
        "id": allowlist.pk,
        "project_id": project_id,
        "expires_at": int(end.timestamp()) if end else None,
        "items": [{"cve_id": name} for name in allowlist.cve_ids],
        "creation_time": allowlist.created_at,
        "update_time": allowlist.updated_at,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    return dict(CVEAllowlistOutput(known).data)


def read(data: object) -> tuple[list[str], datetime.datetime | None]:
    """Read a ``CVEAllowlist`` of the contract: its items and its end."""
    serializer = CVEAllowlistInput(data=data)
    serializer.is_valid(raise_exception=True)
    wanted = serializer.validated_data
    expires_at = None
    if wanted.get("expires_at"):
        try:
            expires_at = datetime.datetime.fromtimestamp(wanted["expires_at"], UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise BadRequest("expires_at is too far away.", field="expires_at") from error
    return [item["cve_id"] for item in wanted.get("items") or []], expires_at
