"""Writes audit rows, in the transaction of the change they record."""

import datetime
from typing import Any

from django.utils import timezone

from accounts import statements
from accounts.models import AuditEntry, Project
from accounts.principals import Actor
from accounts.statements import Statement

REFUSAL_RESOLUTION = datetime.timedelta(minutes=1)


def record(
    actor: Actor,
    action: str,
    resource: str,
    *,
    project: Project | None = None,
    outcome: str = AuditEntry.Outcome.SUCCESS,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add one entry; ``detail`` must hold no secret."""
    entry = recorded(actor, action, resource, project=project, outcome=outcome, detail=detail)
    statements.run(entry)


def record_refusal(actor: Actor, action: str, resource: str, *, reason: str) -> None:
    """Add one entry for a change that was refused.

    The same refusal again within a minute adds none: who keeps trying must not fill the disk.
    """
    recently = timezone.now() - REFUSAL_RESOLUTION
    same = AuditEntry.objects.filter(at__gte=recently, outcome=AuditEntry.Outcome.DENIED)
    resource = resource[:1024]
    is_known = same.filter(
        actor_kind=actor.principal.kind,
        actor_name=actor.principal.name,
        address=actor.address,
        action=action,
        resource=resource,
    ).exists()
    if not is_known:
        denied = AuditEntry.Outcome.DENIED
        record(actor, action, resource, outcome=denied, detail={"reason": reason})


def recorded(
    actor: Actor,
    action: str,
    resource: str,
    *,
    project: Project | None = None,
    outcome: str = AuditEntry.Outcome.SUCCESS,
    detail: dict[str, Any] | None = None,
) -> Statement:
    """The statement of ``record``, to be run with others."""
    entry = AuditEntry(
        actor_kind=actor.principal.kind,
        actor_id=actor.principal.user_id,
        actor_name=actor.principal.name,
        address=actor.address,
        request_id=actor.request_id,
        action=action,
        resource=resource,
        project_id=project.pk if project else None,
        outcome=outcome,
        detail=detail or {},
    )
    return statements.insert([entry])
