"""Writes audit rows, in the transaction of the change they record."""

from typing import Any

from accounts.models import AuditEntry, Project
from accounts.principals import Actor


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
    AuditEntry.objects.create(
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
