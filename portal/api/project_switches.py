"""What of a project's ``metadata`` is understood: texts by name, to and from its fields."""

import re
from collections.abc import Mapping

from accounts.errors import BadRequest
from accounts.models import Project
from accounts.projects import Changes

_SWITCHES = {"true": True, "false": False}
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
        is_public=_switch(texts, "public"),
        is_read_only=_switch(texts, "read_only"),
        trash_days=_number(texts, "trash_days"),
        reuses_system_allowlist=_switch(texts, "reuse_sys_cve_allowlist"),
    )


def _switch(texts: Mapping[str, str], name: str) -> bool | None:
    text = texts.get(name)
    if text is None:
        return None
    if text not in _SWITCHES:
        raise BadRequest(f"{name} must be true or false.", field=name)
    return _SWITCHES[text]


def _number(texts: Mapping[str, str], name: str) -> int | None:
    text = texts.get(name)
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,9}", text):
        raise BadRequest(f"{name} must be a whole number.", field=name)
    return int(text)
