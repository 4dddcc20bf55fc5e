"""What of a project's ``metadata`` is understood: texts by name, to and from its fields."""

from collections.abc import Mapping

from accounts.models import Project
from accounts.projects import Changes
from portal.api.metadata_texts import number, switch

KEYS = ("public", "read_only", "trash_days", "reuse_sys_cve_allowlist")
# What a key is again when it is deleted.
DEFAULTS = {
    "public": "false",
    "read_only": "false",
    "trash_days": "7",
    "reuse_sys_cve_allowlist": "true",
}


def shown(project: Project) -> dict[str, str]:
    """Return every key of a project."""
    return {
        "public": str(project.is_public).lower(),
        "read_only": str(project.is_read_only).lower(),
        "trash_days": str(project.trash_days),
        "reuse_sys_cve_allowlist": str(project.reuses_system_allowlist).lower(),
    }


def changes(texts: Mapping[str, str]) -> Changes:
    """Read the texts of known keys. Raises ``BadRequest`` for one that is not understood."""
    return Changes(
        is_public=switch(texts, "public"),
        is_read_only=switch(texts, "read_only"),
        trash_days=number(texts, "trash_days"),
        reuses_system_allowlist=switch(texts, "reuse_sys_cve_allowlist"),
    )
