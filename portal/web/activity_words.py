"""Whole sentences for what happened; what has none is told by the audit's words.

``{who}``, ``{what}`` and the others are put in escaped, or as links.
"""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from portal.web import audit_words

SENTENCES: dict[str, Promise] = {
    "create_artifact": _("{who} pushed {what}"),
    "fetch_artifact": _("{who} fetched {what} from the upstream"),
    "copy_artifact": _("{who} copied {what} from {source}"),
    "import_repository": _("{who} imported {what} from {source}"),
    "create_tag": _("{who} tagged {what}"),
    "delete_tag": _("{who} deleted the tag {what}"),
    "delete_artifact": _("{who} deleted the image {what}"),
    "delete_repository": _("{who} deleted the repository {what}"),
    "restore_tag": _("{who} put the tag {what} back"),
    "restore_artifact": _("{who} restored the image {what}"),
    "restore_repository": _("{who} restored the repository {what}"),
    "update_repository": _("{who} described the repository {what}"),
    "create_artifact_label": _("{who} put the label {label} on {what}"),
    "delete_artifact_label": _("{who} took the label {label} off {what}"),
    "create_project": _("{who} made the project {what}"),
    "update_project": _("{who} changed the settings of {what}"),
    "update_proxy_cache": _("{who} changed the settings of {what}"),
    "rename_project": _("{who} renamed the project {former} to {what}"),
    "delete_project": _("{who} deleted the project {what}"),
    "restore_project": _("{who} restored the project {what}"),
    "create_member": _("{who} added the member {what}"),
    "update_member": _("{who} changed the role of {what}"),
    "delete_member": _("{who} removed the member {what}"),
    "create_robot": _("{who} made the robot {what}"),
    "update_robot": _("{who} changed the robot {what}"),
    "refresh_robot_secret": _("{who} renewed the secret of the robot {what}"),
    "delete_robot": _("{who} deleted the robot {what}"),
    "create_immutable_rule": _("{who} made an immutable rule in {what}"),
    "update_immutable_rule": _("{who} changed an immutable rule in {what}"),
    "delete_immutable_rule": _("{who} deleted an immutable rule in {what}"),
    "create_retention": _("{who} set up the retention of {what}"),
    "update_retention": _("{who} changed the retention of {what}"),
    "confirm_retention": _("{who} confirmed the retention of {what}"),
    "delete_retention": _("{who} ended the retention of {what}"),
    "create_user": _("{who} made the user {what}"),
    "update_user": _("{who} changed the user {what}"),
    "delete_user": _("{who} deleted the user {what}"),
    "update_configuration": _("{who} changed the system's settings"),
    "start_job": _("{who} started the job {what}"),
    "stop_job": _("{who} stopped the job {what}"),
}
_OTHERWISE = _("{who}: {action}, {what}")

# What a list can be narrowed to, and the actions of each; the rest is "settings".
KINDS: dict[str, tuple[Promise, tuple[str, ...]]] = {
    "pushes": (
        _("Pushes and copies"),
        ("create_artifact", "fetch_artifact", "copy_artifact", "import_repository", "create_tag"),
    ),
    "removals": (
        _("Deleted and restored"),
        (
            "delete_tag",
            "delete_artifact",
            "delete_repository",
            "delete_project",
            "restore_tag",
            "restore_artifact",
            "restore_repository",
            "restore_project",
            "purge_tag",
            "purge_artifact",
            "purge_repository",
            "purge_project",
        ),
    ),
    "people": (
        _("People and robots"),
        (
            "create_member",
            "update_member",
            "delete_member",
            "create_robot",
            "update_robot",
            "refresh_robot_secret",
            "delete_robot",
            "create_user",
            "update_user",
            "delete_user",
        ),
    ),
}
SETTINGS = "settings"
SETTINGS_WORDS = _("Settings and jobs")


def sentence(action: str, parts: Mapping[str, str | SafeString]) -> SafeString:
    """Say what happened; ``parts`` are put into it, escaped unless they are HTML."""
    known = SENTENCES.get(action)
    if known is not None:
        return format_html(str(known), **parts)
    return format_html(str(_OTHERWISE), action=audit_words.action(action), **parts)
