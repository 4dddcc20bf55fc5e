"""What the audit's names of actions and details mean, in people's words."""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts.roles import Role
from portal.templatetags.portal import role_label

# In the order in which the filter offers them.
ACTIONS: dict[str, Promise] = {
    "login_user": _("Sign-in"),
    "confirm_password": _("Password confirmed"),
    "create_artifact": _("Image pushed"),
    "copy_artifact": _("Image copied"),
    "delete_artifact": _("Image deleted"),
    "create_tag": _("Tag made"),
    "delete_tag": _("Tag deleted"),
    "restore_tag": _("Tag put back"),
    "restore_artifact": _("Image restored"),
    "restore_repository": _("Repository restored"),
    "purge_tag": _("Deleted tag given up"),
    "purge_artifact": _("Deleted image given up"),
    "purge_repository": _("Deleted repository given up"),
    "create_artifact_label": _("Label put on an image"),
    "delete_artifact_label": _("Label taken off an image"),
    "update_repository": _("Repository changed"),
    "delete_repository": _("Repository deleted"),
    "create_project": _("Project made"),
    "update_project": _("Project's settings changed"),
    "rename_project": _("Project renamed"),
    "delete_project": _("Project deleted"),
    "restore_project": _("Project restored"),
    "purge_project": _("Deleted project given up"),
    "fetch_artifact": _("Fetched from the upstream"),
    "create_proxy_cache": _("Project filled from another registry"),
    "update_proxy_cache": _("Bounds towards the upstream changed"),
    "update_layer_policy": _("What is asked of layers changed"),
    "update_cve_allowlist": _("Tolerated vulnerabilities changed"),
    "create_member": _("Member added"),
    "update_member": _("Member's role changed"),
    "delete_member": _("Member removed"),
    "create_robot": _("Robot made"),
    "update_robot": _("Robot changed"),
    "refresh_robot_secret": _("Robot's secret renewed"),
    "delete_robot": _("Robot deleted"),
    "create_immutable_rule": _("Immutable rule made"),
    "update_immutable_rule": _("Immutable rule changed"),
    "delete_immutable_rule": _("Immutable rule deleted"),
    "create_retention": _("Retention of tags set up"),
    "update_retention": _("Retention of tags changed"),
    "confirm_retention": _("Retention of tags confirmed"),
    "delete_retention": _("Retention of tags ended"),
    "create_label": _("Label made"),
    "update_label": _("Label changed"),
    "delete_label": _("Label deleted"),
    "create_user": _("User made"),
    "update_preferences": _("Preferences changed"),
    "update_user": _("User changed"),
    "delete_user": _("User deleted"),
    "create_password_reset": _("Link for a new password made"),
    "use_password_reset": _("New password set by a link"),
    "delete_session": _("Session ended"),
    "create_token": _("Access token made"),
    "delete_token": _("Access token revoked"),
    "create_registry": _("Other registry added"),
    "update_registry": _("Other registry changed"),
    "delete_registry": _("Other registry removed"),
    "create_replication_policy": _("Replication rule made"),
    "update_replication_policy": _("Replication rule changed"),
    "delete_replication_policy": _("Replication rule deleted"),
    "import_repository": _("Repository imported"),
    "update_configuration": _("System's settings changed"),
    "close_first_run": _("Set-up finished or put off"),
    "start_job": _("Job started"),
    "stop_job": _("Job stopped"),
    "update_schedule": _("Schedule changed"),
    "delete_schedule": _("Schedule deleted"),
    "pause_queue": _("Queue paused"),
    "resume_queue": _("Queue resumed"),
    "purge_audit_log": _("Old audit entries deleted"),
    "update_page": _("Change on a page"),
}

DETAILS: dict[str, Promise] = {
    "public": _("Public"),
    "is_public": _("Public"),
    "is_read_only": _("Read-only"),
    "storage_limit": _("Storage limit"),
    "trash": _("Trash entry"),
    "execution": _("Run"),
    "artifacts": _("Images"),
    "rules": _("Rules"),
    "version": _("Version"),
    "trash_days": _("Days in the trash"),
    "least_efficiency": _("Least efficiency, in per cent"),
    "most_wasted_bytes": _("Most wasted bytes"),
    "forbids_secrets": _("No secrets"),
    "is_enforced": _("Refuse the push"),
    "reuses_system_allowlist": _("Tolerate what the system tolerates"),
    "former": _("Former name"),
    "alias_days": _("Days that the old name works"),
    "is_administrator": _("Administrator"),
    "is_auditor": _("Auditor"),
    "is_active": _("Active"),
    "password": _("Password"),
    "email": _("E-mail"),
    "realname": _("Full name"),
    "comment": _("Comment"),
    "role": _("Role"),
    "reason": pgettext_lazy("refusal", "Reason"),
    "digest": _("Digest"),
    "reference": _("Reference"),
    "from": pgettext_lazy("copy", "From"),
    "tags": _("Tags"),
    "repositories": _("Repositories"),
    "disabled": _("Switched off"),
    "label": _("Label"),
    "count": _("Entries"),
    "address": _("Address"),
    "sessions": _("Sessions"),
    "name": _("Name"),
    "removed": _("Removed"),
    "policy": _("Rule"),
    "method": _("Request"),
}


def action(name: str) -> str:
    """Return an action in words; its name where nobody wrote them."""
    return str(ACTIONS.get(name, name))


def details(found: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return an entry's details as words with their values."""
    return [(str(DETAILS.get(key, key)), _value(key, value)) for key, value in found.items()]


def _value(key: str, value: object) -> str:
    if key == "role":
        return next((role_label(role.value) for role in Role if role.label == value), str(value))
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value is None or value == "":
        return "–"
    return str(value)
