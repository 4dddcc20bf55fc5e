"""What a project is made of and changed with, in the contract's words."""

from typing import Any

from rest_framework import serializers

from accounts import projects
from portal.api.cve_allowlist import CVEAllowlistInput

_MAX_INTEGER = 2**63 - 1


class MetadataInput(serializers.Serializer[dict[str, Any]]):
    """The part of the contract's ``ProjectMetadata`` that is understood."""

    public = serializers.ChoiceField(choices=["true", "false"], required=False, allow_null=True)
    read_only = serializers.ChoiceField(  # type: ignore[assignment]  # a member, not the attribute
        choices=["true", "false"], required=False, allow_null=True
    )
    trash_days = serializers.CharField(required=False, allow_null=True)
    reuse_sys_cve_allowlist = serializers.ChoiceField(
        choices=["true", "false"], required=False, allow_null=True
    )
    proxy_speed_kb = serializers.CharField(required=False, allow_null=True)
    max_upstream_conn = serializers.CharField(required=False, allow_null=True)
    proxy_cache_filter_pattern = serializers.CharField(
        required=False, allow_null=True, allow_blank=True
    )
    proxy_cache_filter_kind = serializers.CharField(
        required=False, allow_null=True, allow_blank=True
    )
    proxy_cache_local_on_not_found = serializers.ChoiceField(
        choices=["true", "false"], required=False, allow_null=True
    )
    proxy_referrer_api = serializers.ChoiceField(
        choices=["true", "false"], required=False, allow_null=True
    )
    prevent_vul = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    enable_content_trust = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    enable_content_trust_cosign = serializers.CharField(
        required=False, allow_null=True, allow_blank=True
    )


class ProjectInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ProjectReq``; members that are not named here are ignored."""

    project_name = serializers.CharField(max_length=255, trim_whitespace=False)
    public = serializers.BooleanField(required=False, allow_null=True)
    metadata = MetadataInput(required=False, allow_null=True)
    storage_limit = serializers.IntegerField(
        required=False, allow_null=True, min_value=-1, max_value=_MAX_INTEGER
    )
    registry_id = serializers.IntegerField(required=False, allow_null=True)


class ProjectChangeInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ProjectReq`` as far as it can change."""

    public = serializers.BooleanField(required=False, allow_null=True)
    metadata = MetadataInput(required=False, allow_null=True)
    cve_allowlist = CVEAllowlistInput(required=False, allow_null=True)
    storage_limit = serializers.IntegerField(
        required=False, allow_null=True, min_value=-1, max_value=_MAX_INTEGER
    )


class ProjectNameInput(serializers.Serializer[dict[str, Any]]):
    """A new name."""

    project_name = serializers.CharField(max_length=255, trim_whitespace=False)
    keep_days = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=projects.MAX_ALIAS_DAYS
    )
