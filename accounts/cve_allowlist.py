"""Lists of tolerated vulnerabilities: the system's, and each project's own."""

import datetime
import re
from collections.abc import Iterable

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.errors import BadRequest
from accounts.models import CVEAllowlist, Project
from accounts.principals import Actor

MAX_ITEMS = 10_000
# CVE-2024-3094, but also GHSA-…, ALAS-… and what else scanners name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def of(project: Project | None) -> CVEAllowlist:
    """Return the project's list, or the system's; an empty one where none was saved."""
    found = CVEAllowlist.objects.filter(project=project).first()
    return found or CVEAllowlist(project=project)


def effective(project: Project) -> CVEAllowlist:
    """Return the list that holds for the project: its own, or the system's where it reuses that."""
    return of(None if project.reuses_system_allowlist else project)


def replace(
    project: Project | None,
    *,
    cve_ids: Iterable[str],
    expires_at: datetime.datetime | None,
    actor: Actor,
) -> CVEAllowlist:
    """Save the list in the old one's place. Raises ``BadRequest`` (with ``field``)."""
    names = list(dict.fromkeys(cve_ids))
    if len(names) > MAX_ITEMS:
        raise BadRequest(
            _("A list holds at most %(max)d entries.") % {"max": MAX_ITEMS}, field="items"
        )
    for name in names:
        if not _NAME.fullmatch(name):
            raise BadRequest(
                _("%(name)s is not the number of a vulnerability.") % {"name": name[:64]},
                field="items",
            )
    return _replace(project, names, expires_at, actor)


@transaction.atomic
def _replace(
    project: Project | None,
    names: list[str],
    expires_at: datetime.datetime | None,
    actor: Actor,
) -> CVEAllowlist:
    saved, _made = CVEAllowlist.objects.select_for_update().update_or_create(
        project=project, defaults={"cve_ids": names, "expires_at": expires_at}
    )
    resource = project.name if project else "system"
    detail = {"count": len(names)}
    audit.record(actor, "update_cve_allowlist", resource, project=project, detail=detail)
    return saved
